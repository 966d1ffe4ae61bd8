// Views of runs that people keep: what is filtered, ordered and shown, under a name, for oneself or for everybody.
import { html, useEffect, useRef, useState } from "../core/dom.js";
import { post, put, remove, visitor } from "../core/api.js";
import { Icon } from "../core/icons.js";
import { go, setQuery } from "../core/router.js";
import { toast } from "../core/toast.js";

const KEPT = ["experiment", "project", "filter", "order", "columns", "group", "deleted", "metric", "smooth", "log", "x"];

/** What of an address belongs to a view. */
const stateOf = (query) => new URLSearchParams(KEPT.filter((name) => query[name]).map((name) => [name, query[name]])).toString();

/** The menu of kept views. One that is in the address by its id alone is opened at once. */
export function SavedViews({ views, query }) {
  const box = useRef();
  const [asking, setAsking] = useState(false);
  const mine = visitor.value?.name;
  const current = views.find((view) => view.id === query.view);
  const state = stateOf(query);
  const changed = current && current.query !== state;
  const open = (view) => {
    if (box.current) box.current.open = false;
    go(`/runs?${view.query}${view.query ? "&" : ""}view=${view.id}`);
  };
  useEffect(() => {
    if (current && !state) go(`/runs?${current.query}${current.query ? "&" : ""}view=${current.id}`, { replace: true });
  }, [current?.id]);
  useEffect(() => {
    const away = (event) => {
      const key = event.type === "keydown";
      if (box.current?.open && (key ? event.key === "Escape" : !box.current.contains(event.target))) box.current.open = false;
    };
    for (const kind of ["click", "keydown"]) addEventListener(kind, away);
    return () => ["click", "keydown"].forEach((kind) => removeEventListener(kind, away));
  }, []);
  const say = (work, said) => async () => {
    try {
      await work();
      toast(said);
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
  };
  const list = (title, some) => (some.length ? html`<h3>${title}</h3><ul>${some.map((view) => html`<li><button class="plain grow" aria-current=${view.id === query.view ? "true" : undefined} onClick=${() => open(view)}>${view.name}</button>
    <span class="faint small">${view.owner === mine ? (view.shared ? "shared" : "") : view.owner}</span>
    ${view.owner === mine ? html`<button class="plain" aria-label=${`Remove the view ${view.name}`} title="Remove" onClick=${say(async () => (await remove(`/api/runs/views/${view.id}`), view.id === query.view && setQuery({ view: null })), "Removed")}>×</button>` : null}</li>`)}</ul>` : null);
  return html`<details class="drop" ref=${box}>
      <summary class="button">${current ? `${current.name}${changed ? " (changed)" : ""}` : "Saved views"}</summary>
      <div class="drop-box" role="group" aria-label="Saved views">
        ${list("Yours", views.filter((view) => view.owner === mine))}
        ${list("Shared", views.filter((view) => view.owner !== mine))}
        ${views.length ? null : html`<p class="dim">Nothing is kept yet. A view keeps filter, order, columns and groups under a name.</p>`}
        <div class="row">
          <button class="button small" onClick=${() => ((box.current.open = false), setAsking(true))}>Keep as…</button>
          ${changed && current.owner === mine ? html`<button class="button small" onClick=${say(() => put(`/api/runs/views/${current.id}`, { name: current.name, query: state, shared: current.shared }), "Kept")}>Keep the change</button>` : null}
          <button class="button small quiet" onClick=${copyLink}><${Icon} name="copy" />Copy link</button>
        </div>
      </div>
    </details>
    ${asking ? html`<${Keep} state=${state} onClose=${() => setAsking(false)} />` : null}`;
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Copied; whoever opens it sees what their own token may see");
  } catch {
    toast("The browser does not allow copying here; take the address from its bar", "warn");
  }
}

function Keep({ state, onClose }) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const send = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      const made = await post("/api/runs/views", { name: form.get("name"), query: state, shared: form.get("shared") === "on" });
      dialog.current.close();
      setQuery({ view: made.id });
      toast(`Kept as ${made.name}`);
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
  };
  return html`<dialog class="ask" ref=${dialog} aria-label="Keep this view" onClose=${onClose}>
    <form onSubmit=${send}>
      <label>Name<input class="field" name="name" required maxlength="100" autocomplete="off" autofocus /></label>
      <label class="check"><input type="checkbox" name="shared" />Show it to everybody who may see these runs</label>
      <div class="row end"><button type="button" class="button quiet" onClick=${() => dialog.current.close()}>Cancel</button><button class="button primary">Keep</button></div>
    </form>
  </dialog>`;
}
