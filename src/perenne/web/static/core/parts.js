// The parts screens are made of. They know nothing of any domain.
import { html, useEffect, useRef, useState } from "./dom.js";
import { ago, number, when } from "./format.js";
import { go, setQuery } from "./router.js";
import { toast } from "./toast.js";
import { Icon } from "./icons.js";

/** A framed part of a screen with its heading. `flush` leaves out the padding, for tables. */
export const Card = ({ title, note, tools, children, flush = false, id, className = "" }) => html`<section
  class=${`card ${flush ? "flush" : ""} ${className}`} id=${id} aria-label=${typeof title === "string" ? title : undefined}>
  ${title ? html`<header><h2>${title}</h2>${note ? html`<span class="faint small">${note}</span>` : null}<span class="grow"></span>${tools}</header>` : null}
  <div class="content">${children}</div>
</section>`;

export const Chip = ({ tone = "none", children, title }) => html`<span class=${`chip ${tone}`} title=${title}>${children}</span>`;

/** A state as shape and word; colour comes on top of both. Tones: ok, warn, crit, info, none. */
export const State = ({ tone = "none", word, title }) => html`<span class=${`state ${tone}`} title=${title}><i class=${`dot ${tone}`}></i>${word}</span>`;

export const Empty = ({ title, note, hint, command }) => html`<div class="empty">
  <b>${title}</b>
  ${note ? html`<p class="dim">${note}</p>` : null}
  ${hint ? html`<p class="dim">${hint}</p>` : null}
  ${command ? html`<${Copy} text=${command} />` : null}
</div>`;

/** Names and values in two columns; rows without a value are left out. */
export const Facts = ({ rows }) => html`<dl class="facts">
  ${rows.filter((row) => row && row[1] !== null && row[1] !== undefined && row[1] !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
</dl>`;

/** How long ago, and the instant itself when pointed at. */
export const Time = ({ at }) => html`<time title=${when(at)} dateTime=${at ? new Date(at / 1000).toISOString() : undefined}>${ago(at)}</time>`;

