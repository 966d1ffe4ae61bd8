// What stands around every screen: menu, where one is, search, theme; and the keys that work everywhere.
import { html, Fragment, signal, useEffect, useRef } from "./dom.js";
import { Who } from "../auth/who.js";
import { unauthorized } from "./api.js";
import { Icon } from "./icons.js";
import { Later } from "./later.js";
import { connection, listen } from "./live.js";
import { Palette, paletteOpen } from "./palette.js";
import { Empty } from "./parts.js";
import { go, match, route } from "./router.js";
import { crumbs } from "./screen.js";
import { menu, more, screens } from "./screens.js";
import { switchTheme, theme } from "./theme.js";
import { Toasts } from "./toast.js";

const login = () => import("../auth/login.js");
const help = signal(false);
const menuOpen = signal(false);
const LETTERS = { f: "/", p: "/project", d: "/data", b: "/label", r: "/runs", m: "/model", s: "/deploy", o: "/monitor", a: "/alert", e: "/policy", w: "/why", l: "/lineage", t: "/audit" };
const CONNECTION = { live: ["ok", "live"], lost: ["warn", "not connected"], paused: ["none", "paused"] };

export function Shell() {
  const { path } = route.value;
  useEffect(() => {
    listen();
    let waiting = 0;
    const keys = (event) => {
      if ((event.metaKey || event.ctrlKey) && event.key === "k") {
        event.preventDefault();
        paletteOpen.value = !paletteOpen.value;
        return;
      }
      const writing = event.target.closest?.("input, textarea, select, dialog") || event.metaKey || event.ctrlKey || event.altKey;
      if (writing) return;
      const after = waiting && performance.now() - waiting < 1200;
      waiting = 0;
      if (after && LETTERS[event.key]) go(LETTERS[event.key]);
      else if (event.key === "g") waiting = performance.now();
      else if (event.key === "/") paletteOpen.value = true;
      else if (event.key === "?") help.value = true;
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  useEffect(() => {
    menuOpen.value = false;
  }, [path]);
  const [tone, word] = CONNECTION[connection.value];
  return html`<div class=${`shell${menuOpen.value ? " menu-open" : ""}`}>
    <a class="skip" href="#main" onClick=${toMain}>Skip to content</a>
    <header class="top">
      <button class="plain burger" aria-label="Menu" aria-expanded=${menuOpen.value} onClick=${() => (menuOpen.value = !menuOpen.value)}><${Icon} name="menu" /></button>
      <a class="brand" href="/"><svg width="20" height="20" viewBox="0 0 24 24" aria-hidden="true"><path class="ring" d="M12 2a10 10 0 1 0 10 10" /><path class="leaf" d="M12 17c0-6 2-9 8-11 0 7-3 10-8 11z" /></svg>perenne</a>
      <nav class="crumbs" aria-label="Where you are">${crumbs.value.map(([title, href], i) => html`${i ? html`<span class="faint" aria-hidden="true">/</span>` : null}${href ? html`<a href=${href}>${title}</a>` : html`<b aria-current="page">${title}</b>`}`)}</nav>
      <span class="grow"></span>
      <span class=${`state small connection ${tone}`} role="status"><i class=${`dot ${tone}`}></i>${word}</span>
      <button class="seek" onClick=${() => (paletteOpen.value = true)}><${Icon} name="search" /><span class="grow">Go to run, model, data…</span><kbd>Ctrl K</kbd></button>
      <button class="plain round" aria-label=${theme.value === "dark" ? "Switch to light" : "Switch to dark"} onClick=${switchTheme}><${Icon} name=${theme.value === "dark" ? "sun" : "moon"} /></button>
      ${more.map(([href, icon, title]) => html`<a class="round" href=${href} aria-label=${title} title=${title}><${Icon} name=${icon} /></a>`)}
      <${Who} />
    </header>
    <nav class="menu" aria-label="Main">
      ${menu.map(([title, items]) => html`<${Fragment}>
        ${title ? html`<div class="eyebrow">${title}</div>` : null}
        ${items.map(([href, icon, name]) => html`<a href=${href} title=${name} aria-current=${isHere(href, path) ? "page" : undefined}><${Icon} name=${icon} /><span>${name}</span></a>`)}
      <//>`)}
    </nav>
    <main class="main" id="main" tabindex="-1">${unauthorized.value ? html`<${Later} load=${login} key="login" />` : html`<${Current} path=${path} />`}</main>
    ${paletteOpen.value ? html`<${Palette} />` : null}
    ${help.value ? html`<${Help} />` : null}
    <${Toasts} />
  </div>`;
}

const isHere = (href, path) => (href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`));

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Current({ path }) {
  const found = match(screens, path);
  if (!found) return html`<section class="card"><${Empty} title="There is no such page" hint="Ctrl K finds everything that there is" /></section>`;
  const key = found.entry[0] + JSON.stringify(found.params);
  return html`<${Later} key=${key} load=${found.entry[1]} params=${found.params} query=${route.value.query} />`;
}

function Help() {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const titles = Object.fromEntries([...menu.flatMap(([, items]) => items)].map(([path, , title]) => [path, title]));
  const keys = [
    ["Ctrl K or /", "Go anywhere"],
    ["?", "This help"],
    ["j, k", "Move in a grid"],
    ["Enter", "Open the row"],
    ["x", "Select the row"],
    ...Object.entries(LETTERS).filter(([, path]) => titles[path]).map(([letter, path]) => [`g ${letter}`, titles[path]]),
  ];
  return html`<dialog class="ask" ref=${dialog} aria-label="Keys" onClose=${() => (help.value = false)}>
    <h2>Keys</h2>
    <dl class="facts">${keys.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <form method="dialog" class="row end"><button class="button">Close</button></form>
  </dialog>`;
}
