// Steps and what they take from one another, in layers from left to right; the state of each by shape, word and colour.
import { html, useMemo, useRef } from "../dom.js";
import { duration } from "../format.js";

const NODE = { width: 110, height: 42 };
const GAP = { across: 20, up: 14 };
const EDGE = 8;
const SWEEPS = 4;
const TONES = { done: "ok", cached: "none", running: "info", failed: "crit", waiting: "none" };

/**
 * `steps`: `[{label, state, took, critical, needs}]` in the order of the calls; `chosen` is a label, `onChoose(label)` hears of it.
 *
 * An arrow that others imply is not drawn: what a step takes from one that comes before its own sources.
 */
export function Dag({ steps, chosen, onChoose, label }) {
  const shape = steps.map((step) => `${step.label}<${step.needs.join()}`).join(";");
  const plan = useMemo(() => lay(steps), [shape]);
  const box = useRef();
  const at = new Map(plan.nodes.map((node) => [node.label, node]));
  const critical = new Set(steps.filter((step) => step.critical).map((step) => step.label));
  const move = (event, step) => {
    if (event.key === "Enter" || event.key === " ") onChoose(step.label);
    else if (!goTo(event.key, step, steps, at, box.current)) return;
    event.preventDefault();
  };
  return html`<div class="dag scroll" ref=${box}>
    <svg width=${plan.width} height=${plan.height} role="group" aria-label=${label}>
      ${plan.edges.map((edge) => html`<path class=${`dag-edge${critical.has(edge.from) && critical.has(edge.to) ? " critical" : ""}`} d=${edge.path} />`)}
      ${steps.map((step) => {
        const { x, y } = at.get(step.label);
        const name = step.label.length > 12 ? `${step.label.slice(0, 11)}…` : step.label;
        const word = `${step.state}${step.took === null ? "" : ` · ${duration(step.took)}`}`;
        return html`<g key=${step.label} class=${`dag-node ${step.state}${step.critical ? " critical" : ""}${step.label === chosen ? " chosen" : ""}`} transform=${`translate(${x} ${y})`}
          tabindex="0" role="button" data-step=${step.label} aria-pressed=${step.label === chosen}
          onClick=${() => onChoose(step.label)} onKeyDown=${(event) => move(event, step)}>
          <rect width=${NODE.width} height=${NODE.height} rx="6" />
          ${sign(step.state)}
          <text aria-hidden="true" class="dag-name" x="23" y="18">${name}</text>
          <text aria-hidden="true" class="dag-word" x="8" y="34">${word}</text>
          <title>${`${step.label} ${word}${step.critical ? ", on the longest path" : ""}`}</title>
        </g>`;
      })}
    </svg></div>`;
}

function sign(state) {
  const tone = `dag-sign ${TONES[state]}`;
  if (state === "failed") return html`<rect class=${tone} x="8" y="9" width="9" height="9" rx="1" />`;
  if (state === "cached") return html`<path class=${tone} d="M8 9h9v3h-9zM8 15h9v3h-9z" />`;
  return html`<circle class=${`${tone} ${state === "done" ? "" : "hollow"}`} cx="12.5" cy="13.5" r="4.2" />`;
}

/** Move the focus along the arrows: to what a step takes from, to what takes from it, or to its neighbours. */
function goTo(key, step, steps, at, box) {
  const here = at.get(step.label);
  const beside = [...at.values()].filter((node) => node.layer === here.layer).sort((a, b) => a.y - b.y);
  const found = {
    ArrowLeft: () => step.needs[0],
    ArrowRight: () => steps.find((other) => other.needs.includes(step.label))?.label,
    ArrowDown: () => beside[beside.indexOf(here) + 1]?.label,
    ArrowUp: () => beside[beside.indexOf(here) - 1]?.label,
  }[key]?.();
  if (!found) return false;
  box.querySelector(`[data-step="${CSS.escape(found)}"]`)?.focus();
  return true;
}

/** Lay steps out in layers (Sugiyama, Tagawa and Toda 1981): by the longest way from a beginning, ordered by where their neighbours lie. */
export function lay(steps) {
  const layer = new Map();
  for (const step of steps) layer.set(step.label, Math.max(0, ...step.needs.filter((need) => layer.has(need)).map((need) => layer.get(need) + 1)));
  const nodes = steps.map((step) => ({ label: step.label, layer: layer.get(step.label), before: [], after: [] }));
  const byLabel = new Map(nodes.map((node) => [node.label, node]));
  const layers = [];
  for (const node of nodes) (layers[node.layer] ||= []).push(node);
  const edges = [];
  const needed = reduced(steps);
  for (const step of steps) for (const need of needed.get(step.label)) if (byLabel.has(need)) edges.push({ from: need, to: step.label, way: thread(byLabel.get(need), byLabel.get(step.label), layers) });
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const order = sweep % 2 ? [...layers].reverse() : layers;
    for (const row of order) row.forEach((node, i) => (node.place = i));
    for (const row of order) {
      const side = sweep % 2 ? "after" : "before";
      row.forEach((node) => (node.middle = node[side].length ? node[side].reduce((total, other) => total + other.place, 0) / node[side].length : node.place));
      row.sort((a, b) => a.middle - b.middle);
      row.forEach((node, i) => (node.place = i));
    }
  }
  const tall = (row) => row.reduce((total, node) => total + (node.bend ? 14 : NODE.height) + GAP.up, -GAP.up);
  const height = Math.max(...layers.map(tall), NODE.height);
  layers.forEach((row, i) => {
    let y = EDGE + (height - tall(row)) / 2;
    for (const node of row) {
      Object.assign(node, { x: EDGE + i * (NODE.width + GAP.across), y });
      y += (node.bend ? 14 : NODE.height) + GAP.up;
    }
  });
  const width = 2 * EDGE + layers.length * (NODE.width + GAP.across) - GAP.across;
  return { nodes, edges: edges.map(({ from, to, way }) => ({ from, to, path: drawn(way) })), width, height: height + 2 * EDGE };
}

/** The sources of each step without those that another of its sources rests on. */
export function reduced(steps) {
  const reach = new Map();
  const kept = new Map();
  for (const step of steps) {
    const over = new Set(step.needs.flatMap((need) => [...(reach.get(need) ?? [])]));
    kept.set(step.label, step.needs.filter((need) => !over.has(need)));
    reach.set(step.label, new Set([...over, ...step.needs]));
  }
  return kept;
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

function drawn(way) {
  let path = "";
  for (let i = 1; i < way.length; i++) {
    const [x1, y1] = [way[i - 1].x + NODE.width, middle(way[i - 1])];
    const [x2, y2] = [way[i].x, middle(way[i])];
    const half = (x1 + x2) / 2;
    path += `${i === 1 ? `M${x1},${y1}` : `L${x1},${y1}`}C${half},${y1} ${half},${y2} ${x2},${y2}`;
  }
  return path;
}

const middle = (node) => node.y + (node.bend ? 7 : NODE.height / 2);
