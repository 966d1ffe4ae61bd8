// One cell for each window, oldest first: when something was wrong, and how badly.
import { html } from "../dom.js";

/** `cells`: `[{tone | value, title}]`; a value from 0 to 1 is shown as heat, a tone as its colour; neither means unknown. */
export function Strip({ cells, label, cell = 6, height = 18 }) {
  return html`<svg class="strip" width=${Math.max(1, cells.length) * cell} height=${height} role="img" aria-label=${label}>
    ${cells.map((item, i) => html`<rect class=${shade(item)} x=${i * cell} width=${cell - 1} height=${height} rx="1">${item.title ? html`<title>${item.title}</title>` : null}</rect>`)}
  </svg>`;
}

/** The class of a cell. */
export function shade({ tone, value }) {
  if (tone) return `tone-${tone}`;
  if (value === null || value === undefined) return "unknown";
  return `heat-${Math.min(4, Math.floor(value * 5))}`;
}
