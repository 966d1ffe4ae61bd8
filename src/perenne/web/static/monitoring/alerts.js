// What needs attention: open alerts first, then those that have ended.
import { html, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { count, duration, number, plural, when } from "../core/format.js";
import { Action, Card, Chip, Choice, Empty, State, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Pages } from "./pages.js";
import { featureName } from "./words.js";

const FILTERS = ["state", "severity", "deployment", "offset"];
const LENGTHS = [["1h", "1 hour"], ["6h", "6 hours"], ["1d", "a day"], ["1w", "a week"]];
const WORDS = { firing: "firing", pending: "pending, waits for the next window", resolved: "resolved", ok: "did not repeat" };

export default function AlertsScreen({ params, query }) {
  const asked = FILTERS.filter((name) => query[name]).map((name) => `${name}=${encodeURIComponent(query[name])}`);
  if (params.alert) asked.push(`alert=${encodeURIComponent(params.alert)}`);
  const view = useView(`/api/view/alert${asked.length ? `?${asked.join("&")}` : ""}`);
  const tools = html`<${Choice} name="state" label="State" value=${query.state || ""} options=${[["", "open and ended"], ["open", "open"], ["firing", "firing"], ["pending", "pending"], ["ended", "ended"]]} />
    <${Choice} name="severity" label="Severity" value=${query.severity || ""} options=${[["", "any severity"], ["critical", "critical"], ["warning", "warning"], ["info", "info"]]} />
    ${query.deployment ? html`<a class="button" href="/alert">All deployments</a>` : null}`;
  return html`<${Screen} title="Alerts" note=${(data) => summary(data, query)} tools=${tools} view=${view}>
    ${(data) => html`<${Card} flush title="Alerts" note="open ones first, then the newest" tools=${html`<${Pages} ...${data} />`}>
      ${data.rows.length ? data.rows.map((row) => html`<${Alert} key=${row.id} row=${row} may=${data.may_answer} asked=${row.id === params.alert} reload=${view.reload} />`) : html`<${Nothing} filtered=${FILTERS.some((name) => query[name])} />`}
    <//>`}
  <//>`;
}

function summary(data, query) {
  const open = [data.firing ? `${count(data.firing)} firing` : "", data.pending ? `${count(data.pending)} pending` : ""].filter(Boolean).join(", ");
  return `${open || "nothing is open"}${query.deployment ? `, of ${query.deployment}` : ""}`;
}

const Nothing = ({ filtered }) => (filtered ? html`<${Empty} title="No alert is like that" hint="Take a filter away to see others." />` : html`<${Empty} title="No alert yet" hint="An alert fires when inputs drift, an objective is missed or a guardrail is breached, and stays until windows are clear again." command="perenne alert list --all" />`);

function Alert({ row, may, asked, reload }) {
  const monitor = `/monitor/${encodeURIComponent(row.deployment)}?window=${row.latest}`;
  return html`<article class=${`monitoring-alert ${asked ? "asked" : ""}`} aria-label=${`${row.rule} of ${row.deployment}`}>
    <div class="row">
      <${State} tone=${row.tone} word=${row.open ? row.severity : WORDS[row.state]} />
      <b>${title(row.rule)}</b>
      <a href=${`/deploy/${encodeURIComponent(row.deployment)}`}>${row.deployment}</a>
      ${row.version ? html`<span class="dim">${row.version}</span>` : null}
      <span class="grow"></span>
      ${row.open ? html`<${Chip} tone=${row.state === "firing" ? row.tone : "info"}>${row.state}<//>` : null}
      ${row.acknowledged_by ? html`<${Chip} tone="ok">${row.acknowledged_by} is on it<//>` : null}
      ${row.silence ? html`<${Chip} title=${row.silence.reason}>silent until ${when(row.silence.until)}<//>` : null}
    </div>
    ${row.causes.length > 1 ? null : html`<p>${row.summary}</p>`}
    ${row.causes.length > 1 ? html`<ul class="dim">${row.causes.map((cause) => html`<li>${featureName(cause.feature)}: ${cause.sentence}${cause.impact ? ` (moves the mean answer by ${number(cause.impact, 2)})` : ""}</li>`)}</ul>` : null}
    <div class="row small dim">
      <span>${life(row)}</span>
      ${row.version ? html`<a href=${monitor}>the window in the monitor</a>` : null}
      ${row.episode ? html`<a href=${`/policy/${row.episode}`}>the retraining it led to</a>` : null}
      <a href=${`/alert/${row.id}`}>link to this alert</a>
      <span class="grow"></span>
      ${row.open && may ? html`<${Answers} row=${row} reload=${reload} />` : null}
    </div>
  </article>`;
}

const KINDS = { drift: "Drift", intake: "Observer", serving: "Model server" };

function title(rule) {
  const [kind, bound] = rule.split(":");
  return kind === "objective" ? `Objective missed: ${bound}` : kind === "guardrail" ? `Guardrail breached: ${bound}` : KINDS[kind] || rule;
}

function life(row) {
  const began = html`since the window from ${when(row.since)}`;
  const ended = row.ended ? html`, ended <${Time} at=${row.ended} />${row.ended > row.opened ? ` after ${duration(row.ended - row.opened)}` : ""}` : null;
  return html`${row.fired ? html`fired <${Time} at=${row.fired} />, ` : null}${began}${ended}`;
}

function Answers({ row, reload }) {
  const [length, setLength] = useState("6h");
  const words = LENGTHS.find(([key]) => key === length)[1];
  const acknowledge = async () => {
    await post(`/api/alert/${row.id}/acknowledge`, {});
    reload();
    return "You are on it: it is not sent again while it stays as it is";
  };
  const silence = async (reason) => {
    await post(`/api/alert/${row.id}/silence`, { for: length, reason });
    reload();
    return `Nobody is told about it for ${words}`;
  };
  return html`<span class="row">
    ${row.acknowledged_by ? null : html`<${Action} small label="Acknowledge" run=${acknowledge} title="Somebody is on it" />`}
    ${row.silence ? null : html`<span class="monitoring-silence">
      <${Action} small label="Silence" run=${silence} confirm=${`Tell nobody about ${title(row.rule).toLowerCase()} of ${row.deployment} for ${words}. The alert itself goes on.`} reason="Why nobody needs to be told" required />
      <select class="field" aria-label="For how long" value=${length} onChange=${(event) => setLength(event.target.value)}>${LENGTHS.map(([key, name]) => html`<option value=${key} selected=${key === length}>${name}</option>`)}</select>
    </span>`}
  </span>`;
}
