// The graph of lineage in layers, from left to right: boxes that lead somewhere, and curves between them.
import { html, useEffect, useMemo, useRef } from "../core/dom.js";
import { hrefOf } from "./lineages.js";

const BOX = { width: 158, height: 44 };
const GAP = { across: 34, up: 12 };
const BEND = 8;
const SWEEPS = 4;

/** `nodes`: `[{id, kind, title, note, path, state}]`, `edges`: `[{from, to, label}]`; the node `focus` is marked and brought into sight. */
export function Graph({ nodes, edges, focus, label }) {
  const shape = JSON.stringify([nodes.map((node) => node.id), edges.map((edge) => [edge.from, edge.to])]);
  const plan = useMemo(() => lay(nodes, edges), [shape]);
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

/** Lay out in layers (Sugiyama, Tagawa and Toda 1981): one after the last of what a node comes from, ordered by the neighbours. */
export function lay(nodes, edges) {
  const items = new Map(nodes.map((node) => [node.id, { id: node.id, layer: 0, before: [], after: [] }]));
  const ends = edges.map(({ from, to }) => [items.get(from), items.get(to)]);
  rank(items, ends);
  const rows = [];
  for (const item of items.values()) (rows[item.layer] ||= []).push(item);
  const layers = Array.from(rows, (row) => row || []);
  const ways = ends.map(([from, to]) => thread(from, to, layers));
  order(layers);
  const tall = (row) => row.reduce((total, item) => total + high(item) + GAP.up, -GAP.up);
  const height = Math.max(BOX.height, ...layers.map(tall));
  layers.forEach((row, i) => {
    let y = (height - tall(row)) / 2;
    for (const item of row) {
      Object.assign(item, { x: i * (BOX.width + GAP.across), y });
      y += high(item) + GAP.up;
    }
  });
  return { places: items, paths: ways.map(drawn), width: layers.length * (BOX.width + GAP.across) - GAP.across, height };
}

const high = (item) => (item.bend ? BEND : BOX.height);

/** Give every item its layer; a circle is cut where it closes. What nothing leads to stands just before what it leads to. */
function rank(items, ends) {
  for (let pass = 0, moved = true; moved && pass <= items.size; pass++) {
    moved = false;
    for (const [from, to] of ends) {
      if (to.layer > from.layer || from.layer + 1 >= items.size) continue;
      to.layer = from.layer + 1;
      moved = true;
    }
  }
  const led = new Set(ends.map(([, to]) => to));
  for (const item of items.values()) {
    const next = ends.filter(([from]) => from === item).map(([, to]) => to.layer);
    if (next.length && !led.has(item)) item.layer = Math.max(0, Math.min(...next) - 1);
  }
}

/** Lead an edge through a bend in each layer between its ends. */
function thread(from, to, layers) {
  const way = [from];
  for (let i = from.layer + 1; i < to.layer; i++) {
    const bend = { bend: true, layer: i, before: [], after: [] };
    layers[i].push(bend);
    way.push(bend);
  }
  way.push(to);
  for (let i = 1; i < way.length; i++) {
    way[i].before.push(way[i - 1]);
    way[i - 1].after.push(way[i]);
  }
  return way;
}

function order(layers) {
  layers.forEach((row) => row.forEach((item, i) => (item.place = i)));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 ? "after" : "before";
    for (const row of sweep % 2 ? [...layers].reverse() : layers) {
      for (const item of row) item.middle = item[side].length ? item[side].reduce((total, other) => total + other.place, 0) / item[side].length : item.place;
      row.sort((a, b) => a.middle - b.middle);
      row.forEach((item, i) => (item.place = i));
    }
  }
}

function drawn(way) {
  let path = "";
  for (let i = 1; i < way.length; i++) {
    const [x1, y1, x2, y2] = [way[i - 1].x + BOX.width, way[i - 1].y + high(way[i - 1]) / 2, way[i].x, way[i].y + high(way[i]) / 2];
    const bend = Math.max(14, Math.abs(x2 - x1) / 2);
    path += `${i === 1 ? "M" : "L"}${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
  }
  return path;
}
