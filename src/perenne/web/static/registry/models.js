// Every model: its newest version, whether the gate is open, and which version answers people.
import { html } from "../core/dom.js";
import { plural } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Card, Empty, Filter, Meter, State, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";

export const GATES = { open: ["ok", "gate open"], waiting: ["warn", "waits for a person"], closed: ["crit", "gate closed"] };

export const GateOf = ({ gate, title }) => html`<${State} tone=${GATES[gate]?.[0] ?? "none"} word=${GATES[gate]?.[1] ?? gate} title=${title} />`;

export default function ModelsScreen({ query }) {
  const filter = query.q ? `?q=${encodeURIComponent(query.q)}` : "";
  const source = `/api/view/model${filter}`;
  const view = useView(`${source}${filter ? "&" : "?"}offset=0&limit=200`);
  return html`<${Screen} title="Models" wide=${true} view=${view} note=${(data) => plural(data.total, "model")}>
    ${(data) => (data.total === 0 && !filter ? html`<${Card}><${Empty} title="No model is registered yet" hint="A round registers one with its evidence." command="perenne run" /><//>` : html`<${Card} flush className="fill">
      <div class="toolbar"><${Filter} value=${query.q} label="Find models" placeholder="name of a model" /></div>
      <${Grid} label="Models" noun="model" source=${source} columns=${COLUMNS} rowKey=${(row) => row.model} rowHref=${(row) => `/model/${encodeURIComponent(row.model)}`} empty=${html`<${Empty} title="No model fits" hint="Take the filter away." />`} />
    <//>`)}
  <//>`;
}

const checks = (row) => `${row.passed} of ${row.required} required checks passed`;

const COLUMNS = [
  { key: "model", title: "model", width: 140, grow: 2 },
  { key: "champion", title: "answers people", width: 120, cell: (row) => row.champion || html`<span class="faint">none</span>` },
  { key: "newest", title: "newest", width: 120 },
  { key: "gate", title: "its gate", width: 160, cell: (row) => html`<${GateOf} gate=${row.gate} title=${row.reasons.join("; ")} />` },
  { key: "checks", title: "checks", width: 130, cell: (row) => html`<span title=${checks(row)}>${row.passed} of ${row.required}</span> <span class="models-meter"><${Meter} label=${checks(row)} parts=${[{ share: row.required ? row.passed / row.required : 0, tone: row.passed === row.required ? "ok" : "warn" }]} /></span>` },
  { key: "versions", title: "versions", width: 70, num: true },
  { key: "created", title: "registered", width: 100, cell: (row) => html`<${Time} at=${row.created} />` },
  { key: "created_by", title: "by", width: 120, grow: 2 },
];
