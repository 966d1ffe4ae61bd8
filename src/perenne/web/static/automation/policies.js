// Retraining: the policies in words, and every episode.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { count, number, plural, when } from "../core/format.js";
import { Action, Card, Choice, Empty, Meter, State, Table, Time } from "../core/parts.js";
import { go } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { Pages } from "../monitoring/pages.js";

const FILTERS = ["state", "project", "offset"];
const STATES = [["", "any state"], ["open", "open"], ["closed", "closed"], ["awaiting_approval", "awaiting approval"], ["settled", "settled"], ["rejected", "rejected"], ["rolled_back", "rolled back"], ["failed", "failed"], ["expired", "expired"], ["superseded", "superseded"], ["not_needed", "not needed"], ["cancelled", "cancelled"]];

const COLUMNS = [
  { title: "opened", cell: (row) => html`<${Time} at=${row.opened} />` },
  { title: "project", key: "project" },
  { title: "state", cell: (row) => html`<${State} tone=${row.tone} word=${row.word} />` },
  { title: "because of", cell: (row) => html`<span class="automation-words">${row.cause}</span>` },
  { title: "champion", key: "champion" },
  { title: "challenger", cell: (row) => row.challenger || html`<span class="faint">none yet</span>` },
  { title: "where it stands, and why", cell: (row) => html`<span class="automation-words">${row.note}</span>` },
];

export default function PoliciesScreen({ query }) {
  const asked = FILTERS.filter((name) => query[name]).map((name) => `${name}=${encodeURIComponent(query[name])}`).join("&");
  const view = useView(`/api/view/policy${asked ? `?${asked}` : ""}`);
  const tools = html`<${Choice} name="state" label="State" value=${query.state || ""} options=${STATES} />${query.project ? html`<a class="button" href="/policy">All projects</a>` : null}`;
  return html`<${Screen} title="Episodes" view=${view} tools=${tools} note=${(data) => `${plural(data.total, "retraining")}${data.open ? `, ${count(data.open)} open` : ""}${query.project ? `, of ${query.project}` : ""}`}>
    ${(data) => html`
      ${query.project ? html`<${Policies} data=${data} reload=${view.reload} />` : null}
      <${Card} flush title="Retrainings" note="newest first" tools=${html`<${Pages} ...${data} />`}>
        <${Table} label="Retrainings" columns=${COLUMNS} rows=${data.rows} rowKey=${(row) => row.id} rowHref=${(row) => `/policy/${row.id}`} empty=${nothing(FILTERS.some((name) => query[name]))} />
      <//>
      ${query.project ? null : html`<${Policies} data=${data} reload=${view.reload} />`}`}
  <//>`;
}

const nothing = (filtered) =>
  filtered ? html`<${Empty} title="No retraining is like that" hint="Take a filter away to see others." />` : html`<${Empty} title="No retraining yet" hint="An episode opens when the policy's trigger comes, or when you ask for one." command="perenne policy trigger PROJECT --reason '…'" />`;

function Policies({ data, reload }) {
  if (!data.policies.length) return html`<${Card} title="Policies"><${Empty} title="No project has a retraining policy" hint="project.retrain(on=[pn.drift(), pn.missed()]) in project.py makes one." command="perenne run" /><//>`;
  return html`<div class="half">${data.policies.map((policy) => html`<${Policy} key=${policy.project} policy=${policy} reload=${reload} />`)}</div>
    ${data.more_policies ? html`<p class="dim">${plural(data.more_policies, "more policy", "more policies")} not shown.</p>` : null}`;
}

function Policy({ policy, reload }) {
  const { standing, project } = policy;
  const act = (what, said) => async (reason) => {
    const made = await post(`/api/policy/${encodeURIComponent(project)}/${what}`, { reason });
    reload();
    if (what === "trigger") go(`/policy/${made.id}`);
    return said;
  };
  const tools = html`<a class="button small" href=${`/policy/${encodeURIComponent(project)}/backtest`}>Backtest</a>
    ${!policy.may_edit ? null : standing.paused
      ? html`<${Action} small label="Resume" confirm=${`Let ${project} retrain again?`} reason=${WHY} required run=${act("resume", "The policy goes on")} />`
      : html`<${Action} small label="Pause" confirm=${`Have ${project} train nothing and promote nobody until it is resumed?`} reason=${WHY} required run=${act("pause", "Nothing is trained or promoted until it is resumed")} />`}
    ${policy.may_trigger ? html`<${Action} small label="Retrain now" confirm=${`Retrain ${project} now?`} reason=${WHY} required run=${act("trigger", "A retraining is open; the loop does the rest")} />` : null}`;
  return html`<${Card} title=${project} note="policy" tools=${tools}>
    <ul class="automation-policy">${policy.sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul>
    <${Standing} policy=${policy} />
  <//>`;
}

const WHY = "Why (kept in the audit trail)";

/** What of the budgets is used, and what it waits for. */
function Standing({ policy }) {
  const { standing, newest, rests_until: rests } = policy;
  const used = [["runs, 30 days", standing.runs, standing.runs_limit, count], ["CPU hours, 30 days", standing.cpu_hours, standing.cpu_hours_limit, number], ["money, 30 days", standing.money, standing.money_limit, number], [`chance of a mistake, a year (${plural(standing.tests, "test")})`, standing.alpha_spent, standing.alpha_budget, number]];
  const waits = [
    standing.paused ? ["crit", `paused by ${standing.paused.by} ${when(standing.paused.time)}: ${standing.paused.reason}`] : null,
    standing.closed_until ? ["warn", `blackout until ${when(standing.closed_until)}`] : null,
    rests ? ["none", `rests until ${when(rests)}`] : null,
    standing.next_due ? ["info", `the calendar is due ${when(standing.next_due)}`] : null,
  ].filter(Boolean);
  return html`<div class="automation-budget">${used.filter(([, value, limit]) => value || limit).map(([name, value, limit, say]) => html`<span>${name}</span>
      ${limit ? html`<${Meter} parts=${[{ share: Math.min(1, value / limit), tone: value >= limit ? "crit" : value >= 0.8 * limit ? "warn" : "ok", title: `${say(value)} of ${say(limit)}` }]} label=${`${name}: ${say(value)} of ${say(limit)}`} />` : html`<span class="faint">no limit</span>`}
      <span class="num">${say(value)}${limit ? ` of ${say(limit)}` : ""}</span>`)}</div>
    <ul class="automation-bounds small">${waits.map(([tone, word]) => html`<li><${State} tone=${tone} word=${word} /></li>`)}
      <li class="row">${newest ? html`Last: <a href=${`/policy/${newest.id}`}><${State} tone=${newest.tone} word=${newest.word} /></a>` : html`<span class="dim">Nothing has opened an episode yet.</span>`}</li></ul>`;
}
