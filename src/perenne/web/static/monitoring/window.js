// One window in full: what moved and what it did, how objectives stand, groups, and distributions beside the reference's.
import { html } from "../core/dom.js";
import { count, duration, number, percent, plural, signed, when } from "../core/format.js";
import { Bound, Card, Choice, State, Table } from "../core/parts.js";
import { withQuery } from "../core/router.js";
import { Overlay } from "../core/charts/overlay.js";
import { SOURCES, STANDINGS, WindowState, featureName, figure } from "./words.js";

const GAP = 0.05;

/** What moved in a window, those features first that move the answer most. */
export function WindowCauses({ detail, compared, remarks }) {
  return html`<${Card} title=${`Window from ${when(detail.start)}`} note=${`${duration(detail.length)}, ${detail.version} as ${detail.variant.startsWith("challenger") ? "challenger, answering nobody" : "champion"}`} tools=${html`<${WindowState} state=${detail.state} />`} flush>
      <${Remarks} detail=${detail} compared=${compared} />
      ${remarks}
      <${Causes} detail=${detail} />
    <//>`;
}

/** The rest of what is known of a window: distributions, bounds, groups. */
export function WindowFigures({ detail, laid, tools }) {
  return html`<${Distributions} detail=${detail} laid=${laid} more=${tools} />
    ${detail.bounds.length ? html`<${Card} flush title="Objectives and guardrails in this window"><${Bounds} rows=${detail.bounds} /><//>` : null}
    <${Groups} detail=${detail} />`;
}

function Remarks({ detail, compared }) {
  const said = [
    `${plural(detail.rows, "row")}${compared ? ` compared with ${compared}` : ""}`,
    detail.span_start < detail.start ? `judged together with the windows from ${when(detail.span_start)}, which had too few rows alone` : "",
    detail.rows < detail.needed_rows ? `would have needed ${count(detail.needed_rows)} rows to tell the smallest change that matters from chance` : "",
    detail.dropped_share > GAP ? `${percent(detail.dropped_share)} of the answered rows are not in the log: the window may mislead` : "",
    detail.agreement === null ? "" : `answered like the champion in ${percent(detail.agreement, 1)}`,
    detail.coverage === null ? "no label has come yet" : `labels for ${percent(detail.coverage)} of the rows`,
  ].filter(Boolean);
  return html`<p class="monitoring-remarks dim">${said.join("; ")}.</p>`;
}

const CAUSES = [
  { title: "feature", cell: (row) => html`<a href=${withQuery(row.segment ? { feature: row.feature, segment: row.segment } : { feature: row.feature })}>${featureName(row.feature)}</a>${row.segment ? html` <span class="faint">in ${row.segment}</span>` : null}` },
  { title: "state", cell: (row) => html`<${State} tone=${{ alarm: "crit", warn: "warn" }[row.state] || "ok"} word=${{ alarm: "drifted", warn: "some drift" }[row.state] || "no drift"} />` },
  { title: "what changed", cell: (row) => html`<span class="monitoring-cause">${row.sentence}</span>` },
  { title: "moves the mean answer by", num: true, cell: (row) => signed(row.impact, 2) },
  { title: "Jensen–Shannon", num: true, cell: (row) => number(row.js2, 2) },
  { title: "Kolmogorov–Smirnov", num: true, cell: (row) => number(row.ks_d, 2) },
  { title: "missing", num: true, cell: (row) => (row.missing_rise ? `${row.missing_rise > 0 ? "+" : ""}${percent(row.missing_rise, 1)}` : "–") },
];

const Causes = ({ detail }) => html`<${Table} label="What moved, by what it does to the answer" columns=${CAUSES} rows=${detail.causes} rowKey=${(row) => row.feature + row.segment} dense
  empty=${detail.state === "too_few" || detail.state === "gap" ? "Nothing can be said about drift in this window." : "No feature differs from the reference by more than chance and its own usual spread."} />`;

function Distributions({ detail, laid, more }) {
  if (!detail.overlays.length) return html`<${Card} title="Distributions"><p class="dim">The reference of this version cannot be read here, so there is nothing to lay the window over.</p><//>`;
  const shown = detail.overlays[0].name;
  const tools = html`${more}<${Choice} name="feature" label="Feature" value="" options=${[["", "another feature…"], ...detail.features.map((name) => [name, featureName(name)])]} />`;
  return html`<${Card} title="Distributions" note=${`this window${laid.segment ? `, ${laid.segment},` : ""} beside ${laid.words || "the reference"}`} tools=${tools}>
    <div class="monitoring-overlays">${detail.overlays.map((item) => html`<${Distribution} key=${item.name} item=${item} first=${item.name === shown} />`)}</div>
  <//>`;
}

