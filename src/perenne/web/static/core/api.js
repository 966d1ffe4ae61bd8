// Requests to the control plane. What was asked before is asked for again by its tag, and answered with 304 if it is the same.
import { signal } from "./dom.js";

export class ApiError extends Error {
  constructor(status, body) {
    super(body.message || `the server answered ${status}`);
    this.status = status;
    this.code = body.error_code || "";
    this.hint = body.hint || "";
  }
}

/** Whether the server asked who this is; the shell then shows the log-in, which sets it back. */
export const unauthorized = signal(false);

const REMEMBERED = 60;
const REPLAY = 300e6;
const answers = new Map();
let clock = { server: 0, here: 0 };

/** The server's time in microseconds. It goes on by itself unless it is far from this machine's: then traffic is being replayed. */
export function now() {
  if (!clock.server) return Date.now() * 1000;
  const passed = (performance.now() - clock.here) * 1000;
  return Math.abs(clock.server - Date.now() * 1000) > REPLAY ? clock.server : clock.server + passed;
}

/** Get a path as JSON. The very same object comes back if nothing changed. */
export async function get(path) {
  const known = answers.get(path);
  const response = await send(path, { headers: known ? { "if-none-match": known.tag } : {} });
  const told = Number(response.headers.get("perenne-now"));
  if (told) clock = { server: told, here: performance.now() };
  if (response.status === 304) return known.data;
  const data = await response.json();
  const tag = response.headers.get("etag");
  if (tag) {
    answers.delete(path);
    answers.set(path, { tag, data });
    if (answers.size > REMEMBERED) answers.delete(answers.keys().next().value);
  }
  return data;
}

export const post = (path, body = {}) => change("POST", path, body);
export const put = (path, body = {}) => change("PUT", path, body);
export const patch = (path, body = {}) => change("PATCH", path, body);
export const remove = (path) => change("DELETE", path);

/** Forget what was answered: whoever logs in or out sees something else. */
export const forget = () => answers.clear();

/** Who looks at this page, as `GET /api/session` tells; null while that is not known. */
export const visitor = signal(null);

export async function meet() {
  visitor.value = await get("/api/session");
  return visitor.value;
}

/** A change carries what only a page of this server can know; it is another one after a log-in in another window. */
async function change(method, path, body, again = true) {
  const { page } = visitor.value ?? (await meet());
  const headers = { "x-perenne-page": page ?? "1", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  try {
    const response = await send(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error.code !== "session.page" || !again) throw error;
    await meet();
    return change(method, path, body, false);
  }
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new ApiError(0, { message: "perenne does not answer", error_code: "page.away", hint: "is `perenne up` still running? this page tries again by itself" });
  }
  if (response.ok || response.status === 304) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) unauthorized.value = true;
  throw new ApiError(response.status, body);
}
