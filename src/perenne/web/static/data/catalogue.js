// What people say of a data set: whose it is, how it may be used, how fresh it must be. Read in place, changed in place.
import { html, useState } from "../core/dom.js";
import { now, patch, visitor } from "../core/api.js";
import { ago, duration } from "../core/format.js";
import { Card, Chip, Empty, Facts, State } from "../core/parts.js";
import { Prose } from "../core/prose.js";

const CLASSES = [["", "not said"], ["public", "public"], ["internal", "internal"], ["confidential", "confidential"], ["personal", "personal"]];
const HOUR = 3.6e9;

const may = (action) => visitor.value?.may?.includes(action) ?? false;

export const Tags = ({ tags }) => Object.entries(tags).map(([key, value]) => html`<${Chip}>${key}=${value}<//> `);

/** Whether the newest rows are as new as they must be: a shape and a word. */
export function Freshness({ allowed, newest }) {
  if (!allowed || !newest) return html`<span class="faint">any age</span>`;
  const late = now() - newest > allowed;
  return html`<${State} tone=${late ? "crit" : "ok"} word=${late ? "late" : "fresh"} title=${`newest ${ago(newest)}; ${duration(allowed)} allowed`} />`;
}

export function Said({ data, reload }) {
  const [editing, setEditing] = useState(false);
  const { said } = data;
  const nothing = said.revision === 0 || !(said.owner || said.classification || said.text || said.licence || said.freshness || Object.keys(said.tags).length);
  const edit = may("log") && html`<button class="button small" type="button" onClick=${() => setEditing(true)}>${nothing ? "Say something" : "Change"}</button>`;
  if (editing) return html`<${Card} title="About this data"><${Form} said=${said} name=${data.name} done=${() => { setEditing(false); reload(); }} cancel=${() => setEditing(false)} /><//>`;
  if (nothing) return html`<${Card} title="About this data" tools=${edit}><${Empty} title="Nobody has said whose this is" note="An owner, a class, a few words and how fresh it must be: then others find it, and know whether they may use it." command=${`perenne data describe ${data.name} --owner NAME`} /><//>`;
  const meanings = Object.entries(said.columns);
  return html`<${Card} title="About this data" tools=${edit}>
    ${said.text && html`<div class="data-about"><${Prose} text=${said.text} /></div>`}
    <${Facts} rows=${[
      ["Owner", said.owner || null],
      ["Class", said.classification || null],
      ["Freshness", said.freshness ? html`<${Freshness} allowed=${said.freshness} newest=${said.newest} /> <span class="faint">${duration(said.freshness)} allowed</span>` : null],
      ["Tags", Object.keys(said.tags).length ? html`<${Tags} tags=${said.tags} />` : null],
      ["Licence", said.licence || null],
      ["Columns", meanings.length ? html`<dl class="data-meanings">${meanings.map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl>` : null],
    ]} />
  <//>`;
}

const lines = (pairs) => Object.entries(pairs).map(([key, value]) => `${key}=${value}`).join("\n");

/** Read lines of key=value; what is gone becomes empty, which removes it. */
function pairsOf(text, before) {
  const pairs = Object.fromEntries(Object.keys(before).map((key) => [key, ""]));
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`“${line}” has no =`);
    pairs[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return pairs;
}

/** Fill a field once: what is typed stays, whatever is drawn anew around it. */
const first = (value, focused = false) => (field) => {
  if (!field || field.dataset.filled) return;
  field.dataset.filled = "1";
  field.value = value;
  if (focused) field.focus();
};

function Form({ said, name, done, cancel }) {
  const [problem, setProblem] = useState("");
  const save = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const given = Object.fromEntries(["owner", "classification", "freshness", "licence", "text"].map((key) => [key, form.get(key)]));
    try {
      const pairs = { tags: pairsOf(form.get("tags"), said.tags), columns: pairsOf(form.get("columns"), said.columns) };
      await patch(`/api/data/catalogue/entry?dataset=${encodeURIComponent(name)}`, { ...given, ...pairs, revision: said.revision });
      done();
    } catch (error) {
      setProblem(error.message);
    }
  };
  const span = said.freshness ? `${said.freshness / HOUR}h` : "";
  return html`<form class="data-said" onSubmit=${save} onKeyDown=${(event) => event.key === "Escape" && cancel()}>
    <label>Owner <input class="field" name="owner" ref=${first(said.owner, true)} /></label>
    <label>Class <select class="field" name="classification" ref=${first(said.classification)}>${CLASSES.map(([key, word]) => html`<option value=${key}>${word}</option>`)}</select></label>
    <label>Newest rows may be as old as <input class="field" name="freshness" ref=${first(span)} placeholder="26h; empty for any age" /></label>
    <label>Licence <input class="field" name="licence" ref=${first(said.licence)} /></label>
    <label class="wide">What it is, in Markdown <textarea class="field" name="text" rows="5" ref=${first(said.text)} /></label>
    <label>Tags, one key=value a line <textarea class="field" name="tags" rows="4" ref=${first(lines(said.tags))} /></label>
    <label>Columns, one name=meaning a line <textarea class="field" name="columns" rows="4" ref=${first(lines(said.columns))} /></label>
    ${problem && html`<p class="wide problem" role="alert">${problem}</p>`}
    <p class="wide"><button class="button primary" type="submit">Save</button> <button class="button" type="button" onClick=${cancel}>Cancel</button></p>
  </form>`;
}
