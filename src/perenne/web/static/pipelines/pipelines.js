// Runs of pipelines, newest first.
import { html } from "../core/dom.js";
import { duration, plural } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Card, Choice, Empty, Filter, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { FlowState, STATES } from "./flow.js";

const RUN_STATES = ["running", "done", "failed", "interrupted", "lost"];

export default function PipelinesScreen({ query }) {
  const filter = new URLSearchParams(Object.entries({ state: query.state, q: query.q }).filter(([, value]) => value)).toString();
  const source = `/api/view/pipeline${filter ? `?${filter}` : ""}`;
  const view = useView(`${source}${filter ? "&" : "?"}offset=0&limit=200`);
  return html`<${Screen} title="Pipelines" wide=${true} view=${view} note=${(data) => plural(data.total, "run")}>
    ${(data) => (data.total === 0 && !filter ? html`<${Card}><${Empty} title="No pipeline has run yet" hint="Each round is a pipeline: profile, validate, plan, fit, build, evaluate." command="perenne run" /><//>` : html`<${Card} flush className="fill">
      <div class="toolbar"><${Filter} value=${query.q} label="Find runs of pipelines" placeholder="pipeline, id or arguments" />
        <${Choice} name="state" label="State" value=${query.state || ""} options=${[["", "every state"], ...RUN_STATES.map((state) => [state, STATES[state][1]])]} /></div>
      <${Grid} label="Runs of pipelines" noun="run" source=${source} columns=${COLUMNS} rowHref=${(row) => `/pipeline/${row.id}`} empty=${html`<${Empty} title="No run fits" hint="Take a filter away." />`} />
    <//>`)}
  <//>`;
}

const COLUMNS = [
  { key: "pipeline", title: "pipeline", width: 150 },
  { key: "project", title: "project", width: 110, cell: (row) => row.project || html`<span class="faint">–</span>` },
  { key: "state", title: "state", width: 110, cell: (row) => html`<${FlowState} state=${row.state} />` },
  { key: "started", title: "started", width: 100, cell: (row) => html`<${Time} at=${row.started} />` },
  { key: "took", title: "took", width: 90, num: true, cell: (row) => (row.ended ? duration(row.ended - row.started) : "…") },
  { key: "steps", title: "steps", width: 70, num: true },
  { key: "hits", title: "from the cache", width: 100, num: true },
  { key: "arguments", title: "arguments", width: 260, grow: 3, cell: (row) => html`<span class="dim mono" title=${row.arguments}>${row.arguments}</span>` },
];
