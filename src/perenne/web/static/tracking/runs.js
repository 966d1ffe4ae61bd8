// What was tried: every run, and what some of them differ in.
import { html, useMemo } from "../core/dom.js";
import { duration, number, plural } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Card, Choice, Empty, Filter, State, Time } from "../core/parts.js";
import { setQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { Parallel } from "../core/charts/parallel.js";

const STATES = { finished: ["ok", "finished"], running: ["info", "running"], failed: ["crit", "failed"] };
const COLOURS = 8;
const METRICS = 3;
const PARAMETERS = 4;
const EXPECTED = ["model", "target", "candidates"];

/** The state of a run as shape and word. */
export const RunStateOf = ({ state }) => html`<${State} tone=${STATES[state]?.[0] ?? "none"} word=${STATES[state]?.[1] ?? state} />`;

export default function RunsScreen({ query }) {
  const chosen = (query.compare || "").split(",").filter(Boolean);
  const filter = new URLSearchParams(Object.entries({ project: query.project, state: query.state, q: query.q }).filter(([, value]) => value)).toString();
  const source = `/api/view/runs${filter ? `?${filter}` : ""}`;
  const view = useView(`${source}${filter ? "&" : "?"}offset=0&limit=200${chosen.length ? `&compare=${chosen.map(encodeURIComponent).join(",")}` : ""}`);
  const colours = new Map(chosen.map((id, i) => [id, `var(--c${(i % COLOURS) + 1})`]));
  const toggle = (row) => {
    const next = colours.has(row.id) ? chosen.filter((id) => id !== row.id) : [...chosen, row.id].slice(-COLOURS);
    setQuery({ compare: next.join(",") });
  };
  return html`<${Screen} title="Runs" wide=${true} view=${view} note=${(data) => (data.total === data.all ? plural(data.all, "run") : `${plural(data.total, "run")} of ${data.all}`)}
    tools=${chosen.length ? html`<button class="button" onClick=${() => setQuery({ compare: null })}>Compare none</button>` : null}>
    ${(data) => (data.all === 0 ? html`<${Card}><${Empty} title="Nothing has been tried yet" hint="The first round trains, measures and registers a model." command="perenne run" /><//>` : html`<div class=${`runs-split${chosen.length ? " comparing" : ""}`}>
      <${Card} flush className="fill">
        <div class="toolbar">
          <${Filter} value=${query.q} label="Find runs" placeholder="words in id, outcome, parameters, commit" />
          <${Choice} name="project" label="Project" value=${query.project || ""} options=${[["", "every project"], ...data.projects.map((name) => [name, name])]} />
          <${Choice} name="state" label="State" value=${query.state || ""} options=${[["", "every state"], ...Object.entries(STATES).map(([key, [, word]]) => [key, word])]} />
        </div>
        <${Grid} label="Runs" noun="run" source=${source} columns=${columns(data, query)} rowHref=${(row) => `/runs/${row.id}`} selected=${colours} onToggle=${toggle}
          empty=${html`<${Empty} title="No run fits" hint="Take a filter away." />`} />
      <//>
      ${chosen.length ? html`<div class="side runs-side"><${Side} data=${data} colours=${colours} /></div>` : null}
    </div>`)}
  <//>`;
}

function columns(data, query) {
  const named = data.parameters.filter((name) => !EXPECTED.includes(name)).slice(0, PARAMETERS);
  return [
    { key: "id", title: "run", width: 96, cell: (row) => html`<span class="mono" title=${row.id}>${short(row.id)}</span>` },
    ...(query.project ? [] : [{ key: "project", title: "project", width: 96 }]),
    { key: "state", title: "state", width: 92, cell: (row) => html`<${RunStateOf} state=${row.state} />` },
    { key: "started", title: "started", width: 92, cell: (row) => html`<${Time} at=${row.started} />` },
    { key: "took", title: "took", width: 76, num: true, cell: (row) => (row.ended ? duration(row.ended - row.started) : "…") },
    ...data.metrics.slice(0, METRICS).map((name) => ({ key: name, title: name, width: 92, num: true, cell: (row) => number(row.metrics[name], 4) })),
    ...named.map((name) => ({ key: name, title: name, width: 104, num: data.rows.every((row) => typeof (row.parameters[name] ?? 0) === "number"), cell: (row) => value(row.parameters[name]) })),
    { key: "outcome", title: "outcome", width: 220, grow: 3, cell: (row) => html`<span class="dim" title=${row.outcome}>${row.outcome}</span>` },
  ];
}

const value = (given) => (given === undefined || given === null ? "–" : typeof given === "number" ? number(given) : typeof given === "object" ? JSON.stringify(given) : String(given));

/** The last letters of an id: the first ones are the time, and alike. */
export const short = (id) => id.slice(-8).toLowerCase();

function Side({ data, colours }) {
  const runs = data.compared;
  const parameters = union(runs.map((run) => run.parameters));
  const metrics = union(runs.map((run) => run.metrics));
  const tries = useMemo(() => tried(data.trials, colours), [data.trials, [...colours.keys()].join()]);
  return html`
    <${Card} title="Parameters against outcome" note="what these runs tried; the one each took is strong"><${Parallel} label="Parameters against outcome" width=${440} axes=${tries.axes} rows=${tries.rows} /><//>
    <${Card} flush title="What differs" note=${runs.length < 2 ? "choose another run beside it" : undefined}>
      <div class="scroll" tabindex="0" role="region" aria-label="What differs"><table class="table dense runs-differ">
        <thead><tr><th scope="col"></th>${runs.map((run) => html`<th scope="col" class="num"><a href=${`/runs/${run.id}`}><i class="runs-key" style=${{ background: colours.get(run.id) }}></i><span class="mono">${short(run.id)}</span></a></th>`)}</tr></thead>
        <tbody>
          <${Row} name="project" values=${runs.map((run) => run.project)} />
          <${Row} name="state" values=${runs.map((run) => run.state)} />
          <${Row} name="commit" values=${runs.map((run) => (run.commit ? run.commit.slice(0, 8) + (run.dirty ? " and changes" : "") : "none"))} />
          ${parameters.map((name) => html`<${Row} name=${name} values=${runs.map((run) => value(run.parameters[name]))} />`)}
          ${metrics.map((name) => html`<${Row} name=${name} figure=${true} values=${runs.map((run) => number(run.metrics[name], 4))} />`)}
        </tbody></table></div>
    <//>`;
}

function Row({ name, values, figure = false }) {
  const differs = new Set(values).size > 1;
  return html`<tr class=${differs ? `differs${figure ? " figure" : ""}` : ""}><th scope="row">${name}${differs ? html`<span class="sr-only"> (differs)</span>` : null}</th>${values.map((item) => html`<td class="num" title=${item}>${item}</td>`)}</tr>`;
}

const union = (objects) => [...new Set(objects.flatMap((object) => Object.keys(object)))];

/** The trials of some runs as lines over parameters and metric. */
export function tried(trials, colours) {
  const names = union(trials.flatMap((run) => run.trials.map((trial) => trial.parameters)));
  const metrics = [...new Set(trials.flatMap((run) => run.trials.map((trial) => trial.metric)))];
  const estimators = new Set(trials.flatMap((run) => run.trials.map((trial) => trial.estimator)));
  const axes = [...(estimators.size > 1 ? ["estimator"] : []), ...names].map((key) => ({ key: `p:${key}`, title: key }));
  axes.push({ key: "seconds", title: "CPU seconds" }, ...metrics.map((key) => ({ key: `m:${key}`, title: `${key}, validation` })));
  const rows = trials.flatMap((run) =>
    run.trials.map((trial, i) => ({
      id: `${run.run}-${i}`,
      label: `${short(run.run)} try ${i + 1}: ${trial.metric} ${number(trial.value, 4)}`,
      strong: i === run.best,
      color: colours.get(run.run),
      values: { "p:estimator": trial.estimator, ...Object.fromEntries(Object.entries(trial.parameters).map(([key, item]) => [`p:${key}`, item])), seconds: trial.seconds, [`m:${trial.metric}`]: trial.value },
    })),
  );
  return { axes, rows };
}
