// What needs attention: open alerts first, then those that have ended; what is silent, and who is told.
import { html } from "../core/dom.js";
import { count, duration, number, plural, when } from "../core/format.js";
import { Card, Chip, Choice, Empty, State, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { OneAlert } from "./alert.js";
import { about, Answers, title } from "./answering.js";
import { Channels, Silences } from "./channels.js";
import { Pages } from "./pages.js";
import { featureName } from "./words.js";

const FILTERS = ["state", "severity", "deployment", "offset"];
const WORDS = { firing: "firing", pending: "pending, waits for the next window", resolved: "resolved", ok: "did not repeat" };
const GROUPS = { deployment: about, rule: (row) => title(row.rule), severity: (row) => row.severity, project: (row) => row.project || "no project" };

export default function AlertsScreen({ params, query }) {
  const asked = FILTERS.filter((name) => query[name]).map((name) => `${name}=${encodeURIComponent(query[name])}`);
  if (params.alert) asked.push(`alert=${encodeURIComponent(params.alert)}`);
  const view = useView(`/api/view/alert${asked.length ? `?${asked.join("&")}` : ""}`);
  if (params.alert) return html`<${OneAlert} view=${view} id=${params.alert} />`;
  const tools = html`<${Choice} name="state" label="State" value=${query.state || ""} options=${[["", "open and ended"], ["open", "open"], ["firing", "firing"], ["pending", "pending"], ["ended", "ended"]]} />
    <${Choice} name="severity" label="Severity" value=${query.severity || ""} options=${[["", "any severity"], ["critical", "critical"], ["warning", "warning"], ["info", "info"]]} />
    <${Choice} name="group" label="Group" value=${query.group || ""} options=${[["", "one by one"], ["deployment", "by deployment"], ["rule", "by rule"], ["severity", "by severity"], ["project", "by project"]]} />
    ${query.deployment ? html`<a class="button" href="/alert">All deployments</a>` : null}`;
  return html`<${Screen} title="Alerts" note=${(data) => summary(data, query)} tools=${tools} view=${view}>
    ${(data) => html`<${Card} flush title="Alerts" note="open ones first, then the newest" tools=${html`<${Pages} ...${data} />`}>
      ${data.rows.length ? html`<${Groups} data=${data} by=${query.group} reload=${view.reload} />` : html`<${Nothing} filtered=${FILTERS.some((name) => query[name])} />`}
    <//>
    <div class="monitoring-tables">
      <${Silences} rows=${data.silences} may=${data.may_answer} reload=${view.reload} />
      ${data.channels.length ? html`<${Channels} rows=${data.channels} may=${data.may_administer} />` : null}
    </div>`}
  <//>`;
}

function summary(data, query) {
  const open = [data.firing ? `${count(data.firing)} firing` : "", data.pending ? `${count(data.pending)} pending` : ""].filter(Boolean).join(", ");
  return `${open || "nothing is open"}${query.deployment ? `, of ${query.deployment}` : ""}`;
}

const Nothing = ({ filtered }) => (filtered ? html`<${Empty} title="No alert is like that" hint="Take a filter away to see others." />` : html`<${Empty} title="No alert yet" hint="An alert fires when inputs drift, an objective is missed, a guardrail is breached or rows stay away, and stays until windows are clear again." command="perenne alert list --all" />`);

function Groups({ data, by, reload }) {
  const name = GROUPS[by];
  const line = (row) => html`<${Alert} key=${row.id} row=${row} may=${data.may_answer} reload=${reload} />`;
  if (!name) return data.rows.map(line);
  const groups = new Map();
  for (const row of data.rows) groups.set(name(row), [...(groups.get(name(row)) || []), row]);
  return [...groups].map(([word, rows]) => html`<h3 class="monitoring-group" key=${word}>${word} <span class="faint small">${plural(rows.length, "alert")}</span></h3>${rows.map(line)}`);
}

function Alert({ row, may, reload }) {
  const monitor = `/monitor/${encodeURIComponent(row.deployment)}?window=${row.latest}`;
  return html`<article class="monitoring-alert" aria-label=${`${row.rule} of ${about(row)}`}>
    <div class="row">
      <${State} tone=${row.tone} word=${row.open ? row.severity : WORDS[row.state]} />
      <b><a href=${`/alert/${row.id}`}>${title(row.rule)}</a></b>
      ${row.deployment ? html`<a href=${`/deploy/${encodeURIComponent(row.deployment)}`}>${row.deployment}</a>` : null}
      ${row.version ? html`<span class="dim">${row.version}</span>` : null}
      ${row.members.length ? html`<${Chip} title=${row.members.map(([, name]) => name).join(", ")}>${plural(row.members.length, "deployment")}<//>` : null}
      ${row.parent ? html`<a class="dim" href=${`/alert/${row.parent}`}>part of one about its data</a>` : null}
      <span class="grow"></span>
      ${row.open ? html`<${Chip} tone=${row.state === "firing" ? row.tone : "info"}>${row.state}<//>` : null}
      ${row.acknowledged_by ? html`<${Chip} tone="ok">${row.acknowledged_by} is on it<//>` : null}
      ${row.silence ? html`<${Chip} title=${row.silence.reason}>silent until ${when(row.silence.until)}<//>` : null}
    </div>
    ${row.causes.length > 1 && !row.members.length ? null : html`<p>${row.summary}</p>`}
    ${row.causes.length > 1 && !row.members.length ? html`<ul class="dim">${row.causes.map((cause) => html`<li>${featureName(cause.feature)}: ${cause.sentence}${cause.impact ? ` (moves the mean answer by ${number(cause.impact, 2)})` : ""}</li>`)}</ul>` : null}
    <div class="row small dim">
      <span>${life(row)}</span>
      ${row.version ? html`<a href=${monitor}>the window in the monitor</a>` : null}
      ${row.episode ? html`<a href=${`/policy/${row.episode}`}>the retraining it led to</a>` : null}
      <span>${row.told.length ? `told: ${row.told.join(", ")}` : ""}</span>
      <span class="grow"></span>
      ${row.open && may ? html`<${Answers} row=${row} reload=${reload} />` : null}
    </div>
  </article>`;
}

function life(row) {
  const began = html`since the window from ${when(row.since)}`;
  const ended = row.ended ? html`, ended <${Time} at=${row.ended} />${row.ended > row.opened ? ` after ${duration(row.ended - row.opened)}` : ""}` : null;
  return html`${row.fired ? html`fired <${Time} at=${row.fired} />, ` : null}${began}${ended}`;
}
