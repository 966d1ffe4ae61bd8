// What was tried: every run in a grid that is filtered, ordered and grouped by the server, and what some of them differ in.
import { html, useState } from "../core/dom.js";
import { plural } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Later } from "../core/later.js";
import { Card, Choice, Copy, Empty } from "../core/parts.js";
import { go, setQuery, withQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { ColumnsDialog, gridColumns, moved, readColumns, writeColumns } from "./columns.js";
import { FilterField } from "./filter.js";
import { groupColumns, groupOptions, within } from "./groups.js";
import { SavedViews } from "./saved.js";
import { coloursOf, idsOf, MOST } from "./words.js";

const NEWEST = "attributes.start_time DESC";
const side = () => import("./side.js");
const ASKED = ["experiment", "project", "filter", "deleted"];

export default function RunsScreen({ query }) {
  const about = useView(`/api/view/runs/about?${asked(query, ["experiment", "project", "deleted"])}`);
  return html`<${Screen} title=${(data) => (data.chosen ? data.chosen.name : "Runs")} wide=${true} view=${about} crumbs=${query.experiment ? [["Experiments", "/experiments"]] : []} note=${(data) => plural(data.all, data.deleted ? "deleted run" : "run")}
    tools=${(data) => html`<${Tools} data=${data} query=${query} />`}>
    ${(data) => (data.all === 0 && !data.deleted ? html`<${Nothing} chosen=${data.chosen} />` : html`<${Body} data=${data} query=${query} />`)}
  <//>`;
}

const Nothing = ({ chosen }) => html`<${Card}><${Empty} title="Nothing has been tried yet" hint="The first round trains, measures and registers a model." command="perenne run" />
  <p class="dim">Or let a program that logs to MLflow log here${chosen ? `, to the experiment ${chosen.name}` : ""}:</p><${Copy} block text=${`export MLFLOW_TRACKING_URI=${location.origin}`} /><//>`;

/** The parts of the address that a question to the server is made of. */
const asked = (query, names) => new URLSearchParams(names.filter((name) => query[name]).map((name) => [name, query[name]])).toString();

/** An order of the address, as the grid shows it, and the other way round. */
const readOrder = (text) => ({ key: text.replace(/ (ASC|DESC)$/i, ""), descending: / DESC$/i.test(text) });
const writeOrder = ({ key, descending }) => `${key} ${descending ? "DESC" : "ASC"}`;

function Tools({ data, query }) {
  const chosen = idsOf(query.compare);
  return html`
    ${chosen.length ? html`<button class="button quiet" onClick=${() => setQuery({ compare: null })}>Compare none</button>` : null}
    <a class=${`button${chosen.length > 1 ? " primary" : ""}`} href=${chosen.length ? compareHref(query, chosen) : undefined} aria-disabled=${!chosen.length} title="c">Compare${chosen.length ? ` ${chosen.length}` : ""}</a>
    ${data.chosen ? html`<a class="button" href=${`/experiments?experiment=${data.chosen.id}`}>About the experiment</a>` : null}`;
}

const compareHref = (query, chosen) => `/runs/compare?${new URLSearchParams({ ids: chosen.join(","), ...(query.metric ? { metric: query.metric } : {}) })}`;

function Body({ data, query }) {
  const [error, setError] = useState(null);
  const [rows, setRows] = useState([]);
  const [shown, setShown] = useState([]);
  const [total, setTotal] = useState(null);
  const [dialog, setDialog] = useState(false);
  const chosen = idsOf(query.compare);
  const colours = coloursOf(chosen);
  const order = query.order || NEWEST;
  const wanted = new URLSearchParams(asked(query, [...ASKED, "columns"]));
  if (query.order) wanted.set("order", query.order);
  if (query.group) wanted.set("group", query.group);
  const heard = (answer) => {
    setShown(answer.columns);
    setTotal(answer.total);
    if (!query.group) setRows(answer.rows);
  };
  const toggle = (row) => setQuery({ compare: (chosen.includes(row.id) ? chosen.filter((id) => id !== row.id) : [...chosen, row.id].slice(-MOST)).join(",") });
  const setColumns = (ids) => setQuery({ columns: ids === null ? null : writeColumns(ids) || "none" });
  const named = (answer) => (query.group ? groupColumns(query.group, answer.columns) : gridColumns(answer.columns, answer.rows));
  return html`<div class=${`runs-split${chosen.length && !query.group ? " comparing" : ""}`}>
    <${Card} flush className="fill runs-card">
      <div class="toolbar runs-toolbar">
        <${FilterField} value=${query.filter ?? ""} error=${error?.status === 400 || error?.status === 422 ? error : null} keys=${data.keys} placeholder="name, or metrics.auc > 0.9 AND params.depth < 8" onChange=${(filter) => setQuery({ filter })} />
        ${data.experiments.length > 1 ? html`<${Choice} name="experiment" label="Experiment" value=${query.experiment ?? ""} options=${[["", "every experiment"], ...data.experiments.map((item) => [String(item.id), item.name])]} />` : null}
        <${Choice} name="group" label="Group by" value=${query.group ?? ""} options=${groupOptions(data.keys)} />
        <button class="button" aria-haspopup="dialog" onClick=${() => setDialog(true)}>Columns</button>
        <${SavedViews} views=${data.views} query=${query} />
        <label class="check"><input type="checkbox" checked=${!!query.deleted} onChange=${(event) => setQuery({ deleted: event.target.checked ? "1" : null, compare: null })} />deleted</label>
      </div>
      ${query.project && !query.experiment ? html`<p class="runs-only">Only the project <b>${query.project}</b> <button class="button small quiet" onClick=${() => setQuery({ project: null })}>every project</button></p>` : null}
      <${Grid} key=${query.group ? `by ${query.group}` : "runs"} label=${query.group ? "Groups of runs" : "Runs"} noun=${query.group ? "group" : "run"} pinned=${true} source=${`/api/view/runs${query.group ? "/groups" : ""}?${wanted}`} columns=${named}
        rowKey=${query.group ? (row) => row.value ?? "" : undefined} rowHref=${query.group ? (row) => withQuery({ group: null, filter: within(query.filter, query.group, row.value) }) : (row) => `/runs/${row.id}`}
        selected=${colours} onToggle=${query.group ? undefined : toggle} sort=${readOrder(order)} onSort=${(next) => setQuery({ order: writeOrder(next) === NEWEST ? null : writeOrder(next) })}
        onMove=${(from, to) => setColumns(moved(shown, from, to))} onAnswer=${heard} onError=${setError} press=${{ c: () => chosen.length && go(compareHref(query, chosen)) }} keys=${query.group ? null : html` · <kbd>c</kbd> compare`}
        empty=${html`<${Empty} title="No run fits" hint="Take a filter away." />`} />
    <//>
    ${chosen.length && !query.group ? html`<div class="side runs-side"><${Later} load=${side} ids=${chosen} colours=${colours} pool=${rows} shown=${shown} query=${query} total=${total} /></div>` : null}
    ${dialog ? html`<${ColumnsDialog} shown=${query.columns === "none" ? [] : (readColumns(query.columns) ?? shown)} keys=${data.keys} onChange=${setColumns} onClose=${() => setDialog(false)} />` : null}
  </div>`;
}
