// The model card of a version, to be read on the page; the same is there to take away as Markdown.
import { html } from "../core/dom.js";
import { count, number, signed, when } from "../core/format.js";
import { Card, Copy, Facts, Table } from "../core/parts.js";

export function ModelCard({ card }) {
  const call = `curl -X POST http://127.0.0.1:8000/v2/models/${card.model}/infer -d '{"inputs": [${card.inputs.slice(0, 2).map((input) => `{"name": "${input.name}", "shape": [1], "datatype": "${input.kind === "category" ? "BYTES" : "FP64"}", "data": [${input.kind === "category" ? '"…"' : "…"}]}`).join(", ")}${card.inputs.length > 2 ? ", …" : ""}]}'`;
  return html`<${Card} title="Model card" id="card" note=${card.version} tools=${html`<a class="button small" href=${`/api/model/version/${encodeURIComponent(card.version)}/card`} download>Download as Markdown</a>`}>
    <div class="card-sections">
      <${Part} title="Intended use"><${Facts} rows=${[["For", card.purpose || "not stated"], ["Scope", card.scope || "not stated"], ["Owner", card.owner || "not stated"]]} /><//>
      <${Part} title="Data"><${Facts} rows=${dataRows(card.data)} /><//>
      <${Part} title="Model"><${Facts} rows=${card.unknown ? [["Evaluation", card.unknown]] : [["Estimator", card.estimator], ["Parameters", Object.entries(card.parameters).map(([name, value]) => `${name} = ${value}`).join(", ") || "none"], ["Inputs", card.inputs.map((input) => `${input.name} (${input.kind})`).join(", ")], ["Answers", card.classes.length ? card.classes.join(", ") : "a number"]]} /><//>
      <${Part} title="Approvals">${card.approvals.length ? html`<ul>${card.approvals.map((item) => html`<li>${item.approved ? "Approved" : "Rejected"} by ${item.approver}, ${when(item.time)}: ${item.reason || "no reason given"}</li>`)}</ul>` : html`<p class="dim">Nobody has decided.</p>`}<//>
      <${Part} title="Evaluation" wide=${true}><${Table} dense=${true} label="Figures of the model card" columns=${FIGURES} rows=${card.figures} empty="Not recorded." />
        ${card.slices.length ? html`<${Table} dense=${true} label="Groups of the model card" columns=${GROUPS} rows=${card.slices} />` : null}
        ${card.compared && card.compared.difference !== null ? html`<p class="card-compared">Against ${card.champion} on the same ${count(card.compared.rows)} rows: ${signed(card.compared.difference)} ${card.compared.metric} (${signed(card.compared.low)} to ${signed(card.compared.high)}), p ${number(card.compared.p_superior)}.</p>` : null}<//>
      <${Part} title="Not checked" wide=${true}>${card.not_checked.length ? html`<ul>${card.not_checked.map((line) => html`<li>${line}</li>`)}</ul>` : html`<p class="dim">Every gate had something to look at.</p>`}<p><a href=${`/gate/${encodeURIComponent(card.version)}`}>Its gates</a></p><//>
      <${Part} title="Known limits" wide=${true}>${card.limits.length ? html`<ul>${card.limits.map((line) => html`<li>${line}</li>`)}</ul>` : html`<p class="dim">None are recorded.</p>`}<//>
      <${Part} title="How to call it" wide=${true}><p class="dim">Once it is deployed, by the Open Inference Protocol; all ${card.inputs.length || "its"} inputs are needed.</p><${Copy} block text=${call} /><//>
    </div>
  <//>`;
}

const Part = ({ title, wide, children }) => html`<section class=${wide ? "wide" : ""}><h3>${title}</h3>${children}</section>`;

const dataRows = (data) => [
  ["Dataset", html`<a href=${`/data/snapshot/${data.snapshot}`}>${data.dataset || "unknown"}</a>, ${count(data.rows)} rows`],
  ["Span", data.end ? `${data.start ? `${when(data.start)} to ` : "up to "}${when(data.end)}` : "no stated time"],
  ["Target", data.target],
  ["Learned from", data.train === null ? null : `${count(data.train)} rows, chosen on ${count(data.validation)}`],
  ["Judged on", data.holdout === null ? null : `${count(data.holdout)} rows never learned from${data.holdout_start ? `, ${when(data.holdout_start)} to ${when(data.holdout_end)}` : ""}`],
];

const range = (row) => (row.low === null ? "" : `${number(row.low)} to ${number(row.high)}`);
const FIGURES = [
  { key: "metric", title: "metric" },
  { key: "value", title: "value", num: true, cell: (row) => number(row.value, 4) },
  { key: "low", title: "95 % interval", num: true, cell: range },
];
const GROUPS = [
  { key: "group", title: "group", cell: (row) => html`<span class="faint">${row.by}</span> ${row.group}` },
  { key: "rows", title: "rows", num: true, cell: (row) => count(row.rows) },
  { key: "metric", title: "metric" },
  { key: "value", title: "value", num: true, cell: (row) => (row.value === null ? "too few rows" : number(row.value, 4)) },
  { key: "low", title: "95 % interval", num: true, cell: range },
];
