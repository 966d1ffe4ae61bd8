// One alert in full: what is wrong and why, what it led to, who was told when and how that went, what people did and wrote.
import { html, useRef } from "../core/dom.js";
import { post } from "../core/api.js";
import { number, plural, when } from "../core/format.js";
import { Action, Card, Chip, Facts, State, Table, Time } from "../core/parts.js";
import { Screen } from "../core/screen.js";
import { about, Answers, title } from "./answering.js";
import { featureName } from "./words.js";

const WORDS = { firing: "firing", pending: "pending: waits for the next window", resolved: "resolved", ok: "did not repeat" };
const TOLD = { delivered: ["ok", "delivered"], waiting: ["warn", "waits"], held: ["none", "held until quiet hours end"], failed: ["crit", "given up"], dropped: ["none", "over before it was told"] };

/** The screen of one alert. */
export function OneAlert({ view, id }) {
  const heading = (data) => (data.chosen ? `${title(data.chosen.alert.rule)} · ${about(data.chosen.alert)}` : id);
  const tools = (data) => (data.chosen?.alert.open && data.may_answer ? html`<${Answers} row=${data.chosen.alert} reload=${view.reload} />` : null);
  return html`<${Screen} title=${heading} crumbs=${[["Alerts", "/alert"]]} tools=${tools} view=${view}>
    ${(data) => html`<${Detail} found=${data.chosen} may=${data.may_answer} reload=${view.reload} />`}
  <//>`;
}

function Detail({ found, may, reload }) {
  const row = found.alert;
  return html`
    <${Card} title="What is wrong">
      <p class="monitoring-sentence">${row.summary}</p>
      <${Facts} rows=${facts(row)} />
    <//>
    ${row.causes.length ? html`<${Card} flush title="Causes" note="by what they do to the mean answer"><${Table} label="Causes" columns=${causes(row)} rows=${row.causes} rowKey=${(cause) => cause.feature} /><//>` : null}
    ${row.members.length ? html`<${Card} title="Speaks for" note=${plural(row.members.length, "deployment")}><ul class="monitoring-members">${row.members.map(([id, name]) => html`<li key=${id}><a href=${`/alert/${id}`}>${name}</a></li>`)}</ul><//>` : null}
    <div class="monitoring-tables">
      <${Card} flush title="Who was told" note=${found.told.length ? plural(found.told.length, "message") : "nobody yet"}><${Table} label="Who was told" columns=${TELLINGS} rows=${found.told} empty="Nobody was told: it is pending or silent, or speaks through another alert." /><//>
      <${Card} flush title="What happened"><${Table} label="What happened" columns=${HISTORY} rows=${found.history} /><//>
    </div>
    <${Card} title="Comments">
      ${found.comments.length ? html`<ul class="monitoring-comments">${found.comments.map((item) => html`<li key=${item.id}><b>${item.author}</b> <span class="faint small"><${Time} at=${item.at} /></span><p>${item.text}</p></li>`)}</ul>` : html`<p class="dim">Nobody has written anything.</p>`}
      ${may ? html`<${Write} row=${row} reload=${reload} />` : null}
    <//>`;
}

function facts(row) {
  const monitor = `/monitor/${encodeURIComponent(row.deployment)}?window=${row.latest}`;
  return [
    ["State", html`<${State} tone=${row.tone} word=${WORDS[row.state]} />`],
    ["Severity", row.severity],
    ["Deployment", row.deployment ? html`<a href=${`/deploy/${encodeURIComponent(row.deployment)}`}>${row.deployment}</a>` : ""],
    ["Version", row.version],
    ["Project", row.project],
    ["Data", row.source],
    ["Since the window of", when(row.since)],
    ["Fired", row.fired ? when(row.fired) : ""],
    ["Ended", row.ended ? when(row.ended) : ""],
    ["On it", row.acknowledged_by ? html`<${Chip} tone="ok">${row.acknowledged_by}<//>` : row.open ? "nobody yet" : ""],
    ["Silent until", row.silence ? `${when(row.silence.until)}: ${row.silence.reason} (${row.silence.owner})` : ""],
    ["Spoken for by", row.parent ? html`<a href=${`/alert/${row.parent}`}>the alert about its data</a>` : ""],
    ["Look closer", row.version ? html`<a href=${monitor}>the window in the monitor</a>` : ""],
    ["Led to", row.episode ? html`<a href=${`/policy/${row.episode}`}>a retraining</a>` : ""],
  ];
}

const causes = (row) => [
  { title: "feature", cell: (cause) => (row.version ? html`<a href=${`/monitor/${encodeURIComponent(row.deployment)}?window=${row.latest}&feature=${encodeURIComponent(cause.feature)}`}>${featureName(cause.feature)}</a>` : featureName(cause.feature)) },
  { title: "what changed", cell: (cause) => html`<span class="monitoring-cause">${cause.sentence}</span>` },
  { title: "moves the answer by", num: true, cell: (cause) => number(cause.impact, 2) },
  { title: "divergence", num: true, cell: (cause) => number(cause.js2, 3) },
];

const TELLINGS = [
  { title: "when", cell: (item) => html`<${Time} at=${item.changed} />` },
  { title: "channel", key: "channel" },
  { title: "what", key: "what" },
  { title: "how it went", cell: (item) => html`<span class="two"><${State} tone=${TOLD[item.state][0]} word=${TOLD[item.state][1]} /><small>${item.attempts > 1 || item.error ? `${plural(item.attempts, "try", "tries")}${item.error ? `: ${item.error}` : ""}` : ""}</small></span>` },
];

const HISTORY = [
  { title: "when", cell: (item) => html`<${Time} at=${item.at} />` },
  { title: "who", key: "who" },
  { title: "did", cell: (item) => html`<span class="monitoring-cause">${item.did}${item.why ? html` <span class="faint">${item.why}</span>` : null}</span>` },
];

function Write({ row, reload }) {
  const field = useRef();
  const send = async () => {
    const text = field.current.value.trim();
    if (!text) return field.current.focus();
    await post(`/api/alert/${row.id}/comment`, { text });
    field.current.value = "";
    reload();
    return "Kept with the alert";
  };
  return html`<div class="monitoring-write"><textarea ref=${field} rows="2" aria-label="Comment" placeholder="What others should know"></textarea><${Action} small label="Comment" run=${send} /></div>`;
}
