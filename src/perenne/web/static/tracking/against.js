// Figures of many runs against one another: over parallel axes, and any two with a third as colour. The chosen runs are strong.
import { html, useMemo } from "../core/dom.js";
import { Card, Choice, Empty } from "../core/parts.js";
import { go, setQuery } from "../core/router.js";
import { useView } from "../core/screen.js";
import { Parallel } from "../core/charts/parallel.js";
import { Scatter } from "../core/charts/scatter.js";
import { scaleOf, shadeOf } from "../core/charts/scales.js";
import { readColumns, titleOf, writeColumns } from "./columns.js";
import { differing } from "./differ.js";
import { metricsOf, reader, valueOf } from "./side.js";
import { nameOf } from "./words.js";

const AXES = 8;
const POOL = 200;
const OFFERED = 60;

/** What can stand on an axis: what differs among the chosen comes first. */
function figuresOf(runs) {
  const params = differing(runs, "params").map((key) => `params.${key}`);
  const metrics = metricsOf(runs).map((key) => `metrics.${key}`);
  const rest = Object.keys(Object.assign({}, ...runs.map((run) => run.params))).map((key) => `params.${key}`);
  return [...new Set([...params, ...metrics, ...rest])];
}

/** The chosen runs, and the first of the list they were chosen from, with the values of some columns. */
function usePool(data, query, ids) {
  const asked = new URLSearchParams({ columns: writeColumns(ids), offset: 0, limit: POOL });
  for (const name of ["experiment", "filter", "order"]) if (query[name]) asked.set(name, query[name]);
  const inside = !query.experiment && data.runs.length && data.runs.every((run) => run.experiment === data.runs[0].experiment);
  if (inside) asked.set("experiment", data.runs[0].experiment);
  const view = useView(query.alone || !ids.length ? null : `/api/view/runs?${asked}`);
  return useMemo(() => {
    const chosen = new Set(data.runs.map((run) => run.id));
    const held = view.data?.columns ?? [];
    const faint = query.alone ? [] : (view.data?.rows ?? []).filter((row) => !chosen.has(row.id)).map((row) => ({ id: row.id, label: nameOf(row), raw: Object.fromEntries(ids.map((id) => [id, row.values[held.indexOf(id)] ?? null])) }));
    const strong = data.runs.map((run) => ({ id: run.id, label: nameOf(run), strong: true, raw: Object.fromEntries(ids.map((id) => [id, valueOf(run, id)])) }));
    const rows = [...faint, ...strong];
    const read = Object.fromEntries(ids.map((id) => [id, reader(rows.map((row) => row.raw[id]))]));
    return rows.map((row) => ({ ...row, values: Object.fromEntries(ids.map((id) => [id, read[id](row.raw[id])])) }));
  }, [view.data, data.runs, ids.join(), query.alone]);
}

const Alone = ({ query }) => html`<label class="check"><input type="checkbox" checked=${!!query.alone} onChange=${(event) => setQuery({ alone: event.target.checked ? "1" : null })} />only the chosen</label>`;

export function ParallelTab({ data, colours, query }) {
  const all = figuresOf(data.runs);
  const usual = [...all.filter((id) => id.startsWith("params.")).slice(0, AXES - 2), ...all.filter((id) => id.startsWith("metrics.")).slice(0, 2)];
  const axes = (readColumns(query.axes) ?? usual).filter((id) => all.includes(id)).slice(0, AXES);
  const rows = usePool(data, query, axes);
  const tint = useMemo(() => scaleOf(rows.map((row) => row.values[axes.at(-1)])), [rows, axes.at(-1)]);
  const drawn = rows.map((row) => ({ ...row, color: row.strong ? colours.get(row.id) : tint.numeric ? shadeOf(tint.at(row.values[axes.at(-1)])) : undefined }));
  const toggle = (id) => setQuery({ axes: writeColumns(axes.includes(id) ? axes.filter((other) => other !== id) : [...axes, id].slice(-AXES)) });
  return html`<${Card} title="Parameters against outcome" note=${`${rows.length} runs${axes.length ? `; the faint ones are coloured by ${titleOf(axes.at(-1))}` : ""}`} tools=${html`<${Alone} query=${query} />`}>
    <${Parallel} label="Parameters against outcome" width=${1000} axes=${axes.map((id) => ({ key: id, title: titleOf(id) }))} rows=${drawn} onPick=${(id) => go(`/runs/${id}`)} />
    <details class="axes-choice"><summary>Axes</summary><div class="row">${all.slice(0, OFFERED).map((id) => html`<label class="check"><input type="checkbox" checked=${axes.includes(id)} onChange=${() => toggle(id)} />${titleOf(id)} <span class="faint small">${id.split(".")[0]}</span></label>`)}</div></details>
  <//>`;
}

export function ScatterTab({ data, query }) {
  const all = figuresOf(data.runs);
  const metrics = all.filter((id) => id.startsWith("metrics."));
  const params = all.filter((id) => id.startsWith("params."));
  const pick = (name, otherwise) => (all.includes(query[name]) ? query[name] : otherwise);
  const across = pick("across", params[0] ?? metrics[1] ?? metrics[0]);
  const up = pick("up", metrics[0] ?? params[1] ?? params[0]);
  const shade = query.shade === "none" ? null : pick("shade", params[1] ?? metrics[1] ?? null);
  const ids = [...new Set([across, up, shade].filter(Boolean))];
  const rows = usePool(data, query, ids);
  if (!across || !up) return html`<${Card}><${Empty} title="These runs have no figures" /><//>`;
  const options = all.slice(0, 4 * OFFERED).map((id) => [id, titleOf(id)]);
  const log = query.log ?? "";
  const flip = (axis, on) => setQuery({ log: ["x", "y"].filter((name) => (name === axis ? on : log.includes(name))).join("") });
  const points = rows.map((row) => ({ id: row.id, label: row.label, strong: row.strong, x: row.values[across], y: row.values[up], shade: shade ? row.values[shade] : null }));
  return html`<${Card} title=${`${titleOf(up)} over ${titleOf(across)}`} note=${`${rows.length} runs`} tools=${html`<${Alone} query=${query} />`}>
    <div class="row compare-tools"><span class="dim">across</span><${Choice} name="across" label="Across" value=${across} options=${options} /><span class="dim">up</span><${Choice} name="up" label="Up" value=${up} options=${options} />
      <span class="dim">colour</span><${Choice} name="shade" label="Colour" value=${shade ?? "none"} options=${[["none", "none"], ...options]} />
      <label class="check"><input type="checkbox" checked=${log.includes("x")} onChange=${(event) => flip("x", event.target.checked)} />log x</label><label class="check"><input type="checkbox" checked=${log.includes("y")} onChange=${(event) => flip("y", event.target.checked)} />log y</label></div>
    <${Scatter} label="Two figures" rows=${points} across=${titleOf(across)} up=${titleOf(up)} shade=${shade ? titleOf(shade) : null} logX=${log.includes("x")} logY=${log.includes("y")} onPick=${(id) => go(`/runs/${id}`)} />
  <//>`;
}
