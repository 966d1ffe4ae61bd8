// What a round found, drawn: curves of the model, and of the champion on the same rows, its figures with intervals, and its groups.
import { html, Fragment } from "../core/dom.js";
import { count, number, plural, signed } from "../core/format.js";
import { Card, Empty, State, Table } from "../core/parts.js";
import { Confusion } from "../core/charts/confusion.js";
import { Curve } from "../core/charts/curve.js";
import { Overlay } from "../core/charts/overlay.js";

const MOST_CURVES = 8;

/** Every picture of a report; `name` is what to call the model. */
export function Evidence({ told, name }) {
  const report = told.report;
  if (!report) return html`<${Card} title="Evaluation"><${Empty} title="No curves" note=${told.reason} /><//>`;
  const mine = report.evaluation.curves;
  if (!mine) return html`<${Card} title="Evaluation"><${Empty} title="No curves" note="Not recorded: the round is of before curves were kept." /><//>`;
  const other = report.compared?.curves ?? null;
  const note = `${count(mine.rows)} rows that were never learned from`;
  return html`<${Fragment}>
    ${mine.roc.length ? html`<div class="thirds">
      <${Card} title="Receiver operating characteristic"><${Both} kind="roc" mine=${mine} other=${other} names=${[name, report.champion]} /><//>
      <${Card} title="Precision and recall"><${Both} kind="precision_recall" mine=${mine} other=${other} names=${[name, report.champion]} /><//>
      ${mine.calibration.length ? html`<${Card} title="Calibration" note="with 95 % intervals"><${Calibration} mine=${mine} other=${other} names=${[name, report.champion]} /><//>` : null}
    </div>` : null}
    ${mine.confusion ? html`<div class=${mine.scores.length === 2 ? "half" : "side"}>
      <${Card} title="Confusion" note=${note}><${Confusion} confusion=${mine.confusion} label="What was answered for which class" /><//>
      ${mine.scores.length ? html`<${Card} title="Scores by actual class" note=${mine.scores.length === 2 ? `score of ${mine.scores[1].label}` : "each class's own score"}><${Scores} scores=${mine.scores} /><//>` : null}
    </div>` : null}
    ${mine.actual.length ? html`<div class="half">
      <${Card} title="Predicted against actual" note=${plural(mine.actual.length, "row")}><${Scatter} mine=${mine} /><//>
      <${Card} title="Residuals" note="actual minus predicted"><${Bars} histogram=${mine.residuals} /><//>
    </div>` : null}
    ${Object.keys(mine.missing).length ? html`<${Card} title="Not drawn"><p class="dim">${Object.entries(mine.missing).map(([what, why]) => `${what}: ${why}`).join("; ")}.</p><//>` : null}
  <//>`;
}

function Both({ kind, mine, other, names }) {
  const several = mine[kind].length > 1;
  const shown = mine[kind].slice(0, MOST_CURVES);
  const series = shown.map((curve) => ({ label: several ? curve.label : names[0], x: curve.x, y: curve.y }));
  if (other && !several) other[kind].forEach((curve) => series.push({ label: `${names[1]}, same rows`, x: curve.x, y: curve.y, dash: true, color: "var(--ink-3)" }));
  const roc = kind === "roc";
  const reference = roc ? "diagonal" : several ? undefined : shown[0].base;
  return html`<${Curve} series=${series} label=${roc ? "Receiver operating characteristic" : "Precision and recall"} across=${roc ? "false positives, share" : "recall"} up=${roc ? "true positives, share" : "precision"}
      reference=${reference} referenceLabel=${roc ? "guessing" : "share of positives"} at=${several ? null : operating(mine.confusion, roc)} />
    ${mine[kind].length > MOST_CURVES ? html`<p class="faint small">The first ${MOST_CURVES} of ${mine[kind].length} classes, each against all others.</p>` : null}`;
}

/** Where the answers lie on a curve of two classes. */
function operating(confusion, roc) {
  if (!confusion?.counts.length || confusion.threshold === null) return null;
  const [[right, wrong], [missed, hit]] = confusion.counts;
  const label = `threshold ${confusion.threshold}`;
  if (roc) return { x: wrong / (right + wrong), y: hit / (hit + missed), label };
  return hit + wrong ? { x: hit / (hit + missed), y: hit / (hit + wrong), label } : null;
}

