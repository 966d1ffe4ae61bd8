// Retraining: the policies in words, and every episode.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { count, plural, when } from "../core/format.js";
import { Action, Card, Choice, Empty, State, Table, Time } from "../core/parts.js";
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
      <${Card} flush title="Retrainings" note="newest first" tools=${html`<${Pages} ...${data} />`}>
        <${Table} label="Retrainings" columns=${COLUMNS} rows=${data.rows} rowKey=${(row) => row.id} rowHref=${(row) => `/policy/${row.id}`} empty=${nothing(FILTERS.some((name) => query[name]))} />
      <//>
      <${Policies} data=${data} reload=${view.reload} />`}
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
  const trigger = async (reason) => {
    const opened = await post(`/api/policy/${encodeURIComponent(policy.project)}/trigger`, { reason });
    reload();
    go(`/policy/${opened.id}`);
    return "A retraining is open; the loop does the rest";
  };
  const tools = policy.may_trigger ? html`<${Action} small label="Retrain now" confirm=${`Retrain ${policy.project} now?`} reason="Why (kept in the audit trail)" required run=${trigger} />` : null;
  return html`<${Card} title=${policy.project} note="policy" tools=${tools}>
    <ul class="automation-policy">${policy.sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul>
    ${policy.rests_until ? html`<p class="small dim">Rests until ${when(policy.rests_until)}.</p>` : null}
    ${policy.newest ? html`<p class="row small">Last: <a href=${`/policy/${policy.newest.id}`}><${State} tone=${policy.newest.tone} word=${policy.newest.word} /></a></p>` : null}
  <//>`;
}
