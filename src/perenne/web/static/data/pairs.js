// Pairs of columns to look at before a correlation is trusted: a figure never stands without its picture.
import { html } from "../core/dom.js";
import { Card } from "../core/parts.js";
import { number, signed } from "../core/format.js";
import { Name } from "./words.js";

const WHY = { shape: "a line would mislead", strong: "move together" };

export function Pairs({ pairs, sample, rows }) {
  if (!pairs.length) return null;
  const note = sample < rows ? `on a sample of ${number(sample)} rows` : "on all rows";
  return html`<${Card} title="Pairs to look at" note=${note}>
    <div class="data-pairs">${pairs.map((pair) => html`<figure key=${`${pair.x} ${pair.y}`}>
      <${Heat} pair=${pair} />
      <figcaption><b><${Name} text=${pair.y} /></b> by <b><${Name} text=${pair.x} /></b><br /><span class="small dim">${WHY[pair.reason]}: correlation ${signed(pair.pearson, 2)}, of ranks ${signed(pair.spearman, 2)}</span></figcaption>
    </figure>`)}</div>
  <//>`;
}

function Heat({ pair }) {
  const top = Math.max(...pair.counts.map((row) => Math.max(...row))) || 1;
  const size = pair.counts.length;
  const cells = pair.counts.flatMap((row, x) => row.map((n, y) => (n ? html`<rect x=${x} y=${size - 1 - y} width="1" height="1" fill-opacity=${(0.15 + 0.85 * Math.sqrt(n / top)).toFixed(2)} />` : null)));
  return html`<svg class="data-heat" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${`${pair.y} by ${pair.x}, ${number(pair.x_edges[0])} to ${number(pair.x_edges.at(-1))}`}>${cells}</svg>`;
}
