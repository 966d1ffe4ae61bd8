// One dataset: its snapshots, the columns of one of them, what validation found, and how it differs from another one.
import { html } from "../core/dom.js";
import { Card, Choice, Copy, Empty, Facts, Filter } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { bytes, count, day, number, plural } from "../core/format.js";
import { Said } from "./catalogue.js";
import { Changes, Handed } from "./changes.js";
import { Columns } from "./columns.js";
import { Findings } from "./findings.js";
import { Pairs } from "./pairs.js";
import { Snapshots } from "./snapshots.js";
import { hrefOf, short } from "./words.js";

const ORDERS = [["place", "as in the table"], ["name", "by name"], ["missing", "most missing first"], ["distinct", "most values first"], ["target", "tells most of the target first"]];

export default function DatasetScreen({ params, query }) {
  const asked = new URLSearchParams();
  for (const name of ["snapshot", "against", "column", "find", "order", "offset"]) if (query[name] !== undefined) asked.set(name, query[name]);
  const base = params.id ? `/api/view/data/snapshot/${encodeURIComponent(params.id)}` : `/api/view${hrefOf(params.dataset)}`;
  const view = useView(`${base}?${asked}`);
  return html`<${Screen} title=${(data) => data.name} note=${(data) => plural(data.total, "snapshot")} crumbs=${[["Datasets", "/data"]]} view=${view} tools=${(data) => html`<${Pick} data=${data} />`}>
    ${(data) => html`<${Said} data=${data} reload=${view.reload} /><${Snapshots} data=${data} />
      ${data.columns === null ? html`<${Unprofiled} data=${data} />` : html`<${Profile} data=${data} query=${query} stale=${view.stale} />`}`}
  <//>`;
}

/** Which snapshot is shown, and which one it is held against. */
function Pick({ data }) {
  const known = data.snapshots.some((item) => item.id === data.snapshot.id) ? data.snapshots : [data.snapshot, ...data.snapshots];
  const told = (item) => `${day(item.taken)} · ${count(item.rows)} rows · ${short(item.id)}`;
  const others = known.filter((item) => item.id !== data.snapshot.id);
  return html`<label class="data-pick">show <${Choice} name="snapshot" label="Snapshot" value=${data.snapshot.id} options=${known.map((item) => [item.id, told(item)])} /></label>
    <label class="data-pick">against <${Choice} name="against" label="Compare with" value=${data.against} options=${[["", "nothing"], ...others.map((item) => [item.id, told(item)])]} /></label>`;
}

const Unprofiled = ({ data }) => html`<${Card} title="Columns"><${Empty} title="Nobody has looked into these rows yet"
  note=${`${plural(data.snapshot.rows, "row")} in ${plural(data.snapshot.columns, "column")}. A profile says what is in every column.`} command=${`perenne data profile ${short(data.snapshot.id)}`} /><//>`;

function Profile({ data, query, stale }) {
  const options = data.compared ? [["", "what differs most first"], ...ORDERS] : [["", ORDERS[0][1]], ...ORDERS.slice(1)];
  const shown = data.target ? options : options.filter(([key]) => key !== "target");
  return html`<div class="cols">
    <div class="side">
      <${Card} title="Columns" note=${compared(data)} flush=${true}>
        <div class="toolbar"><${Filter} name="find" value=${query.find || ""} placeholder="Find a column" /><${Choice} name="order" label="Order" value=${query.order || ""} options=${shown} /></div>
        <${Columns} data=${data} query=${query} stale=${stale} />
      <//>
      <${Pairs} pairs=${data.pairs} sample=${data.sample} rows=${data.snapshot.rows} />
    </div>
    <div class="side">
      <${Findings} data=${data} />
      <${Changes} data=${data} />
      <${Handed} data=${data} />
      <${Card} title="This snapshot">
        <${Facts} rows=${[
          ["Rows", number(data.snapshot.rows)],
          ["Repeated", data.duplicate_rows ? plural(data.duplicate_rows, "row") : "no row"],
          ["Columns", number(data.snapshot.columns)],
          ["Size", bytes(data.snapshot.bytes)],
          ["Target", data.target],
          ["Project", data.snapshot.projects.length ? data.snapshot.projects.map((name) => html`<a href=${`/project/${encodeURIComponent(name)}`}>${name}</a> `) : null],
          ["Lineage", html`<a href=${`/lineage/snapshot/${data.snapshot.id}`}>where it went</a>`],
          ["Id", html`<${Copy} text=${data.snapshot.id} />`],
        ]} />
      <//>
    </div>
  </div>`;
}

function compared(data) {
  if (!data.against) return "";
  if (!data.compared) return `against ${short(data.against)}: nobody has looked into that one yet`;
  return `against ${short(data.against)}`;
}
