// One project: what is asked of it, and what there is: at the gate, in production, in the plan.
import { html } from "../core/dom.js";
import { count, day, duration, number, plural, when } from "../core/format.js";
import { Bound, Card, Chip, Copy, Empty, Facts, State, Table, Tabs, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Lines } from "../core/charts/lines.js";
import { Sparkline } from "../core/charts/sparkline.js";
import { Needs } from "./needs.js";
import { withUnit } from "./units.js";

const STANDINGS = { met: ["ok", "met"], unsure: ["warn", "unsure"], missed: ["crit", "missed"], unknown: ["none", "unknown"] };
const VERDICTS = { pass: ["ok", "passed"], fail: ["crit", "failed"], unknown: ["none", "unknown"] };
const PLAN = { done: ["ok", "done"], late: ["warn", "done late"], open: ["info", "open"], overdue: ["crit", "overdue"], unproven: ["none", "not judged"] };
const PROOFS = { version: "a version is registered", approved: "a person approves one", deployed: "one goes into service", retrained: "a retraining promotes its challenger" };

export default function ProjectScreen({ params, query }) {
  const view = useView(`/api/view/project/${encodeURIComponent(params.project)}`);
  return html`<${Screen} title=${params.project} crumbs=${[["Projects", "/project"]]} view=${view} tools=${(project) => html`<${Standing} project=${project} />`}>
    ${(project) => html`
      ${project.problem ? html`<p class="project-purpose">${project.problem}</p>` : null}
      <div class="cols">
        <div class="side">
          <${Asked} title="Objectives" bounds=${project.objectives} judged=${project.judged} none="No objective is stated." />
          <${Asked} title="Guardrails" bounds=${project.guardrails} judged=${project.judged} none="No guardrail is stated: nothing is said about what must not get worse." />
          <${Over} bounds=${[...project.objectives, ...project.guardrails]} chosen=${query.bound} />
          <${Plan} plan=${project.plan} />
          <${Policy} policy=${project.policy} />
          <${Newest} project=${project} />
        </div>
        <aside class="side" aria-label="About the project">
          ${project.needs.length ? html`<${Needs} needs=${project.needs} reload=${view.reload} />` : null}
          <${About} project=${project} />
          <${People} people=${project.people} owner=${project.owner} />
          <${Unsaid} gaps=${project.gaps} />
        </aside>
      </div>`}
  <//>`;
}

const Standing = ({ project }) => html`<${State} tone=${project.tone} word=${project.word} />
  ${project.path ? html`<a class="button" href=${project.path}>Monitor</a>` : null}
  <a class="button" href=${`/model/${encodeURIComponent(project.name)}`}>Versions</a>`;

const Asked = ({ title, bounds, judged, none }) => html`<${Card} flush title=${title} note=${judged ? `gate: ${judged}` : undefined}>
  <${Table} label=${title} columns=${BOUNDS} rows=${bounds} rowKey=${(row) => row.id} empty=${none} />
<//>`;

const BOUNDS = [
  { key: "id", title: "metric", cell: (row) => html`<b>${row.metric}</b>${row.by ? html` <span class="dim">in every ${row.by}</span>` : null}` },
  { key: "limit", width: 84, title: "target", num: true, cell: (row) => `${row.at_least ? "≥" : "≤"} ${withUnit(row.metric, row.limit)}` },
  { key: "gate", width: 120, title: "at the gate", num: true, cell: (row) => figure(row, row.gate, row.gate && VERDICTS[row.gate.verdict][0]) },
  { key: "verdict", width: 120, title: "", cell: (row) => (row.gate ? word(VERDICTS[row.gate.verdict], row.gate.detail) : html`<span class="faint">measured in service only</span>`) },
  { key: "now", width: 120, title: "in production", num: true, cell: (row) => figure(row, row.now, row.now && STANDINGS[row.now.standing][0]) },
  { key: "standing", width: 150, title: "", cell: now },
  { key: "history", width: 100, title: "windows", cell: history },
];

function figure(row, known, tone) {
  if (!known || known.value === null) return "–";
  return html`<span class="project-figure">${withUnit(row.metric, known.value)}<${Bound} limit=${row.limit} value=${known.value} low=${known.low} high=${known.high} atLeast=${row.at_least} tone=${tone} /></span>`;
}

const word = ([tone, text], title) => html`<${State} tone=${tone} word=${text} title=${title || undefined} />`;

function now(row) {
  if (!row.now) return html`<span class="faint">no window tells it</span>`;
  const { standing, source, group, start, rows } = row.now;
  const title = `${source} on ${count(rows)} in the window from ${when(start)}${group ? `, worst in ${group}` : ""}`;
  return html`<span class="two" title=${title}><span>${word(STANDINGS[standing])}</span><small>${source}${group ? `, worst: ${group}` : ""}, ${day(start).slice(5)}</small></span>`;
}

function history(row) {
  const label = `${row.id} in ${plural(row.history.length, "window")}, now ${number(row.history.at(-1))}`;
  return html`<${Sparkline} values=${row.history} label=${label} tone=${row.now?.standing === "missed" ? "crit" : undefined} />`;
}

