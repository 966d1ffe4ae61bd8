// What stands beside a run: who, when, what it depended on and led to, its tags, and how to do it again.
import { html, useState } from "../core/dom.js";
import { post, remove, visitor } from "../core/api.js";
import { count, day, duration, when } from "../core/format.js";
import { Action, Card, Copy, Facts, Time } from "../core/parts.js";
import { toast } from "../core/toast.js";
import { RunStateOf, short } from "./words.js";

export const versionHref = (id) => `/model/${encodeURIComponent(id.slice(0, id.lastIndexOf("@")))}?version=${id.slice(id.lastIndexOf("@") + 1)}`;

/** Whether whoever looks may do something, by the names of `GET /api/session`. */
export const may = (action) => visitor.value?.may?.includes(action) ?? false;

export function About({ data }) {
  const { run } = data;
  return html`<${Card} title="Run"><${Facts} rows=${[
    ["Experiment", html`<a href=${`/runs?experiment=${run.experiment}`}>${run.experiment_name}</a>`],
    ["Project", run.kind === "round" ? html`<a href=${`/project/${encodeURIComponent(run.project)}`}>${run.project}</a>` : run.project === run.experiment_name ? null : run.project],
    ["User", run.user],
    ["Started", html`<${Time} at=${run.started} />`],
    ["Took", run.ended ? duration(run.ended - run.started) : "not over yet"],
    ["Outcome", run.state === "failed" ? null : run.outcome],
    ["Part of", data.parent ? html`<a href=${`/runs/${data.parent.id}`}>${data.parent.name || short(data.parent.id)}</a>` : null],
    ["Made", data.versions.length ? data.versions.map((id) => html`<a href=${versionHref(id)}>${id}</a> `) : null],
    ["Pipeline", data.flow ? html`<a href=${`/pipeline/${data.flow.id}`}>${data.flow.pipeline}, ${short(data.flow.id)}</a>` : null],
    ["Lineage", html`<a href=${`/lineage/run/${run.id}`}>where it comes from</a>`],
    ["Id", html`<${Copy} text=${run.id} />`],
  ]} /><//>`;
}

export function Provenance({ data }) {
  const said = data.provenance;
  const kept = Object.keys(said.untracked).length;
  const sources = Object.keys(said.source).length;
  const changed = [said.patch ? "uncommitted changes, kept as a patch" : "", kept ? `${kept} files that Git does not know, kept` : "", said.left_out.length ? `${said.left_out.length} files left out` : ""].filter(Boolean);
  const tags = data.run.tags;
  const commit = said.commit || tags["mlflow.source.git.commit"];
  const code = commit ? html`<span class="mono">${commit.slice(0, 12)}</span>${said.branch ? ` on ${said.branch}` : ""}` : sources ? `no Git repository; ${sources} source files kept` : null;
  return html`<${Card} title="What it depended on"><${Facts} rows=${[
    ...data.data.map((item) => ["Data", html`<a href=${`/data/snapshot/${item.id}`}>${item.dataset}</a>, ${count(item.rows)} rows${item.end ? `, up to ${day(item.end)}` : ""}`]),
    ...data.inputs.map((item) => ["Data", html`${item.name} <span class="mono small" title=${item.digest}>${item.digest.slice(0, 12)}</span>${item.tags["mlflow.data.context"] ? ` for ${item.tags["mlflow.data.context"]}` : ""} <span class="faint small">${item.source_type}</span>`]),
    ...data.models.filter((item) => item.role === "input").map((item) => ["Model", html`<span title=${item.id}>${item.name || item.id}</span>`]),
    ["Code", code ?? "not recorded"],
    ["Changes", said.commit ? (changed.length ? changed.join("; ") : "none: as committed") : null],
    ["Source", tags["mlflow.source.name"] ? html`<code>${tags["mlflow.source.name"]}</code>` : null],
    ["Environment", said.environment ? html`Python ${said.python}, packages <span class="mono" title=${said.environment}>${said.environment.slice(0, 12)}</span>` : null],
    ["Seed", said.seed || null],
    ["Hardware", said.hardware],
    ["System", said.system],
    ["Command", said.command ? html`<code>${said.command}</code>` : null],
    ["Recorded", when(data.run.started)],
  ]} />
  ${data.reproduce ? html`<h3 class="run-again">Do it again</h3><${Copy} text=${data.reproduce} />` : null}<//>`;
}

