// Features by windows: where each had drifted, and how far.
import { html } from "../core/dom.js";
import { number, when } from "../core/format.js";
import { Card } from "../core/parts.js";
import { withQuery } from "../core/router.js";
import { Strip } from "../core/charts/strip.js";
import { featureName, stateOf } from "./words.js";

const WIDEST = 640;

export function Heat({ timeline }) {
  const { windows, heat, more_features: more } = timeline;
  const cell = Math.max(6, Math.min(16, Math.floor(WIDEST / windows.length)));
  return html`<${Card} title="Drift by feature" note="one cell for each window, oldest first; the darker, the farther from the reference">
    ${heat.length
      ? html`<div class="scroll" tabindex="0" role="region" aria-label="Drift by feature"><table class="monitoring-heat">
          <tbody>${heat.map((row) => html`<tr key=${row.feature}><th scope="row"><a href=${withQuery({ feature: row.feature })}>${featureName(row.feature)}</a></th>
            <td><${Strip} cell=${cell} label=${told(row)} cells=${row.states.map((state, i) => shaded(row, state, i, windows))} /></td><td class="small faint">${told(row)}</td></tr>`)}</tbody>
        </table></div>
        <p class="small faint">${more ? `${more} more features drifted less. ` : ""}Features that are not listed have not drifted in any window shown.</p>`
      : html`<p class="dim">No feature has drifted in any window shown.</p>`}
  <//>`;
}

function shaded(row, state, i, windows) {
  const at = when(windows[i].start);
  if (state === "unknown") return { title: `${at}: ${stateOf(windows[i].state)[1]}` };
  if (state === "ok") return { tone: "ok", title: `${at}: no drift` };
  const distance = row.distances[i];
  const strength = distance === null ? 0 : Math.sqrt(Math.max(0, distance));
  return { value: Math.min(1, state === "alarm" ? Math.max(0.65, strength) : Math.max(0.45, Math.min(0.6, strength))), title: `${at}: ${state === "alarm" ? "drifted" : "some drift"}, Jensen–Shannon ${number(distance)}` };
}

function told(row) {
  const alarms = row.states.filter((state) => state === "alarm").length;
  const warns = row.states.filter((state) => state === "warn").length;
  return alarms ? `drifted in ${alarms} of ${row.states.length}` : `some drift in ${warns} of ${row.states.length}`;
}
