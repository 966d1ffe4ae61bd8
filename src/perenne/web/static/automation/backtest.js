// The past replayed under a policy: what each rule comes to, and one of them window by window.
import { html } from "../core/dom.js";
import { count, day, duration, number, percent, plural, signed, UNKNOWN, when } from "../core/format.js";
import { Card, Choice, Empty, State, Table, Tabs } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Lines } from "../core/charts/lines.js";
import { Past } from "./past.js";

const ASKED = ["report", "rule"];
const TRAINED = { real: "every round was done as of its time", simulated: "past rounds stand for those that would have been" };

export default function BacktestScreen({ params, query }) {
  const asked = ASKED.filter((name) => query[name]).map((name) => `${name}=${encodeURIComponent(query[name])}`).join("&");
  const view = useView(`/api/view/policy/${encodeURIComponent(params.project)}/backtest${asked ? `?${asked}` : ""}`);
  return html`<${Screen} title=${`Backtest of ${params.project}`} crumbs=${[["Episodes", "/policy"]]} view=${view} note=${note} tools=${(data) => html`<${Tools} data=${data} />`}>
    ${(data) => (data.shown ? html`<${Body} data=${data} />` : html`<${Nothing} project=${data.project} />`)}
  <//>`;
}

const note = ({ starts, length, train, whole }) =>
  starts.length ? html`<span>${day(starts[0])} to ${day(starts.at(-1) + length)}, ${TRAINED[train]}${whole ? "" : "; cut short"}</span>` : null;

function Tools({ data }) {
  const { reports, report, project } = data;
  return html`${reports.length > 1 ? html`<${Choice} name="report" label="Which backtest" value=${report === reports[0].id ? "" : report} options=${reports.map((item, i) => [i ? item.id : "", `${when(item.made)}, ${item.train}`])} />` : null}
    <a class="button" href=${`/policy?project=${encodeURIComponent(project)}`}>Policy and episodes</a>`;
}

const Nothing = ({ project }) => html`<${Card} title="Before it is switched on"><${Empty} title="No backtest yet"
  hint="It replays the windows, rows and labels that are kept: how often a policy would have retrained, promoted and been wrong, and what it would have cost. Nothing in the workspace changes."
  command=${`perenne policy backtest ${project}`} /><//>`;

function Body({ data }) {
  const { rules, shown, metric, notes } = data;
  const marks = shown.bouts.map(({ bout, word, tone }) => ({ at: bout.ended ?? bout.opened, label: word, tone }));
  return html`
    <${Card} flush title="What each rule comes to" note=${metric ? `compared by ${metric}` : ""}>
      <${Table} label="Rules beside each other" columns=${columns(data)} rows=${rules} rowKey=${(row) => row.name} />
    <//>
    <${Card} title="The model that would have answered" note=${`${metric} by labels, window by window`}>
      <${Lines} label=${`${metric} by rule`} x=${data.starts} time height=${240} marks=${marks} limit=${data.limit === null ? undefined : { value: data.limit, label: "objective" }}
        series=${rules.map((rule) => ({ label: rule.name, values: rule.values, ...(rule.name === shown.name ? { low: shown.low, high: shown.high } : {}) }))} />
    <//>
    <${Tabs} name="rule" label="Rule" value=${shown.name} options=${rules.map((rule) => [rule.name, rule.name])} />
    <${Card} title=${`Window by window: ${shown.name}`} note=${plural(shown.bouts.length, "episode")}>
      <${Past} starts=${data.starts} length=${data.length} shown=${shown} />
      <ul class="automation-policy small dim">${rules.find((rule) => rule.name === shown.name).words.map((sentence) => html`<li>${sentence}</li>`)}</ul>
    <//>
    <${Bouts} rows=${shown.bouts} />
    <${Card} title="What to know when reading it"><ul class="automation-policy">${notes.map((sentence) => html`<li>${sentence}</li>`)}</ul><//>`;
}

/** A rule in a sentence; of another policy, in those that the first one has not. */
const told = (row, rules) => (row.name === rules[0].name ? row.words[0] : row.words.filter((sentence) => !rules[0].words.includes(sentence)).slice(0, 2).join(" ") || row.words[0]);

const columns = ({ metric, limit, rules }) => [
  { title: "rule", cell: (row) => html`<b>${row.name}</b><br /><span class="automation-words small dim">${told(row, rules)}</span>` },
  { title: "episodes", num: true, cell: ({ sums }) => count(sums.opened) },
  { title: "trained", num: true, cell: ({ sums }) => count(sums.trained) },
  { title: "promoted", num: true, cell: ({ sums }) => count(sums.promoted) },
  { title: "no better later", num: true, cell: ({ sums }) => (sums.judged ? html`<span class=${sums.wrong ? "crit" : ""}>${sums.wrong} of ${sums.judged}</span>` : html`<span class="faint" title="No labels came after a promotion">${UNKNOWN}</span>`) },
  { title: "rejected", num: true, cell: ({ sums }) => count(sums.rejected) },
  { title: "but better later", num: true, cell: ({ sums }) => count(sums.missed) },
  { title: "rolled back", num: true, cell: ({ sums }) => count(sums.rolled_back) },
  { title: "not needed", num: true, cell: ({ sums }) => count(sums.unneeded) },
  { title: metric || "metric", num: true, cell: ({ sums }) => number(sums.mean, 4) },
  ...(limit === null ? [] : [{ title: "below the objective", num: true, cell: ({ sums }) => (sums.known ? `${sums.below ? duration(sums.below) : "never"} (${percent(sums.below / sums.known)})` : UNKNOWN) }]),
  { title: "CPU", num: true, cell: ({ sums }) => (sums.cpu_seconds ? duration(sums.cpu_seconds * 1e6) : "none") },
  ...(rules.some(({ sums }) => sums.money !== null) ? [{ title: "money", num: true, cell: ({ sums }) => number(sums.money) }] : []),
];

const BOUTS = [
  { title: "opened", cell: ({ bout }) => when(bout.opened) },
  { title: "ended as", cell: ({ word, tone }) => html`<${State} tone=${tone} word=${word} />` },
  { title: "because of", cell: ({ bout }) => html`<span class="automation-words">${bout.triggers[0]}${bout.triggers.length > 1 ? html` <span class="faint">and ${plural(bout.triggers.length - 1, "more")}</span>` : null}</span>` },
  { title: "challenger", cell: ({ bout }) => bout.challenger || html`<span class="faint">none</span>` },
  { title: "in the test", num: true, cell: ({ bout }) => (bout.compared ? `${signed(bout.compared.difference)} (${signed(bout.compared.low)} to ${signed(bout.compared.high)})` : UNKNOWN) },
  { title: "on later labels", num: true, cell: ({ bout, wrong, missed }) => (bout.later ? html`<span class=${wrong || missed ? "crit" : ""} title=${`${count(bout.later.rows)} rows`}>${signed(bout.later.difference)} (${signed(bout.later.low)} to ${signed(bout.later.high)})</span>` : UNKNOWN) },
  { title: "why it ended so", cell: ({ bout }) => html`<span class="automation-words small dim">${bout.note}</span>` },
];

const Bouts = ({ rows }) => html`<${Card} flush title="Episodes" note="as they would have been, oldest first">
  <${Table} label="Episodes of the rule" columns=${BOUTS} rows=${rows} rowKey=${({ bout }) => bout.opened} empty="This rule opens none." />
<//>`;
