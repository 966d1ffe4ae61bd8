// What columns and findings are called, and their small pictures.
import { html } from "../core/dom.js";
import { Chip, State } from "../core/parts.js";
import { day, number, percent, plural } from "../core/format.js";

/** A name as it is: what cannot be seen is shown by its picture, and nothing at all is said to be so. */
export const Name = ({ text, full = false }) =>
  text === "" ? html`<i class="faint">empty name</i>` : html`<span class=${full ? "data-name full" : "data-name"} title=${full ? undefined : text.slice(0, 1000)}>${seen(full ? text : text.slice(0, 300))}</span>`;

const seen = (text) => text.replace(/[\u0000-\u001f]/g, (letter) => String.fromCharCode(0x2400 + letter.charCodeAt(0)));

/** What validation found, in a word. */
export function Validity({ errors, warnings }) {
  if (errors === null || errors === undefined) return html`<${State} tone="none" word="not validated" title="it was held against no schema yet" />`;
  const told = [errors ? plural(errors, "error") : "", warnings ? plural(warnings, "warning") : ""].filter(Boolean).join(", ");
  return html`<${State} tone=${errors ? "crit" : warnings ? "warn" : "ok"} word=${told || "keeps every rule"} />`;
}

const LATEST = 8.64e18;

/** The day of an instant of the data, which may be the very first one, or one that no calendar here reaches. */
export const date = (at) => (at === 0 ? "1970-01-01" : Math.abs(at) > LATEST ? number(at) : day(at));

/** A span of days; unknown is a dash. */
export const span = (first, last) => (first === null || first === undefined ? "–" : date(first) === date(last) ? date(first) : `${date(first)} – ${date(last)}`);

/** The shape of a column, in a table. */
export function Sketch({ heights, label, width = 108, height = 24 }) {
  if (!heights.length) return html`<span class="faint small">no value</span>`;
  const top = Math.max(...heights) || 1;
  const step = Math.min(width / heights.length, 14);
  const path = heights.map((value, i) => (value ? `M${(i * step).toFixed(2)},${height}V${(height - Math.max(1, (value / top) * (height - 1))).toFixed(2)}h${Math.max(0.6, step - 0.7).toFixed(2)}V${height}z` : "")).join("");
  return html`<svg class="data-sketch" width=${width} height=${height} role="img" aria-label=${label}><title>${label}</title><path d=${path} /></svg>`;
}

/** The values of a column in a few words. */
export function values(line) {
  if (line.type === "timestamp") return span(line.low, line.high);
  if (line.middle !== null) return `${number(line.low)} to ${number(line.high)}, half below ${number(line.middle)}`;
  if (!line.count) return "no value";
  if (line.masked) return html`<span class="faint">values are hidden</span>`;
  if (line.distinct === line.count) return html`all different, such as <${Name} text=${line.most} />`;
  if (line.most_rows < 0.01 * line.count) return html`none frequent, such as <${Name} text=${line.most} />`;
  return html`mostly <${Name} text=${line.most} /> <span class="faint">${percent(line.most_rows / line.count)}</span>`;
}

/** How much two columns differ, by a rule of thumb: a stability index below 0.1 is little, above 0.25 is much. */
export function Difference({ change }) {
  if (!change) return "–";
  if (change.change === "new" || change.change === "gone") return html`<${Chip} tone="warn">${change.change}<//> <span class="dim">${change.words}</span>`;
  const tone = change.psi === null ? "none" : change.psi >= 0.25 ? "crit" : change.psi >= 0.1 ? "warn" : "ok";
  const word = change.psi === null ? "not measured" : change.psi >= 0.25 ? "much" : change.psi >= 0.1 ? "some" : "little";
  return html`<${State} tone=${tone} word=${word} title=${change.psi === null ? undefined : `PSI ${number(change.psi)}, Jensen-Shannon distance ${number(change.js)}`} />
    ${change.psi === null ? null : html`<span class="data-psi faint">PSI ${change.psi.toFixed(2)}</span>`} <span class="dim">${change.words}</span>`;
}

export const FLAGS = {
  all_missing: ["no value", "every value is missing"],
  constant: ["constant", "one value in every row"],
  id: ["names rows", "nearly every value is different"],
  spike: ["spike", "one value is much more frequent than any other"],
  heaped: ["heaped", "many values are multiples of five"],
  outliers: ["outliers", "values far outside the quartiles"],
  several_modes: ["several peaks", "the histogram has more than one peak"],
  rare: ["rare levels", "some levels have less than a hundredth of the rows each"],
  blank: ["blank texts", "some texts hold nothing but spaces"],
  future: ["in the future", "some times are later than the profile"],
  personal: ["personal?", "it seems to hold personal data"],
  leak: ["leak?", "it tells so much of the target that it may know it"],
};

export const Flags = ({ flags }) => flags.map((flag) => html`<${Chip} tone=${["leak", "all_missing", "future", "personal"].includes(flag) ? "warn" : "none"} title=${FLAGS[flag]?.[1]}>${FLAGS[flag]?.[0] || flag}<//> `);

/** The address of a dataset; a slash in its name stays one. */
export const hrefOf = (name) => `/data/${name.split("/").map(encodeURIComponent).join("/")}`;

export const short = (id) => id.slice(0, 12);
