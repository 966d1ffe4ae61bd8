// What some runs differ in: names whose values are not the same, and a table of them side by side.
import { html } from "../core/dom.js";
import { duration, when } from "../core/format.js";
import { nameOf, written } from "./words.js";

const OWN = /^mlflow\.(runName|user|log-model\.history|note\.content)$/;

const union = (objects) => [...new Set(objects.flatMap((object) => Object.keys(object)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

/** The names under which some runs hold different values. */
export const differing = (runs, kind) => union(runs.map((run) => run[kind])).filter((name) => differs(runs.map((run) => run[kind][name])));

const differs = (values) => new Set(values.map((value) => value ?? null)).size > 1;

/** Rows of values, by kind: `[{title, rows: [{name, values, figure}]}]`. */
export function sections(runs, everything) {
  const about = [
    { name: "experiment", values: runs.map((run) => run.experiment_name) },
    { name: "state", values: runs.map((run) => run.state) },
    { name: "user", values: runs.map((run) => run.user) },
    { name: "started", values: runs.map((run) => when(run.started)) },
    { name: "took", values: runs.map((run) => (run.ended ? duration(run.ended - run.started) : "not over yet")) },
    { name: "code", values: runs.map((run) => (run.commit ? run.commit.slice(0, 12) + (run.dirty ? " and changes" : "") : "")) },
    { name: "environment", values: runs.map((run) => run.environment) },
    { name: "data", values: runs.map((run) => run.inputs.join(", ")) },
  ];
  const of = (kind, write, leave = () => false) => union(runs.map((run) => run[kind])).filter((name) => !leave(name)).map((name) => ({ name, figure: kind === "metrics", values: runs.map((run) => (run[kind][name] === undefined ? null : write(run[kind][name]))) }));
  const all = [
    { title: "Parameters", rows: of("params", String) },
    { title: "Metrics", rows: of("metrics", written) },
    { title: "Tags", rows: of("tags", String, (name) => OWN.test(name)) },
    { title: "About the run", rows: about.filter((row) => row.values.some((value) => value)) },
  ];
  return all.map((part) => ({ ...part, all: part.rows.length, rows: part.rows.filter((row) => everything || differs(row.values)) })).filter((part) => part.all);
}

/** Runs side by side, one column each; `colours` by id. */
export const DifferTable = ({ runs, colours, everything }) => html`<div class="scroll runs-wide" tabindex="0" role="region" aria-label="Runs side by side"><table class="table dense runs-differ">
  <thead><tr><th scope="col"><span class="sr-only">name</span></th>${runs.map((run) => html`<th scope="col" class="num"><a href=${`/runs/${run.id}`}><i class="runs-key" style=${{ background: colours.get(run.id) }}></i><span class="mono">${nameOf(run)}</span></a></th>`)}</tr></thead>
  ${sections(runs, everything).map((part) => html`<tbody><tr class="runs-part"><th scope="rowgroup" colspan=${runs.length + 1}>${part.title} <span class="faint">${part.rows.length === part.all ? "" : part.rows.length ? `${part.rows.length} of ${part.all} differ` : `${part.all}, all the same`}</span></th></tr>
    ${part.rows.map((row) => html`<${Row} row=${row} />`)}</tbody>`)}
</table></div>`;

function Row({ row }) {
  const not = differs(row.values);
  return html`<tr class=${not ? `differs${row.figure ? " figure" : ""}` : ""}><th scope="row" title=${row.name}>${row.name}${not ? html`<span class="sr-only"> (differs)</span>` : null}</th>${row.values.map((value) => html`<td class="num" title=${value ?? ""}>${value ?? "–"}</td>`)}</tr>`;
}
