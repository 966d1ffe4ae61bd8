// Two figures of some things against each other, coloured by a third.
import { html, useState } from "../dom.js";
import { number } from "../format.js";
import { scaleOf, shadeOf } from "./scales.js";

const LEFT = 58;
const TOP = 12;
const WIDE = 620;
const TALL = 300;
const EDGE = 0.03;
const COLOURS = 8;
const X = (place) => LEFT + WIDE * (EDGE + (1 - 2 * EDGE) * place);
const Y = (place) => TOP + TALL * (1 - EDGE - (1 - 2 * EDGE) * place);

/**
 * `rows`: `[{id, label, x, y, shade, strong}]`, numbers or words; what has no place on both axes is not drawn, and counted. `across`,
 * `up` and `shade` name the three; `logX`, `logY` draw by ratio. `onPick(id)` hears of a click, and of Enter.
 * `noun` is what a row is, `guides` an `x` and a `y` at which a line is drawn, as far as they lie within the rows.
 */
export function Scatter({ rows, across, up, shade, logX, logY, label, onPick, noun = "run", guides = {} }) {
  const [here, setHere] = useState(null);
  const [x, y, tint] = [scaleOf(rows.map((row) => row.x), !!logX), scaleOf(rows.map((row) => row.y), !!logY), scaleOf(rows.map((row) => row.shade))];
  const drawn = rows.filter((row) => x.at(row.x) !== null && y.at(row.y) !== null);
  const colour = (row) => (!shade ? "var(--c1)" : tint.numeric ? shadeOf(tint.at(row.shade)) : levelColour(tint, row.shade));
  const found = drawn.find((row) => row.id === here);
  const pick = (event, row) => event.key === "Enter" && onPick?.(row.id);
  if (!drawn.length) return html`<p class="none dim">No ${noun} has both figures.</p>`;
  const [atX, atY] = [within(x, guides.x), within(y, guides.y)];
  return html`<figure class="scatter" aria-label=${label}>
    <svg viewBox=${`0 0 ${LEFT + WIDE + 10} ${TOP + TALL + 36}`} role="group" aria-label=${`${label}: ${drawn.length} ${noun}s, ${up} over ${across}`}>
      ${x.ticks.map(([place, text]) => html`<line class="grid" x1=${X(place)} x2=${X(place)} y1=${TOP} y2=${TOP + TALL} /><text class="tick" x=${X(place)} y=${TOP + TALL + 14} text-anchor="middle">${text}</text>`)}
      ${y.ticks.map(([place, text]) => html`<line class="grid" x1=${LEFT} x2=${LEFT + WIDE} y1=${Y(place)} y2=${Y(place)} /><text class="tick" x=${LEFT - 6} y=${Y(place) + 3.5} text-anchor="end">${text.slice(0, 9)}</text>`)}
      ${atX === null ? null : html`<line class="guide" x1=${X(atX)} x2=${X(atX)} y1=${TOP} y2=${TOP + TALL} />`}
      ${atY === null ? null : html`<line class="guide" x1=${LEFT} x2=${LEFT + WIDE} y1=${Y(atY)} y2=${Y(atY)} />`}
      ${[...drawn].sort((a, b) => !!a.strong - !!b.strong).map((row) => html`<circle key=${row.id} class=${`${row.strong ? "strong" : ""}${row.id === here ? " here" : ""}`} cx=${X(x.at(row.x)).toFixed(1)} cy=${Y(y.at(row.y)).toFixed(1)} r=${row.strong ? 5 : 4} style=${{ fill: colour(row) }}
        tabindex=${drawn.length <= 60 ? 0 : undefined} role="img" aria-label=${told(row, across, up, shade)} onMouseEnter=${() => setHere(row.id)} onMouseLeave=${() => setHere(null)} onFocus=${() => setHere(row.id)} onBlur=${() => setHere(null)} onClick=${() => onPick?.(row.id)} onKeyDown=${(event) => pick(event, row)}><title>${told(row, across, up, shade)}</title></circle>`)}
      <text class="axis" x=${LEFT + WIDE / 2} y=${TOP + TALL + 31} text-anchor="middle">${across}</text>
      <text class="axis" transform=${`translate(11 ${TOP + TALL / 2}) rotate(-90)`} text-anchor="middle">${up}</text>
    </svg>
    <figcaption class="legend">
      ${!shade ? null : tint.numeric ? html`<span>${shade}</span><span>${tint.ends[0][1]}<i class="scatter-ramp"></i>${tint.ends.at(-1)[1]}</span>` : html`<span>${shade}</span>${tint.ends.map(([, text]) => html`<span><i style=${{ background: levelColour(tint, text) }}></i>${text}</span>`)}`}
      <span class="grow"></span>
      <span class="faint scatter-here">${found ? told(found, across, up, shade) : drawn.length < rows.length ? `${rows.length - drawn.length} without both figures` : ""}</span>
    </figcaption>
  </figure>`;
}

const within = (scale, value) => {
  const place = value === undefined ? null : scale.at(value);
  return place === null || place < 0 || place > 1 ? null : place;
};

const told = (row, across, up, shade) => `${row.label}: ${across} ${number(row.x, 4)}, ${up} ${number(row.y, 4)}${shade ? `, ${shade} ${number(row.shade, 4)}` : ""}`;

const levelColour = (tint, level) => {
  const place = tint.at(level);
  return place === null ? "var(--ink-3)" : `var(--c${(tint.ends.findIndex(([at]) => at === place) % COLOURS) + 1})`;
};
