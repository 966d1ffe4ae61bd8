// What was answered for which class, as a table shaded by the share of each actual class; of many classes the most frequent mistakes.
import { html } from "../dom.js";
import { count, percent } from "../format.js";

/** `confusion` as `stats.curves.Confusion`; `label` names the table. */
export function Confusion({ confusion, label }) {
  const { labels, counts, correct, rows } = confusion;
  return html`<div class="confusion">
    ${counts.length ? html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
      <thead><tr><td></td><th scope="col" colspan=${labels.length} class="faint">answered</th></tr><tr><th scope="col" class="faint">actual</th>${labels.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${counts.map((row, i) => html`<tr><th scope="row">${labels[i]}</th>${row.map((cell, j) => square(cell, sum(row), i === j, labels[i], labels[j]))}</tr>`)}</tbody>
    </table></div>` : mistakes(confusion)}
    <p class="faint small">${count(correct)} of ${count(rows)} right (${percent(correct / rows, 1)})${confusion.threshold === null ? "" : `; positive from a score of ${confusion.threshold} on`}.</p>
  </div>`;
}

const sum = (row) => row.reduce((total, cell) => total + cell, 0);

function square(cell, total, right, actual, answered) {
  const share = total ? cell / total : 0;
  const shade = { background: `color-mix(in srgb, var(${right ? "--ok" : "--crit"}) ${Math.round(34 * share)}%, transparent)` };
  return html`<td style=${shade} title=${`${count(cell)} of ${count(total)} ${actual} were answered ${answered}`}><b>${count(cell)}</b><small>${total ? percent(share, share < 0.1 ? 1 : 0) : "–"}</small></td>`;
}

const mistakes = ({ most }) => html`<table class="table dense"><thead><tr><th scope="col">actual</th><th scope="col">answered</th><th scope="col" class="num">rows</th></tr></thead>
  <tbody>${most.map((item) => html`<tr><td>${item.actual}</td><td>${item.predicted}</td><td class="num">${count(item.rows)}</td></tr>`)}</tbody></table>`;
