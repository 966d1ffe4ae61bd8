// Drift over the windows and in one of them: features by how far they moved times how much the answer goes with them.
import { html } from "../core/dom.js";
import { number, percent, plural, when } from "../core/format.js";
import { Bound, Card, Choice, State, Table } from "../core/parts.js";
import { setQuery, withQuery } from "../core/router.js";
import { Lines } from "../core/charts/lines.js";
import { Scatter } from "../core/charts/scatter.js";
import { Strip } from "../core/charts/strip.js";
import { featureName, stateOf } from "./words.js";

const MATTERS = 0.1;
const SHOWN = 10;
const QUADRANTS = {
  act: ["crit", "moved, and matters"],
  harmless: ["warn", "moved, hardly matters"],
  steady: ["ok", "matters, steady"],
  quiet: ["none", "steady"],
};
const BASELINES = { training: "training", production: "first clean days", phase: "same phase of the week", previous: "the window before" };
const times = (value) => `${number(value, 2)}×`;

/** What a window is laid over, and within which group. */
export function DriftTools({ drift }) {
  if (!drift.against) return null;
  return html`${drift.segments.length ? html`<${Choice} name="segment" label="Group" value=${drift.segment} options=${[["", "all rows"], ...drift.segments.map((name) => [name, name])]} />` : null}
    ${drift.segment ? null : html`<${Choice} name="against" label="Laid over" value=${drift.against === drift.baseline ? "" : drift.against} options=${[["", `${BASELINES[drift.baseline] || drift.baseline} (judged by)`], ...Object.entries(BASELINES).filter(([kind]) => kind !== drift.baseline)]} />`}`;
}

/** What became of columns, and whether it was so from the beginning. */
export function DriftRemarks({ drift }) {
  const said = [
    drift.skew ? "so since the first window of this version: what it is asked differs from what it was trained on (training–serving skew)" : "",
    ...drift.schema,
  ].filter(Boolean);
  return said.length ? html`<p class="monitoring-remarks dim">${said.join("; ")}.</p>` : null;
}

/** Features over the windows, in units of what the rule lets pass; of one that is asked for, the distance itself and the rule. */
export function DriftTimelines({ drift, windows, marks, feature, onPick }) {
  const { timelines } = drift;
  if (!timelines.length) return null;
  const x = windows.map((window) => window.start);
  const asked = timelines.find((line) => line.feature === feature);
  return html`<${Card} title="Drift over time" note="the features that matter most to the answer, in units of what the rule lets pass">
    <${Lines} label="Drift over time" x=${x} time height=${180} marks=${marks} onPick=${onPick} yFormat=${times} limit=${{ value: 1, label: "the rule" }}
      series=${timelines.map((line) => ({ label: featureName(line.feature), values: line.times }))} />
    ${asked ? html`<div class="half"><${Distance} line=${asked} x=${x} marks=${marks} values=${asked.js2} limits=${asked.js_limits} name="Jensen–Shannon" />
      ${asked.d.some(Boolean) ? html`<${Distance} line=${asked} x=${x} marks=${marks} values=${asked.d} limits=${asked.d_limits} name="Kolmogorov–Smirnov" />` : null}</div>` : null}
    <${Hours} hours=${drift.hours} />
    <p class="small faint">Above the line a change is big enough to matter and beyond what the baseline did to itself. It is an alarm if chance cannot explain it either.</p>
  <//>`;
}

const Distance = ({ line, x, marks, values, limits, name }) => html`<div><h3 class="monitoring-name">${featureName(line.feature)}: ${name}</h3>
  <${Lines} label=${`${featureName(line.feature)}: ${name} by window`} x=${x} time height=${140} marks=${marks}
    series=${[{ label: "distance", values }, { label: "the rule: what matters, or the baseline's own spread", values: limits, dash: true, color: "var(--ink-3)" }]} /></div>`;

function Hours({ hours }) {
  if (!hours.length) return null;
  const cell = Math.max(4, Math.min(12, Math.floor(640 / hours.length)));
  return html`<p class="small"><${Strip} cell=${cell} label=${`${plural(hours.length, "hour")}, drawn only`} cells=${hours.map((hour) => ({ value: hour.state === "too_few" || hour.state === "gap" ? null : Math.min(1, hour.times / 3), title: `${when(hour.start)}: ${stateOf(hour.state)[1]}${hour.feature ? `, ${featureName(hour.feature)} ${times(hour.times)}` : ""}` }))} /><br /><span class="faint">the newest hours, drawn and never an alert</span></p>`;
}

const COLUMNS = [
  { title: "feature", cell: (row) => html`<a href=${withQuery({ feature: row.feature })}>${featureName(row.feature)}</a>` },
  { title: "look", cell: (row) => html`<${State} tone=${QUADRANTS[row.quadrant][0]} word=${QUADRANTS[row.quadrant][1]} />` },
  { title: "moved", num: true, cell: (row) => times(row.drift) },
  { title: "moved, and the rule", cell: (row) => html`<${Bound} limit=${1} value=${row.drift} atLeast=${false} tone=${row.drift < 1 ? "ok" : QUADRANTS[row.quadrant][0]} />` },
  { title: "importance", num: true, cell: (row) => number(row.importance, 2) },
];

/** The features of one window, ranked, and in four quadrants. */
export function DriftRanking({ drift, state }) {
  if (!drift.ranked.length) {
    const [, word] = stateOf(state);
    return html`<${Card} title="Features by drift and importance"><p class="dim">Nothing can be ranked in this window: ${word}.</p><//>`;
  }
  const told = drift.ranked.filter((row) => row.drift >= 1 || row.state !== "ok");
  const rows = drift.ranked.slice(0, Math.max(SHOWN, told.length));
  const rest = drift.ranked.length - rows.length + drift.hidden;
  return html`<div class="half">
    <${Card} flush title="Features by drift and importance" note="how far each moved, times how closely the answer goes with it">
      <${Table} dense label="Features by drift and importance" columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.feature} />
      ${rest > 0 ? html`<p class="none small faint">${plural(rest, "feature")} more, which moved or matter less.</p>` : null}
    <//>
    <${Card} title="Drift against importance" note="upper right: look there first">
      <${Scatter} noun="feature" rows=${drift.ranked.map((row) => ({ id: row.feature, label: featureName(row.feature), x: row.drift, y: row.importance, strong: row.quadrant === "act" }))}
        across="moved, in units of what the rule lets pass" up="importance" guides=${{ x: 1, y: MATTERS }} label="Drift against importance" onPick=${(name) => setQuery({ feature: name })} />
      <p class="small faint">Importance is the contribution index in the reference: 0 if the answer does not go with the feature, 1 if it is told by it. From ${number(MATTERS)} on it matters. ${drift.ranked.length ? `Of ${plural(drift.ranked.length, "feature")}, ${percent(told.length / drift.ranked.length)} moved.` : ""}</p>
    <//>
  </div>`;
}
