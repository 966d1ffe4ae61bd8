// Versions on their way: what their gates said, and what holds them back.
import { html } from "../core/dom.js";
import { plural } from "../core/format.js";
import { Card, Chip, Empty, Meter, Table, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { GateOf } from "../registry/models.js";
import { Outcome } from "./words.js";

export default function VersionsScreen() {
  const view = useView("/api/view/gate");
  return html`<${Screen} title="Deliver" view=${view} note=${(data) => note(data.rows)}>
    ${(data) => html`<${Card} flush title="Versions on their way" note="the newest first">
      <${Table} label="Versions on their way" columns=${COLUMNS} rows=${data.rows} rowKey=${(row) => row.version} rowHref=${(row) => `/gate/${encodeURIComponent(row.version)}`}
        empty=${html`<${Empty} title="No version is registered yet" hint="A round registers one; its gates are run from here, by a pipeline, or by hand." command="perenne gate NAME@1" />`} />
    <//>`}
  <//>`;
}

const note = (rows) => {
  const failed = rows.filter((row) => row.failed).length;
  return `${plural(rows.length, "version")}${failed ? `, ${failed} held back by a gate that failed` : ""}`;
};

const COLUMNS = [
  { title: "version", cell: (row) => html`<span class="two">${row.version}${row.project === row.model ? null : html`<small>${row.project}</small>`}</span>` },
  { title: "gates", cell: (row) => html`<${Outcome} line=${row} />` },
  { title: "pass, fail, unknown", cell: (row) => (row.verdict ? html`<span class="delivery-counts"><${Shares} row=${row} /> ${row.passed} · ${row.failed} · ${row.unknown}</span>` : html`<span class="faint">–</span>`) },
  { title: "promotion", cell: (row) => html`<${GateOf} gate=${row.gate} title=${row.reasons.join("; ")} />` },
  { title: "stands for", cell: (row) => row.aliases.map((name) => html`<${Chip} tone=${name === "champion" ? "ok" : "none"}>@${name}<//> `) },
  { title: "looked at", cell: (row) => (row.looked ? html`<${Time} at=${row.looked} />` : html`<span class="faint">never</span>`) },
  { title: "registered", cell: (row) => html`<span class="two"><${Time} at=${row.created} /><small>${row.created_by}</small></span>` },
];

function Shares({ row }) {
  const total = row.passed + row.failed + row.unknown;
  const parts = [["ok", row.passed, "passed"], ["crit", row.failed, "failed"], ["none", row.unknown, "unknown"]];
  return html`<span class="delivery-meter"><${Meter} label=${`${row.passed} of ${total} gates passed`} parts=${parts.map(([tone, n, word]) => ({ tone, share: n / total, title: `${n} ${word}` }))} /></span>`;
}
