// One deployment under watch: its windows over time, and one of them in full.
import { html } from "../core/dom.js";
import { count, plural, when } from "../core/format.js";
import { Card, Choice, Empty } from "../core/parts.js";
import { setQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { Lines } from "../core/charts/lines.js";
import { BoundCharts } from "../monitoring/bounds.js";
import { DriftRanking, DriftRemarks, DriftTimelines, DriftTools } from "../monitoring/drift.js";
import { Guards } from "../monitoring/guards.js";
import { Heat } from "../monitoring/heat.js";
import { Performance } from "../monitoring/performance.js";
import { WindowCauses, WindowFigures } from "../monitoring/window.js";
import { WindowState } from "../monitoring/words.js";

const ASKED = ["window", "version", "feature", "against", "segment"];
const EPISODES = { settled: "ok", rejected: "none", expired: "none", failed: "crit", rolled_back: "crit" };

export default function MonitorScreen({ params, query }) {
  const asked = ASKED.filter((name) => query[name]).map((name) => `${name}=${encodeURIComponent(query[name])}`).join("&");
  const view = useView(`/api/view/monitor/${encodeURIComponent(params.deployment)}${asked ? `?${asked}` : ""}`);
  return html`<${Screen} title=${params.deployment} crumbs=${[["Monitors", "/monitor"]]} view=${view} note=${note} tools=${(data) => html`<${Tools} monitor=${data.monitor} />`}>
    ${(data) => html`<${Body} data=${data} feature=${query.feature} />`}
  <//>`;
}

const note = ({ monitor }) => html`<span class="row"><${WindowState} state=${monitor.state} healthy /><span>${monitor.champion}${monitor.elsewhere ? ", served elsewhere" : ""}</span>
  ${monitor.alerts.length ? html`<a href=${`/alert?deployment=${encodeURIComponent(monitor.deployment)}`}>${plural(monitor.alerts.length, "open alert")}</a>` : null}</span>`;

function Tools({ monitor }) {
  const versions = [...new Set(monitor.streams.map((stream) => stream.version))].reverse();
  const windows = [...monitor.timeline.windows].reverse();
  return html`<${Choice} name="version" label="Whose windows" value=${monitor.version} options=${[["", "whoever was champion"], ...versions.map((version) => [version, version])]} />
    <${Choice} name="window" label="Window" value=${monitor.chosen && monitor.chosen.start !== windows[0].start ? String(monitor.chosen.start) : ""} options=${windows.map((window, i) => [i ? String(window.start) : "", `${when(window.start)}${i ? "" : ", the newest"}`])} />
    ${monitor.elsewhere ? null : html`<a class="button" href=${`/deploy/${encodeURIComponent(monitor.deployment)}`}>Deployment</a>`}`;
}

function Body({ data: { monitor, episodes }, feature }) {
  const { timeline, chosen, drift } = monitor;
  if (!timeline.windows.length) return html`<${Card} title="Windows"><${Empty} title="No window has been judged yet" hint="A window is judged when it has ended. Ask the model something, and wait for the end of the window." command=${`perenne monitor show ${monitor.deployment}`} /><//>`;
  const x = timeline.windows.map((window) => window.start);
  const marks = [...versionMarks(timeline.windows), ...episodes.map((item) => ({ at: item.opened, label: `retraining: ${item.state.replaceAll("_", " ")}`, tone: EPISODES[item.state] || "info" }))];
  const pick = (at) => setQuery({ window: String(Math.round(at)) });
  return html`
    <${WindowCauses} detail=${chosen} compared=${drift.baseline_words} remarks=${html`<${DriftRemarks} drift=${drift} />`} />
    <${DriftTimelines} drift=${drift} windows=${timeline.windows} marks=${marks} feature=${feature} onPick=${pick} />
    <${DriftRanking} drift=${drift} state=${chosen.state} />
    <${BoundCharts} charts=${timeline.charts.filter((chart) => !chart.operational)} x=${x} marks=${marks} onPick=${pick} />
    <${Guards} guards=${monitor.guards} onPick=${pick} />
    <${Heat} timeline=${timeline} />
    <${Performance} performance=${monitor.performance} x=${x} marks=${marks} onPick=${pick} minimum=${monitor.minimum_coverage} />
    <${WindowFigures} detail=${chosen} laid=${drift} tools=${html`<${DriftTools} drift=${drift} />`} />
    <${Card} title="Rows" note="answered in each window">
      <${Lines} label="Rows by window" x=${x} time height=${140} yFormat=${count} onPick=${pick}
        series=${[{ label: "rows judged", values: timeline.windows.map((window) => window.rows) }]} />
      <${Gaps} windows=${timeline.windows} />
    <//>
    <${Episodes} rows=${episodes} />`;
}

/** Where another version took over. */
function versionMarks(windows) {
  return windows.filter((window, i) => i && window.version !== windows[i - 1].version).map((window) => ({ at: window.start, label: window.version, tone: "info" }));
}

function Gaps({ windows }) {
  const gaps = windows.filter((window) => window.dropped_share > 0.05);
  if (!gaps.length) return html`<p class="small faint">No gap: nearly every answered row was logged in each window.</p>`;
  return html`<p class="small">${plural(gaps.length, "window")} with gaps: more than 5 % of the answered rows are not in the log, the worst ${Math.round(100 * Math.max(...gaps.map((gap) => gap.dropped_share)))} %.</p>`;
}

function Episodes({ rows }) {
  if (!rows.length) return null;
  return html`<${Card} title="Retrainings" note="what the loop did about it, newest first">
    <ul class="monitoring-list">${rows.map((item) => html`<li><a href=${`/policy/${item.id}`}>${when(item.opened)}</a><span>${item.state.replaceAll("_", " ")}</span><span class="dim">${item.cause}</span></li>`)}</ul>
  <//>`;
}
