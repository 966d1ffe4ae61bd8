// Live news: the server says that something was committed, and whoever shows something asks for it again.
import { signal } from "./dom.js";

/** Grows with every piece of news. */
export const changed = signal(0);

/** `live`, `lost` or `paused`: nobody looks at a hidden page, so it does not listen. */
export const connection = signal("paused");

let source = null;

function open() {
  if (source || document.hidden) return;
  source = new EventSource("/api/live");
  source.onopen = () => {
    if (connection.value !== "live") changed.value++;
    connection.value = "live";
  };
  source.onmessage = () => changed.value++;
  source.onerror = () => {
    connection.value = "lost";
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(open, 3000);
    }
  };
}

function close() {
  source?.close();
  source = null;
  connection.value = "paused";
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", open);

export const listen = open;
