// Some runs side by side: their curves, parameters against outcome, any two figures, what differs, and two of them line by line.
import { html, Fragment, useState } from "../core/dom.js";
import { Card, Empty, Tabs } from "../core/parts.js";
import { setQuery, withQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { CurveCard, lookOf, LookTools, RunLegend } from "./curves.js";
import { Diff } from "./diff.js";
import { DifferTable } from "./differ.js";
import { ParallelTab, ScatterTab } from "./against.js";
import { metricsOf } from "./side.js";
import { coloursOf, dashed, idsOf, nameOf, short } from "./words.js";

const TABS = [["curves", "Curves"], ["parallel", "Parameters against outcome"], ["scatter", "Two figures"], ["differs", "What differs"], ["diff", "Two line by line"]];
const SYNC = "compare";
const DRAWN = 60;

export default function CompareScreen({ query }) {
  const ids = idsOf(query.ids);
  const view = useView(ids.length ? `/api/view/runs/compare?ids=${ids.map(encodeURIComponent).join(",")}` : null);
  const back = `/runs?${new URLSearchParams([["compare", query.ids], ...["experiment", "filter", "order", "columns"].map((name) => [name, query[name]])].filter(([, value]) => value))}`;
  if (!ids.length) return html`<${Screen} title="Compare" crumbs=${[["Runs", "/runs"]]}>${() => html`<${Card}><${Empty} title="No run is chosen" hint="Choose some in the list: x selects, c compares." /><a class="button" href="/runs">To the runs</a><//>`}<//>`;
  return html`<${Screen} title="Compare" view=${view} crumbs=${[["Runs", back]]} note=${(data) => told(data.runs.length, ids.length)} tools=${html`<a class="button" href=${back}>Choose others</a>`}>
    ${(data) => html`<${Body} data=${data} query=${query} ids=${ids} />`}
  <//>`;
}

const told = (found, asked) => (found < asked ? `${found} of ${asked} runs; the others do not exist, or are not for you to see` : `${found} runs`);

function Body({ data, query, ids }) {
  const tab = TABS.some(([key]) => key === query.tab) ? query.tab : "curves";
  const colours = coloursOf(ids);
  const runs = data.runs.map((run) => ({ id: run.id, label: nameOf(run), color: colours.get(run.id), dash: dashed(ids.indexOf(run.id)) }));
  const without = (id) => withQuery({ ids: ids.filter((other) => other !== id).join(",") });
  if (!data.runs.length) return html`<${Card}><${Empty} title="None of these runs is here" hint="They were removed, or are not for you to see." /><//>`;
  return html`<${Fragment}>
    <div class="row compare-runs">${runs.map((run) => html`<span class="chip compare-run"><i style=${{ background: run.color }} class=${run.dash ? "dashed" : ""}></i><a class="mono" href=${`/runs/${run.id}`}>${run.label}</a>${runs.length > 1 ? html`<a href=${without(run.id)} aria-label=${`Leave out ${run.label}`}>×</a>` : null}</span>`)}</div>
    <${Tabs} name="tab" label="How to compare" value=${tab} options=${TABS} />
    ${tab === "curves" ? html`<${CurvesTab} runs=${runs} names=${metricsOf(data.runs)} query=${query} />` : null}
    ${tab === "parallel" ? html`<${ParallelTab} data=${data} colours=${colours} query=${query} />` : null}
    ${tab === "scatter" ? html`<${ScatterTab} data=${data} query=${query} />` : null}
    ${tab === "differs" ? html`<${Card} flush title="What differs" tools=${html`<label class="check"><input type="checkbox" checked=${!!query.all} onChange=${(event) => setQuery({ all: event.target.checked ? "1" : null })} />also what is the same</label>`}><${DifferTable} runs=${data.runs} colours=${colours} everything=${!!query.all} /><//>` : null}
    ${tab === "diff" ? html`<${Pair} data=${data} query=${query} />` : null}
  <//>`;
}

function CurvesTab({ runs, names, query }) {
  const [more, setMore] = useState(DRAWN);
  const wanted = (query.find ?? "").toLowerCase();
  const fitting = names.filter((name) => (query.metric && !wanted ? true : name.toLowerCase().includes(wanted)));
  const ordered = query.metric && names.includes(query.metric) ? [query.metric, ...fitting.filter((name) => name !== query.metric)] : fitting;
  if (!names.length) return html`<${Card}><${Empty} title="None of these runs has a metric" /><//>`;
  return html`<div class="row compare-tools"><input class="field" type="search" aria-label="Find a metric" placeholder="find a metric" value=${query.find ?? ""} onInput=${(event) => setQuery({ find: event.target.value })} /><${LookTools} query=${query} /></div>
    <div class="curve-cards">${ordered.slice(0, more).map((name) => html`<${CurveCard} key=${name} runs=${runs} metric=${name} look=${lookOf(query)} sync=${SYNC} height=${220} />`)}</div>
    ${ordered.length > more ? html`<button class="button" onClick=${() => setMore(more + DRAWN)}>Show more of ${ordered.length} metrics</button>` : null}
    ${ordered.length ? null : html`<p class="dim">No metric is called so.</p>`}
    <${RunLegend} runs=${runs} />`;
}

/** Two of the runs, chosen by the address or the first two. */
function Pair({ data, query }) {
  const [first, second] = idsOf(query.pair);
  const known = data.runs.map((run) => run.id);
  const left = known.includes(first) ? first : known[0];
  const right = known.includes(second) && second !== left ? second : known.find((id) => id !== left);
  if (!right) return html`<${Card}><${Empty} title="There is only one run" hint="Choose another beside it." /><//>`;
  const twice = (run) => data.runs.some((other) => other !== run && nameOf(other) === nameOf(run));
  const options = data.runs.map((run) => [run.id, twice(run) ? `${nameOf(run)}, ${short(run.id)}` : nameOf(run)]);
  const choose = (pair) => setQuery({ pair: pair.join(",") });
  return html`<div class="row"><select class="field" aria-label="From" value=${left} onChange=${(event) => choose([event.target.value, event.target.value === right ? left : right])}>${options.map(([id, name]) => html`<option value=${id} selected=${id === left}>${name}</option>`)}</select>
    <span class="dim">to</span>
    <select class="field" aria-label="To" value=${right} onChange=${(event) => choose([event.target.value === left ? right : left, event.target.value])}>${options.map(([id, name]) => html`<option value=${id} selected=${id === right}>${name}</option>`)}</select></div>
    <${Diff} left=${left} right=${right} />`;
}
