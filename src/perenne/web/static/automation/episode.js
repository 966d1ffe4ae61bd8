// One retraining: the way it took, what caused it, and everything that decided it.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { count, duration, number, percent, signed, when } from "../core/format.js";
import { Action, Bound, Card, Facts, Meter, State, Table, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Contests, Harm, Infrastructure, Proof } from "./evidence.js";
import { States } from "../core/charts/states.js";

const WHY = "Why (kept in the audit trail)";
const VERDICTS = { pass: ["ok", "passed"], fail: ["crit", "failed"], unknown: ["warn", "unknown"] };
const STANDINGS = { met: "ok", missed: "crit", unsure: "warn", unknown: "none" };

export default function EpisodeScreen({ params }) {
  const view = useView(`/api/view/policy/${encodeURIComponent(params.episode)}`);
  return html`<${Screen} title=${({ episode }) => `Retraining of ${episode.project}`} crumbs=${[["Episodes", "/policy"]]} view=${view} note=${note} tools=${(data) => html`<${Decide} data=${data} reload=${view.reload} />`}>
    ${(data) => html`
      <${Way} data=${data} />
      <div class="cols"><div class="side">
        <${Harm} data=${data} />
        <${Comparison} data=${data} />
        <${Contests} data=${data} />
        <${Gate} data=${data} />
        <${Steps} steps=${data.steps} />
      </div><aside class="side" aria-label="Cause, work and trial">
        <${Cause} data=${data} />
        <${Work} data=${data} />
        <${Infrastructure} data=${data} />
        <${Shadow} data=${data} />
        <${Soak} data=${data} />
        <${Policy} data=${data} />
      </aside></div>`}
  <//>`;
}

const note = ({ episode }) => html`<span class="row"><${State} tone=${episode.tone} word=${episode.word} /><span>opened <${Time} at=${episode.opened} /></span></span>`;

/** What a person may do here. */
function Decide({ data, reload }) {
  const { episode, gate, may_cancel } = data;
  const cancel = async (reason) => {
    await post(`/api/policy/episode/${encodeURIComponent(episode.id)}/cancel`, { reason });
    reload();
    return "The retraining is cancelled; nobody was promoted";
  };
  const stop = may_cancel ? html`<${Action} label="Cancel" confirm="End this retraining before anybody is promoted?" reason=${WHY} required run=${cancel} />` : null;
  if (!gate?.may_decide || episode.state !== "awaiting_approval") return stop;
  const decide = (approve) => async (reason) => {
    await post(`/api/model/version/${encodeURIComponent(episode.challenger)}/decision`, { approve, reason });
    reload();
    return approve ? `${episode.challenger} is approved; it answers unseen first` : `${episode.challenger} is rejected`;
  };
  return html`${stop}<${Action} label="Reject" confirm=${`Reject ${episode.challenger}? The retraining ends.`} reason=${WHY} required run=${decide(false)} />
    <${Action} tone="primary" label="Approve" confirm=${`Approve ${episode.challenger}? It answers unseen first, then everybody.`} reason=${WHY} run=${decide(true)} />`;
}

function Way({ data }) {
  const { episode, path, due } = data;
  return html`<${Card} title="The way it took">
    <${States} line=${path.line} end=${path.end} leftFrom=${path.left_from} tone=${episode.tone} label="States of the retraining" />
    <p class="automation-note">${episode.note}${due && episode.open ? html` <span class="faint">Looked at again ${when(due)}.</span>` : null}</p>
  <//>`;
}

function Cause({ data }) {
  const { episode, alerts, triggers } = data;
  const joined = triggers.filter((trigger) => trigger.outcome !== "opened");
  return html`<${Card} title="What caused it">
    <${Facts} rows=${[["trigger", episode.trigger], ["because", episode.cause], ["champion", episode.champion]]} />
    ${alerts.map((alert) => html`<p key=${alert.id} class="automation-alert"><a href=${`/alert/${alert.id}`}>Alert: ${alert.summary}</a><br /><a class="small dim" href=${`/monitor/${encodeURIComponent(alert.deployment)}?window=${alert.window}`}>the window in the monitor</a></p>`)}
    ${joined.length ? html`<p class="small dim">Joined later: ${joined.map((trigger) => trigger.cause).join("; ")}</p>` : null}
  <//>`;
}

function Work({ data }) {
  const { job, run, episode } = data;
  if (!job && !run) return null;
  const running = job?.state === "running";
  return html`<${Card} title="The training">
    ${running ? html`<${Meter} parts=${[{ share: job.progress ?? 0, tone: "ok", title: `${percent(job.progress)} done` }]} label=${`${percent(job.progress)} done`} />` : null}
    <${Facts} rows=${[
      ["job", job ? html`<a href=${`/job?job=${job.id}`}>${job.state}</a>` : null],
      ["attempt", job ? `${job.attempt} of ${job.attempts_allowed}` : null],
      ["doing", running ? job.message : null],
      ["trouble", job?.error],
      ["run", run ? html`<a class="mono" href=${`/runs/${run}`}>${run}</a>` : null],
      ["challenger", episode.challenger ? html`<a href=${versionHref(episode.challenger)}>${episode.challenger}</a>` : null],
    ]} />
  <//>`;
}

