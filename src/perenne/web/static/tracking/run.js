// One run: what it was given, what came out, what it depended on; its curves and files; and how far it is while it goes on.
import { html, Fragment, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { Comments, Writing } from "../core/comments.js";
import { count, number } from "../core/format.js";
import { Action, Card, Empty, Table, Tabs } from "../core/parts.js";
import { Prose } from "../core/prose.js";
import { setQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { Flow } from "../pipelines/flow.js";
import { Compared, Evidence, Figures, Slices } from "../training/evidence.js";
import { About, Children, may, Models, Provenance, Tags, versionHref } from "./about.js";
import { Artifacts } from "./artifacts.js";
import { CurveCard, lookOf, LookTools } from "./curves.js";
import { Trials } from "./trials.js";
import { nameOf, RunStateOf, short, written } from "./words.js";

const SYSTEM = "system/";
const SHOWN = 24;
const FEW = 4;

export default function RunScreen({ params, query }) {
  const view = useView(`/api/view/runs/${encodeURIComponent(params.run)}`);
  return html`<${Screen} title=${(data) => nameOf(data.run)} view=${view} crumbs=${[["Runs", "/runs"]]} note=${(data) => html`<${RunStateOf} state=${data.run.state} deleted=${data.run.deleted} />`}
    tools=${(data) => html`<${Tools} data=${data} reload=${view.reload} />`}>
    ${(data) => html`<${Body} data=${data} query=${query} reload=${view.reload} />`}
  <//>`;
}

function Tools({ data, reload }) {
  const { run } = data;
  const at = `/api/runs/${encodeURIComponent(run.id)}`;
  const act = (path, said) => async () => {
    await post(`${at}/${path}`);
    reload();
    return said;
  };
  return html`${data.versions.map((id) => html`<a class="button" href=${versionHref(id)}>${id}</a>`)}<a class="button" href=${`/runs?compare=${run.id}${run.deleted ? "&deleted=1" : ""}`}>Compare</a>
    ${!may("log") ? null : run.deleted ? html`<${Action} label="Restore" run=${act("restore", "The run is back")} />` : html`<${Action} label="Delete" tone="crit" confirm=${`Delete ${nameOf(run)}? It can be brought back until it is removed for good.`} run=${act("delete", "Deleted; it can be restored")} />`}`;
}

function Body({ data, query, reload }) {
  const { run } = data;
  const names = Object.keys(run.metrics);
  const own = names.filter((name) => !name.startsWith(SYSTEM));
  const system = names.filter((name) => name.startsWith(SYSTEM));
  const tabs = [["overview", "Overview"], ["metrics", `Metrics ${own.length}`], ...(system.length ? [["system", "System"]] : []), ["artifacts", "Artifacts"], ["notes", `Notes${data.comments ? ` ${data.comments}` : ""}`]];
  const tab = tabs.some(([key]) => key === query.tab) ? query.tab : "overview";
  return html`<${Fragment}>
    <${Tabs} name="tab" label="About this run" value=${tab} options=${tabs} />
    ${tab === "overview" ? html`<${Overview} data=${data} own=${own} query=${query} reload=${reload} />` : null}
    ${tab === "metrics" ? html`<${MetricsTab} run=${run} names=${own} query=${query} />` : null}
    ${tab === "system" ? html`<${MetricsTab} run=${run} names=${system} query=${query} />` : null}
    ${tab === "artifacts" ? html`<${Artifacts} run=${run.id} query=${query} />` : null}
    ${tab === "notes" ? html`<${Notes} data=${data} reload=${reload} />` : null}
  <//>`;
}

function Overview({ data, own, query, reload }) {
  const { run, told } = data;
  const { report } = told;
  const round = run.kind === "round" || report;
  const name = data.versions[0] || short(run.id);
  return html`<${Fragment}>
    ${run.state === "failed" && run.outcome ? html`<${Card} title="What went wrong"><p class="run-error">${run.outcome}</p><//>` : null}
    ${run.state === "running" && data.flow ? html`<${Flow} flow=${data.flow} query=${query} note="live" />` : null}
    <div class="cols">
      <div class="side">
        ${report ? html`<${Trials} report=${report} run=${run} query=${query} />` : round ? html`<${Card} title="What was tried"><${Empty} title=${run.state === "running" ? "Still at work" : "No trials"} note=${run.state === "running" ? "What it tries is told when the round ends." : told.reason} /><//>` : null}
        ${report ? html`<${Card} flush title="Final metrics" note=${`${count(report.evaluation.rows)} rows that were never learned from, in the form that is served`}><${Figures} report=${report} /><//>` : null}
        ${!report && own.length ? html`<${Metrics} run=${run} names=${own} steps=${data.steps} />` : null}
        ${!report ? html`<${FirstCurves} run=${run} names=${own.filter((name) => data.steps[name] > 0)} query=${query} />` : null}
        <${Parameters} params=${run.params} />
        ${report ? html`<${Compared} report=${report} name=${name} />` : null}
        ${report ? html`<${Slices} report=${report} />` : null}
        <${Children} data=${data} />
        <${Models} data=${data} />
        ${!own.length && !Object.keys(run.params).length && !round ? html`<${Card}><${Empty} title="Nothing was logged yet" note="Parameters and metrics stand here as soon as the run logs one." /><//>` : null}
      </div>
      <aside class="side" aria-label="About the run"><${About} data=${data} /><${Provenance} data=${data} /><${Tags} run=${run} reload=${reload} /></aside>
    </div>
    ${report ? html`<${Evidence} told=${told} name=${name} />` : null}
    ${run.state !== "running" && data.flow ? html`<${Flow} flow=${data.flow} query=${query} />` : null}
  <//>`;
}

const METRICS = [
  { key: "name", title: "metric", cell: (row) => html`<button class="plain link" onClick=${() => setQuery({ tab: "metrics", find: row.name }, { push: true })}>${row.name}</button>` },
  { key: "value", title: "last value", num: true, cell: (row) => written(row.value) },
  { key: "step", title: "at step", num: true, cell: (row) => number(row.step) },
];

const Metrics = ({ run, names, steps }) => html`<${Card} flush title="Metrics" note=${`${names.length}, with their last values`}><${Table} dense=${true} label="Metrics" columns=${METRICS} rows=${names.map((name) => ({ name, value: run.metrics[name], step: steps[name] ?? null }))} /><//>`;

/** The curves of a few metrics; all of them have a tab of their own. */
const FirstCurves = ({ run, names, query }) => (names.length ? html`<div class="curve-cards curve-few">${names.slice(0, FEW).map((name) => html`<${CurveCard} key=${name} runs=${[{ id: run.id, label: nameOf(run), color: "var(--c1)", dash: false }]} metric=${name} look=${lookOf(query)} sync="run" height=${150} />`)}</div>` : null);

const Parameters = ({ params }) => (Object.keys(params).length ? html`<${Card} flush title="Parameters" note=${String(Object.keys(params).length)}>
  <${Table} dense=${true} label="Parameters" columns=${PARAMETERS} rows=${Object.entries(params).map(([name, value]) => ({ name, value }))} /><//>` : null);

const PARAMETERS = [
  { key: "name", title: "parameter" },
  { key: "value", title: "value", cell: (row) => html`<span class="run-value" title=${row.value}>${row.value}</span>` },
];

function MetricsTab({ run, names, query }) {
  const [more, setMore] = useState(SHOWN);
  const wanted = (query.find ?? "").toLowerCase();
  const fitting = names.filter((name) => name.toLowerCase().includes(wanted));
  const drawn = [{ id: run.id, label: nameOf(run), color: "var(--c1)", dash: false }];
  if (!names.length) return html`<${Card}><${Empty} title="No metric was logged yet" /><//>`;
  return html`<div class="row compare-tools"><input class="field" type="search" aria-label="Find a metric" placeholder="find a metric" value=${query.find ?? ""} onInput=${(event) => setQuery({ find: event.target.value })} /><${LookTools} query=${query} /></div>
    <div class="curve-cards">${fitting.slice(0, more).map((name) => html`<${CurveCard} key=${name} runs=${drawn} metric=${name} look=${lookOf(query)} sync="run" height=${190} note=${`last ${written(run.metrics[name])}`} />`)}</div>
    ${fitting.length > more ? html`<button class="button" onClick=${() => setMore(more + SHOWN)}>Show more of ${fitting.length} metrics</button>` : null}
    ${fitting.length ? null : html`<p class="dim">No metric is called so.</p>`}`;
}

function Notes({ data, reload }) {
  const [editing, setEditing] = useState(false);
  const note = data.run.tags["mlflow.note.content"] ?? "";
  const save = async (text) => {
    await post(`/api/runs/${encodeURIComponent(data.run.id)}/tags`, { key: "mlflow.note.content", value: text });
    setEditing(false);
    reload();
  };
  return html`<div class="half"><${Card} title="Description" tools=${may("log") && !editing ? html`<button class="button small quiet" onClick=${() => setEditing(true)}>${note ? "Change" : "Write one"}</button>` : null}>
      ${editing ? html`<${Writing} label="Description" first=${note} send=${save} cancel=${() => setEditing(false)} word="Keep" />` : note ? html`<${Prose} text=${note} />` : html`<p class="dim">Nothing is written down.</p>`}<//>
    <${Comments} entity="run" id=${data.run.id} may=${may("comment")} /></div>`;
}
