// One version and its gates, cheapest first: what each said, against which limit, how long it took, and all that it found.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { bytes, day, number, percent, plural } from "../core/format.js";
import { Action, Card, Chip, Copy, Empty, Facts, Table, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { GateOf } from "../registry/models.js";
import { Outcome, Verdict, figure } from "./words.js";

export default function GateScreen({ params }) {
  const view = useView(`/api/view/gate/${encodeURIComponent(params.version)}`);
  return html`<${Screen} title=${params.version} view=${view} note=${(data) => summary(data)} tools=${html`<${Run} view=${view} />`}>
    ${(data) => html`<${Standing} data=${data} />
      <${Card} flush title="Gates" note="cheapest first">
        <${Table} label=${`Gates of ${data.line.version}`} columns=${columns(data.line.version)} rows=${data.rows} rowKey=${(row) => row.gate} />
      <//>
      <${NotChecked} data=${data} />
      <${Images} data=${data} />`}
  <//>`;
}

const summary = (data) => (data.line.verdict ? `${plural(data.rows.length, "gate")}, ${data.line.passed} passed` : "nobody has run its gates");

function Run({ view }) {
  const data = view.data;
  if (!data?.may_run) return null;
  const run = (fresh) => async () => {
    await post(`/api/gate/${encodeURIComponent(data.line.version)}`, { fresh });
    view.reload();
    return "A worker runs the gates";
  };
  const busy = data.under_way !== null;
  return html`<${Action} label="Run the gates" tone="primary" disabled=${busy} run=${run(false)} title="What passed before for the same files and limits is taken over" />
    <${Action} label="Look again" disabled=${busy} run=${run(true)} confirm=${`Run every gate of ${data.line.version} again, also those that passed before?`} />`;
}

function Standing({ data }) {
  const { line, under_way: job } = data;
  return html`<${Card} title="Where it stands">
    <${Facts} rows=${[
      ["Gates", html`<${Outcome} line=${line} />`],
      ["Promotion", html`<span class="row"><${GateOf} gate=${line.gate} />${line.reasons.length ? html`<span class="dim">${line.reasons.join("; ")}</span>` : null}</span>`],
      ["Stands for", line.aliases.length ? line.aliases.map((name) => html`<${Chip} tone=${name === "champion" ? "ok" : "none"}>@${name}<//> `) : null],
      ["Looked at", line.looked ? html`<${Time} at=${line.looked} />` : "never"],
      ["Under way", job ? html`<a href=${`/job?job=${job.job}`}>${job.state === "queued" ? "waits for a worker" : job.message || "has begun"}</a>${job.share === null ? null : html` <span class="dim">${percent(job.share)}</span>`}` : null],
      ["Version", html`<a href=${`/model/${encodeURIComponent(line.model)}?version=${line.number}`}>its data, figures and decisions</a>`],
    ]} />
  <//>`;
}

const columns = (version) => [
  { title: "gate", cell: (row) => html`<span class="two delivery-gate">${row.gate}<small>${row.title}</small></span>` },
  { title: "verdict", cell: (row) => html`<span class="delivery-verdict"><${Verdict} ...${row} title=${row.waived} />${row.required ? html`<${Chip}>required<//>` : null}</span>` },
  { title: "value", num: true, cell: (row) => figure(row.value, row.unit) },
  { title: "limit", num: true, cell: (row) => (row.limit === null ? "–" : number(row.limit)) },
  { title: "seconds", num: true, cell: (row) => (row.seconds === null ? "–" : row.seconds < 0.01 ? "< 0.01" : row.seconds.toFixed(2)) },
  { title: "found", cell: (row) => html`<span class="delivery-found dim">${row.detail}${row.waived ? html` <b>Let go until ${day(row.until - 1)}: ${row.waived}</b>` : null}</span>` },
  { title: "evidence", cell: (row) => (row.digest ? html`<a href=${`/api/gate/${encodeURIComponent(version)}/evidence/${encodeURIComponent(row.gate)}`} title=${`All that ${row.gate} found: ${row.digest}`}>${row.digest.slice(0, 8)}<span class="sr-only"> evidence of ${row.gate}</span></a>` : html`<span class="faint">none</span>`) },
];

function NotChecked({ data }) {
  if (!data.line.verdict) return html`<${Card} title="Not checked"><${Empty} title="Nobody has looked" hint="Run the gates here, or in a pipeline." command=${`perenne gate ${data.line.version}`} /><//>`;
  return html`<${Card} title="Not checked" note=${data.not_checked.length ? plural(data.not_checked.length, "gate") : "everything was"}>
    ${data.not_checked.length ? html`<ul class="delivery-missing">${data.not_checked.map((line) => html`<li>${line}</li>`)}</ul>` : html`<p class="dim">Every gate had something to look at.</p>`}
  <//>`;
}

const IMAGES = [
  { title: "build", cell: (row) => html`<span class="two">build ${row.build}<small>${row.digest.slice(0, 19)}</small></span>` },
  { title: "lies at", cell: (row) => (row.reference ? html`<${Copy} text=${row.reference} />` : html`<span class="faint">pushed nowhere</span>`) },
  { title: "platforms", cell: (row) => row.platforms.join(", ") },
  { title: "stands on", cell: (row) => row.base },
  { title: "parts", num: true, cell: (row) => row.components },
  { title: "size", num: true, cell: (row) => bytes(row.size) },
  { title: "made", cell: (row) => html`<span class="two"><${Time} at=${row.created} /><small>${row.created_by}</small></span>` },
];

const Images = ({ data }) => html`<${Card} flush title="Images">
  <${Table} label=${`Images of ${data.line.version}`} columns=${IMAGES} rows=${data.images} rowKey=${(row) => row.digest}
    empty=${html`<${Empty} title="No image was made of it" hint="The model server, what it needs and the model, in one file." command=${`perenne package ${data.line.version}`} />`} />
<//>`;
