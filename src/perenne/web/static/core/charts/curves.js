// Curves of some runs over step or time, each at places of its own: smoothed, on axes by size or by ratio, pointed at together.
import uPlot from "../../vendor/uplot.js";
import { html, useEffect, useMemo, useRef } from "../dom.js";
import { duration, number, when } from "../format.js";
import { css, theme } from "../theme.js";
import { DATES } from "./dates.js";

/** How `x` is written: steps are numbers, instants and lengths of time are in seconds. */
const WRITTEN = { step: (value) => number(value), time: (value) => when(value * 1e6), relative: (value) => duration(value * 1e6) };

/**
 * `series`: `[{id, label, color, x, y, low, high, dash, points}]`, `y` null where it is no number; `low` and `high` are the least and
 * greatest of the `points` that lie in the same column of the drawing. `kind`: step, time or relative. `smooth`: from 0 to
 * below 1, the weight of what came before; the curve itself then stands faintly behind. Charts with the same `sync` are pointed at
 * together.
 */
export function Curves({ series, kind = "step", smooth = 0, logX = false, logY = false, sync, height = 200, label }) {
  const box = useRef();
  const shown = useMemo(() => series.map((item) => fitted(item, logX, logY)), [series, logX, logY]);
  const smoothed = useMemo(() => shown.map((item) => ({ ...item, y: smooth ? ema(item.y, smooth) : item.y })), [shown, smooth]);
  const empty = !shown.some((item) => item.x.length);
  const dark = theme.value;
  useEffect(() => {
    if (empty) return undefined;
    const frame = box.current;
    const plot = draw(frame, { raw: smooth ? shown : [], series: smoothed, kind, logX, logY, sync, height });
    const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(160, frame.clientWidth), height }));
    observer.observe(frame);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [smoothed, kind, sync, height, dark, empty]);
  if (empty) return html`<p class="none dim">${series.some((item) => item.x.length) ? "No point is above zero, as such an axis needs." : "Nothing to draw yet."}</p>`;
  const single = smoothed.every((item) => item.x.length <= 1);
  return html`<figure class="plot" aria-label=${label}>
    <div ref=${box} class="plot-area" style=${{ height: `${height}px` }} role="img" aria-label=${`${label}: ${smoothed.map((item) => `${item.label} ${single ? "" : "last "}${number(last(item.y), 4)}`).join(", ")}`}></div>
    <details class="as-table"><summary>As a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${`${label} as a table`}><table class="table dense">
        <thead><tr><th scope="col">curve</th><th scope="col" class="num">points</th><th scope="col" class="num">first</th><th scope="col" class="num">least</th><th scope="col" class="num">most</th><th scope="col" class="num">last</th></tr></thead>
        <tbody>${shown.map((item) => html`<tr><td>${item.label}</td><td class="num">${number(item.points ?? item.x.length)}</td>${[item.y.find(known), least(item.low ?? item.y), most(item.high ?? item.y), last(item.y)].map((value) => html`<td class="num">${number(value, 4)}</td>`)}</tr>`)}</tbody>
      </table></div></details>
  </figure>`;
}

const known = (value) => value !== null && value !== undefined;
const last = (values) => values.findLast(known);
const least = (values) => values.filter(known).reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.filter(known).reduce((a, b) => Math.max(a, b), -Infinity);

/** Leave out what an axis by ratio has no place for. */
function fitted(item, logX, logY) {
  if (!logX && !logY) return item;
  const kept = item.x.map((_, i) => i).filter((i) => (!logX || item.x[i] > 0) && (!logY || item.y[i] === null || item.y[i] > 0));
  const of = (values) => values && kept.map((i) => (logY && values[i] !== null && values[i] <= 0 ? null : values[i]));
  return { ...item, x: kept.map((i) => item.x[i]), y: of(item.y), low: of(item.low), high: of(item.high) };
}

/** The exponential moving average, corrected for its beginning (Kingma and Ba 2015, section 3). */
export function ema(values, weight) {
  let [sum, share] = [0, 0];
  return values.map((value) => {
    if (!known(value)) return value;
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return sum / share;
  });
}

function draw(element, { raw, series, kind, logX, logY, sync, height }) {
  const all = [...raw.map((item) => ({ ...item, behind: true })), ...series.map((item) => (raw.length ? { ...item, low: null } : item))];
  const data = uPlot.join(all.map((item) => (item.low ? [item.x, item.y, item.high, item.low] : [item.x, item.y])));
  const lines = [{}];
  const bands = [];
  for (const item of all) {
    const colour = item.color.startsWith("var(") ? css(item.color.slice(4, -1)) : item.color;
    const few = item.x.length < 30;
    lines.push({ label: item.behind ? "" : item.label, stroke: item.behind ? `color-mix(in srgb, ${colour} 28%, transparent)` : colour, width: item.behind ? 1 : 1.6, dash: item.dash ? [4, 4] : undefined, spanGaps: true, points: { show: few && !item.behind, size: 5 } });
    if (!item.low) continue;
    bands.push({ series: [lines.length, lines.length + 1], fill: `color-mix(in srgb, ${colour} ${item.behind ? 10 : 18}%, transparent)` });
    for (let edge = 0; edge < 2; edge++) lines.push({ label: "", stroke: "transparent", width: 0, spanGaps: true, points: { show: false } });
  }
  const axis = { stroke: css("--ink-3"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter, sans-serif" };
  const written = (_, values) => values.map((value) => (value === null ? "" : kind === "relative" ? duration(value * 1e6) : number(value)));
  return new uPlot(
    {
      width: Math.max(160, element.clientWidth),
      height,
      legend: { show: false },
      cursor: { points: { show: false }, y: false, drag: { x: true, y: false }, sync: sync ? { key: sync, scales: ["x", null] } : undefined },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { x: { time: kind === "time", distr: logX ? 3 : 1 }, y: { distr: logY ? 3 : 1 } },
      axes: [{ ...axis, size: kind === "time" ? 40 : 28, values: kind === "time" ? DATES : written }, { ...axis, size: 54, values: (_, values) => values.map((value) => (value === null ? "" : number(value))) }],
      series: lines,
      bands,
      hooks: { setCursor: [(plot) => tell(plot, series, kind)] },
    },
    data,
    element,
  );
}

/** Say what each curve is where is pointed at: its nearest point. */
function tell(plot, series, kind) {
  let tip = plot.over.querySelector(".tip");
  if (!tip) {
    tip = Object.assign(document.createElement("div"), { className: "tip" });
    plot.over.append(tip);
  }
  const { left } = plot.cursor;
  tip.hidden = left === null || left === undefined || left < 0;
  if (tip.hidden) return;
  const at = plot.posToVal(left, "x");
  const found = series.map((item) => [item, nearest(item.x, at)]).filter(([, place]) => place !== null);
  tip.replaceChildren(line(WRITTEN[kind](kind === "step" ? Math.round(at) : at)), ...found.map(([item, place]) => line(`${item.label} ${number(item.y[place], 4)}`, item.color)));
  const flip = left > plot.over.clientWidth / 2;
  tip.style.transform = `translate(${flip ? left - tip.offsetWidth - 10 : left + 10}px, 4px)`;
}

function line(text, colour) {
  const element = Object.assign(document.createElement("div"), { textContent: text });
  if (!colour) return element;
  const mark = document.createElement("i");
  mark.style.background = colour;
  element.prepend(mark);
  return element;
}

function nearest(places, at) {
  if (!places.length) return null;
  let [low, high] = [0, places.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - places[low - 1] < places[low] - at ? low - 1 : low;
}
