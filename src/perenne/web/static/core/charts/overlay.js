// Two histograms in the same cells: how a column was, and how it is now.
import { html, useState } from "../dom.js";
import { number, percent } from "../format.js";

const LISTED = 24;
const MISSING = "missing";

/**
 * Draw the shares of `current` over those of `reference`, which may be null.
 *
 * Either `edges` parts the cells (one more than there are shares) or `levels` names them; `missing` holds the shares of missing
 * values, `[reference, current]`; `labels` say what the two are. `edge(v)` writes an
 * edge, `value(share)` a share; other figures than shares may be drawn, as long as none is negative.
 */
export function Overlay({ edges, levels, reference, current, missing, labels = ["reference", "current"], label, height = 132, edge = (v) => number(v, 3), value = (share) => percent(share, 1) }) {
  const cells = current.map((share, i) => ({ name: levels ? levels[i] : span(edges, i, edge), now: share, before: reference ? reference[i] : null }));
  if (missing && missing.some(Boolean)) cells.push({ name: MISSING, now: missing[1] ?? 0, before: reference ? (missing[0] ?? 0) : null, apart: true });
  if (!cells.length) return html`<p class="none dim">There is no value to draw.</p>`;
  const Drawn = levels && levels.length <= LISTED ? Listed : Upright;
  return html`<figure class="overlay" aria-label=${label}>
    <${Drawn} cells=${cells} labels=${labels} value=${value} height=${height} ends=${levels ? [levels[0], levels.at(-1)] : [edge(edges[0]), edge(edges.at(-1))]} label=${label} />
    <figcaption class="legend">
      <span><i class="now"></i>${labels[1]}</span>${reference ? html`<span><i class="before"></i>${labels[0]}</span>` : null}
    </figcaption>
    <details class="as-table"><summary>As a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${`${label || "histogram"} as a table`}><table class="table dense">
        <thead><tr><th scope="col">${levels ? "value" : "from – to"}</th>${reference ? html`<th scope="col" class="num">${labels[0]}</th>` : null}<th scope="col" class="num">${labels[1]}</th></tr></thead>
        <tbody>${cells.map((cell) => html`<tr><td>${cell.name}</td>${reference ? html`<td class="num">${value(cell.before)}</td>` : null}<td class="num">${value(cell.now)}</td></tr>`)}</tbody>
      </table></div></details>
  </figure>`;
}

const span = (edges, i, edge) => `${edge(edges[i])} – ${edge(edges[i + 1])}`;

const most = (cells) => Math.max(...cells.map((cell) => Math.max(cell.now, cell.before ?? 0))) || 1;

const told = (cell, labels, value) => `${cell.name}: ${labels[1]} ${value(cell.now)}${cell.before === null ? "" : `, ${labels[0]} ${value(cell.before)}`}`;

/** Bars side by side, for numbers and long runs of periods; a cell is as wide as the next, whatever it spans. */
function Upright({ cells, labels, value, height, ends, label }) {
  const [at, setAt] = useState(null);
  const top = most(cells);
  const apart = cells.some((cell) => cell.apart) ? 1 : 0;
  const wide = cells.length + apart;
  const x = (i) => i + (cells[i].apart ? 1 : 0);
  const y = (share) => height - (share / top) * (height - 2);
  const outline = cells.map((cell, i) => `M${x(i)},${height}V${y(cell.before).toFixed(2)}H${x(i) + 1}V${height}`).join("");
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * wide);
    setAt(cells.findIndex((_, i) => x(i) === place));
  };
  const shown = cells[at];
  return html`<svg class="overlay-bars" height=${height} viewBox=${`0 0 ${wide} ${height}`} preserveAspectRatio="none" role="img"
      aria-label=${`${label || "histogram"}, ${cells.length} cells`} onMouseMove=${point} onMouseLeave=${() => setAt(null)}>
      ${cells.map((cell, i) => html`<rect class=${`now ${i === at ? "here" : ""} ${cell.apart ? "missing" : ""}`} x=${x(i) + 0.06} width="0.88" y=${y(cell.now)} height=${height - y(cell.now)} />`)}
      ${cells[0].before === null ? null : html`<path class="before" d=${outline} vector-effect="non-scaling-stroke" />`}
    </svg>
    <div class="overlay-axis small faint">${shown ? html`<span class="overlay-here">${told(shown, labels, value)}</span>` : html`<span>${ends[0]}</span><span>${ends[1]}${apart ? html` <span class="overlay-missing">missing ${value(cells.at(-1).now)}</span>` : null}</span>`}</div>`;
}

/** One line a level, with its figures. */
function Listed({ cells, labels, value }) {
  const top = most(cells);
  return html`<div class="overlay-list">
    ${cells.map((cell) => html`<div title=${told(cell, labels, value)}>
      <span class=${`overlay-name ${cell.apart ? "faint" : ""}`}>${cell.name === "" ? html`<i class="faint">empty</i>` : cell.name}</span>
      <svg width="100%" height="14" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">
        <rect class=${`now ${cell.apart ? "missing" : ""}`} x="0" y="2" width=${(98 * cell.now) / top} height="10" />
        ${cell.before === null ? null : html`<path class="before" d=${`M0,1H${(98 * cell.before) / top}V13H0`} vector-effect="non-scaling-stroke" />`}
      </svg>
      <span class="num">${value(cell.now)}</span>
      <span class="num faint">${cell.before === null ? "" : value(cell.before)}</span>
    </div>`)}
  </div>`;
}
