// The columns of a snapshot, a window of them at a time; one opens in place.
import { html } from "../core/dom.js";
import { Chip, Facts, Table } from "../core/parts.js";
import { go, setQuery } from "../core/router.js";
import { Overlay } from "../core/charts/overlay.js";
import { count, number, percent, plural } from "../core/format.js";
import { Difference, Flags, Name, Sketch, date, short, span, values } from "./words.js";

const WINDOW = 200;

export function Columns({ data, query, stale }) {
  if (!data.columns.length) return html`<p class="none dim">${query.find ? "No column is called so." : "There is no column here."}</p>`;
  const asked = Number(query.offset) || 0;
  const offset = asked < data.total_columns ? asked : 0;
  const wide = 5 + (data.compared ? 1 : 0) + (data.target ? 1 : 0);
  return html`<div class="scroll data-columns" tabindex="0" role="region" aria-label="Columns"><table class="table">
      <thead><tr><th scope="col">column</th><th scope="col">shape</th>${data.compared ? html`<th scope="col">difference</th>` : null}<th scope="col">values</th><th scope="col" class="num">missing</th><th scope="col" class="num">different</th>${data.target ? html`<th scope="col" class="num" title="how much it tells of the target, from 0 to 1">tells of ${data.target}</th>` : null}</tr></thead>
      <tbody>${data.columns.map((line) => html`<${Line} key=${`${line.place} ${line.name}`} line=${line} data=${data} open=${query.column === line.name} wide=${wide} stale=${stale} />`)}</tbody>
    </table></div>
    ${data.total_columns > data.columns.length ? html`<div class="foot"><span>${number(offset + 1)} – ${number(offset + data.columns.length)} of ${plural(data.total_columns, "column")}</span><span class="grow"></span>
      ${offset ? html`<button class="button small" onClick=${() => setQuery({ offset: Math.max(0, offset - WINDOW) || null, column: null }, { push: true })}>Earlier</button>` : null}
      ${offset + data.columns.length < data.total_columns ? html`<button class="button small" onClick=${() => setQuery({ offset: offset + WINDOW, column: null }, { push: true })}>Further</button>` : null}</div>` : null}`;
}

/** The address with a column opened, or closed; also one whose name is empty. */
function toggled(name, open) {
  const query = new URLSearchParams(location.search);
  if (open) query.delete("column");
  else query.set("column", name);
  return `${location.pathname}?${query}`;
}