/** A table of all its rows; for many rows see `Grid`. `rowHref` makes a row lead somewhere, by its first cell. */
export function Table({ columns, rows, empty, rowHref, rowKey, label, dense = false }) {
  if (!rows.length && empty) return typeof empty === "string" ? html`<p class="none dim">${empty}</p>` : empty;
  const cell = (column, row) => (column.cell ? column.cell(row) : column.num ? number(row[column.key]) : row[column.key]);
  const open = (event, row) => {
    if (event.target.closest("a, button, input, select, label, summary") || getSelection()?.toString()) return;
    go(rowHref(row));
  };
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table class=${`table${dense ? " dense" : ""}`}>
      <thead><tr>${columns.map((column) => html`<th scope="col" class=${column.num ? "num" : ""} style=${column.width ? { width: `${column.width}px` } : undefined}>${column.title ?? column.key}</th>`)}</tr></thead>
      <tbody>
        ${rows.map(
          (row, at) => html`<tr key=${rowKey ? rowKey(row) : at} class=${rowHref ? "leads" : ""} onClick=${rowHref ? (event) => open(event, row) : undefined}>
            ${columns.map((column, i) => html`<td class=${column.num ? "num" : ""}>${rowHref && i === 0 ? html`<a href=${rowHref(row)}>${cell(column, row)}</a>` : cell(column, row)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/**
 * A button that does something: busy while it does, errors are said, and a question comes first if asked for.
 *
 * `confirm` is the question, `reason` the label of a field for why (`required` if it must be filled in); `run(reason)` may return
 * what to say when it is done.
 */
export function Action({ label, run, confirm, reason, required = false, tone = "", small = false, disabled = false, title }) {
  const [busy, setBusy] = useState(false);
  const dialog = useRef();
  const field = useRef();
  const act = async (why) => {
    setBusy(true);
    try {
      const said = await run(why);
      if (said) toast(said);
    } catch (error) {
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
    setBusy(false);
  };
  const start = () => (confirm || reason ? dialog.current.showModal() : act());
  const send = (event) => {
    event.preventDefault();
    const why = field.current?.value.trim() || "";
    if (required && !why) return field.current.focus();
    dialog.current.close();
    act(why);
  };
  return html`<button class=${`button ${tone} ${small ? "small" : ""}`} disabled=${busy || disabled} aria-busy=${busy} title=${title} onClick=${start}>${label}</button>
    ${confirm || reason
      ? html`<dialog class="ask" ref=${dialog} aria-label=${label}>
          <form onSubmit=${send}>
            <p>${confirm || label}</p>
            ${reason ? html`<label>${reason}<textarea ref=${field} rows="2" required=${required}></textarea></label>` : null}
            <div class="row end"><button type="button" class="button quiet" onClick=${() => dialog.current.close()}>Cancel</button><button class=${`button ${tone || "primary"}`}>${label}</button></div>
          </form>
        </dialog>`
      : null}`;
}

/** Text to take away, with a button that copies it. */
export function Copy({ text, block = false }) {
  const take = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("The browser does not allow copying here; select the text instead", "warn");
    }
  };
  return html`<span class=${`copy${block ? " block" : ""}`}><code tabindex=${block ? 0 : undefined}>${text}</code><button class="plain" aria-label=${`Copy ${text.slice(0, 60)}`} title="Copy" onClick=${take}><${Icon} name="copy" /></button></span>`;
}

/** One of several views of the same thing; the choice is kept in the query under `name` if one is given. */
export function Tabs({ value, options, onChange, name, label }) {
  const choose = (key) => (name ? setQuery({ [name]: key === options[0][0] ? null : key }) : onChange(key));
  const keys = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = options.findIndex(([key]) => key === value);
    const next = options[(at + step + options.length) % options.length][0];
    choose(next);
    event.currentTarget.querySelector(`[data-key="${next}"]`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${keys}>
    ${options.map(([key, title]) => html`<button role="tab" data-key=${key} aria-selected=${key === value} tabindex=${key === value ? 0 : -1} onClick=${() => choose(key)}>${title}</button>`)}
  </div>`;
}

/** Shares of a whole as a thin bar: `[{share, tone, title}]`. */
export const Meter = ({ parts, label }) => html`<span class="meter" role="img" aria-label=${label || parts.map((part) => part.title).filter(Boolean).join(", ")}>
  ${parts.map((part) => html`<i class=${part.tone} style=${{ width: `${100 * part.share}%` }} title=${part.title}></i>`)}
</span>`;

/** A value with its interval against a limit on one line; which side is good is shaded. */
export function Bound({ limit, value, low, high, atLeast = true, tone }) {
  const known = [limit, value, low, high].filter((x) => x !== null && x !== undefined);
  if (value === null || value === undefined) return html`<span class="faint">unknown</span>`;
  const least = Math.min(...known);
  const span = Math.max(...known) - least || Math.abs(limit) || 1;
  const at = (x) => 6 + (88 * (x - least)) / span;
  const colour = tone || ((atLeast ? value >= limit : value <= limit) ? "ok" : "crit");
  const text = `${number(value)}${low !== null && low !== undefined ? ` (${number(low)} to ${number(high)})` : ""}, limit ${atLeast ? "≥" : "≤"} ${number(limit)}`;
  return html`<svg class="bound" width="120" height="18" viewBox="0 0 100 18" preserveAspectRatio="none" role="img" aria-label=${text}>
    <title>${text}</title>
    <rect class="good" x=${atLeast ? at(limit) : 0} y="2" width=${atLeast ? 100 - at(limit) : at(limit)} height="14" />
    <line class="limit" x1=${at(limit)} x2=${at(limit)} y1="0" y2="18" vector-effect="non-scaling-stroke" />
    ${low !== null && low !== undefined ? html`<line class=${`range ${colour}`} x1=${at(low)} x2=${at(high)} y1="9" y2="9" vector-effect="non-scaling-stroke" />` : null}
    <line class=${`value ${colour}`} x1=${at(value)} x2=${at(value)} y1="4" y2="14" vector-effect="non-scaling-stroke" />
  </svg>`;
}

/** A field that filters: what is typed goes into the query a moment after the last key. */
export function Filter({ name = "q", value = "", placeholder, label }) {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const typed = (event) => {
    const text = event.target.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ [name]: text.trim() }), 200);
  };
  return html`<input class="field filter" type="search" aria-label=${label || placeholder} placeholder=${placeholder} value=${value} onInput=${typed} />`;
}

/** A choice that is kept in the query: `[[value, title], …]`, the first being none. */
export const Choice = ({ name, value = "", options, label }) => html`<select class="field" aria-label=${label} value=${value} onChange=${(event) => setQuery({ [name]: event.target.value })}>
  ${options.map(([key, title]) => html`<option value=${key} selected=${key === value}>${title}</option>`)}
</select>`;
