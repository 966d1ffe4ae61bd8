// A deployment's rollout: who answers whom, how each version does, what a person may change, and how versions compare.
import { html, useState } from "../core/dom.js";
import { count, number, percent } from "../core/format.js";
import { Action, Card, State, Table } from "../core/parts.js";
import { changing } from "./actions.js";

const ROLES = {
  champion: "answers people",
  canary: "answers a share of the callers",
  challenger: "answers unseen, in shadow",
  previous: "stands by, kept warm",
  fallback: "answers where another one fails",
};
const WEIGHTS = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1];
const WHY = "Why (kept in the audit trail)";

export function Rollout({ deployment, reload }) {
  const { rollout } = deployment;
  const columns = [
    { title: "version", cell: (row) => html`<span class="two"><a href=${versionHref(row.version)}>${row.version}</a><small>${gate(deployment, row)}</small></span>` },
    { title: "part", cell: (row) => html`<span class="two">${row.parked ? html`<${State} tone="crit" word="parked" />` : row.role}<small>${row.parked || ROLES[row.role]}</small></span>` },
    { title: rollout.bandit ? "share now" : "weight", num: true, cell: (row) => html`<span class="two">${percent(row.weight, row.weight && row.weight < 0.1 ? 1 : 0)}<small>${row.timeout_ms ? `${row.timeout_ms} ms at most` : ""}</small></span>` },
    { title: "requests", num: true, cell: (row) => (row.role === "challenger" ? html`<span class="two">${count(row.rows)}<small>rows unseen</small></span>` : count(row.requests)) },
    { title: "failed", num: true, cell: (row) => percent(row.error_rate, 1) },
    { title: "p50, p99", num: true, cell: (row) => (row.p50_ms === null ? "–" : html`<span class="two">${number(row.p50_ms, 2)} ms<small>${number(row.p99_ms, 2)} ms</small></span>`) },
    { title: "agrees", num: true, cell: (row) => percent(row.agreement, 1) },
    { title: "reward", num: true, cell: (row) => (row.reward === null ? "–" : html`<span class="two">${percent(row.reward, 1)}<small>of ${count(row.rewarded)} labels</small></span>`) },
    { title: "", num: true, cell: (row) => html`<${VariantChanges} deployment=${deployment} row=${row} reload=${reload} />` },
  ];
  return html`<${Card} flush title="Versions" note=${`${rollout.route}; figures of the last seven days with traffic`}>
    <${Table} label="Versions of this deployment" columns=${columns} rows=${rollout.lines} rowKey=${(row) => row.name} />
    <p class="serving-rules small dim">Taken back by itself ${rollout.rules}.${deployment.answer === null ? "" : ` If no model can, ${JSON.stringify(deployment.answer)} is answered.`}</p>
  <//>`;
}

const gate = (deployment, row) => {
  const found = deployment.variants.find((variant) => variant.name === row.name);
  return found && found.gate !== "open" ? `gate ${found.gate}` : "";
};

/** What may be changed about a version: its weight, that it is promoted, or that it leaves. */
function VariantChanges({ deployment, row, reload }) {
  const [weight, setWeight] = useState(String(row.weight));
  if (!deployment.may_change || !["canary", "challenger"].includes(row.role)) return null;
  const { version, role } = row;
  const { generation } = deployment;
  const change = changing(deployment.name, reload);
  const choices = [...new Set([...WEIGHTS, row.weight])].sort((a, b) => a - b);
  const wanted = Number(weight);
  const promote = html`<${Action} small label="Promote" confirm=${`Let ${version} answer everybody? The champion stands by as previous version.`} reason=${WHY} required run=${(reason) => change("promote", { version, reason }, `${version} is the champion`)} />`;
  const remove = role === "canary"
    ? html`<${Action} small label="Remove" confirm=${`Take ${version} out? The champion gets its callers.`} reason=${WHY} run=${(reason) => change("canary/remove", { version, reason, generation }, `${version} is out`)} />`
    : html`<${Action} small label="Remove" confirm=${`Take ${version} out of the shadow?`} reason=${WHY} run=${(reason) => change("challenger/remove", { version, reason }, `${version} is out of the shadow`)} />`;
  return html`<span class="row end serving-weight">
    <label><span class="sr-only">Share of callers for ${version}</span><select value=${weight} onChange=${(event) => setWeight(event.target.value)}>${choices.map((share) => html`<option value=${String(share)}>${percent(share, share && share < 0.1 ? 1 : 0)}</option>`)}</select></label>
    <${Action} small label="Set" title="Give it this share of the callers" disabled=${wanted === row.weight && !row.parked && role === "canary"} confirm=${`Give ${version} ${percent(wanted, 1)} of the callers? They come from the champion, or go back to it.`} reason=${WHY} required run=${(reason) => change("canary", { version, weight: wanted, reason, generation }, `${version} answers ${percent(wanted, 1)} of the callers`)} />
    ${promote}${remove}
  </span>`;
}

function versionHref(version) {
  const at = version.lastIndexOf("@");
  return `/model/${encodeURIComponent(version.slice(0, at))}?version=${version.slice(at + 1)}`;
}

/** By how much oftener each version is right than the champion: a dot with its interval around a line at no difference. */
export function Comparison({ compared }) {
  if (!compared.length) return null;
  const reach = Math.max(0.01, ...compared.flatMap((row) => [Math.abs(row.low), Math.abs(row.high)]));
  const at = (value) => `${50 + 50 * (Math.max(-1, Math.min(1, value)) / Math.min(1, reach))}%`;
  const words = (row) => `${signed(row.value)}, ${signed(row.low)} to ${signed(row.high)}`;
  const verdict = (row) => (row.low > 0 ? ["ok", "better"] : row.high < 0 ? ["crit", "worse"] : ["none", "not told apart"]);
  return html`<${Card} title="Against the champion" note="share of right answers, by labels; 95 % intervals that stay valid however often you look">
    <ul class="serving-compare">${compared.map((row) => html`<li key=${row.version + row.on}>
      <span class="two">${row.version}<small>${row.on}, ${count(row.rows)} labels</small></span>
      <span class="track" role="img" aria-label=${`${row.version} on ${row.on}: ${words(row)}`}><i class="zero"></i><i class="range" style=${{ left: at(row.low), right: `calc(100% - ${at(row.high)})` }}></i><i class="dot" style=${{ left: at(row.value) }}></i></span>
      <span class="two num">${signed(row.value)}<small>${signed(row.low)} to ${signed(row.high)}</small></span>
      <${State} tone=${verdict(row)[0]} word=${verdict(row)[1]} />
    </li>`)}</ul>
    <p class="small faint">Left of the line the champion is right more often, right of it the other version.</p>
  <//>`;
}

const signed = (value) => `${value > 0 ? "+" : ""}${percent(value, 1)}`;
