// The columns of the grid of runs: which there are, how each is written, and the dialog that chooses and orders them.
import { html, useEffect, useRef, useState } from "../core/dom.js";
import { duration, number } from "../core/format.js";
import { Time } from "../core/parts.js";
import { figures, nameOf, quoted, RunStateOf, short, written } from "./words.js";

const ATTRIBUTES = {
  status: { title: "state", width: 92, cell: (row) => html`<${RunStateOf} state=${row.state} deleted=${row.deleted} />` },
  start_time: { title: "started", width: 92, cell: (row) => html`<${Time} at=${row.started} />` },
  duration: { title: "took", width: 84, num: true, cell: (row) => (row.ended ? duration(row.ended - row.started) : "…") },
  user_id: { title: "user", width: 84, cell: (row) => row.user },
  experiment: { title: "experiment", width: 110, cell: (row) => html`<a href=${`/runs?experiment=${row.experiment}`}>${row.experiment_name}</a>`, unsorted: true },
  outcome: { title: "outcome", width: 220, grow: 3, cell: (row) => html`<span class="dim" title=${row.outcome}>${row.outcome}</span>`, unsorted: true },
  end_time: { title: "ended", width: 92, cell: (row) => html`<${Time} at=${row.ended} />` },
  run_id: { title: "id", width: 96, cell: (row) => html`<span class="mono" title=${row.id}>${short(row.id)}</span>` },
};
const SHORTEST = 72;
const LONGEST = 170;
const LETTER = 7;
const MARGIN = 30;
const LISTED = 60;
const DIGITS = 6;

const KINDS = [["metrics", "Metrics"], ["params", "Parameters"], ["tags", "Tags"], ["attributes", "About the run"]];

/** Every column that may be chosen, by kind, of the keys that runs have. */
export const choices = (keys) => ({ ...keys, attributes: Object.keys(ATTRIBUTES) });

const parted = (id) => [id.slice(0, id.indexOf(".")), id.slice(id.indexOf(".") + 1)];

/** What a column is called. */
export const titleOf = (id) => {
  const [kind, key] = parted(id);
  return kind === "attributes" ? (ATTRIBUTES[key]?.title ?? key) : key;
};

/** A column's name in the language of filters and orders. */
export const spelled = (id) => {
  const [kind, key] = parted(id);
  return `${kind}.${quoted(key)}`;
};

/** The columns of an address: names parted by commas; a comma within a name is written `%2C`. */
export const readColumns = (text) => (text ? text.split(",").map(decoded).filter((id) => id.includes(".")) : null);
export const writeColumns = (ids) => ids.map((id) => id.replace(/[%,]/g, encodeURIComponent)).join(",");

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The columns for the grid; `ids` are those whose values the rows hold, in their order. */
export function gridColumns(ids, rows) {
  const name = { key: "name", title: "run", width: 150, sort: "attributes.run_name", cell: (row) => html`<span class="mono" title=${`${nameOf(row)} ${row.id}`}>${nameOf(row)}</span>` };
  return [name, ...ids.map((id, at) => gridColumn(id, at, rows))];
}

function gridColumn(id, at, rows) {
  const [kind, key] = parted(id);
  if (kind === "attributes") {
    const known = ATTRIBUTES[key] ?? { title: key, width: 90, cell: () => "–" };
    return { key: id, movable: true, sort: known.unsorted ? undefined : id, ...known };
  }
  const num = kind === "metrics" || figures(rows.map((row) => row.values[at]));
  const width = Math.max(SHORTEST, Math.min(LONGEST, key.length * LETTER + MARGIN));
  const cell = (row) => (kind === "metrics" ? written(row.values[at]) : html`<span title=${row.values[at] ?? ""}>${brief(row.values[at])}</span>`);
  return { key: id, title: key, hint: `${kind}.${key}`, width, num, movable: true, sort: spelled(id), cell };
}

/** A parameter as it was logged; a number with many digits is shortened. */
const brief = (text) => (text === null || text === undefined ? "–" : text.length > DIGITS && figures([text]) ? number(Number(text), 3) : text);

/** Move one of some names to where another stands. */
export function moved(ids, from, to) {
  if (from === to || !ids.includes(from) || !ids.includes(to)) return ids;
  const rest = ids.filter((id) => id !== from);
  rest.splice(rest.indexOf(to) + (ids.indexOf(from) < ids.indexOf(to) ? 1 : 0), 0, from);
  return rest;
}

/** Choose the columns and their order, by mouse or by keyboard. `onChange(ids)`; null brings back those that are chosen by themselves. */
export function ColumnsDialog({ shown, keys, onChange, onClose }) {
  const dialog = useRef();
  const [text, setText] = useState("");
  useEffect(() => dialog.current.showModal(), []);
  const wanted = text.trim().toLowerCase();
  const toggle = (id) => onChange(shown.includes(id) ? shown.filter((other) => other !== id) : [...shown, id]);
  const step = (id, by) => {
    const to = shown[shown.indexOf(id) + by];
    if (to) onChange(moved(shown, id, to));
  };
  const arrows = (event, id) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !event.altKey) return;
    event.preventDefault();
    step(id, by);
  };
  const fits = (key) => key.toLowerCase().includes(wanted);
  return html`<dialog class="ask columns-dialog" ref=${dialog} aria-label="Columns" onClose=${onClose} onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <div class="row"><h2 class="grow">Columns</h2><button class="button small" onClick=${() => onChange(null)}>As at first</button><button class="button small primary" onClick=${() => dialog.current.close()}>Done</button></div>
    <div class="columns-two">
      <section aria-label="Shown columns"><h3>Shown, in this order</h3>
        <ol class="columns-shown">${shown.map((id, at) => html`<li key=${id} draggable="true" onDragStart=${(event) => event.dataTransfer.setData("text/x-column", id)}
          onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => (event.preventDefault(), onChange(moved(shown, event.dataTransfer.getData("text/x-column"), id)))} onKeyDown=${(event) => arrows(event, id)}>
          <span class="grow" title=${id}>${titleOf(id)} <span class="faint small">${parted(id)[0]}</span></span>
          <button class="plain" aria-label=${`Move ${titleOf(id)} to the left`} disabled=${at === 0} onClick=${() => step(id, -1)}>↑</button>
          <button class="plain" aria-label=${`Move ${titleOf(id)} to the right`} disabled=${at === shown.length - 1} onClick=${() => step(id, 1)}>↓</button>
          <button class="plain" aria-label=${`Hide ${titleOf(id)}`} onClick=${() => toggle(id)}>×</button></li>`)}</ol>
        ${shown.length ? null : html`<p class="dim">Only the name of the run.</p>`}
      </section>
      <section aria-label="All columns">
        <input class="field" type="search" aria-label="Find a column" placeholder="find a column" value=${text} onInput=${(event) => setText(event.target.value)} />
        <div class="columns-all" tabindex="0" role="group" aria-label="Columns to choose from">${KINDS.map(([kind, title]) => {
          const found = (choices(keys)[kind] ?? []).filter(fits);
          return found.length ? html`<fieldset><legend>${title}</legend>${found.slice(0, LISTED).map((key) => html`<label><input type="checkbox" checked=${shown.includes(`${kind}.${key}`)} onChange=${() => toggle(`${kind}.${key}`)} /><span>${kind === "attributes" ? ATTRIBUTES[key].title : key}</span></label>`)}${found.length > LISTED ? html`<p class="faint small">and ${found.length - LISTED} more: type some of the name</p>` : null}</fieldset>` : null;
        })}</div>
      </section>
    </div>
  </dialog>`;
}
