// Going through a list in windows of rows.
import { html } from "../core/dom.js";
import { count } from "../core/format.js";
import { withQuery } from "../core/router.js";

export function Pages({ offset, limit, total }) {
  if (total <= limit && !offset) return null;
  const last = Math.min(offset + limit, total);
  return html`<span class="row small dim"><span>${count(Math.min(offset + 1, total))}–${count(last)} of ${count(total)}</span>
    ${offset ? html`<a class="button small" href=${withQuery({ offset: Math.max(0, offset - limit) || null })}>Previous</a>` : null}
    ${last < total ? html`<a class="button small" href=${withQuery({ offset: offset + limit })}>Next</a>` : null}</span>`;
}
