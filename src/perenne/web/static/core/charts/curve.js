// Curves within the unit square: receiver operating characteristic, precision and recall, calibration.
import { html } from "../dom.js";
import { number, percent } from "../format.js";

const LEFT = 38;
const TOP = 8;
const SIDE = 232;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const X = (value) => LEFT + SIDE * value;
const Y = (value) => TOP + SIDE * (1 - value);

/**
 * Draw `series`: `[{label, x, y, low, high, color, dash, points}]`. With `points` each is a dot, with an upright line from `low` to `high`.
 *
 * `across` and `up` name the axes; `reference` is "diagonal", or the height of a level line; `at` marks `{x, y, label}`.
 */
export function Curve({ series, across, up, reference, referenceLabel, at, label }) {
  return html`<figure class="curve" aria-label=${label}>
    <svg viewBox="0 0 284 286" role="img" aria-label=${`${label}: ${summary(series)}`}>
      ${TICKS.map((tick) => html`<line class="grid" x1=${X(0)} x2=${X(1)} y1=${Y(tick)} y2=${Y(tick)} /><line class="grid" x1=${X(tick)} x2=${X(tick)} y1=${Y(0)} y2=${Y(1)} />
        <text class="tick" x=${X(0) - 6} y=${Y(tick) + 3.5} text-anchor="end">${tick}</text><text class="tick" x=${X(tick)} y=${Y(0) + 14} text-anchor="middle">${tick}</text>`)}
      ${reference === "diagonal" ? html`<line class="reference" x1=${X(0)} y1=${Y(0)} x2=${X(1)} y2=${Y(1)} />` : null}
      ${typeof reference === "number" ? html`<line class="reference" x1=${X(0)} y1=${Y(reference)} x2=${X(1)} y2=${Y(reference)} />` : null}
      ${series.map((item, i) => (item.points ? dots(item, i) : html`<path class=${`line${item.dash ? " dashed" : ""}`} style=${{ stroke: colourOf(item, i) }} d=${path(item)} />`))}
      ${at ? html`<g class="at"><circle cx=${X(at.x)} cy=${Y(at.y)} r="4" /><title>${at.label}</title></g>` : null}
      <text class="axis" x=${X(0.5)} y=${Y(0) + 29} text-anchor="middle">${across}</text>
      <text class="axis" transform=${`translate(10 ${Y(0.5)}) rotate(-90)`} text-anchor="middle">${up}</text>
    </svg>
    <figcaption class="legend">
      ${series.map((item, i) => html`<span>${item.dash ? html`<i class="dashes" style=${{ borderColor: colourOf(item, i) }}></i>` : html`<i style=${{ background: colourOf(item, i) }}></i>`}${item.label}</span>`)}
      ${reference !== undefined && reference !== null ? html`<span class="faint"><i class="limit"></i>${referenceLabel}</span>` : null}
      ${at ? html`<span><i class="ring"></i>${at.label}</span>` : null}
    </figcaption>
    <details class="as-table"><summary>As a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${`${label} as a table`}><table class="table dense">
        <thead><tr><th scope="col">curve</th><th scope="col" class="num">${across}</th><th scope="col" class="num">${up}</th></tr></thead>
        <tbody>${series.flatMap((item) => item.x.map((x, i) => html`<tr><td>${item.label}</td><td class="num">${number(x)}</td><td class="num">${number(item.y[i])}${item.low ? ` (${number(item.low[i])}–${number(item.high[i])})` : ""}</td></tr>`))}</tbody>
      </table></div></details>
  </figure>`;
}

const colourOf = (item, i) => item.color || `var(--c${(i % 8) + 1})`;

const path = (item) => item.x.map((x, i) => `${i ? "L" : "M"}${X(x).toFixed(1)},${Y(item.y[i]).toFixed(1)}`).join("");

const summary = (series) => series.map((item) => `${item.label}, ${item.x.length} points`).join("; ");

function dots(item, i) {
  const colour = colourOf(item, i);
  return html`<g class=${item.dash ? "dashed" : ""} style=${{ stroke: colour, fill: colour }}>
    <path class="line" style=${{ stroke: colour }} d=${path(item)} />
    ${item.x.map((x, n) => html`<g>
      ${item.low ? html`<line class="range" x1=${X(x)} x2=${X(x)} y1=${Y(item.low[n])} y2=${Y(item.high[n])} />` : null}
      <circle cx=${X(x)} cy=${Y(item.y[n])} r="3" /><title>${`${item.label}: ${percent(item.y[n], 1)} at ${number(x)}`}</title></g>`)}
  </g>`;
}