function versionHref(version) {
  const at = version.lastIndexOf("@");
  return `/model/${encodeURIComponent(version.slice(0, at))}?version=${version.slice(at + 1)}`;
}

function Comparison({ data }) {
  const found = data.comparison;
  if (!found) return null;
  return html`<${Card} title="Challenger against champion" note="on the same rows, held out from both" tools=${html`<${State} tone=${VERDICTS[found.verdict][0]} word=${{ pass: "better", fail: "not better", unknown: "unknown" }[found.verdict]} />`}>
    <div class="automation-comparison">
      <div><span class="automation-figure">${signed(found.value)}</span><span class="small dim">difference${found.low === null ? "" : `, 95 % interval ${signed(found.low)} to ${signed(found.high)}`}</span></div>
      <${Bound} limit=${0} value=${found.value} low=${found.low} high=${found.high} tone=${VERDICTS[found.verdict][0]} />
    </div>
    <p>${found.detail}</p>
  <//>`;
}

const CHECKS = [
  { title: "check", cell: (row) => html`<span class="automation-words">${row.check}</span>` },
  { title: "verdict", cell: (row) => html`<${State} tone=${VERDICTS[row.verdict][0]} word=${VERDICTS[row.verdict][1]} />` },
  { title: "value", num: true, cell: (row) => number(row.value) },
  { title: "limit", num: true, cell: (row) => number(row.limit) },
  { title: "how it is known", cell: (row) => html`<span class="automation-words small dim">${row.detail}</span>` },
];

function Gate({ data }) {
  const { gate } = data;
  if (!gate) return null;
  const passed = gate.evidence.filter((item) => item.verdict === "pass").length;
  const tone = { open: "ok", waiting: "warn", closed: "crit" }[gate.state];
  return html`<${Card} flush title="Gate" note=${`${passed} of ${gate.evidence.length} checks passed`} tools=${html`<${State} tone=${tone} word=${gate.state} />`}>
    <${Table} dense label="Evidence about the challenger" columns=${CHECKS} rows=${gate.evidence} rowKey=${(row) => row.check} />
    <div class="automation-decisions">
      ${gate.decisions.map((item) => html`<p><${State} tone=${item.approved ? "ok" : "crit"} word=${item.approved ? "approved" : "rejected"} /> by ${item.approver}${item.solo ? " (alone)" : ""}, <${Time} at=${item.time} />${item.reason ? `: ${item.reason}` : ""}</p>`)}
      ${gate.state === "closed" ? html`<p class="dim">${gate.reasons.join("; ")}</p>` : null}
      <p class="small dim">${gate.approve_by ? `${gate.approve_by} must approve${gate.state === "waiting" ? ", and has not decided yet" : ""}.` : "Nobody has to approve: the evidence alone decides."}</p>
    </div>
  <//>`;
}

function Shadow({ data }) {
  const { shadow } = data;
  if (!shadow) return null;
  return html`<${Card} title=${shadow.canary ? "Shadow and canary" : "Shadow"} note=${shadow.canary ? `then ${percent(shadow.canary, 1)} of the callers` : "answers that nobody gets"}>
    <${Meter} parts=${[{ share: Math.min(1, shadow.needed_rows ? shadow.rows / shadow.needed_rows : 1), tone: "ok", title: `${count(shadow.rows)} of ${count(shadow.needed_rows)} rows` }]} label=${`${count(shadow.rows)} of ${count(shadow.needed_rows)} rows`} />
    <${Facts} rows=${[["rows", `${count(shadow.rows)} of ${count(shadow.needed_rows)}`], ["failed", count(shadow.errors)], ["agrees with the champion", percent(shadow.agreement, 1)], ["for", duration(shadow.length)]]} />
    <${Proof} shadow=${shadow} />
  <//>`;
}

function Soak({ data }) {
  const { soak } = data;
  if (!soak) return null;
  return html`<${Card} title="Soak" note=${`watched for ${duration(soak.length)}`}>
    ${soak.window
      ? html`<p class="small dim">Newest window from ${when(soak.window)}, ${count(soak.rows)} rows:</p>
        <ul class="automation-bounds">${soak.bounds.map((item) => html`<li><${State} tone=${STANDINGS[item.standing]} word=${item.standing} /> ${item.bound} ${number(item.figure.value)} <span class="faint">${item.figure.source}, limit ${item.at_least ? "≥" : "≤"} ${number(item.limit)}</span></li>`)}</ul>`
      : html`<p class="dim">No window of the promoted version is the newest one now.</p>`}
  <//>`;
}

const Policy = ({ data }) => html`<${Card} title="Policy"><ul class="automation-policy small">${data.policy.map((sentence) => html`<li>${sentence}</li>`)}</ul><//>`;

const Steps = ({ steps }) => html`<${Card} flush title="Every transition" note="oldest first">
  <ol class="automation-steps">${steps.map((step) => html`<li key=${step.generation}><span class="faint">${when(step.time)}</span><b>${step.after.replaceAll("_", " ")}</b><span class="dim">${step.note}${Object.keys(step.evidence).length ? html`<details class="automation-figures"><summary>figures</summary><pre>${JSON.stringify(step.evidence, null, 1)}</pre></details>` : null}</span></li>`)}</ol>
<//>`;
