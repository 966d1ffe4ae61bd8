// Guards over time: guardrails as they are watched while a window runs, callers compared, outcomes, and the rates of groups.
import { html } from "../core/dom.js";
import { count, plural, when } from "../core/format.js";
import { Card, State } from "../core/parts.js";
import { Lines } from "../core/charts/lines.js";
import { figure } from "./words.js";

const STANDINGS = { met: ["ok", "kept"], unsure: ["warn", "not sure"], missed: ["crit", "breached"], unknown: ["none", "not known"] };
const SOURCES = { realised: "from single answers", reported: "as others computed it" };
const STOPS = { previous: "the previous version answers", constant: "the constant answers", person: "people answer", alert: "people are told" };
const NAMES = { override_rate: "answers that people decided otherwise" };

/** All of a deployment's guards; nothing where it has none. `onPick` chooses a window. */
export function Guards({ guards, onPick }) {
  if (!guards || !(guards.outcomes.length || guards.groups.length || guards.lasting.length)) return null;
  return html`<section class="monitoring-guards" aria-label="Guards">
    <${Lasting} points=${guards.lasting} />
    <div class="monitoring-charts">
      ${comparisons(guards.lasting).map((points) => html`<${Compared} key=${points[0].guardrail} points=${points} onPick=${onPick} />`)}
      ${by(guards.outcomes, (point) => point.name + point.by).map((points) => html`<${Outcome} key=${points[0].name + points[0].by} points=${points} onPick=${onPick} />`)}
      ${by(guards.groups, (point) => point.by + point.rate).map((points) => html`<${Groups} key=${points[0].by + points[0].rate} points=${points} least=${guards.minimum_rows} onPick=${onPick} />`)}
    </div>
  </section>`;
}

/** The newest look at each guardrail that is known while its window runs. */
function Lasting({ points }) {
  const newest = by(points, (point) => point.guardrail).map((all) => all[all.length - 1]);
  if (!newest.length) return null;
  return html`<${Card} title="Guardrails, as last looked at" note="with limits that hold however often one looks">
    <div class="scroll" tabindex="0" role="region" aria-label="Guardrails as last looked at"><table class="table dense">
      <thead><tr><th scope="col">Guardrail</th><th scope="col">Now</th><th scope="col" class="num">Value</th><th scope="col" class="num">From</th><th scope="col" class="num">To</th><th scope="col" class="num">Limit</th><th scope="col">After a breach</th><th scope="col">Looked at</th></tr></thead>
      <tbody>${newest.map(({ guardrail, state, looked }) => html`<tr>
        <td>${guardrail}</td><td><${State} tone=${STANDINGS[state.standing][0]} word=${STANDINGS[state.standing][1]} /></td>
        ${[state.figure.value, state.figure.low, state.figure.high].map((value) => html`<td class="num">${shown(guardrail, value)}</td>`)}
        <td class="num">${state.at_least ? "≥" : "≤"} ${shown(guardrail, state.limit)}</td><td>${STOPS[state.stop]}</td>
        <td class="dim">${when(looked)}, ${plural(state.figure.rows, "row")}</td></tr>`)}</tbody>
    </table></div>
  <//>`;
}

/** How much an outcome differs between callers of the model and others, against the margin. */
function Compared({ points, onPick }) {
  const { state, guardrail } = points[points.length - 1];
  const inside = { met: "wholly inside the margin", missed: "wholly beyond the margin", unsure: "not yet told from the margin" };
  return html`<${Card} title=${guardrail} note=${`margin ${state.at_least ? "≥" : "≤"} ${state.limit}: ${inside[state.standing] || state.standing}`}>
    <${Lines} label=${`${guardrail}, difference by window`} x=${points.map((point) => point.start)} time height=${170} onPick=${onPick}
      yFormat=${(value) => shown(guardrail, value)} limit=${{ value: state.limit, label: state.at_least ? "at least" : "at most" }}
      series=${[band("difference", points, (point) => point.state.figure)]} />
    <p class="small faint">Callers were drawn by chance; the interval may be looked at always.</p>
  <//>`;
}

function Outcome({ points, onPick }) {
  const { name, by: column } = points[0];
  const lines = by(points, (point) => `${point.source} ${point.variant} ${point.group}`);
  const x = instants(points);
  const series = lines.map((all) => {
    const { source, group, variant } = all[0];
    return { ...over(x, all), label: [group, variant === "holdout" ? "held out" : "", SOURCES[source] || source].filter(Boolean).join(", "), dash: source === "reported" };
  });
  return html`<${Card} title=${NAMES[name] || name} note=${column ? `outcome, by ${column}` : "outcome"}>
    <${Lines} label=${`${name} by window`} x=${x} time height=${170} yFormat=${(value) => shown(name, value)} series=${series} onPick=${onPick} />
    <p class="small faint">${count(points.reduce((sum, point) => sum + point.n, 0))} values in ${plural(x.length, "window")}.</p>
  <//>`;
}

function Groups({ points, least, onPick }) {
  const { by: column, rate } = points[0];
  const x = instants(points);
  const compared = by(points.filter((point) => !point.left_out), (point) => point.group);
  const small = [...new Set(points.filter((point) => point.left_out).map((point) => point.group))];
  return html`<${Card} title=${`${rate.replaceAll("_", " ")} by ${column}`} note="groups that guardrails compare">
    <${Lines} label=${`${rate} by ${column} and window`} x=${x} time height=${170} yFormat=${(value) => shown(rate, value)} onPick=${onPick}
      series=${compared.map((all) => ({ ...over(x, all), label: all[0].group }))} />
    ${small.length ? html`<p class="small">Left out of comparisons in some window, with fewer than ${least} rows: ${small.join(", ")}.</p>` : null}
  <//>`;
}

const comparisons = (points) => by(points.filter((point) => point.compared), (point) => point.guardrail);

const shown = (name, value) => (value === null || value === undefined ? "–" : figure(name.split(" ")[0], value));

const instants = (points) => [...new Set(points.map((point) => point.start))].sort((a, b) => a - b);

const band = (label, points, told) => ({ label, values: points.map((p) => told(p).value), low: points.map((p) => told(p).low ?? null), high: points.map((p) => told(p).high ?? null) });

/** A line over given instants, with gaps where it has no point. */
function over(x, points) {
  const at = new Map(points.map((point) => [point.start, point]));
  const pick = (name) => x.map((instant) => at.get(instant)?.[name] ?? null);
  return { values: pick("value"), low: pick("low"), high: pick("high") };
}

/** Things of one kind together, in the order in which the kinds first came. */
function by(items, key) {
  const found = new Map();
  for (const item of items) found.set(key(item), [...(found.get(key(item)) || []), item]);
  return [...found.values()];
}
