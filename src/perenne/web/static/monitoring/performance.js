// How right answers were: estimates beside what came true, the gap between them, labels and their detectors, worst slices.
import { html } from "../core/dom.js";
import { count, number, percent, plural, signed, when } from "../core/format.js";
import { Card, State, Table } from "../core/parts.js";
import { Lines } from "../core/charts/lines.js";
import { SOURCES, featureName, figure } from "./words.js";

const SHOWN = 4;
const DETECTORS = { cusum: "CUSUM", adwin: "ADWIN" };

export function Performance({ performance, x, marks, onPick, minimum }) {
  const { metrics, windows, firings } = performance;
  const known = metrics.filter((line) => there(line.limit) && line.realised.values.some(there));
  const lines = (known.length ? known : metrics.filter((line) => line.estimated.values.some(there))).slice(0, SHOWN);
  if (!lines.length) return null;
  const fired = beginnings(firings.filter((item) => !item.segment), windows).map((item) => ({ at: item.window, label: `${DETECTORS[item.detector]}: ${number(item.before)} → ${number(item.after)}`, tone: "warn" }));
  return html`
    <${Remarks} performance=${performance} known=${known.length > 0} />
    <div class="monitoring-charts">${lines.map((line) => html`<${Metric} key=${line.metric} line=${line} x=${x} marks=${[...marks, ...fired]} onPick=${onPick} />`)}</div>
    <div class="half">
      <${Labels} performance=${performance} x=${x} onPick=${onPick} minimum=${minimum} />
      <${Streams} streams=${performance.streams} firings=${firings} windows=${windows} />
    </div>
    <${Slices} performance=${performance} />
    <${Contributions} performance=${performance} />`;
}

/** Firings that do not go on from the window before: while the loss stays high, detectors fire again and again. */
function beginnings(firings, windows) {
  const place = new Map(windows.map((window, i) => [window.start, i]));
  const hit = new Set(firings.map((item) => place.get(item.window)));
  const seen = new Set();
  return firings.filter((item) => {
    const at = place.get(item.window);
    if (at === undefined || hit.has(at - 1) || seen.has(at)) return false;
    seen.add(at);
    return true;
  });
}

const there = (value) => value !== null && value !== undefined;

/** What a person should know before reading the charts; nothing if all is as it should be. */
function Remarks({ performance, known }) {
  const { unsure, inside, windows } = performance;
  const lasting = windows.length > 0 && windows[windows.length - 1].lasting;
  const said = [
    unsure.length ? ["warn", "the estimate is unsure", `${unsure.join("; ")}. Where the reference knew no such rows, scores may mean something else.`] : null,
    inside ? ["crit", "where it happened", `${inside[0].toUpperCase()}${inside.slice(1)}.`] : null,
    lasting ? ["warn", "not over", "The loss is still nearer to what it was after the newest change than to before it."] : null,
    known ? null : ["none", "estimated only", "No labels have come that tell whether the estimates hold."],
  ].filter(Boolean);
  if (!said.length) return null;
  return html`<${Card} title="Performance" note=${performance.chosen ? `what the window from ${when(performance.chosen)} says` : ""}>
    <ul class="monitoring-list">${said.map(([tone, word, text]) => html`<li key=${word}><${State} tone=${tone} word=${word} /><span></span><span>${text}</span></li>`)}</ul>
  <//>`;
}

function Metric({ line, x, marks, onPick }) {
  const series = [
    { label: SOURCES.realised[0], ...line.realised, color: "var(--c1)" },
    { label: SOURCES.estimated[0], ...line.estimated, dash: true, color: "var(--c3)" },
  ].filter((item) => item.values.some(there));
  const gap = line.gap.values.some(there);
  const wide = line.wide.filter(Boolean).length;
  const limits = line.limit ? [{ value: line.limit, label: "material from" }, { value: -line.limit, label: "or" }] : undefined;
  return html`<${Card} title=${line.metric.replaceAll("_", " ")} note=${wide ? `does worse than estimated in ${plural(wide, "window")}` : gap ? "estimated beside realised" : "estimated"}>
    <${Lines} label=${`${line.metric}, estimated and realised`} x=${x} time height=${160} series=${series} marks=${marks} onPick=${onPick} yFormat=${(value) => figure(line.metric, value)} />
    ${gap ? html`<${Lines} label=${`Gap of ${line.metric}`} x=${x} time height=${110} series=${[{ label: "estimated less realised, same rows", ...line.gap, color: "var(--c6)" }]} limit=${limits} onPick=${onPick} yFormat=${(value) => signed(value, 2)} />` : null}
  <//>`;
}