const OWN = "mlflow.";

/** The tags of a run: what programs wrote is folded away, what people write can be changed. */
export function Tags({ run, reload }) {
  const [editing, setEditing] = useState(null);
  const at = `/api/runs/${encodeURIComponent(run.id)}/tags`;
  const names = Object.keys(run.tags).sort();
  const own = names.filter((name) => !name.startsWith(OWN));
  const machine = names.filter((name) => name.startsWith(OWN) && name !== "mlflow.note.content");
  const editable = may("log") && !run.deleted;
  const save = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      await post(at, { key: form.get("key"), value: form.get("value") });
      setEditing(null);
      reload();
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
  };
  const drop = (key) => async () => {
    await remove(`${at}?key=${encodeURIComponent(key)}`);
    reload();
    return `${key} is gone`;
  };
  const form = (key, value) => html`<form class="tag-form" onSubmit=${save}><input class="field" name="key" aria-label="Tag" placeholder="tag" value=${key} readonly=${!!key} required maxlength="250" /><input class="field" name="value" aria-label="Value" placeholder="value" value=${value} maxlength="8000" /><button class="button small">Keep</button><button type="button" class="button small quiet" onClick=${() => setEditing(null)}>Cancel</button></form>`;
  return html`<${Card} title="Tags" tools=${editable ? html`<button class="button small quiet" onClick=${() => setEditing("")}>Add</button>` : null}>
    ${editing === "" ? form("", "") : null}
    ${own.length ? html`<ul class="tags">${own.map((key) => (editing === key ? html`<li>${form(key, run.tags[key])}</li>` : html`<li><span class="chip" title=${`${key}: ${run.tags[key]}`}>${key}${run.tags[key] ? `: ${run.tags[key].slice(0, 60)}` : ""}</span>
      ${editable ? html`<button class="plain" aria-label=${`Change ${key}`} onClick=${() => setEditing(key)}>✎</button><${Action} small tone="quiet" label="×" title=${`Remove ${key}`} confirm=${`Remove the tag ${key}?`} run=${drop(key)} />` : null}</li>`))}</ul>` : editing === "" ? null : html`<p class="dim">None${machine.length ? " by people" : ""}.</p>`}
    ${machine.length ? html`<details class="tags-machine"><summary class="dim">${machine.length} that the client wrote</summary><${Facts} rows=${machine.map((key) => [key, html`<span class="tag-value">${run.tags[key].slice(0, 400)}</span>`])} /></details>` : null}
  <//>`;
}

/** Runs within this one, and models it logged. */
export const Children = ({ data }) => (data.children.length ? html`<${Card} flush title="Runs within it" note=${data.children_total > data.children.length ? `the first ${data.children.length} of ${data.children_total}` : String(data.children.length)} tools=${html`<a class="button small" href=${`/runs?${new URLSearchParams({ experiment: data.run.experiment, filter: `tags.mlflow.parentRunId = '${data.run.id}'` })}`}>In the list</a>`}>
  <ul class="run-lines">${data.children.map((child) => html`<li><a class="mono" href=${`/runs/${child.id}`}>${child.name || short(child.id)}</a><span class="grow"></span><${RunStateOf} state=${child.state} /><span class="faint"><${Time} at=${child.started} /></span></li>`)}</ul><//>` : null);

export const Models = ({ data }) => {
  const made = data.models.filter((item) => item.role === "output");
  return made.length ? html`<${Card} flush title="Logged models" note=${String(made.length)}><ul class="run-lines">${made.map((model) => html`<li><span class="mono" title=${model.id}>${model.name || model.id}</span>${model.type ? html`<span class="faint">${model.type}</span>` : null}<span class="grow"></span><span class="faint">${model.status}</span>${model.step === null ? null : html`<span class="faint">step ${model.step}</span>`}</li>`)}</ul><//>` : null;
};
