// Go anywhere by typing: pages at once, everything else from the server.
import { html, signal, useEffect, useRef, useState } from "./dom.js";
import { get } from "./api.js";
import { go } from "./router.js";
import { menu, more } from "./screens.js";
import { Icon } from "./icons.js";

export const paletteOpen = signal(false);

const WAIT = 120;
const ICONS = { version: "model", snapshot: "data", dataset: "data", run: "runs", deployment: "deploy", episode: "policy", prediction: "why" };

const pages = () => [...menu.flatMap(([, items]) => items), ...more].map(([path, icon, title]) => ({ path, title, kind: "page", icon }));

export function Palette() {
  const dialog = useRef();
  const [text, setText] = useState("");
  const [found, setFound] = useState([]);
  const [at, setAt] = useState(0);
  useEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  useEffect(() => {
    if (!text.trim()) return setFound([]);
    const timer = setTimeout(async () => {
      const answer = await get(`/api/view/search?q=${encodeURIComponent(text.trim())}`).catch(() => ({ hits: [] }));
      setFound(answer.hits);
    }, WAIT);
    return () => clearTimeout(timer);
  }, [text]);

  const wanted = text.trim().toLowerCase();
  const hits = [...pages().filter((page) => page.title.toLowerCase().includes(wanted)), ...found.filter((hit) => hit.kind !== "page")];
  const chosen = Math.min(at, hits.length - 1);
  const close = () => {
    paletteOpen.value = false;
  };
  const open = (hit) => {
    close();
    go(hit.path);
  };
  const keys = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((chosen + step + hits.length) % (hits.length || 1));
    else if (event.key === "Enter" && hits[chosen]) open(hits[chosen]);
    else return;
    event.preventDefault();
  };
  return html`<dialog class="palette" ref=${dialog} aria-label="Go to" onClose=${close} onClick=${(event) => event.target === dialog.current && close()}>
    <div class="palette-box">
      <label class="palette-field"><${Icon} name="search" /><input autofocus aria-label="Go to" role="combobox" aria-expanded="true" aria-controls="palette-hits" aria-activedescendant=${hits.length ? `hit-${chosen}` : undefined}
        placeholder="Go to a page, model, run, dataset, prediction…" value=${text} onInput=${(event) => (setText(event.target.value), setAt(0))} onKeyDown=${keys} /></label>
      <ul id="palette-hits" role="listbox" aria-label="Results">
        ${hits.map((hit, i) => html`<li role="option" id=${`hit-${i}`} aria-selected=${i === chosen} onMouseMove=${() => setAt(i)} onClick=${() => open(hit)}>
          <${Icon} name=${hit.icon || ICONS[hit.kind] || hit.kind} /><span class="grow">${hit.title}</span><span class="faint small">${hit.note || hit.kind}</span></li>`)}
      </ul>
      ${wanted && !hits.length ? html`<p class="none dim">Nothing is called so.</p>` : null}
    </div>
  </dialog>`;
}
