// One run: what it tried, what came out, what it depended on; and how far it is while it goes on.
import { html, Fragment } from "../core/dom.js";
import { count, day, duration, number, when } from "../core/format.js";
import { Card, Copy, Empty, Facts, Table, Tabs, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Parallel } from "../core/charts/parallel.js";
import { Flow } from "../pipelines/flow.js";
import { Compared, Evidence, Figures, Slices } from "../training/evidence.js";
import { RunStateOf, short, tried } from "./runs.js";

const VIEWS = [["drawn", "Drawn"], ["table", "As a table"]];

export default function RunScreen({ params, query }) {
  const view = useView(`/api/view/runs/${encodeURIComponent(params.run)}`);
  return html`<${Screen} title=${`Run ${short(params.run)}`} view=${view} crumbs=${[["Runs", "/runs"]]} note=${(data) => html`<${RunStateOf} state=${data.run.state} />`}
    tools=${(data) => html`${data.versions.map((id) => html`<a class="button" href=${versionHref(id)}>${id}</a>`)}<a class="button" href=${`/runs?compare=${data.run.id}`}>Compare</a>`}>
    ${(data) => html`<${Body} data=${data} query=${query} />`}
  <//>`;
}

const versionHref = (id) => `/model/${encodeURIComponent(id.split("@")[0])}?version=${id.split("@")[1]}`;

function Body({ data, query }) {
  const { run, told } = data;
  const report = told.report;
  const name = data.versions[0] || short(run.id);
  return html`<${Fragment}>
    ${run.state === "failed" ? html`<${Card} title="What went wrong"><p class="run-error">${run.outcome}</p><//>` : null}
    ${run.state === "running" && data.flow ? html`<${Flow} flow=${data.flow} query=${query} note="live" />` : null}
    <div class="cols">
      <div class="side">
        ${report ? html`<${Trials} report=${report} run=${run} query=${query} />` : html`<${Card} title="What was tried"><${Empty} title=${run.state === "running" ? "Still at work" : "No trials"} note=${run.state === "running" ? "What it tries is told when the round ends." : told.reason} /><//>`}
        ${report ? html`<${Card} flush title="Final metrics" note=${`${count(report.evaluation.rows)} rows that were never learned from, in the form that is served`}><${Figures} report=${report} /><//>` : Object.keys(run.metrics).length ? html`<${Card} flush title="Final metrics"><${Table} dense=${true} label="Final metrics" columns=${[{ key: "name", title: "metric" }, { key: "value", title: "value", num: true }]} rows=${Object.entries(run.metrics).map(([key, value]) => ({ name: key, value }))} /><//>` : null}
        ${report ? html`<${Compared} report=${report} name=${name} />` : null}
        ${report ? html`<${Slices} report=${report} />` : null}
      </div>
      <aside class="side" aria-label="About the run"><${About} data=${data} /><${Provenance} data=${data} /></aside>
    </div>
    ${report ? html`<${Evidence} told=${told} name=${name} />` : null}
    ${run.state !== "running" && data.flow ? html`<${Flow} flow=${data.flow} query=${query} />` : null}
  <//>`;
}

function Trials({ report, run, query }) {
  const shown = query.trials === "table" ? "table" : "drawn";
  const { axes, rows } = tried([{ run: run.id, trials: report.trials, best: report.best }], new Map([[run.id, "var(--c1)"]]));
  const few = rows.length < 2;
  return html`<${Card} flush=${few || shown === "table"} title="What was tried" note="judged on validation rows" tools=${few ? null : html`<${Tabs} name="trials" label="How to show the trials" value=${shown} options=${VIEWS} />`}>
    ${few || shown === "table" ? html`<${Table} dense=${true} label="Trials" columns=${trialColumns(report)} rows=${report.trials.map((trial, i) => ({ ...trial, taken: i === report.best, number: i + 1 }))} />` : html`<${Parallel} label="Parameters against outcome" axes=${axes} rows=${rows} />`}
  <//>`;
}

function trialColumns(report) {
  const names = [...new Set(report.trials.flatMap((trial) => Object.keys(trial.parameters)))];
  return [
    { key: "number", title: "try", num: true, width: 40 },
    { key: "estimator", title: "estimator", cell: (row) => html`${row.estimator}${row.taken ? html` <b class="small">taken</b>` : null}` },
    ...names.map((key) => ({ key, title: key, num: true, cell: (row) => given(row.parameters[key]) })),
    { key: "seconds", title: "CPU", num: true, cell: (row) => duration(row.seconds * 1e6) },
    { key: "value", title: report.trials[0].metric, num: true, cell: (row) => number(row.value, 4) },
  ];
}

const given = (value) => (value === undefined ? "–" : typeof value === "object" && value !== null ? JSON.stringify(value) : number(value));

function About({ data }) {
  const { run } = data;
  return html`<${Card} title="Run"><${Facts} rows=${[
    ["Project", html`<a href=${`/project/${encodeURIComponent(run.project)}`}>${run.project}</a>`],
    ["Started", html`<${Time} at=${run.started} />`],
    ["Took", run.ended ? duration(run.ended - run.started) : "not over yet"],
    ["Outcome", run.state === "failed" ? null : run.outcome],
    ["Made", data.versions.map((id) => html`<a href=${versionHref(id)}>${id}</a> `)],
    ["Pipeline", data.flow ? html`<a href=${`/pipeline/${data.flow.id}`}>${data.flow.pipeline}, ${short(data.flow.id)}</a>` : null],
    ["Id", html`<${Copy} text=${run.id} />`],
  ]} /><//>`;
}

function Provenance({ data }) {
  const said = data.provenance;
  const kept = Object.keys(said.untracked).length;
  const changed = [said.patch ? "uncommitted changes, kept as a patch" : "", kept ? `${kept} files that Git does not know, kept` : "", said.left_out.length ? `${said.left_out.length} files left out` : ""].filter(Boolean);
  return html`<${Card} title="What it depended on"><${Facts} rows=${[
    ...data.data.map((item) => ["Data", html`<a href=${`/data/snapshot/${item.id}`}>${item.dataset}</a>, ${count(item.rows)} rows${item.end ? `, up to ${day(item.end)}` : ""}`]),
    ["Code", said.commit ? html`<span class="mono">${said.commit.slice(0, 12)}</span>${said.branch ? ` on ${said.branch}` : ""}` : `no Git repository; ${Object.keys(said.source).length} source files kept`],
    ["Changes", said.commit ? (changed.length ? changed.join("; ") : "none: as committed") : null],
    ["Environment", said.environment ? html`Python ${said.python}, packages <span class="mono" title=${said.environment}>${said.environment.slice(0, 12)}</span>` : null],
    ["Seed", said.seed],
    ["Hardware", said.hardware],
    ["System", said.system],
    ["Command", said.command ? html`<code>${said.command}</code>` : null],
    ["Recorded", when(data.run.started)],
  ]} /><//>`;
}