function Line({ line, data, open, wide, stale }) {
  const toggle = () => go(toggled(line.name, open), { replace: true });
  const rows = line.count + line.nulls;
  return html`<tr class=${`leads ${open ? "data-shown" : ""}`} onClick=${(event) => !event.target.closest("a, button") && !getSelection()?.toString() && toggle()}>
      <td><button class="plain data-opens" aria-expanded=${open} onClick=${toggle}><span class="data-mark" aria-hidden="true">${open ? "−" : "+"}</span><${Name} text=${line.name} /></button>
        <div class="data-under"><span class="faint">${line.type}</span> <${Flags} flags=${line.flags} />${line.findings ? html`<${Chip} tone="warn">${plural(line.findings, "finding")}<//>` : null}</div></td>
      <td><${Sketch} heights=${line.sketch} label=${`the shape of ${line.name.slice(0, 60) || "a column without a name"}`} /></td>
      ${data.compared ? html`<td class="data-difference"><${Difference} change=${line.difference} /></td>` : null}
      <td class="data-values">${values(line)}</td>
      <td class="num">${line.nulls ? percent(line.nulls / rows, 1) : html`<span class="faint">none</span>`}</td>
      <td class="num">${count(line.distinct)}</td>
      ${data.target ? html`<td class="num">${line.told === null ? "–" : number(line.told, 2)}</td>` : null}
    </tr>
    ${open ? html`<tr class="data-detail"><td colspan=${wide}>${data.column && data.column.name === line.name ? html`<${Detail} column=${data.column} data=${data} />` : html`<p class="dim" role="status">${stale ? "…" : "There is nothing more to show."}</p>`}</td></tr>` : null}`;
}

function Detail({ column, data }) {
  const { profile, overlay } = column;
  const labels = data.compared ? [`snapshot ${short(data.against)}`, `snapshot ${short(data.snapshot.id)}`] : ["", "share of rows"];
  const time = profile.type === "timestamp";
  return html`<div class="data-open">
    <div>
      ${data.column.name.length > 40 ? html`<p><${Name} text=${column.name} full=${true} /></p>` : null}
      ${overlay ? html`<${Overlay} ...${overlay} labels=${labels} label=${`histogram of ${column.name.slice(0, 60)}`} edge=${time ? date : undefined} />` : html`<p class="dim">There is no value to draw${data.compared ? ", or the two cannot share a scale" : ""}.</p>`}
      ${overlay && data.compared && !overlay.exact ? html`<p class="small faint">Both in the same cells; within the cells of its own histogram a value is taken as spread evenly.</p>` : null}
      ${overlay?.edges ? html`<p class="small faint">Every cell is drawn as wide as the next, whatever it spans; the tails beyond the 1st and the 99th percentile are one cell each.</p>` : null}
    </div>
    <div class="side">
      <${Facts} rows=${facts(profile)} />
      <${Rules} rules=${column.rules} />
    </div>
    ${column.findings.length ? html`<div class="data-broken"><h3>Breaks</h3>${column.findings.map((item) => html`<p>${item.check.replaceAll("_", " ")}: expected ${item.expected}; not so in ${plural(item.count, "row")}${item.sample_rows.length ? html`, such as ${item.sample_rows.map((sample, i) => html`${i ? ", " : ""}row ${number(sample.row)}${sample.value === null ? "" : html` <code>${sample.value.slice(0, 80)}</code>`}`)}` : null}</p>`)}</div>` : null}
    ${profile.target ? html`<div class="data-target"><h3>Mean of ${data.target} by value</h3><${Means} bins=${profile.target.bins} /></div>` : null}
    ${profile.top.length && !overlay?.levels ? html`<div><h3>Most frequent values</h3><${Top} top=${profile.top} count=${profile.count} /></div>` : null}
  </div>`;
}

/** The target by value of the column: bars, or a table if some are negative. */
function Means({ bins }) {
  if (bins.every((bin) => bin.mean >= 0))
    return html`<${Overlay} levels=${bins.map((bin) => bin.label)} current=${bins.map((bin) => bin.mean)} reference=${null} labels=${["", "mean"]} label="mean of the target by value" value=${(mean) => number(mean)} />`;
  return html`<${Table} dense=${true} label="mean of the target by value" rows=${bins} columns=${[{ key: "label", title: "value" }, { key: "rows", num: true }, { key: "mean", num: true }]} />`;
}

const Top = ({ top, count: all }) => html`<div class="scroll data-top" tabindex="0" role="region" aria-label="Most frequent values"><table class="table dense"><thead><tr><th scope="col">value</th><th scope="col" class="num">rows</th><th scope="col" class="num">share</th></tr></thead>
  <tbody>${top.map((item) => html`<tr><td><${Name} text=${item.value} /></td><td class="num">${number(item.count)}</td><td class="num">${percent(item.count / all, 1)}</td></tr>`)}</tbody></table></div>`;

function facts(profile) {
  const { numbers, text, times } = profile;
  const shared = [["Values", number(profile.count)], ["Missing", number(profile.nulls)], ["Different", number(profile.distinct)]];
  if (numbers) {
    const [q1, q5, q25, q50, q75, q95, q99] = numbers.quantiles;
    return [...shared, ["Least – most", `${number(numbers.min)} – ${number(numbers.max)}`], ["Middle half", `${number(q25)} – ${number(q75)}`], ["Median", number(q50)], ["1, 5, 95, 99 %", [q1, q5, q95, q99].map((q) => number(q)).join(" · ")], ["Mean ± sd", `${number(numbers.mean)} ± ${number(numbers.sd)}`], ["Zeros", number(numbers.zeros)], ["Negative", number(numbers.negatives)], ["Infinite", numbers.infinite ? number(numbers.infinite) : null], ["Far outside", numbers.outliers ? plural(numbers.outliers, "value") : null]];
  }
  if (times) return [...shared, ["Span", span(times.min, times.max)], ["In order", times.ascending ? "yes" : "no"], ["Per", times.period]];
  if (text) return [...shared, ["Length", text.min_length === text.max_length ? number(text.min_length) : `${number(text.min_length)} – ${number(text.max_length)}`], ["Shapes", text.shapes.map((item) => html`<code class="data-shape">${item.value || "empty"}</code> `)], ["Entropy", `${number(text.entropy)} bits`]];
  return shared;
}

/** What the schema that this snapshot would give asks of the next one. */
function Rules({ rules }) {
  const told = Object.entries(rules).filter(([, value]) => value !== null && value !== false && !(Array.isArray(value) && !value.length));
  return html`<details class="small"><summary>Schema</summary><${Facts} rows=${told.map(([name, value]) => [name.replaceAll("_", " "), Array.isArray(value) ? value.join(", ") : typeof value === "number" ? number(value) : String(value)])} /></details>`;
}
