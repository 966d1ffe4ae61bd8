// A graph in layers, from left to right: boxes that lead somewhere, and curves between them.
import { html } from "../core/dom.js";
import { hrefOf } from "./lineages.js";

const WIDE = 154;
const GAP = 36;
const ROW = 58;
const HIGH = 44;

/** `nodes`: `[{id, kind, title, note, path, state}]`, `edges`: `[{from, to, label}]`; the node `focus` is marked. */
export function Dag({ nodes, edges, focus, label }) {
  const places = layout(nodes, edges);
  const size = [...places.values()].reduce((most, at) => ({ x: Math.max(most.x, at.x + WIDE), y: Math.max(most.y, at.y + HIGH) }), { x: 0, y: 0 });
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${label}>
    <div class="lineage-graph" style=${{ width: `${size.x + 2}px`, height: `${size.y + 2}px` }}>
      <svg width=${size.x} height=${size.y} aria-hidden="true">${edges.map((edge) => html`<path d=${curve(places.get(edge.from), places.get(edge.to))}><title>${edge.label}</title></path>`)}</svg>
      ${nodes.map((node) => {
        const at = places.get(node.id);
        const style = { left: `${at.x}px`, top: `${at.y}px`, width: `${WIDE}px`, height: `${HIGH}px` };
        return html`<a key=${node.id} href=${node.kind === "more" ? node.path : node.id === focus && node.path ? node.path : hrefOf(node)} class=${`lineage-node ${node.kind} ${node.id === focus ? "focus" : ""}`} style=${style} aria-current=${node.id === focus ? "true" : undefined} title=${`${node.title}: ${node.note || node.kind}`}>
          <span class="lineage-title">${node.state === "none" ? null : html`<i class=${`dot ${node.state}`}></i>`}<b>${node.title}</b></span>${node.note ? html`<span class="faint small">${node.kind === node.note ? node.kind : `${node.kind}, ${node.note}`}</span>` : null}</a>`;
      })}
    </div>
  </div>`;
}

function curve(from, to) {
  const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, to.x, to.y + HIGH / 2];
  const bend = Math.max(24, Math.abs(x2 - x1) / 2);
  return `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
}

/** Put every node one layer after the last of those it comes from; within a layer near what it hangs together with. */
export function layout(nodes, edges) {
  const layer = new Map(nodes.map((node) => [node.id, 0]));
  for (let pass = 0; pass < nodes.length; pass++) {
    let moved = false;
    for (const { from, to } of edges) {
      if (layer.get(to) > layer.get(from) || layer.get(from) >= nodes.length) continue;
      layer.set(to, layer.get(from) + 1);
      moved = true;
    }
    if (!moved) break;
  }
  for (const node of nodes) {
    const next = edges.filter((edge) => edge.from === node.id).map((edge) => layer.get(edge.to));
    if (next.length && !edges.some((edge) => edge.to === node.id)) layer.set(node.id, Math.min(...next) - 1);
  }
  const columns = [...new Set(layer.values())].sort((a, b) => a - b).map((at) => nodes.filter((node) => layer.get(node.id) === at));
  const rank = new Map();
  const near = (id) => {
    const known = edges.filter((edge) => edge.to === id && rank.has(edge.from)).map((edge) => rank.get(edge.from));
    return known.length ? known.reduce((sum, at) => sum + at, 0) / known.length : Infinity;
  };
  const tallest = Math.max(...columns.map((column) => column.length));
  const places = new Map();
  columns.forEach((column, x) => {
    const sorted = [...column].sort((a, b) => near(a.id) - near(b.id) || 0);
    sorted.forEach((node, y) => {
      rank.set(node.id, y + (tallest - column.length) / 2);
      places.set(node.id, { x: 1 + x * (WIDE + GAP), y: 1 + (y + (tallest - column.length) / 2) * ROW });
    });
  });
  return places;
}
