// Where a deployment runs in clusters: what was applied last in each, as recorded; what is there now the cluster itself tells.
import { html } from "../core/dom.js";
import { Card, State, Table, Time } from "../core/parts.js";

export function Places({ rows }) {
  if (!rows.length) return null;
  const columns = [
    { title: "cluster", cell: (row) => html`<span class="two">${row.cluster}<small>${row.namespace}</small></span>` },
    { title: "revision", num: true, cell: (row) => String(row.number) },
    { title: "state", cell: (row) => html`<${State} ...${stateOf(row)} />` },
    { title: "version", key: "version" },
    { title: "image", cell: (row) => html`<code title=${row.image}>${short(row.image)}</code>` },
    { title: "applied", cell: (row) => html`<span class="two"><${Time} at=${row.began} /><small>by ${row.by}${row.undoes ? `, back from ${row.undoes}` : ""}</small></span>` },
    { title: "why", cell: (row) => row.problem || row.reason },
  ];
  return html`<${Card} flush title="In clusters" note="as recorded; perenne deploy status asks a cluster itself">
    <${Table} label="What was applied to clusters" columns=${columns} rows=${rows} rowKey=${(row) => row.id} />
  <//>`;
}

function stateOf(row) {
  if (row.state === "failed") return { tone: "crit", word: "failed" };
  if (row.state === "begun") return { tone: "warn", word: "begun" };
  if (row.problem) return { tone: "warn", word: "not settled" };
  return row.settled ? { tone: "ok", word: "settled" } : { tone: "none", word: "taken" };
}

function short(image) {
  const [reference, digest] = image.split("@sha256:");
  return digest ? `${reference.split("/").pop()}@${digest.slice(0, 12)}` : image;
}
