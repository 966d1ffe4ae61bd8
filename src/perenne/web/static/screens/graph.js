// The graph of lineage in layers, from left to right: boxes that lead somewhere, and curves between them.
import { html, useEffect, useMemo, useRef } from "../core/dom.js";
import { layered } from "../core/charts/layers.js";
import { hrefOf } from "./lineages.js";

const BOX = { width: 158, height: 44, across: 34, up: 12, bend: 8 };

/** `nodes`: `[{id, kind, title, note, path, state}]`, `edges`: `[{from, to, label}]`; the node `focus` is marked and brought into sight. */
export function Graph({ nodes, edges, focus, label }) {
  const shape = JSON.stringify([nodes.map((node) => node.id), edges.map((edge) => [edge.from, edge.to])]);
  const plan = useMemo(
    () =>
      layered(
        nodes.map((node) => node.id),
        edges.map((edge) => [edge.from, edge.to]),
        BOX,
      ),
    [shape],
  );
  const box = useRef();
  useEffect(() => {
    const at = plan.places.get(focus);
    if (at) box.current.scrollLeft = Math.max(0, at.x + BOX.width / 2 - box.current.clientWidth / 2);
  }, [shape, focus]);
  return html`<div class="scroll" ref=${box} tabindex="0" role="group" aria-label=${label}>
    <div class="lineage-graph" style=${{ width: `${plan.width}px`, height: `${plan.height}px` }}>
      <svg width=${plan.width} height=${plan.height} aria-hidden="true">${edges.map((edge, i) => html`<path class=${edge.from === focus || edge.to === focus ? "near" : ""} d=${plan.paths[i]} />`)}</svg>
      ${nodes.map((node) => html`<${Box} key=${node.id} node=${node} at=${plan.places.get(node.id)} mine=${node.id === focus} />`)}
    </div>
  </div>`;
}

function Box({ node, at, mine }) {
  const style = { left: `${at.x}px`, top: `${at.y}px`, width: `${BOX.width}px`, height: `${BOX.height}px` };
  const note = !node.note || node.note === node.kind ? node.kind : `${node.kind}, ${node.note}`;
  return html`<a href=${node.kind === "more" ? node.path : mine && node.path ? node.path : hrefOf(node)} class=${`lineage-node ${node.kind} ${mine ? "focus" : ""}`} style=${style} aria-current=${mine ? "true" : undefined} title=${`${node.title}: ${note}`}>
    <span class="lineage-title">${node.state === "none" ? null : html`<i class=${`dot ${node.state}`}></i>`}<b>${node.title}</b></span>
    ${node.kind === "more" ? null : html`<span class="faint small">${note}</span>`}</a>`;
}