function Labels({ performance: { windows, totals }, x, onPick, minimum }) {
  const newest = Math.max(0, ...windows.map((window) => window.watermark || 0));
  const few = windows.filter((window) => there(window.coverage) && window.coverage < minimum).length;
  return html`<${Card} title="Labels" note=${newest ? `the newest is of ${when(newest)}` : "none has come yet"}>
    <${Lines} label="Labelled share by window" x=${x} time height=${140} yFormat=${(value) => percent(value)} limit=${{ value: minimum, label: "trusted from" }} onPick=${onPick}
      series=${[{ label: "share of rows whose outcome is known", values: windows.map((window) => window.coverage) }]} />
    <p class="small dim">Of all labels ${count(totals.joined)} found their prediction, ${count(totals.waiting)} wait for it, ${count(totals.orphans)} were given up after a week.
      ${few ? ` ${plural(few, "window")} below ${percent(minimum)}: shown, and never an alarm, for labels that come early may be of other rows than those that come late.` : ""}</p>
  <//>`;
}

const STREAMS = [
  { title: "labels of", cell: (row) => html`<span class="two">${row.segment || "all rows"}<small>${row.version}</small></span>` },
  { title: "labels", num: true, cell: (row) => count(row.labels) },
  { title: "mean loss now", num: true, cell: (row) => html`${number(row.recent)} <span class="faint small">of ${count(row.width)}</span>` },
  { title: "usually", num: true, cell: (row) => number(row.usual ?? row.loss) },
  { title: "CUSUM, fires at 7", num: true, cell: (row) => (there(row.usual) ? number(row.score, 2) : "–") },
  { title: "fired", num: true, cell: (row) => row.fired },
];

function Streams({ streams, firings, windows }) {
  if (!streams.length) return null;
  const start = windows[0]?.start || 0;
  const shown = firings.filter((item) => item.window >= start).slice(-5).reverse();
  return html`<${Card} flush title="Label streams" note="in order of arrival: has the model become worse?">
    <${Table} dense label="Label streams" columns=${STREAMS} rows=${streams} rowKey=${(row) => row.version + row.segment} />
    ${shown.length ? html`<ul class="monitoring-remarks monitoring-list">${shown.map((item, i) => html`<li key=${i}><span>${when(item.window)}</span><span>${DETECTORS[item.detector]}${item.segment ? `, ${item.segment}` : ""}</span><span class="dim">mean loss ${number(item.before)} → ${number(item.after)}, seen at label ${count(item.labels)}</span></li>`)}</ul>` : null}
  <//>`;
}

const SLICES = [
  { title: "where", cell: (row) => html`<span class="two">${featureName(row.feature)}: ${row.where}<small>${plural(row.rows, "labelled row")}</small></span>` },
  { title: "mean loss", num: true, cell: (row) => number(row.mean) },
  { title: "of all rows", num: true, cell: (row) => number(row.overall) },
  { title: "would be saved", num: true, cell: (row) => number(row.excess, 3) },
  { title: "p, for all looked at", num: true, cell: (row) => (row.p < 0.0001 ? "< 0.0001" : number(row.p, 2)) },
];

function Slices({ performance: { slices, chosen, deployment } }) {
  if (!slices.length) return null;
  return html`<${Card} flush title="Worst slices" note=${`of the window from ${when(chosen)}, those first that cost most`}>
    <${Table} dense label="Worst slices" columns=${SLICES} rows=${slices} rowKey=${(row) => row.feature + row.where} />
    <p class="monitoring-remarks small faint">Each has at least 50 labelled rows and is worse than the rest beyond chance. Pairs of columns: <code>perenne monitor slices ${deployment} --pairs</code></p>
  <//>`;
}

const CONTRIBUTIONS = [
  { title: "input", cell: (row) => featureName(row.feature) },
  { title: "state", cell: (row) => html`<${State} tone=${row.state === "alarm" ? "crit" : "ok"} word=${row.state === "alarm" ? "changed" : "as before"} />` },
  { title: "index, reference", num: true, cell: (row) => number(row.reference, 2) },
  { title: "in this window", num: true, cell: (row) => number(row.window, 2) },
  { title: "correlation, reference", num: true, cell: (row) => signed(row.correlation_reference, 2) },
  { title: "in this window", num: true, cell: (row) => signed(row.correlation_window, 2) },
];

function Contributions({ performance: { contributions } }) {
  if (!contributions) return null;
  return html`<${Card} flush title="Do inputs still go with the answers?" note=${`feature contribution index: changed by ${number(contributions.largest, 2)} at most, ${number(contributions.mean, 2)} on average`}>
    <${Table} dense label="Contributions of inputs" columns=${CONTRIBUTIONS} rows=${contributions.moved} rowKey=${(row) => row.feature} />
  <//>`;
}