function Distribution({ item }) {
  const edge = item.kind === "time" ? (seconds) => `${String(Math.floor(seconds / 3600)).padStart(2, "0")}:${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")}` : undefined;
  return html`<div><h3 class="monitoring-name">${featureName(item.name)}${item.kind === "time" ? html` <span class="faint small">time of day</span>` : null}</h3>
    <${Overlay} edges=${item.edges ?? undefined} levels=${item.levels ?? undefined} reference=${item.reference} current=${item.current} missing=${item.missing} labels=${["reference", "this window"]} label=${`${featureName(item.name)}: this window beside the reference`} ...${edge ? { edge } : {}} />
    ${beyond(item) ? html`<p class="small faint">The outermost cells also hold what lies beyond what the reference knew.</p>` : null}
    ${item.no_number ? html`<p class="small">${percent(item.no_number, 1)} of the values are no numbers.</p>` : null}</div>`;
}

const beyond = (item) => item.kind === "number" && [0, item.current.length - 1].some((i) => item.current[i] > 2 * item.reference[i]);

const BOUNDS = [
  { title: "bound", cell: (row) => html`<span class="two">${row.bound}<small>${row.kind}</small></span>` },
  { title: "standing", cell: (row) => html`<${State} tone=${STANDINGS[row.standing][0]} word=${STANDINGS[row.standing][1]} />` },
  { title: "how it is known", cell: (row) => html`<span title=${SOURCES[row.figure.source]?.[1]}>${SOURCES[row.figure.source]?.[0] || row.figure.source}</span>` },
  { title: "value", num: true, cell: (row) => html`${figure(metricOf(row), row.figure.value)}${row.figure.group ? html` <span class="faint">in ${row.figure.group}</span>` : null}` },
  { title: "limit", num: true, cell: (row) => `${row.at_least ? "≥" : "≤"} ${figure(metricOf(row), row.limit)}` },
  { title: "interval and limit", cell: (row) => html`<${Bound} limit=${row.limit} value=${row.figure.value} low=${row.figure.low} high=${row.figure.high} atLeast=${row.at_least} tone=${STANDINGS[row.standing][0]} />` },
  { title: "on", num: true, cell: (row) => count(row.figure.rows) },
];

const metricOf = (row) => row.bound.split(" by ")[0];

const Bounds = ({ rows }) => html`<${Table} label="Objectives and guardrails in this window" columns=${BOUNDS} rows=${rows} rowKey=${(row) => `${row.kind}${row.bound}${row.figure.source}`} />`;

const RATES = [
  { title: "group", cell: (row) => row.group ?? html`<span class="faint">missing</span>` },
  { title: "rows", num: true, cell: (row) => count(row.count) },
  { title: "answered positive", num: true, cell: (row) => percent(row.selection_rate, 1) },
  { title: "mean score", num: true, cell: (row) => number(row.mean_prediction, 3) },
  { title: "labelled", num: true, cell: (row) => count(row.labelled) },
  { title: "right", num: true, cell: (row) => percent(row.accuracy_score, 1) },
  { title: "positives found", num: true, cell: (row) => percent(row.true_positive_rate, 1) },
  { title: "false alarms", num: true, cell: (row) => percent(row.false_positive_rate, 1) },
];
const SLICES = [
  { title: "group", cell: (row) => html`<span class="two">${row.group || "missing"}<small>${row.by}</small></span>` },
  { title: "metric", key: "metric" },
  { title: "value", num: true, cell: (row) => number(row.value) },
  { title: "95 % interval", num: true, cell: (row) => (row.low === null ? "–" : `${number(row.low)} to ${number(row.high)}`) },
  { title: "labelled rows", num: true, cell: (row) => count(row.rows) },
];
const KNOWN = [
  { title: "metric", key: "metric" },
  { title: "how it is known", cell: (row) => SOURCES[row.source][0] },
  { title: "value", num: true, cell: (row) => number(row.value) },
  { title: "95 % interval", num: true, cell: (row) => (row.low === null || row.low === undefined ? "–" : `${number(row.low)} to ${number(row.high)}`) },
  { title: "rows", num: true, cell: (row) => count(row.rows) },
];

function Groups({ detail }) {
  const known = [
    ...detail.metrics.map((row) => ({ ...row, source: "realised" })),
    ...Object.entries(detail.estimated).map(([metric, found]) => ({ metric, ...found, source: "estimated" })),
  ].sort((a, b) => a.metric.localeCompare(b.metric));
  return html`<div class="monitoring-tables">
    ${known.length ? html`<${Card} flush title="Performance in this window"><${Table} dense label="Performance in this window" columns=${KNOWN} rows=${known} rowKey=${(row) => row.metric + row.source} /><//>` : null}
    ${detail.slices.length ? html`<${Card} flush title="By group, realised" note="from labels"><${Table} dense label="Performance by group" columns=${SLICES} rows=${detail.slices} rowKey=${(row) => row.by + row.group + row.metric} /><//>` : null}
  </div>
  ${detail.groups.map((table) => html`<${Card} flush key=${table.by} title=${`Answers by ${table.by}`} note="how groups are treated in this window"><${Table} dense label=${`Answers by ${table.by}`} columns=${RATES} rows=${table.rates} rowKey=${(row) => row.group ?? ""} /><//>`)}`;
}
