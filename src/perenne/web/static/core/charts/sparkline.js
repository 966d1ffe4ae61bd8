// A small line without axes: the shape of a series, in a table.
import { html } from "../dom.js";

export function Sparkline({ values, label, width = 84, height = 22, tone }) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length < 2) return html`<span class="faint small">${known.length ? "one value" : "–"}</span>`;
  const low = Math.min(...known);
  const scale = (height - 4) / (Math.max(...known) - low || 1);
  const step = (width - 2) / (values.length - 1);
  let path = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (value === null || value === undefined) pen = "M";
    else {
      path += `${pen}${(1 + i * step).toFixed(1)},${(height - 2 - (value - low) * scale).toFixed(1)}`;
      pen = "L";
    }
  });
  return html`<svg class=${`sparkline ${tone || ""}`} width=${width} height=${height} role="img" aria-label=${label}><title>${label}</title><path d=${path} /></svg>`;
}
