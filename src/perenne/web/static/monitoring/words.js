// How monitoring's states are called and coloured, the same on every screen.
import { html } from "../core/dom.js";
import { State } from "../core/parts.js";
import { number, percent } from "../core/format.js";

const STATES = {
  alarm: ["crit", "in alarm"],
  warn: ["warn", "to watch"],
  ok: ["ok", "no drift"],
  gap: ["none", "too much was not logged"],
  too_few: ["none", "too few rows to tell"],
  no_data: ["none", "no window yet"],
  none: ["none", "not watched"],
};

/** `[tone, words]` of a window or a deployment. */
export const stateOf = (state) => STATES[state] || ["none", state];

export const WindowState = ({ state, healthy = false }) => {
  const [tone, word] = stateOf(state);
  return html`<${State} tone=${tone} word=${healthy && state === "ok" ? "healthy" : word} />`;
};

export const SOURCES = {
  realised: ["realised, from labels", "What came true: from the labels that have come."],
  estimated: ["estimated, from scores alone", "No label is used: an estimate from the model's own scores, wrong if what they mean has changed."],
  measured: ["measured", "Counted in the answers themselves."],
};

export const STANDINGS = {
  met: ["ok", "met"],
  missed: ["crit", "missed"],
  unsure: ["warn", "beyond the limit, maybe by chance"],
  unknown: ["none", "unknown"],
};

const PSEUDO = {
  "@score": "score of the answers", "@prediction": "answers", "@together": "combination of the inputs", "@cluster": "nearest centre of the reference",
  "@distance": "distance to the nearest centre",
};

/** What a feature is called: what the model itself answers has a name of its own. */
export const featureName = (name) => PSEUDO[name] || name;

const UNITS = { latency_p50_ms: "ms", latency_p99_ms: "ms" };
const SHARES = ["error_rate", "availability"];

/** A metric's value with its unit. */
export function figure(metric, value) {
  if (value === null || value === undefined) return number(value);
  if (SHARES.includes(metric)) return percent(value, value && value < 0.01 ? 2 : 1);
  return UNITS[metric] ? `${number(value)} ${UNITS[metric]}` : number(value);
}
