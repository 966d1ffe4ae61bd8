// The address is the state: every screen, filter and selection has one, and going back goes back.
import { signal } from "./dom.js";

const read = () => ({ path: location.pathname, query: Object.fromEntries(new URLSearchParams(location.search)) });

export const route = signal(read());

/** Go to an address of this page. */
export function go(href, { replace = false } = {}) {
  if (href === location.pathname + location.search) return;
  const before = location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  route.value = read();
  if (location.pathname !== before) document.querySelector(".main")?.scrollTo(0, 0);
}

/** Change some parts of the query; null takes one away. Replaces the entry in the history unless told otherwise. */
export function setQuery(changes, { push = false } = {}) {
  go(withQuery(changes), { replace: !push });
}

/** The present address with some parts of the query changed. */
export function withQuery(changes, path = location.pathname) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  return path + (text ? `?${text}` : "");
}

/** Find the screen of a path among `[pattern, …]`; a part like `:model` takes one segment, `:rest*` all that follow. */
export function match(patterns, path) {
  const parts = path.split("/").filter(Boolean);
  for (const entry of patterns) {
    const wanted = entry[0].split("/").filter(Boolean);
    const rest = wanted.at(-1)?.endsWith("*");
    if (rest ? parts.length < wanted.length : parts.length !== wanted.length) continue;
    const params = {};
    const fits = wanted.every((name, i) => {
      if (!name.startsWith(":")) return name === parts[i];
      const last = name.endsWith("*");
      params[name.slice(1, last ? -1 : undefined)] = decode(last ? parts.slice(i).join("/") : parts[i]);
      return true;
    });
    if (fits) return { entry, params };
  }
  return null;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

addEventListener("popstate", () => {
  route.value = read();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const href = link.getAttribute("href");
  const elsewhere = link.target || link.hasAttribute("download") || !/^[/?]/.test(href) || /^\/(api|static)\//.test(href);
  if (elsewhere) return;
  event.preventDefault();
  go(href.startsWith("?") ? location.pathname + href : href);
});
