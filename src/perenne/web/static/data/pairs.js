// Pairs of columns to look at before a correlation is trusted: a figure never stands without its picture.
import { html } from "../core/dom.js";
import { Card } from "../core/parts.js";
import { number, signed } from "../core/format.js";
import { Name } from "./words.js";

const WHY = { shape: "a line would mislead", hidden: "they hang together, and no line shows it", strong: "move together" };
const FLAGS = { curve: "a curve", fan: "the spread grows", lever: "the line leans on a few rows", outlier: "a few rows lie off the line" };

const why = (pair) => [WHY[pair.reason], ...pair.flags.map((flag) => FLAGS[flag]).filter(Boolean)].join("; ");

export function Pairs({ pairs, sample, rows }) {
  if (!pairs.length) return null;
  const note = sample < rows ? `on a sample of ${number(sample)} rows` : "on all rows";
  return html`<${Card} title="Pairs to look at" note=${note}>
    <div class="data-pairs">${pairs.map((pair) => html`<figure key=${`${pair.x} ${pair.y}`}>
      <div class="data-both"><${Heat} counts=${pair.counts} label=${`${pair.y} by ${pair.x}, ${number(pair.x_edges[0])} to ${number(pair.x_edges.at(-1))}`} />
        ${pair.residuals ? html`<${Heat} counts=${pair.residuals.counts} level=${pair.residuals.edges} label=${`what a straight line leaves over of ${pair.y} by ${pair.x}`} />` : null}</div>
      <figcaption><b><${Name} text=${pair.y} /></b> by <b><${Name} text=${pair.x} /></b><br /><span class="small dim">${why(pair)}: correlation ${signed(pair.pearson, 2)}, of ranks ${signed(pair.spearman, 2)}</span></figcaption>
    </figure>`)}</div>
  <//>`;
}

/** How many rows lie in each cell; with `level`, the edges of what is left over, a line where that is nothing. */
function Heat({ counts, label, level }) {
  const top = Math.max(...counts.map((row) => Math.max(...row))) || 1;
  const size = counts.length;
  const zero = level ? size * (1 - (0 - level[0]) / (level.at(-1) - level[0] || 1)) : 0;
  const cells = counts.flatMap((row, x) => row.map((n, y) => (n ? html`<rect x=${x} y=${size - 1 - y} width="1" height="1" fill-opacity=${(0.15 + 0.85 * Math.sqrt(n / top)).toFixed(2)} />` : null)));
  return html`<svg class="data-heat" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${label}>${cells}${level ? html`<line x1="0" x2=${size} y1=${zero} y2=${zero} />` : null}</svg>`;
}