function Over({ bounds, chosen }) {
  const drawn = bounds.filter((bound) => bound.history.length > 1);
  if (!drawn.length) return null;
  const id = (bound) => `${bound.kind} ${bound.id}`;
  const bound = drawn.find((item) => id(item) === chosen) || drawn[0];
  const known = (source) => bound.history.map((value, i) => (bound.sources[i] === source ? value : null));
  const sources = [...new Set(bound.sources)];
  return html`<${Card} title="Over time" tools=${html`<${Tabs} name="bound" label="Which bound" value=${id(bound)} options=${drawn.map((item) => [id(item), item.id])} />`}>
    <${Lines} time x=${bound.starts} height=${180} label=${`${bound.id} by window`} limit=${{ value: bound.limit, label: bound.at_least ? "at least" : "at most" }}
      series=${sources.map((source) => ({ label: source, values: known(source), dash: source === "estimated" }))} />
  <//>`;
}

const Plan = ({ plan }) => html`<${Card} flush title="Plan" note="held against the audit trail">
  <${Table} label="Plan" rows=${plan} rowKey=${(row) => row.due + row.title} columns=${PLAN_COLUMNS}
    empty=${html`<${Empty} title="No plan is stated" hint='plan=[pn.Milestone("2026-01-31", "in service", evidence="deployed")]' />`} />
<//>`;

const PLAN_COLUMNS = [
  { key: "due", title: "due", cell: (row) => html`<span class="mono">${row.due}</span>` },
  { key: "title", title: "milestone" },
  { key: "state", title: "state", cell: (row) => word(PLAN[row.state]) },
  { key: "reached", title: "proved by", cell: (row) => proof(row) },
];

function proof(row) {
  if (row.reached) {
    const { thing, by, time, record } = row.reached;
    return html`<span class="two"><span>${thing.length > 24 ? `${thing.slice(0, 12)}…` : thing}, ${day(time)}</span><small>by ${by.startsWith("policy:") ? "the loop" : by}, <a href=${`/audit?record=${record}`}>record ${count(record)}</a></small></span>`;
  }
  return html`<span class="faint">${row.evidence ? `when ${PROOFS[row.evidence] || row.evidence}` : "names nothing that could prove it"}</span>`;
}

const Policy = ({ policy }) => html`<${Card} title="Retraining">
  ${policy.length ? html`<ul class="project-words">${policy.map((line) => html`<li>${line}</li>`)}</ul>` : html`<${Empty} title="No policy is stated" note="Nothing retrains by itself." hint="project.retrain(on=[pn.drift()])" />`}
<//>`;

const Newest = ({ project }) => html`
  <${Things} title="Newest versions" rows=${project.versions} none="No version yet: perenne run makes the first." first="version" name=${(row) => row.id} />
  <${Things} title="Newest retrainings" rows=${project.episodes} none="No retraining yet." first="opened" name=${(row) => html`<${Time} at=${row.at} />`} />
  <${Things} title="Newest runs" rows=${project.runs} none="No run yet." first="started" name=${(row) => html`<${Time} at=${row.at} />`} />`;

const Things = ({ title, rows, none, first, name }) => html`<${Card} flush title=${title}>
  <${Table} dense label=${title} rows=${rows} rowKey=${(row) => row.id} rowHref=${(row) => row.path} empty=${none}
    columns=${[
      { key: "id", title: first, width: 130, cell: name },
      { key: "word", title: "state", width: 140, cell: (row) => html`<${State} tone=${row.tone} word=${row.word} />` },
      { key: "text", title: "what of it" },
    ]} />
<//>`;

const About = ({ project }) => html`<${Card} title="About">
  <${Facts} rows=${[
    ["owner", project.owner || "nobody"],
    ["scope", project.scope],
    ["champion", project.champion ? html`<a class="mono" href=${`/model/${encodeURIComponent(project.name)}`}>${project.champion}</a>` : "none yet"],
    ["window", duration(project.window)],
    ["stated", html`<${Time} at=${project.created} />`],
    ["changed", project.updated > project.created ? html`<${Time} at=${project.updated} />` : null],
    ["folder", html`<${Copy} text=${project.folder} />`],
  ]} />
<//>`;

const People = ({ people, owner }) => html`<${Card} title="People">
  ${people.length ? html`<${Facts} rows=${people.map((person) => [person.name, person.role || "takes part"])} />` : html`<p class="none dim">${owner ? `Only the owner is named: ${owner}.` : "Nobody is named."}</p>`}
<//>`;

const Unsaid = ({ gaps }) => html`<${Card} title="Left unsaid" tools=${gaps.length ? html`<${Chip}>${gaps.length}<//>` : null}>
  ${gaps.length
    ? html`<ul class="project-words">${gaps.map((gap) => html`<li>${gap.missing}<br /><code class="small faint">${gap.hint}</code></li>`)}</ul>`
    : html`<p class="none dim">Everything that a project should say is said.</p>`}
<//>`;
