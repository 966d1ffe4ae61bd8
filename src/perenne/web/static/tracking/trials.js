// What a round tried, drawn over its parameters or as a table.
import { html } from "../core/dom.js";
import { duration, number } from "../core/format.js";
import { Card, Table, Tabs } from "../core/parts.js";
import { Parallel } from "../core/charts/parallel.js";
import { short } from "./words.js";

const VIEWS = [["drawn", "Drawn"], ["table", "As a table"]];

export function Trials({ report, run, query }) {
  const shown = query.trials === "table" ? "table" : "drawn";
  const { axes, rows } = tried(run, report);
  const few = rows.length < 2;
  return html`<${Card} flush=${few || shown === "table"} title="What was tried" note="judged on validation rows" tools=${few ? null : html`<${Tabs} name="trials" label="How to show the trials" value=${shown} options=${VIEWS} />`}>
    ${few || shown === "table" ? html`<${Table} dense=${true} label="Trials" columns=${trialColumns(report)} rows=${report.trials.map((trial, i) => ({ ...trial, taken: i === report.best, number: i + 1 }))} />` : html`<${Parallel} label="Parameters against outcome" axes=${axes} rows=${rows} />`}
  <//>`;
}

/** The trials of a run as lines over parameters and metric. */
function tried(run, { trials, best }) {
  const names = [...new Set(trials.flatMap((trial) => Object.keys(trial.parameters)))];
  const metrics = [...new Set(trials.map((trial) => trial.metric))];
  const estimators = new Set(trials.map((trial) => trial.estimator));
  const axes = [...(estimators.size > 1 ? ["estimator"] : []), ...names].map((key) => ({ key: `p:${key}`, title: key }));
  axes.push({ key: "seconds", title: "CPU seconds" }, ...metrics.map((key) => ({ key: `m:${key}`, title: `${key}, validation` })));
  const rows = trials.map((trial, i) => ({
    id: `${run.id}-${i}`,
    label: `${short(run.id)} try ${i + 1}: ${trial.metric} ${number(trial.value, 4)}`,
    strong: i === best,
    color: "var(--c1)",
    values: { "p:estimator": trial.estimator, ...Object.fromEntries(Object.entries(trial.parameters).map(([key, item]) => [`p:${key}`, item])), seconds: trial.seconds, [`m:${trial.metric}`]: trial.value },
  }));
  return { axes, rows };
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
