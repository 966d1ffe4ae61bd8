// Steps and what they take from one another, in layers from left to right; the state of each by shape, word and colour.
import { html, useMemo, useRef } from "../dom.js";
import { duration } from "../format.js";
import { layered } from "./layers.js";

const NODE = { width: 110, height: 42, across: 20, up: 14, bend: 14 };
const EDGE = 8;
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
  const at = plan.places;
  const critical = new Set(steps.filter((step) => step.critical).map((step) => step.label));
  const move = (event, step) => {
    if (event.key === "Enter" || event.key === " ") onChoose(step.label);
    else if (!goTo(event.key, step, steps, at, box.current)) return;
    event.preventDefault();
  };
  return html`<div class="dag scroll" ref=${box}>
    <svg width=${plan.width + 2 * EDGE} height=${plan.height + 2 * EDGE} viewBox=${`${-EDGE} ${-EDGE} ${plan.width + 2 * EDGE} ${plan.height + 2 * EDGE}`} role="group" aria-label=${label}>
      ${plan.edges.map(([from, to], i) => html`<path class=${`dag-edge${critical.has(from) && critical.has(to) ? " critical" : ""}`} d=${plan.paths[i]} />`)}
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
    ArrowDown: () => beside[beside.indexOf(here) + 1]?.id,
    ArrowUp: () => beside[beside.indexOf(here) - 1]?.id,
  }[key]?.();
  if (!found) return false;
  box.querySelector(`[data-step="${CSS.escape(found)}"]`)?.focus();
  return true;
}

function lay(steps) {
  const needed = reduced(steps);
  const known = new Set(steps.map((step) => step.label));
  const edges = steps.flatMap((step) => needed.get(step.label).filter((need) => known.has(need)).map((need) => [need, step.label]));
  return { ...layered([...known], edges, NODE), edges };
}

/** The sources of each step without those that another of its sources rests on. */
function reduced(steps) {
  const reach = new Map();
  const kept = new Map();
  for (const step of steps) {
    const over = new Set(step.needs.flatMap((need) => [...(reach.get(need) ?? [])]));
    kept.set(step.label, step.needs.filter((need) => !over.has(need)));
    reach.set(step.label, new Set([...over, ...step.needs]));
  }
  return kept;
}
