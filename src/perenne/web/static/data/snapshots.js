// The snapshots of a dataset: what each is, how it differs from the one before, who used it, and what validation found over time.
import { html } from "../core/dom.js";
import { Card, Chip, Time } from "../core/parts.js";
import { Strip } from "../core/charts/strip.js";
import { bytes, day, number, plural } from "../core/format.js";
import { Validity, hrefOf, short, span } from "./words.js";

const TITLES = ["snapshot", "taken", "rows", "since the one before", "rows from – to", "validation", "used by", "source"];

export function Snapshots({ data }) {
  const more = data.total - data.snapshots.length;
  return html`<${Card} title="Snapshots" note="newest first; the same rows are one snapshot" tools=${html`<${Validations} data=${data} />`} flush=${true}>
    <div class="scroll data-snapshots" tabindex="0" role="region" aria-label="Snapshots"><table class="table dense">
      <thead><tr>${TITLES.map((title) => html`<th scope="col" class=${title === "rows" ? "num" : ""}>${title}</th>`)}</tr></thead>
      <tbody>${data.snapshots.map((item) => html`<${Line} key=${item.id} item=${item} data=${data} />`)}</tbody>
    </table></div>
    ${more > 0 ? html`<div class="foot">${plural(more, "older snapshot")}; <code>perenne data list</code> shows them</div>` : null}
  <//>`;
}

function Line({ item, data }) {
  const used = item.versions.total || item.runs.total;
  return html`<tr class=${item.id === data.snapshot.id ? "data-shown" : ""}>
    <td><a href=${`${hrefOf(data.name)}?snapshot=${item.id}`} aria-current=${item.id === data.snapshot.id ? "true" : undefined}><code>${short(item.id)}</code></a></td>
    <td><${Time} at=${item.taken} /></td>
    <td class="num">${number(item.rows)}</td>
    <td><${Changed} changed=${item.changed} /></td>
    <td>${span(item.first ?? item.start, item.last ?? item.end)}</td>
    <td><${Validity} ...${item} /></td>
    <td>${item.versions.newest.map((version) => html`<a href=${versionHref(version)}>${version}</a>`).reduce(listed, [])}${left(item.versions)}${item.versions.total && item.runs.total ? " · " : ""}${item.runs.total ? html`<a href=${`/lineage/snapshot/${item.id}`}>${plural(item.runs.total, "run")}</a>` : null}${used ? null : html`<span class="faint">nobody yet</span>`}</td>
    <td class="dim data-source" title=${item.source}>${item.source.split("/").at(-1)}</td>
  </tr>`;
}

/** What changed since the snapshot before, in a few words. */
export function Changed({ changed }) {
  if (!changed) return html`<span class="faint">the first</span>`;
  const names = (list, tone, word) => (list.length ? html` <${Chip} tone=${tone} title=${list.join(", ")}>${word} ${list.length === 1 ? list[0].slice(0, 24) : plural(list.length, "column")}<//>` : null);
  const rows = changed.rows ? `${step(changed.rows)} rows` : "as many rows";
  const findings = changed.findings ? html` <${Chip} tone=${changed.findings > 0 ? "warn" : "ok"}>${step(changed.findings)} ${Math.abs(changed.findings) === 1 ? "finding" : "findings"}<//>` : null;
  return html`<span title=${`${changed.bytes < 0 ? "−" : "+"}${bytes(Math.abs(changed.bytes))}, since ${short(changed.before)}`}>${rows}</span>${names(changed.added, "info", "new")}${names(changed.removed, "warn", "gone")}${names(changed.retyped, "warn", "retyped")}${findings}`;
}

const step = (value) => `${value > 0 ? "+" : "−"}${number(Math.abs(value))}`;

/** One cell for each snapshot, oldest first: whether it kept its schema. */
function Validations({ data }) {
  const told = [...data.snapshots].reverse();
  if (!told.some((item) => item.errors !== null)) return null;
  const cells = told.map((item) => ({ tone: toneOf(item), title: `${day(item.taken)} ${short(item.id)}: ${wordOf(item)}` }));
  const broken = told.filter((item) => item.errors).length;
  return html`<span class="data-strip"><span class="dim small">validations</span> <${Strip} cells=${cells} cell=${8} label=${`validations of ${plural(told.length, "snapshot")}, oldest first: ${broken} with errors`} /></span>`;
}

const toneOf = (item) => (item.errors === null ? undefined : item.errors ? "crit" : item.warnings ? "warn" : "ok");

const wordOf = (item) => (item.errors === null ? "not validated" : item.errors || item.warnings ? `${plural(item.errors, "error")}, ${plural(item.warnings, "warning")}` : "keeps every rule");

const listed = (all, item) => (all.length ? [...all, ", ", item] : [item]);

const left = (uses) => (uses.total > uses.newest.length ? ` and ${uses.total - uses.newest.length} more` : "");

function versionHref(id) {
  const at = id.lastIndexOf("@");
  return `/model/${encodeURIComponent(id.slice(0, at))}?version=${id.slice(at + 1)}`;
}
