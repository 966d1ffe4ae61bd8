// The files of a run: folders, and what is in a file: text, JSON, a picture, a table, or a page in a box of its own.
import { html, useState } from "../core/dom.js";
import { bytes, count } from "../core/format.js";
import { Card, Empty } from "../core/parts.js";
import { Prose } from "../core/prose.js";
import { withQuery } from "../core/router.js";
import { useView } from "../core/screen.js";

const WINDOW = 200;

export function Artifacts({ run, query }) {
  const at = `/api/runs/${encodeURIComponent(run)}/artifacts`;
  const folder = query.file ? parent(query.file) : (query.path ?? "");
  const first = Math.max(0, Number(query.first) || 0);
  const view = useView(`${at}?path=${encodeURIComponent(folder)}&offset=${query.file ? 0 : first}`);
  const files = view.data?.entries;
  return html`<div class="artifacts">
    <${Card} flush title="Files" note=${html`<${Trail} path=${folder} />`}>
      ${!files ? html`<div class="bones">${view.error ? view.error.message : html`<span class="bone"></span>`}</div>` : files.length ? html`<ul class="artifact-list">
        ${folder ? html`<li><a href=${withQuery({ path: parent(folder), file: null, first: null })}>..</a></li>` : null}
        ${files.map((item) => html`<li><a href=${withQuery(item.is_dir ? { path: item.path, file: null, first: null } : { file: item.path, path: null, first: null })} aria-current=${item.path === query.file ? "true" : undefined}>${base(item.path)}${item.is_dir ? "/" : ""}</a><span class="faint small">${item.is_dir ? "" : bytes(item.size)}</span></li>`)}</ul>` : html`<p class="none dim">There are no files here.</p>`}
      ${files && view.data.total > files.length ? html`<${Pages} first=${query.file ? 0 : first} total=${view.data.total} noun="entries" change=${{ file: null, path: folder }} />` : null}
      ${view.data?.files ? html`<p class="none faint small">${count(view.data.files)} files, ${bytes(view.data.size)} in all</p>` : null}
    <//>
    ${query.file ? html`<${Preview} at=${at} path=${query.file} first=${first} key=${query.file} />` : html`<${Card}><${Empty} title="No file is chosen" note="Choose one to look into it." /><//>`}
  </div>`;
}

const parent = (path) => path.split("/").slice(0, -1).join("/");
const base = (path) => path.split("/").at(-1);

const Trail = ({ path }) => (path ? html`<a href=${withQuery({ path: null, file: null })}>all</a>${path.split("/").map((part, i, parts) => html` / <a href=${withQuery({ path: parts.slice(0, i + 1).join("/"), file: null })}>${part}</a>`)}` : null);

/** The way through what does not fit into one window. */
const Pages = ({ first, total, noun, change = {} }) => html`<p class="row artifact-pages"><span class="faint small">${count(first + 1)} to ${total === null ? "…" : count(Math.min(total, first + WINDOW))}${total === null ? "" : ` of ${count(total)} ${noun}`}</span>
  ${first > 0 ? html`<a class="button small" href=${withQuery({ ...change, first: Math.max(0, first - WINDOW) || null })}>Back</a>` : null}
  ${total === null || first + WINDOW < total ? html`<a class="button small" href=${withQuery({ ...change, first: first + WINDOW })}>On</a>` : null}</p>`;

function Preview({ at, path, first }) {
  const view = useView(`${at}/preview?path=${encodeURIComponent(path)}&offset=${first}`);
  const file = view.data;
  const raw = `${at}/raw?path=${encodeURIComponent(path)}`;
  const take = html`<a class="button small" href=${raw} download=${base(path)}>Download</a>`;
  if (!file) return html`<${Card} title=${base(path)} tools=${take}>${view.error ? html`<${Empty} title=${view.error.message} hint=${view.error.hint} />` : html`<span class="bone"></span>`}<//>`;
  const Shown = SHOWN[file.kind] ?? Unknown;
  return html`<${Card} title=${base(path)} note=${`${bytes(file.size)}${file.truncated && file.kind !== "table" ? ", the beginning of it" : ""}`} tools=${take}><${Shown} file=${file} raw=${raw} path=${path} /><//>`;
}

const Text = ({ file, path }) => html`<pre class="artifact-text" tabindex="0" aria-label=${`Text of ${base(path)}`}>${file.text}</pre>`;

function Json({ file, path }) {
  let text = file.text;
  if (!file.truncated) {
    try {
      text = JSON.stringify(JSON.parse(file.text), null, 2);
    } catch {
      // It is shown as it is.
    }
  }
  return html`<${Text} file=${{ text }} path=${path} />`;
}

const Picture = ({ raw, path }) => html`<div class="artifact-picture"><img src=${raw} alt=${base(path)} /></div>`;

const Rows = ({ file, path }) => html`<div class="scroll artifact-rows" tabindex="0" role="region" aria-label=${`Rows of ${base(path)}`}><table class="table dense">
  <thead><tr>${file.columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
  <tbody>${file.rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell === null ? html`<span class="faint">–</span>` : String(cell)}</td>`)}</tr>`)}</tbody></table></div>
  ${file.truncated || file.offset ? html`<${Pages} first=${file.offset} total=${file.total ?? (file.truncated ? null : file.offset + file.rows.length)} noun="rows" />` : null}`;

/** A page that somebody logged stands in a frame without an origin: it reaches nothing of perenne, and its scripts run only if asked. */
function Page({ file, raw, path }) {
  const [scripts, setScripts] = useState(false);
  const [source, setSource] = useState(false);
  return html`<div class="row"><label class="check"><input type="checkbox" checked=${scripts} onChange=${(event) => setScripts(event.target.checked)} />let its scripts run, shut in</label>
      <button class="button small quiet" onClick=${() => setSource(!source)}>${source ? "As a page" : "As text"}</button></div>
    ${source ? html`<${Text} file=${file} path=${path} />` : html`<iframe key=${String(scripts)} class="artifact-page" title=${base(path)} sandbox=${scripts ? "allow-scripts" : ""} src=${`${raw}&page=${scripts ? "scripts" : "still"}`}></iframe>`}`;
}

const Unknown = ({ file }) => html`<${Empty} title=${file.kind === "empty" ? "There is nothing in it" : "This cannot be shown here"} note=${file.kind === "empty" ? "" : "It is no text, picture or table."} hint=${file.kind === "empty" ? "" : "Download it to look into it."} />`;

const Written = ({ file }) => html`<${Prose} text=${file.text} />`;

const SHOWN = { text: Text, json: Json, markdown: Written, image: Picture, table: Rows, html: Page };
