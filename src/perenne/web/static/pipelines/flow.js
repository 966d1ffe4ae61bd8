// The steps of one run of a pipeline: as a graph, and as a table.
import { html, Fragment } from "../core/dom.js";
import { duration, plural } from "../core/format.js";
import { Card, State, Table } from "../core/parts.js";
import { setQuery } from "../core/router.js";
import { Dag } from "../core/charts/dag.js";

export const STATES = { done: ["ok", "done"], cached: ["none", "cached"], running: ["info", "running"], failed: ["crit", "failed"], waiting: ["none", "waiting"], interrupted: ["warn", "interrupted"], lost: ["crit", "lost"] };

export const FlowState = ({ state }) => html`<${State} tone=${STATES[state]?.[0] ?? "none"} word=${STATES[state]?.[1] ?? state} />`;

const took = (step) => (step.state === "cached" || step.started === null || step.ended === null ? null : step.ended - step.started);

/** `flow` as `pipelines.views.FlowSteps`; `?step=` says which step is looked at. */
export function Flow({ flow, query, note }) {
  const steps = flow.steps.map((step) => ({ ...step, took: took(step) }));
  const done = steps.filter((step) => step.state === "done" || step.state === "cached").length;
  const cached = steps.filter((step) => step.state === "cached").length;
  const chosen = steps.find((step) => step.label === query.step);
  const said = [`${done} of ${plural(steps.length, "step")} done`, cached ? `${cached} from the cache` : "", flow.critical ? `longest path ${duration(flow.critical)}` : "", note || ""].filter(Boolean).join(" · ");
  const choose = (label) => setQuery({ step: label === query.step ? null : label });
  if (!steps.length) return html`<${Card} title="Steps"><p class="dim">No step has begun yet.</p><//>`;
  return html`<${Fragment}>
    <${Card} title="Steps" note=${said}><${Dag} steps=${steps} chosen=${query.step} onChoose=${choose} label="Steps of the pipeline" />${chosen?.error ? html`<pre class="flow-error">${chosen.label}: ${chosen.error}</pre>` : null}<//>
    <${Card} flush title="Timings"><${Table} dense=${true} label="Steps with their timings" columns=${COLUMNS} rows=${chosen ? steps.filter((step) => step === chosen) : steps} rowKey=${(row) => row.label} />
      ${chosen ? html`<p class="none"><button class="button small" onClick=${() => setQuery({ step: null })}>Show every step</button></p>` : null}<//>
  <//>`;
}

const COLUMNS = [
  { key: "label", title: "step", cell: (row) => html`<span>${row.label}</span>${row.critical ? html` <small class="faint">longest path</small>` : null}` },
  { key: "state", title: "state", cell: (row) => html`<${FlowState} state=${row.state} />` },
  { key: "took", title: "took", num: true, cell: (row) => (row.state === "cached" ? html`<span class="faint" title="in the run that made it">${row.ended ? duration(row.ended - row.started) : "–"}, then</span>` : duration(row.took)) },
  { key: "cpu", title: "CPU", num: true, cell: (row) => duration(row.cpu) },
  { key: "attempt", title: "tries", num: true },
  { key: "needs", title: "takes from", cell: (row) => html`<span class="dim">${row.needs.join(", ") || "–"}</span>` },
  { key: "result", title: "result", cell: (row) => row.result || "–" },
  { key: "error", title: "error", cell: (row) => (row.error ? html`<span class="flow-brief" title=${row.error}>${row.error.split("\n").at(-1).slice(0, 120)}</span>` : "") },
];
