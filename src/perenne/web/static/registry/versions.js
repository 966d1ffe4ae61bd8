// The versions of a model in a table, and what people do to one in place: aliases, stages, a description.
import { html, useState } from "../core/dom.js";
import { patch, post, remove } from "../core/api.js";
import { Writing } from "../core/comments.js";
import { Action, Card, Chip, Facts, Table, Time } from "../core/parts.js";
import { Prose } from "../core/prose.js";
import { withQuery } from "../core/router.js";
import { toast } from "../core/toast.js";
import { GateOf } from "./models.js";

const MLFLOW = "/ajax-api/2.0/mlflow";
const STAGES = ["None", "Staging", "Production", "Archived"];
const FEW = 8;

const COLUMNS = [
  { key: "number", title: "version", width: 70, cell: (row) => `v${row.number}` },
  { key: "places", title: "aliases and stage", cell: (row) => html`${row.aliases.map((name) => html`<${Chip} tone=${name === "champion" ? "ok" : "none"}>@${name}<//> `)}${row.stage === "None" ? null : html`<${Chip} tone="info">${row.stage}<//>`}` },
  { key: "gate", title: "gate", cell: (row) => html`<${GateOf} gate=${row.gate} title=${row.reasons.join("; ")} />` },
  { key: "created", title: "registered", cell: (row) => html`<${Time} at=${row.created} />` },
  { key: "created_by", title: "by" },
  { key: "description", title: "description", cell: (row) => html`<span class="dim">${row.description.split("\n")[0]}</span>` },
  { key: "comments", title: "comments", num: true, cell: (row) => row.comments || "" },
];

export function VersionTable({ data }) {
  const [all, setAll] = useState(false);
  const shown = all ? data.versions : data.versions.slice(0, FEW);
  return html`<details class="model-versions" open=${data.versions.some((version) => version.aliases.length || version.stage !== "None")}><summary>Aliases, stages and descriptions</summary>
    <${Table} dense=${true} label="Versions in a table" columns=${COLUMNS} rows=${shown} rowKey=${(row) => row.id} rowHref=${(row) => withQuery({ version: row.number })} />
    ${shown.length < data.versions.length ? html`<button class="button small quiet" onClick=${() => setAll(true)}>all ${data.versions.length}</button>` : null}
  </details>`;
}

/** Aliases, stage and description of the version that is looked at; where a policy guards a place, the server says what is missing. */
export function VersionActs({ data, reload }) {
  const [editing, setEditing] = useState("");
  const version = data.versions.find((item) => item.id === data.selected);
  const said = { name: data.model, version: String(version.number) };
  const act = async (work, told) => {
    try {
      await work();
      toast(told);
      setEditing("");
      reload();
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
  };
  const setAlias = (event) => {
    event.preventDefault();
    const alias = new FormData(event.target).get("alias").trim();
    act(() => post(`${MLFLOW}/registered-models/alias`, { ...said, alias }), `@${alias} is v${version.number} now`);
  };
  const setStage = (event) => act(() => post(`${MLFLOW}/model-versions/transition-stage`, { ...said, stage: event.target.value, archive_existing_versions: false }), `v${version.number} is in ${event.target.value}`);
  const describe = (description) => act(() => patch(`${MLFLOW}/model-versions/update`, { ...said, description }), "Kept");
  return html`<${Card} title=${`Places of v${version.number}`}>
    <${Facts} rows=${[
      ["Aliases", html`<span class="row">${version.aliases.map((name) => html`<${Chip} tone=${name === "champion" ? "ok" : "none"}>@${name}<//>${data.may.deploy ? html`<${Action} small tone="quiet" label="×" title=${`Take @${name} away`} confirm=${`Take @${name} from v${version.number}?`} run=${() => act(() => remove(`${MLFLOW}/registered-models/alias?${new URLSearchParams({ name: data.model, alias: name })}`), `@${name} is gone`)} />` : null}`)}
        ${editing === "alias" ? html`<form class="row" onSubmit=${setAlias}><input class="field" name="alias" aria-label="Alias" required maxlength="250" autofocus /><button class="button small">Set</button></form>` : data.may.deploy ? html`<button class="button small quiet" onClick=${() => setEditing("alias")}>Set an alias</button>` : version.aliases.length ? null : "none"}</span>`],
      ["Stage", data.may.deploy ? html`<select class="field" aria-label="Stage" value=${version.stage} onChange=${setStage}>${STAGES.map((stage) => html`<option selected=${stage === version.stage}>${stage}</option>`)}</select>` : version.stage],
      ["Source", version.source ? html`<code>${version.source}</code>` : null],
    ]} />
    <h3 class="run-again">Description</h3>
    ${editing === "text" ? html`<${Writing} label="Description" first=${version.description} send=${describe} cancel=${() => setEditing("")} word="Keep" />` : html`${version.description ? html`<${Prose} text=${version.description} />` : html`<p class="dim">Nothing is written down.</p>`}<button class="button small quiet" onClick=${() => setEditing("text")}>${version.description ? "Change" : "Write one"}</button>`}
  <//>`;
}
