// How an answer is given: by a class, several, a number, a text, or parts of a text; each by keyboard alone.
import { html, useEffect, useRef, useState } from "../core/dom.js";
import { toast } from "../core/toast.js";
import { Klass } from "./words.js";

/** Listen for keys of this page before any other does; `press(event)` tells whether it was one of them. */
export function useKeys(press) {
  const latest = useRef(press);
  latest.current = press;
  useEffect(() => {
    const hear = (event) => {
      if (event.defaultPrevented || event.isComposing || event.target.closest?.("dialog, select")) return;
      if (latest.current(event)) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    };
    addEventListener("keydown", hear, true);
    return () => removeEventListener("keydown", hear, true);
  }, []);
}

const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;
const writing = (event) => event.target.closest?.("input:not([type=number]), textarea:not([aria-readonly])");

/** The class that a key stands for; none while somebody writes. */
export const classOf = (classes, event) => (plain(event) && !writing(event) ? classes.find((item) => item.key && item.key === event.key.toLowerCase()) : undefined);

/** The command of a key: skip, undo, note, instructions. While a text is written, together with Alt. */
export function commandOf(event) {
  const found = { s: "skip", u: "undo", n: "note", i: "instructions" }[event.code?.startsWith("Key") && event.altKey ? event.code[3].toLowerCase() : event.key];
  return event.ctrlKey || event.metaKey ? undefined : event.altKey || !writing(event) ? found : undefined;
}

export function Answer({ definition, item, say }) {
  const Kind = { binary: OneOf, multiclass: OneOf, multilabel: Several, number: Amount, text: Words, spans: Spans }[definition.kind];
  if (!Kind) return html`<p class="dim">Answers of this kind come from other tools; here they are only kept.</p>`;
  return html`<${Kind} key=${item.item} definition=${definition} item=${item} say=${say} />`;
}

const Choice = ({ item, pressed, act }) => html`<button class="label-choice" aria-pressed=${pressed} aria-keyshortcuts=${item.key || undefined} title=${item.help || undefined} onClick=${act}>
  <kbd>${item.key || " "}</kbd><${Klass} item=${item} /></button>`;

function OneOf({ definition, say }) {
  useKeys((event) => {
    const found = classOf(definition.classes, event);
    if (found && !event.repeat) say(found.name);
    return Boolean(found);
  });
  return html`<div class="label-choices" role="group" aria-label="Classes">${definition.classes.map((item) => html`<${Choice} item=${item} act=${() => say(item.name)} />`)}</div>`;
}

function Several({ definition, say }) {
  const [chosen, setChosen] = useState([]);
  const flip = (name) => setChosen((now) => (now.includes(name) ? now.filter((each) => each !== name) : [...now, name]));
  useKeys((event) => {
    const found = classOf(definition.classes, event);
    if (found) flip(found.name);
    else if (event.key === "Enter" && plain(event) && !writing(event) && !event.target.closest?.("button, a")) say(chosen);
    else return false;
    return true;
  });
  return html`<div class="label-choices" role="group" aria-label="Classes">${definition.classes.map((item) => html`<${Choice} item=${item} pressed=${chosen.includes(item.name) ? "true" : "false"} act=${() => flip(item.name)} />`)}</div>
    <button class="button primary" onClick=${() => say(chosen)}>${chosen.length ? "Keep" : "None of them"} <kbd>Enter</kbd></button>`;
}

function Amount({ definition, say }) {
  const field = useRef();
  useEffect(() => field.current.focus({ preventScroll: true }), []);
  const keep = (event) => {
    event.preventDefault();
    const value = field.current.valueAsNumber;
    if (Number.isFinite(value)) say(value);
  };
  const { low, high } = definition;
  return html`<form class="row" onSubmit=${keep}><input class="field grow" type="number" step="any" required aria-label="The number" min=${low ?? undefined} max=${high ?? undefined} ref=${field} />
    <button class="button primary">Keep <kbd>Enter</kbd></button></form>${low === null && high === null ? null : html`<p class="faint small">from ${low ?? "any"} to ${high ?? "any"}</p>`}`;
}

function Words({ say }) {
  const field = useRef();
  useEffect(() => field.current.focus({ preventScroll: true }), []);
  const keep = () => field.current.value.trim() && say(field.current.value);
  const keys = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && (event.preventDefault(), keep());
  return html`<textarea class="label-words" rows="4" aria-label="The text" ref=${field} onKeyDown=${keys}></textarea>
    <button class="button primary" onClick=${keep}>Keep <kbd>Ctrl Enter</kbd></button><p class="faint small">While you write, Alt with S, U, N or I is the key.</p>`;
}

/** Parts of the text, chosen in a field that cannot be written in: with the mouse, or with Shift and the arrows. */
function Spans({ definition, item, say }) {
  const [spans, setSpans] = useState([]);
  const field = useRef();
  const text = String(item.fields[definition.text] ?? "");
  useEffect(() => field.current.focus({ preventScroll: true }), []);
  const mark = (name) => {
    const { selectionStart: start, selectionEnd: end } = field.current;
    if (start === end) return toast("Choose a part of the text first", "info");
    return setSpans((now) => [...now.filter((each) => each.start !== start || each.end !== end || each.label !== name), { start, end, label: name, text: text.slice(start, end) }]);
  };
  useKeys((event) => {
    const found = classOf(definition.classes, event);
    if (found) mark(found.name);
    else if (event.key === "Enter" && plain(event) && !writing(event) && !event.target.closest?.("button, a")) say(spans);
    else return false;
    return true;
  });
  return html`<textarea class="label-words" aria-readonly="true" rows="6" aria-label="The text" ref=${field} value=${text} spellcheck=${false} onBeforeInput=${(event) => event.preventDefault()}></textarea>
    <div class="label-choices" role="group" aria-label="Classes">${definition.classes.map((each) => html`<${Choice} item=${each} act=${() => mark(each.name)} />`)}</div>
    <ul class="label-spans">${spans.map((span) => html`<li><b>${span.label}</b> “${span.text}” <button class="plain" aria-label=${`Remove ${span.label} ${span.text}`} onClick=${() => setSpans((now) => now.filter((each) => each !== span))}>×</button></li>`)}</ul>
    <button class="button primary" onClick=${() => say(spans)}>${spans.length ? "Keep" : "None"} <kbd>Enter</kbd></button>`;
}
