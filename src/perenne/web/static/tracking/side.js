// Beside the grid: a metric of the chosen runs, parameters against outcome, and what they differ in.
import { html, useMemo } from "../core/dom.js";
import { Card, Choice, Empty } from "../core/parts.js";
import { useView } from "../core/screen.js";
import { Parallel } from "../core/charts/parallel.js";
import { spelled, titleOf } from "./columns.js";
import { lookOf, LookTools, MetricCurves, RunLegend } from "./curves.js";
import { differing } from "./differ.js";
import { dashed, figures, nameOf, written } from "./words.js";

const AXES = 6;
const COLUMNS = 5;

export default function Side({ ids, colours, pool, shown, query }) {
  const view = useView(`/api/view/runs/compare?ids=${ids.map(encodeURIComponent).join(",")}`);
  if (!view.data) return html`<${Card} title="Compared">${view.error ? html`<${Empty} title=${view.error.message} hint=${view.error.hint} />` : html`<span class="bone"></span>`}<//>`;
  const { runs } = view.data;
  const drawn = runs.map((run) => ({ id: run.id, label: nameOf(run), color: colours.get(run.id), dash: dashed(ids.indexOf(run.id)) }));
  const names = metricsOf(runs);
  const metric = names.includes(query.metric) ? query.metric : names.find((name) => query.order?.startsWith(spelled(`metrics.${name}`))) ?? names.find((name) => shown.includes(`metrics.${name}`)) ?? names[0];
  return html`
    ${metric ? html`<${Card} title=${metric} tools=${names.length > 1 ? html`<${Choice} name="metric" label="Metric" value=${metric} options=${names.map((name) => [name, name])} />` : null}>
      <${LookTools} query=${query} small=${true} /><${MetricCurves} runs=${drawn} metric=${metric} look=${lookOf(query)} height=${190} /><${RunLegend} runs=${drawn} /><//>` : null}
    <${Pool} pool=${pool} shown=${shown} chosen=${runs} colours=${colours} metric=${metric} />
    <${Differs} runs=${runs} colours=${colours} metric=${metric} />`;
}

/** The metrics of some runs; those that all have come first. */
export function metricsOf(runs) {
  const counts = new Map();
  for (const run of runs) for (const key of Object.keys(run.metrics)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || (a.startsWith("system/") ? 1 : 0) - (b.startsWith("system/") ? 1 : 0) || a.localeCompare(b));
}

/** Those of the grid's first rows that are drawn faintly, with the chosen ones on top. */
function Pool({ pool, shown, chosen, colours, metric }) {
  const drawn = useMemo(() => {
    const axes = axesOf(pool, shown, metric);
    const strong = new Set(chosen.map((run) => run.id));
    const faint = pool.filter((row) => !strong.has(row.id)).map((row) => ({ id: row.id, label: nameOf(row), values: Object.fromEntries(axes.map((axis) => [axis.key, axis.read(row.values[shown.indexOf(axis.key)])])) }));
    const bold = chosen.map((run) => ({ id: run.id, label: nameOf(run), strong: true, color: colours.get(run.id), values: Object.fromEntries(axes.map((axis) => [axis.key, axis.read(valueOf(run, axis.key))])) }));
    return { axes, rows: [...faint, ...bold] };
  }, [pool, shown.join(), chosen, metric]);
  if (drawn.axes.length < 2) return null;
  return html`<${Card} title="Parameters against outcome" note=${`the first ${drawn.rows.length} of the list`}><${Parallel} label="Parameters against outcome" width=${440} axes=${drawn.axes} rows=${drawn.rows} /><//>`;
}

/** What a run has under a column's name. */
export const valueOf = (run, id) => {
  const at = id.indexOf(".");
  return run[id.slice(0, at)]?.[id.slice(at + 1)] ?? null;
};

function axesOf(pool, shown, metric) {
  const known = shown.filter((id) => /^(metrics|params)\./.test(id) && pool.some((row) => row.values[shown.indexOf(id)] !== null));
  const outcome = `metrics.${metric}`;
  const kept = known.filter((id) => id !== outcome).slice(0, AXES - 1);
  return [...kept.filter((id) => id.startsWith("params.")), ...kept.filter((id) => id.startsWith("metrics.")), ...(known.includes(outcome) ? [outcome] : [])].map((id) => ({ key: id, title: titleOf(id), read: reader(pool.map((row) => row.values[shown.indexOf(id)])) }));
}

/** How the values of an axis are read: as numbers if all of them are. */
export const reader = (values) => (figures(values) ? (value) => (value === null || value === undefined || value === "" ? null : Number(value)) : (value) => value ?? null);

function Differs({ runs, colours, metric }) {
  const names = differing(runs, "params").slice(0, COLUMNS);
  const note = runs.length < 2 ? "choose another run beside it" : names.length ? undefined : "no parameter does";
  return html`<${Card} flush title="What differs" note=${note}>
    <div class="scroll" tabindex="0" role="region" aria-label="What differs"><table class="table dense">
      <thead><tr><th scope="col">run</th>${names.map((name) => html`<th scope="col" class="num">${name}</th>`)}${metric ? html`<th scope="col" class="num">${metric}</th>` : null}</tr></thead>
      <tbody>${runs.map((run) => html`<tr key=${run.id}><th scope="row"><a href=${`/runs/${run.id}`}><i class="runs-key" style=${{ background: colours.get(run.id) }}></i><span class="mono">${nameOf(run)}</span></a></th>
        ${names.map((name) => html`<td class="num" title=${run.params[name]}>${(run.params[name] ?? "–").slice(0, 24)}</td>`)}${metric ? html`<td class="num"><b>${written(run.metrics[metric])}</b></td>` : null}</tr>`)}</tbody>
    </table></div>
  <//>`;
}
