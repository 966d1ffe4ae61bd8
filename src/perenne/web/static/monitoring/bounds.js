// Objectives and guardrails over the windows: how they are known, with intervals, and the limit.
import { html } from "../core/dom.js";
import { Card } from "../core/parts.js";
import { Lines } from "../core/charts/lines.js";
import { SOURCES, figure } from "./words.js";

const COLOURS = { realised: "var(--c1)", estimated: "var(--c3)", measured: "var(--c6)" };

export function BoundCharts({ charts, x, marks, onPick }) {
  if (!charts.length) return null;
  return html`<div class="monitoring-charts">${[...charts].sort((a, b) => a.bound.includes(" by ") - b.bound.includes(" by ")).map((chart) => html`<${BoundChart} key=${chart.kind + chart.bound} chart=${chart} x=${x} marks=${marks} onPick=${onPick} />`)}</div>`;
}

export function BoundChart({ chart, x, marks, onPick, height = 170 }) {
  const metric = chart.bound.split(" by ")[0];
  const sources = chart.series.map((series) => series.source);
  const series = chart.series.map((item) => ({
    label: SOURCES[item.source]?.[0] || item.source,
    values: item.values,
    low: item.low,
    high: item.high,
    dash: item.source === "estimated",
    color: COLOURS[item.source],
  }));
  return html`<${Card} title=${chart.bound} note=${`${chart.kind}: ${chart.at_least ? "at least" : "at most"} ${figure(metric, chart.limit)}${chart.bound.includes(" by ") ? ", in the worst group" : ""}`}>
    <${Lines} label=${`${chart.bound} by window`} x=${x} time height=${height} series=${series} marks=${marks} onPick=${onPick}
      limit=${{ value: chart.limit, label: chart.at_least ? "at least" : "at most" }} yFormat=${(value) => figure(metric, value)} />
    ${sources.includes("estimated") ? html`<p class="small faint">${SOURCES.estimated[1]}</p>` : null}
  <//>`;
}
