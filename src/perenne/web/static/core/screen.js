// One screen: one request, its heading, and what is shown while there is nothing yet or something is wrong.
import { html, signal, useEffect, useRef, useState } from "./dom.js";
import { get, unauthorized } from "./api.js";
import { changed } from "./live.js";
import { Empty } from "./parts.js";

const AT_MOST_EVERY = 1000;
const SHARE_OF_TIME = 10;
const RETRY = 3000;

/** Where this is, for the bar at the top: `[[title, href], …]`. */
export const crumbs = signal([]);

/**
 * Get the payload of a screen and keep it fresh.
 *
 * Asks again when the server says that something changed: one request at a time, at most one a second, and never for more than a
 * tenth of the time. What is shown stays until the new is there.
 */
export function useView(path) {
  const [state, setState] = useState({ path: null, data: null, error: null });
  const wanted = useRef(path);
  const running = useRef(false);
  const timer = useRef(0);
  const next = useRef(0);
  const alive = useRef(true);
  wanted.current = path;

  const load = async () => {
    clearTimeout(timer.current);
    timer.current = 0;
    if (running.current) return;
    running.current = true;
    const asked = wanted.current;
    const started = performance.now();
    try {
      const data = await get(asked);
      if (alive.current && asked === wanted.current)
        setState((old) => (old.data === data && old.path === asked && !old.error ? old : { path: asked, data, error: null }));
    } catch (error) {
      if (alive.current && asked === wanted.current) setState((old) => ({ path: asked, data: old.path === asked ? old.data : null, error }));
      if (error.status === 0 || error.status >= 500) soon(RETRY);
    }
    running.current = false;
    next.current = performance.now() + Math.max(AT_MOST_EVERY, SHARE_OF_TIME * (performance.now() - started));
    if (alive.current && asked !== wanted.current) load();
  };
  const soon = (wait) => {
    if (!timer.current && alive.current) timer.current = setTimeout(load, wait);
  };

  useEffect(() => {
    alive.current = true;
    if (path) load();
  }, [path]);
  useEffect(() => {
    const stop = [changed, unauthorized].map((news) => news.subscribe(() => wanted.current && soon(Math.max(0, next.current - performance.now()))));
    return () => {
      alive.current = false;
      clearTimeout(timer.current);
      stop.forEach((end) => end());
    };
  }, []);
  return { data: state.data, error: state.error, stale: state.path !== path, path: state.path, reload: load };
}

/** The frame of a screen: heading, tools, and its children once there is something to show. */
export function Screen({ title, note, crumbs: trail = [], tools, view, children, wide = false }) {
  const heading = typeof title === "function" ? (view?.data ? title(view.data) : "") : title;
  useEffect(() => {
    document.title = heading ? `${heading} · perenne` : "perenne";
    crumbs.value = [...trail, [heading, null]];
  }, [heading, JSON.stringify(trail)]);
  const data = view ? view.data : {};
  return html`<div class="head">
      <h1 tabindex="-1">${heading || html`<span class="bone" style=${{ width: "160px" }}></span>`}</h1>
      ${note && data ? html`<span class="dim">${typeof note === "function" ? note(data) : note}</span>` : null}
      <span class="grow"></span>
      ${tools && data ? html`<div class="tools">${typeof tools === "function" ? tools(data) : tools}</div>` : null}
    </div>
    ${view?.error ? html`<${Trouble} error=${view.error} kept=${data} />` : null}
    ${data ? html`<div class=${`body${wide ? " wide" : ""}`} aria-busy=${view?.stale ? "true" : undefined}>${children(data)}</div>` : null}
    ${!data && !view?.error ? html`<${Skeleton} />` : null}`;
}

function Trouble({ error, kept }) {
  if (kept) return html`<p class="trouble" role="status"><i class="dot warn"></i>${error.message}. What is shown may be old.</p>`;
  const title = error.status === 404 ? "There is nothing here" : error.message;
  return html`<section class="card"><${Empty} title=${title} note=${error.status === 404 ? error.message : ""} hint=${error.hint} /></section>`;
}

const Skeleton = () => html`<div class="card bones" role="status" aria-label="Loading">
  ${[72, 90, 64, 82].map((width) => html`<span class="bone" style=${{ width: `${width}%` }}></span>`)}
</div>`;
