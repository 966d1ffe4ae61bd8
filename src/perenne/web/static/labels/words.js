// How labels are named and shown: values, classes with their key, fields of a row.
import { html } from "../core/dom.js";
import { number } from "../core/format.js";

export const hrefOf = (name, rest = "") => `/label/${encodeURIComponent(name)}${rest}`;

export const ORDERS = [["", "in the order stated"], ["random", "at random"], ["uncertain", "uncertain first"], ["disagreement", "disagreement first"], ["suspect", "likely wrong first"]];

/** A value as it is read: a class, several, a number, a text, spans. */
export function said(value) {
  if (Array.isArray(value)) return value.length ? value.map((one) => (typeof one === "string" ? one : one.label ? `${one.label} ${one.start}–${one.end}` : "…")).join(", ") : "none of them";
  return typeof value === "number" ? number(value, 6) : String(value);
}

/** A class: its colour as a square beside its name, which says the same. */
export const Klass = ({ item }) => html`<span class="label-name">${item.colour ? html`<i class="label-colour" style=${{ background: item.colour }}></i>` : null}${item.name}</span>`;

const PICTURE = /^data:image\/(png|jpeg|gif|webp);base64,/;
const ADDRESS = /^https?:\/\//;

/** A field of a row, as text; an address can be followed, and a picture that lies in the row itself is drawn. */
export function Field({ value }) {
  if (value === null || value === undefined || value === "") return html`<span class="faint">${value === "" ? "empty" : "missing"}</span>`;
  const text = typeof value === "number" ? number(value, 12) : String(value);
  if (ADDRESS.test(text)) return html`<a href=${text} target="_blank" rel="noopener noreferrer">${text}</a>`;
  return text;
}

/** The row as a labeller sees it: its text large, its picture, and the other fields by name. */
export function Item({ item, definition }) {
  const { text, image } = definition;
  const rest = Object.entries(item.fields).filter(([name]) => name !== text && name !== image);
  const picture = image ? item.fields[image] : null;
  return html`<article class="label-item" aria-label="The item">
    ${picture ? html`<div class="label-picture">${PICTURE.test(picture) ? html`<img src=${picture} alt=${`The picture in ${image}`} />` : ADDRESS.test(picture) ? html`<a class="button" href=${picture} target="_blank" rel="noopener noreferrer">Open the picture</a> <span class="faint small">${picture}</span>` : html`<${Field} value=${picture} />`}</div>` : null}
    ${text && definition.kind !== "spans" ? html`<p class="label-text">${item.fields[text] === null ? html`<span class="faint">missing</span>` : String(item.fields[text] ?? "")}</p>` : null}
    ${rest.length ? html`<dl class="facts label-fields">${rest.map(([name, value]) => html`<dt>${name}</dt><dd><${Field} value=${value} /></dd>`)}</dl>` : null}
  </article>`;
}
