// Lines over time or steps with intervals, limits and marks, drawn by uPlot.
import uPlot from "../../vendor/uplot.js";
import { html, useEffect, useRef } from "../dom.js";
import { number, when } from "../format.js";
import { css, theme } from "../theme.js";
import { DATES } from "./dates.js";

const COLOURS = 8;
const TONES = { ok: "--ok", warn: "--warn", crit: "--crit", info: "--info", none: "--ink-3" };

/**
 * Draw series over `x`.
 *
 * `x`: numbers, or instants in microseconds with `time`. `series`: `[{label, values, low, high, dash, color, points}]`, null for
 * unknown; `low` and `high` make a band. `limit`: `{value, label}` or a list of them; `marks`: `[{at, label, tone}]` are upright lines.
 */
export function Lines({ x, series, height = 200, time = false, yFormat = (value) => number(value, 3), marks = [], limit, label, onPick }) {
  const box = useRef();
  const limits = limit === undefined || limit === null ? [] : [].concat(limit).map((item) => (typeof item === "number" ? { value: item, label: "limit" } : item));
  const dark = theme.value;
  const drawn = JSON.stringify([x, series.map(({ label: l, values, low, high, dash, color }) => [l, values, low, high, dash, color]), marks, limits, time, height, dark]);
  useEffect(() => {
    if (!x.length) return undefined;
    const plot = draw(box.current, { x, series, height, time, yFormat, marks, limits, onPick });
    const frame = box.current;
    const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(160, frame.clientWidth), height }));
    observer.observe(frame);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [drawn]);
  if (!x.length) return html`<p class="none dim">Nothing to draw yet.</p>`;
  return html`<figure class="plot" aria-label=${label}>
    <div ref=${box} class="plot-area" style=${{ height: `${height}px` }} role="img" aria-label=${`${label || "chart"}: ${summary(series, yFormat)}`}></div>
    <figcaption class="legend">
      ${series.map((item, i) => html`<span><i style=${{ background: colourOf(item, i) }} class=${item.dash ? "dashed" : ""}></i>${item.label}</span>`)}
      ${limits.map((item) => html`<span class="faint"><i class="limit"></i>${item.label} ${yFormat(item.value)}</span>`)}
    </figcaption>
    <details class="as-table"><summary>As a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${`${label || "chart"} as a table`}><table class="table dense">
        <thead><tr><th scope="col">${time ? "from" : "x"}</th>${series.map((item) => html`<th scope="col" class="num">${item.label}</th>`)}</tr></thead>
        <tbody>${x.map((at, i) => html`<tr><td>${time ? when(at) : number(at)}</td>${series.map((item) => html`<td class="num">${cell(item, i, yFormat)}</td>`)}</tr>`)}</tbody>
      </table></div></details>
  </figure>`;
}

const cell = (item, i, yFormat) => {
  const value = item.values[i];
  if (value === null || value === undefined) return "–";
  const low = item.low?.[i];
  return yFormat(value) + (low === null || low === undefined ? "" : ` (${yFormat(low)}–${yFormat(item.high[i])})`);
};

const summary = (series, yFormat) =>
  series.map((item) => `${item.label} now ${yFormat([...item.values].reverse().find((v) => v !== null && v !== undefined))}`).join(", ");

const colourOf = (item, i) => item.color || `var(--c${(i % COLOURS) + 1})`;

const resolve = (colour) => (colour.startsWith("var(") ? css(colour.slice(4, -1)) : colour);

function draw(element, { x, series, height, time, yFormat, marks, limits, onPick }) {
  const columns = [time ? x.map((at) => at / 1e6) : x];
  const lines = [{ value: (_, value) => (value === null ? "–" : time ? when(value * 1e6) : number(value)) }];
  const bands = [];
  series.forEach((item, i) => {
    const stroke = resolve(colourOf(item, i));
    columns.push(item.values);
    lines.push({ label: item.label, stroke, width: 1.5, dash: item.dash ? [4, 4] : undefined, points: { show: item.points ?? x.length < 40, size: 5 }, value: (_, value) => (value === null ? "–" : yFormat(value)) });
    if (!item.low) return;
    const at = columns.length;
    for (const edge of [item.high, item.low]) {
      columns.push(edge);
      lines.push({ label: "", stroke: "transparent", width: 0, points: { show: false }, show: true });
    }
    bands.push({ series: [at, at + 1], fill: `color-mix(in srgb, ${stroke} 16%, transparent)` });
  });
  const axis = { stroke: css("--ink-3"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: `11px Inter, sans-serif` };
  const reach = (_, low, high) => padded(Math.min(low, ...limits.map((item) => item.value)), Math.max(high, ...limits.map((item) => item.value)));
  const options = {
    width: Math.max(160, element.clientWidth),
    height,
    legend: { show: false },
    cursor: { points: { size: 7 }, y: false, bind: onPick ? { click: (u) => () => u.cursor.idx !== null && onPick(x[u.cursor.idx], u.cursor.idx) } : undefined },
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    scales: { x: { time }, y: { range: reach } },
    axes: [{ ...axis, size: time ? 40 : 28, ...(time ? { values: DATES } : {}) }, { ...axis, size: 54, values: (_, values) => values.map(yFormat) }],
    series: lines,
    bands,
    hooks: { draw: [(u) => rule(u, time, marks, limits)], setCursor: [(u) => tell(u, element, lines, time)] },
  };
  return new uPlot(options, columns, element);
}

function padded(low, high) {
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 0.5;
  return [low - (low >= 0 && low - room < 0 ? low : room), high + room];
}

function rule(u, time, marks, limits) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.textAlign = "left";
  ctx.font = `${11 * devicePixelRatio}px Inter, sans-serif`;
  for (const item of limits) {
    const y = Math.round(u.valToPos(item.value, "y", true)) + 0.5;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    stroke(ctx, css("--ink-2"), bbox.left, y, bbox.left + bbox.width, y);
  }
  let taken = -Infinity;
  for (const mark of [...marks].sort((a, b) => a.at - b.at)) {
    const at = Math.round(u.valToPos(time ? mark.at / 1e6 : mark.at, "x", true)) + 0.5;
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    const colour = css(TONES[mark.tone] || "--ink-3");
    ctx.setLineDash([]);
    stroke(ctx, colour, at, bbox.top, at, bbox.top + bbox.height);
    const wide = ctx.measureText(mark.label || "").width;
    const left = at + wide + 6 > bbox.left + bbox.width ? at - wide - 4 : at + 4;
    if (mark.label && left > taken) {
      ctx.fillStyle = colour;
      ctx.fillText(mark.label, left, bbox.top + 11 * devicePixelRatio);
      taken = left + wide + 8;
    }
  }
  ctx.restore();
}

function stroke(ctx, colour, x1, y1, x2, y2) {
  ctx.strokeStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function tell(u, element, lines, time) {
  let tip = element.querySelector(".tip");
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    u.over.append(tip);
  }
  const { idx, left } = u.cursor;
  tip.hidden = idx === null || idx === undefined || left < 0;
  if (tip.hidden) return;
  const rows = lines.map((line, i) => [line.label, u.data[i][idx], line]).filter(([label, value], i) => i && label && value !== null && value !== undefined);
  tip.replaceChildren(...[time ? when(u.data[0][idx] * 1e6) : number(u.data[0][idx]), ...rows.map(([label, value, line]) => `${label} ${line.value(u, value)}`)].map((text) => Object.assign(document.createElement("div"), { textContent: text })));
  const flip = left > u.over.clientWidth / 2;
  tip.style.transform = `translate(${flip ? left - tip.offsetWidth - 10 : left + 10}px, 4px)`;
}
