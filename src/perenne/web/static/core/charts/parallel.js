// Parallel coordinates: one upright axis for each parameter and the outcome at the right, one line for each try.
import { html, useState } from "../dom.js";
import { scaleOf } from "./scales.js";

const TOP = 34;
const TALL = 150;
const SIDE = 46;

/**
 * `axes`: `[{key, title}]` from left to right; `rows`: `[{id, label, values, color, strong}]`, values by key. Numbers lie on a
 * scale, by ratio where they span more than two powers of ten; anything else on the places of its levels. `width` is that of the drawing;
 * `onPick(id)` hears which line was clicked.
 */
export function Parallel({ axes, rows, label, width = 720, onPick }) {
  const [here, setHere] = useState(null);
  if (!rows.length || axes.length < 2) return html`<p class="none dim">There are too few things to compare.</p>`;
  const scales = axes.map((axis) => scaleOf(rows.map((row) => row.values[axis.key])));
  const x = (i) => SIDE + (i * (width - 2 * SIDE)) / (axes.length - 1);
  const order = [...rows].sort((a, b) => rank(a, here) - rank(b, here));
  const line = (row) => {
    let pen = "M";
    return axes.map((axis, i) => {
      const at = scales[i].at(row.values[axis.key]);
      if (at === null) return ((pen = "M"), "");
      const piece = `${pen}${x(i).toFixed(1)},${(TOP + TALL * (1 - at)).toFixed(1)}`;
      pen = "L";
      return piece;
    }).join("");
  };
  return html`<figure class="parallel" aria-label=${label}>
    <div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <svg style=${{ minWidth: `${Math.min(width, 420)}px` }} viewBox=${`0 0 ${width} ${TOP + TALL + 24}`} role="img" aria-label=${`${label}: ${rows.length} lines over ${axes.map((axis) => axis.title).join(", ")}`}>
      ${axes.map((axis, i) => html`<g><line class="axis" x1=${x(i)} x2=${x(i)} y1=${TOP} y2=${TOP + TALL} />
        <text class="name" x=${x(i)} y="12" text-anchor=${anchor(i, axes)}><title>${axis.title}</title>${short(axis.title, (0.85 * width) / axes.length)}</text>
        ${scales[i].ends.map(([at, text]) => html`<text class="end" x=${x(i)} y=${at === 1 ? TOP - 7 : TOP + TALL * (1 - at) + (at === 0 ? 15 : 3)} text-anchor=${anchor(i, axes)} dx=${at > 0 && at < 1 ? 6 : 0}>${text}</text>`)}</g>`)}
      ${order.map((row) => html`<path key=${row.id} class=${`${row.strong ? "strong" : ""}${here === row.id ? " here" : ""}`} style=${row.color ? { stroke: row.color } : undefined} d=${line(row)}
        onMouseEnter=${() => setHere(row.id)} onMouseLeave=${() => setHere(null)} onClick=${onPick ? () => onPick(row.id) : undefined}><title>${row.label}</title></path>`)}
    </svg></div>
    <figcaption class="legend">${rows.filter((row) => row.strong).slice(0, 8).map((row) => html`<span><i style=${{ background: row.color || "var(--c1)" }}></i>${row.label}</span>`)}</figcaption>
  </figure>`;
}

const rank = (row, here) => (row.id === here ? 2 : row.strong ? 1 : 0);
const anchor = (i, axes) => (i === 0 ? "start" : i === axes.length - 1 ? "end" : "middle");
const short = (text, room) => (text.length * 6 > room ? `${text.slice(0, Math.max(4, Math.floor(room / 6) - 1))}…` : text);
