// Every model: its newest version, whether the gate is open, and which version answers people.
import { html } from "../core/dom.js";
import { plural } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Card, Chip, Empty, Filter, Meter, State, Time } from "../core/parts.js";
import { setQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";

export const GATES = { open: ["ok", "gate open"], waiting: ["warn", "waits for a person"], closed: ["crit", "gate closed"] };

export const GateOf = ({ gate, title }) => html`<${State} tone=${GATES[gate]?.[0] ?? "none"} word=${GATES[gate]?.[1] ?? gate} title=${title} />`;

const ORDERS = new Set(["name", "updated", "created", "project"]);

export default function ModelsScreen({ query }) {
  const key = (query.order ?? "name").replace(/^-/, "");
  const order = { key: ORDERS.has(key) ? key : "name", descending: query.order?.startsWith("-") ?? false };
  const asked = new URLSearchParams([["q", query.q], ["order", ORDERS.has(key) ? query.order : null]].filter(([, value]) => value)).toString();
  const filter = asked ? `?${asked}` : "";
  const source = `/api/view/model${filter}`;
  const view = useView(`${source}${filter ? "&" : "?"}offset=0&limit=200`);
  return html`<${Screen} title="Models" wide=${true} view=${view} note=${(data) => plural(data.total, "model")}>
    ${(data) => (data.total === 0 && !query.q ? html`<${Card}><${Empty} title="No model is registered yet" hint="A round registers one with its evidence." command="perenne run" /><//>` : html`<${Card} flush className="fill">
      <div class="toolbar"><${Filter} value=${query.q} label="Find models" placeholder="name of a model" /></div>
      <${Grid} label="Models" noun="model" source=${source} columns=${COLUMNS} rowKey=${(row) => row.model} pinned=${true} sort=${order} onSort=${({ key: by, descending }) => setQuery({ order: by === "name" && !descending ? null : `${descending ? "-" : ""}${by}` })} rowHref=${(row) => (row.versions ? `/model/${encodeURIComponent(row.model)}` : null)} empty=${html`<${Empty} title="No model fits" hint="Take the filter away." />`} />
    <//>`)}
  <//>`;
}

/** Which version has which alias, and is in which stage. */
export const Places = ({ aliases, stages }) => html`${Object.entries(aliases).map(([name, number]) => html`<${Chip} tone=${name === "champion" ? "ok" : "none"} title=${`alias ${name}`}>@${name} v${number}<//> `)}${Object.entries(stages).map(([name, number]) => html`<${Chip} tone="info" title=${`stage ${name}`}>${name} v${number}<//> `)}`;

const checks = (row) => `${row.passed} of ${row.required} required checks passed`;

const COLUMNS = [
  { key: "model", title: "model", width: 150, grow: 2, sort: "name" },
  { key: "champion", title: "answers people", width: 120, cell: (row) => row.champion || html`<span class="faint">none</span>` },
  { key: "newest", title: "newest", width: 110, cell: (row) => (row.newest ? `v${row.newest.split("@").at(-1)}` : html`<span class="faint">none</span>`) },
  { key: "gate", title: "its gate", width: 160, cell: (row) => (row.newest ? html`<${GateOf} gate=${row.gate} title=${row.reasons.join("; ")} />` : "–") },
  { key: "checks", title: "checks", width: 120, cell: (row) => (row.required ? html`<span title=${checks(row)}>${row.passed} of ${row.required}</span> <span class="models-meter"><${Meter} label=${checks(row)} parts=${[{ share: row.passed / row.required, tone: row.passed === row.required ? "ok" : "warn" }]} /></span>` : html`<span class="faint">none asked for</span>`) },
  { key: "places", title: "aliases and stages", width: 190, grow: 2, cell: (row) => html`<${Places} aliases=${row.aliases} stages=${row.stages} />` },
  { key: "versions", title: "versions", width: 70, num: true },
  { key: "updated", title: "changed", width: 100, sort: "updated", cell: (row) => html`<${Time} at=${row.updated || row.created} />` },
  { key: "created_by", title: "by", width: 90 },
  { key: "description", title: "description", width: 140, grow: 2, cell: (row) => html`<span class="dim" title=${row.description}>${row.description.split("\n")[0]}</span>` },
];
