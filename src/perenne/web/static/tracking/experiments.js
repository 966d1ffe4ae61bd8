// Every experiment: how much was tried in it and when last; its description, name, and whether it is kept.
import { html, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { Writing } from "../core/comments.js";
import { count, plural, when } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Action, Card, Copy, Empty, Facts, Filter, State, Time } from "../core/parts.js";
import { Prose } from "../core/prose.js";
import { setQuery, withQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { toast } from "../core/toast.js";
import { may } from "./about.js";

const COLUMNS = [
  { key: "name", title: "experiment", width: 200, grow: 2 },
  { key: "runs", title: "runs", width: 70, num: true, cell: (row) => count(row.runs) },
  { key: "running", title: "running", width: 90, cell: (row) => (row.running ? html`<${State} tone="info" word=${count(row.running)} />` : html`<span class="faint">none</span>`) },
  { key: "newest", title: "newest run", width: 110, cell: (row) => html`<${Time} at=${row.newest} />` },
  { key: "description", title: "description", width: 220, grow: 3, cell: (row) => html`<span class="dim" title=${row.description}>${row.description.split("\n")[0]}</span>` },
  { key: "project", title: "project", width: 120, cell: (row) => (row.project === row.name ? html`<span class="faint">its own</span>` : row.project) },
  { key: "created", title: "made", width: 100, cell: (row) => html`<${Time} at=${row.created} />` },
];

export default function ExperimentsScreen({ query }) {
  const asked = new URLSearchParams(["q", "deleted"].filter((name) => query[name]).map((name) => [name, query[name]])).toString();
  const source = `/api/view/experiments${asked ? `?${asked}` : ""}`;
  const view = useView(`${source}${asked ? "&" : "?"}offset=0&limit=1`);
  return html`<${Screen} title="Experiments" wide=${true} view=${view} note=${(data) => plural(data.total, query.deleted ? "deleted experiment" : "experiment")} tools=${may("log") ? html`<${Make} />` : null}>
    ${() => html`<div class=${`runs-split${query.experiment ? " comparing" : ""}`}>
      <${Card} flush className="fill">
        <div class="toolbar"><${Filter} value=${query.q} label="Find experiments" placeholder="words of the name" /><label class="check"><input type="checkbox" checked=${!!query.deleted} onChange=${(event) => setQuery({ deleted: event.target.checked ? "1" : null, experiment: null })} />deleted</label></div>
        <${Grid} label="Experiments" noun="experiment" pinned=${true} source=${source} columns=${columns} rowHref=${(row) => `/runs?experiment=${row.id}${query.deleted ? "&deleted=1" : ""}`} empty=${html`<${Empty} title="No experiment fits" hint="Take the filter away." />`} />
      <//>
      ${query.experiment ? html`<div class="side runs-side"><${One} id=${query.experiment} key=${query.experiment} /></div>` : null}
    </div>`}
  <//>`;
}

const columns = [COLUMNS[0], { key: "about", title: "", width: 64, grow: 0.2, cell: (row) => html`<a href=${withQuery({ experiment: row.id })} aria-label=${`About ${row.name}`}>about</a>` }, ...COLUMNS.slice(1)];

/** Send what was written in a dialog's form. */
const sent = (work) => async (event) => {
  event.preventDefault();
  const name = new FormData(event.target).get("name");
  try {
    await work(name);
  } catch (error) {
    toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
  }
};

function Make() {
  const [open, setOpen] = useState(false);
  if (!open) return html`<button class="button" onClick=${() => setOpen(true)}>New experiment</button>`;
  const make = async (name) => {
    const made = await post("/api/experiments", { name });
    setOpen(false);
    setQuery({ experiment: made.id });
  };
  return html`<form class="row" onSubmit=${sent(make)}><input class="field" name="name" aria-label="Name of the experiment" placeholder="name" required maxlength="500" autofocus /><button class="button primary">Make</button><button type="button" class="button quiet" onClick=${() => setOpen(false)}>Cancel</button></form>`;
}

function One({ id }) {
  const at = `/api/experiments/${encodeURIComponent(id)}`;
  const view = useView(`/api/view/experiments/${encodeURIComponent(id)}`);
  const [editing, setEditing] = useState("");
  const close = html`<a class="button small quiet" href=${withQuery({ experiment: null })} aria-label="Close">×</a>`;
  if (!view.data) return html`<${Card} title="Experiment" tools=${close}>${view.error ? html`<${Empty} title=${view.error.message} hint=${view.error.hint} />` : html`<span class="bone"></span>`}<//>`;
  const item = view.data;
  const act = (path, body, said) => async () => {
    await post(`${at}/${path}`, body);
    view.reload();
    return said;
  };
  const rename = async (name) => {
    await post(`${at}/rename`, { name });
    setEditing("");
    view.reload();
  };
  const describe = async (text) => {
    await post(`${at}/tags`, { key: "mlflow.note.content", value: text });
    setEditing("");
    view.reload();
  };
  const change = (what, word) => (may("log") && !item.deleted ? html`<button class="button small quiet" onClick=${() => setEditing(what)}>${word}</button>` : null);
  return html`<${Card} title=${item.name} tools=${html`${change("name", "Rename")}${close}`}>
      ${editing === "name" ? html`<form class="row" onSubmit=${sent(rename)}><input class="field grow" name="name" aria-label="New name" value=${item.name} required maxlength="500" autofocus /><button class="button small">Keep</button><button type="button" class="button small quiet" onClick=${() => setEditing("")}>Cancel</button></form>` : null}
      <${Facts} rows=${[
        ["Runs", html`<a href=${`/runs?experiment=${item.id}`}>${plural(item.runs, "run")}</a>`],
        ["Newest", item.newest ? when(item.newest) : null],
        ["Project", item.project],
        ["Made", when(item.created)],
        ["Deleted", item.deleted ? when(item.deleted) : null],
        ["Files", item.artifact_location ? html`<${Copy} text=${item.artifact_location} />` : null],
        ["Id", html`<${Copy} text=${String(item.id)} />`],
        ["To log here", html`<${Copy} text=${`mlflow.set_experiment("${item.name}")`} />`],
        ...Object.entries(item.tags).filter(([key]) => !key.startsWith("mlflow.")).map(([key, value]) => [key, value]),
      ]} />
      <div class="row experiment-acts"><a class="button" href=${`/runs?experiment=${item.id}`}>To the runs</a>
        ${!may("edit_project") ? null : item.deleted ? html`<${Action} label="Restore" run=${act("restore", {}, "The experiment is back, with its runs")} />` : html`<${Action} label="Delete" tone="crit" confirm=${`Delete ${item.name} with its runs? They can be brought back until they are removed for good.`} run=${act("delete", {}, "Deleted; it can be restored")} />`}</div>
    <//>
    <${Card} title="Description" tools=${editing === "text" ? null : change("text", item.description ? "Change" : "Write one")}>
      ${editing === "text" ? html`<${Writing} label="Description" first=${item.description} send=${describe} cancel=${() => setEditing("")} word="Keep" />` : item.description ? html`<${Prose} text=${item.description} />` : html`<p class="dim">Nothing is written down.</p>`}
    <//>`;
}
