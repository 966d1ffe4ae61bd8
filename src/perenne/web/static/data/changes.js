// The rows that came and went between two snapshots, counted when somebody asks; and what can be taken along as a file.
import { html, useEffect, useState } from "../core/dom.js";
import { get } from "../core/api.js";
import { Card, Facts } from "../core/parts.js";
import { number, percent, plural } from "../core/format.js";
import { Name, short } from "./words.js";

const AT_ONCE = 200_000;

/** Which rows came and went since another snapshot: at once if both are small, else on request. */
export function Changes({ data }) {
  const since = data.against || data.snapshot.changed?.before;
  const other = data.snapshots.find((item) => item.id === since);
  const path = since ? `/api/data/snapshot/${data.snapshot.id}/changes?against=${since}` : null;
  const [told, setTold] = useState({ path: null, found: null, error: null });
  const ask = () => {
    setTold({ path, found: null, error: null });
    get(path).then((found) => setTold({ path, found, error: null }), (error) => setTold({ path, found: null, error }));
  };
  const small = data.snapshot.rows <= AT_ONCE && (!other || other.rows <= AT_ONCE);
  useEffect(() => {
    if (path && small) ask();
  }, [path]);
  if (!path) return null;
  const mine = told.path === path ? told : null;
  return html`<${Card} title="Rows that came and went" note=${`since ${short(since)}`}>
    ${mine?.found ? html`<${Told} found=${mine.found} />` : mine?.error ? html`<p class="dim">${mine.error.message}. ${mine.error.hint}</p>` : mine ? html`<p class="dim" role="status">Counting…</p>` : html`<button class="button" onClick=${ask}>Count them</button>`}
  <//>`;
}

function Told({ found }) {
  const all = found.added + found.same + found.changed;
  const by = found.key.length ? html`by <b>${found.key.map((name, i) => html`${i ? ", " : ""}<${Name} text=${name} />`)}</b>` : "as whole rows, for no column names them";
  return html`<p class="dim small data-by">Compared ${by}.</p>
    <${Facts} rows=${[
      ["New", number(found.added)],
      ["Gone", number(found.removed)],
      found.key.length ? ["Changed", found.changed ? `${number(found.changed)} (${percent(found.changed / Math.max(1, all), 1)})` : "none"] : ["Changed", null],
      ["As before", number(found.same)],
      ["In columns", found.columns.length ? html`${found.columns.slice(0, 6).map((item) => html`<div><${Name} text=${item.name} /> <span class="faint">${plural(item.rows, "row")}</span></div>`)}` : null],
      ["Not compared", found.left_out.length ? plural(found.left_out.length, "column") : null],
    ]} />`;
}

/** The profile as files to hand on; personal data is hidden in them. */
export function Handed({ data }) {
  if (!data.snapshot.profiled) return null;
  const base = `/api/data/snapshot/${data.snapshot.id}`;
  return html`<${Card} title="To hand on" note="personal data is hidden">
    <ul class="data-handed">
      <li><a href=${`${base}/profile.html`} target="_blank" rel="noopener">Open the profile as a page</a> <span class="faint">one file; <a href=${`${base}/profile.html?download=1`} download>download</a></span></li>
      ${data.compared ? html`<li><a href=${`${base}/compare.html?against=${data.against}`} target="_blank" rel="noopener">Open both side by side</a> <span class="faint">one file; <a href=${`${base}/compare.html?against=${data.against}&download=1`} download>download</a></span></li>` : null}
      <li><a href=${`${base}/profile.ipynb`} download>Notebook</a> <span class="faint">its cells make every table and picture again</span></li>
      <li><a href=${`${base}/profile.json`} download>profile.json</a> <span class="faint">the baseline itself</span></li>
    </ul>
  <//>`;
}
