// Everything that is watched, the worst first.
import { html } from "../core/dom.js";
import { count, day, duration, plural, when } from "../core/format.js";
import { Card, Empty, Table } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Strip } from "../core/charts/strip.js";
import { Pages } from "./pages.js";
import { WindowState, stateOf } from "./words.js";

const COLUMNS = [
  { title: "deployment", cell: (row) => html`<span class="two">${row.deployment}${under(row) ? html`<small>${under(row)}</small>` : null}</span>` },
  { title: "state", cell: (row) => html`<${WindowState} state=${row.state} healthy />` },
  { title: "windows, oldest first", cell: (row) => html`<${Strip} label=${told(row)} cells=${row.strip.map(([start, state]) => ({ tone: TONES[state], title: `${day(start)}: ${stateOf(state)[1]}` }))} />` },
  { title: "what moved most", cell: (row) => (row.cause ? html`<span class="monitoring-cause">${row.cause}</span>` : html`<span class="faint">${row.window ? "nothing" : "–"}</span>`) },
  { title: "newest window", cell: (row) => (row.window ? html`<span class="two">${when(row.window)}<small>${duration(row.length)}, ${row.version}</small></span>` : html`<span class="faint">none has ended yet</span>`) },
  { title: "rows", num: true, cell: (row) => (row.window ? count(row.rows) : "–") },
  { title: "alerts", num: true, cell: (row) => (row.alerts ? html`<a href=${`/alert?deployment=${encodeURIComponent(row.deployment)}`}>${row.alerts}</a>` : "0") },
];
const under = (row) => [row.project === row.deployment ? "" : row.project, row.elsewhere ? "served elsewhere" : ""].filter(Boolean).join(", ");
const TONES = { ok: "ok", warn: "warn", alarm: "crit" };

const told = (row) => `${row.strip.filter(([, state]) => state === "alarm").length} of ${row.strip.length} windows in alarm`;

export default function MonitorsScreen({ query }) {
  const offset = Number(query.offset) || 0;
  const view = useView(`/api/view/monitor${offset ? `?offset=${offset}` : ""}`);
  return html`<${Screen} title="Monitors" note=${(data) => `${plural(data.total, "deployment")} watched, the worst first`} view=${view}>
    ${(data) => html`<${Card} flush title="What is watched" tools=${html`<${Pages} ...${data} />`}>
      <${Table} label="What is watched" columns=${COLUMNS} rows=${data.rows} rowKey=${(row) => row.deployment} rowHref=${(row) => `/monitor/${encodeURIComponent(row.deployment)}`} empty=${NOTHING} />
    <//>`}
  <//>`;
}

const NOTHING = html`<${Empty} title="Nothing is watched yet" hint="A deployment is watched from its first answer on; the first round puts a version in service." command="perenne run" />`;