function Calibration({ mine, other, names }) {
  const drawn = (curves, label, extra) => ({ label, points: true, x: curves.calibration.map((bin) => bin.score), y: curves.calibration.map((bin) => bin.share), low: curves.calibration.map((bin) => bin.low), high: curves.calibration.map((bin) => bin.high), ...extra });
  const series = [drawn(mine, names[0], {})];
  if (other?.calibration.length) series.push({ ...drawn(other, `${names[1]}, same rows`, { color: "var(--ink-3)", dash: true }), low: undefined, high: undefined });
  return html`<${Curve} series=${series} label="Calibration" across="mean score" up="share that came true" reference="diagonal" referenceLabel="as said" />`;
}

const shares = (histogram) => {
  const total = histogram.counts.reduce((sum, n) => sum + n, 0) || 1;
  return histogram.counts.map((n) => n / total);
};

function Scores({ scores }) {
  const [first, second] = scores;
  if (scores.length === 2) return html`<${Overlay} edges=${first.edges} reference=${shares(first)} current=${shares(second)} labels=${[first.label, second.label]} label="Scores by actual class" />`;
  return html`<div class="half">${scores.map((item) => html`<div><h3>${item.label}</h3><${Overlay} edges=${item.edges} reference=${null} current=${shares(item)} labels=${["", "share of its rows"]} label=${`Scores of ${item.label}`} height=${72} /></div>`)}</div>`;
}

const Bars = ({ histogram }) => html`<${Overlay} edges=${histogram.edges} reference=${null} current=${shares(histogram)} labels=${["", "share of rows"]} label="Residuals" />`;

function Scatter({ mine }) {
  const every = [...mine.actual, ...mine.predicted];
  const low = Math.min(...every);
  const span = Math.max(...every) - low || 1;
  const at = (value) => (value - low) / span;
  return html`<figure class="curve"><svg viewBox="0 0 284 272" role="img" aria-label=${`${mine.actual.length} rows, from ${number(low)} to ${number(low + span)}`}>
    <rect class="evidence-frame" x="38" y="8" width="232" height="232" /><line class="reference" x1="38" y1="240" x2="270" y2="8" />
    ${mine.actual.map((value, i) => html`<circle class="evidence-dot" cx=${38 + 232 * at(value)} cy=${240 - 232 * at(mine.predicted[i])} r="2" />`)}
    <text class="tick" x="38" y="254">${number(low)}</text><text class="tick" x="270" y="254" text-anchor="end">${number(low + span)}</text>
    <text class="axis" x="154" y="266" text-anchor="middle">actual</text><text class="axis" transform="translate(12 124) rotate(-90)" text-anchor="middle">predicted</text>
  </svg><figcaption class="legend"><span class="faint"><i class="limit"></i>as it was</span></figcaption></figure>`;
}

/** Figures on the holdout with their intervals. */
export const Figures = ({ report }) => html`<${Table} dense=${true} label="Final metrics" rowKey=${(row) => row.metric} columns=${FIGURES} rows=${report.evaluation.metrics} />`;

const range = (row) => (row.low === null ? "" : `${number(row.low)} to ${number(row.high)}`);
const FIGURES = [
  { key: "metric", title: "metric" },
  { key: "value", title: "value", num: true, cell: (row) => number(row.value, 4) },
  { key: "low", title: "95 % interval", num: true, cell: range },
];

/** Metrics in groups of the holdout. */
export function Slices({ report }) {
  const slices = report.evaluation.slices;
  if (!slices.length) return null;
  return html`<${Card} flush title="Groups" note="on the same rows, with 95 % intervals"><${Table} dense=${true} label="Metrics by group" columns=${GROUPS} rows=${slices} /><//>`;
}

const GROUPS = [
  { key: "by", title: "by" },
  { key: "group", title: "group" },
  { key: "rows", title: "rows", num: true, cell: (row) => count(row.rows) },
  { key: "metric", title: "metric" },
  { key: "value", title: "value", num: true, cell: (row) => (row.value === null ? html`<span class="faint">too few rows</span>` : number(row.value, 4)) },
  { key: "low", title: "interval", num: true, cell: (row) => (row.low === null ? "" : range(row)) },
];

/** Challenger against champion on the same rows. */
export function Compared({ report, name }) {
  const found = report?.compared;
  if (!found) return null;
  const better = found.difference > 0;
  return html`<${Card} title="On the same rows" note=${`${name} against ${report.champion}`}>
    ${found.difference === null ? html`<p class="dim">${found.reason || "unknown"}</p>` : html`<p class="evidence-compared"><b>${signed(found.difference)}</b> ${found.metric}
      <span class="dim">(${signed(found.low)} to ${signed(found.high)})</span> ${number(found.challenger, 4)} against ${number(found.champion, 4)} on ${count(found.rows)} rows, p ${number(found.p_superior)}
      <${State} tone=${better ? "ok" : "crit"} word=${better ? "in its favour" : "not in its favour"} /></p>`}
  <//>`;
}
