// The field that filters runs, in the language of the API: it completes names, words and states, and says under it what is wrong where.
import { html, useEffect, useRef, useState } from "../core/dom.js";
import { quoted } from "./words.js";

const WAIT = 600;
const OFFERED = 12;
const ATTRIBUTES = ["run_name", "status", "start_time", "end_time", "user_id", "run_id", "artifact_uri"];
const STATES = ["RUNNING", "FINISHED", "FAILED", "SCHEDULED", "KILLED"];
const FIGURES = [">", ">=", "<", "<=", "=", "!=", "BETWEEN"];
const TEXTS = ["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"];
const TOKEN = /'(?:[^']|'')*'?|[<>=!]+|[(),]|(?:[^\s<>=!(),'"`]|`[^`]*`?|"[^"]*"?)+/g;
const ENTITY = /^\s*\(?\s*(not\s+)?(metrics?|params?|parameters?|tags?|attributes?|attr|datasets?)\./i;
const JOINING = new Set(["AND", "OR", "NOT", "(", ","]);
const COMPARING = new Set([...FIGURES, ...TEXTS, "IS"]);

/** What may stand at the end of a text: `{from, options: [[text, note], …]}`, `from` being where the word that is completed begins. */
export function suggest(text, keys) {
  const tokens = [...text.matchAll(TOKEN)];
  const open = tokens.length && tokens.at(-1).index + tokens.at(-1)[0].length === text.length && !/[\s(,]$/.test(text);
  const word = open ? tokens.at(-1)[0] : "";
  const from = open ? tokens.at(-1).index : text.length;
  const before = tokens.slice(0, open ? -1 : undefined).map((token) => token[0]);
  const last = before.at(-1)?.toUpperCase();
  const options = before.length === 0 || JOINING.has(last) ? names(keys) : COMPARING.has(last) ? values(before.at(-2)) : compared(before.at(-2)) ? [["AND", ""], ["OR", ""]] : operators(before.at(-1));
  const wanted = word.toLowerCase().replaceAll("`", "");
  const begins = (option, place) => option.toLowerCase().replaceAll("`", "").startsWith(wanted, place);
  const rank = (option) => (begins(option, 0) || begins(option, option.indexOf(".") + 1) ? 0 : 1);
  const fitting = options.filter(([option]) => option.toLowerCase().replaceAll("`", "").includes(wanted) && option !== word);
  return { from, options: fitting.sort((a, b) => rank(a[0]) - rank(b[0])).slice(0, OFFERED) };
}

/** Whether a text may be asked for as it is: words, or a comparison with its value; somebody may still be writing otherwise. */
export function complete(text) {
  const tokens = [...text.matchAll(TOKEN)].map((token) => token[0]);
  if (!tokens.some((token) => compared(token))) return !ENTITY.test(text);
  const [before, last] = [tokens.at(-2), tokens.at(-1)];
  return last === ")" || /^null$/i.test(last) || (compared(before) && !compared(last) && last !== "(" && !/^'[^']*$/.test(last)) || (/^and$/i.test(before) && /^between$/i.test(tokens.at(-4) ?? ""));
}

const compared = (token) => token !== undefined && COMPARING.has(token.toUpperCase());

const names = (keys) => [
  ...(keys.metrics ?? []).map((key) => [`metrics.${quoted(key)}`, "metric"]),
  ...(keys.params ?? []).map((key) => [`params.${quoted(key)}`, "parameter"]),
  ...ATTRIBUTES.map((key) => [`attributes.${key}`, "about the run"]),
  ...(keys.tags ?? []).map((key) => [`tags.${quoted(key)}`, "tag"]),
  ["NOT", ""],
];

const operators = (name) => {
  const figure = /^metrics\.|^attributes\.(start|end)_time$/.test(name);
  return (figure ? FIGURES : /^params\./.test(name) ? [...TEXTS, ...FIGURES.filter((sign) => !TEXTS.includes(sign))] : TEXTS).map((sign) => [sign, ""]);
};

const values = (name) => (/^(attributes?\.)?status$/i.test(name ?? "") ? STATES.map((state) => [`'${state}'`, ""]) : []);

/** The field; `onChange(text)` comes with Enter, or a moment after the last key if that may be a whole filter. `error` is what the server said of `value`. */
export function FilterField({ value = "", error, keys, onChange, placeholder, label = "Find runs" }) {
  const [text, setText] = useState(value);
  const [offer, setOffer] = useState(null);
  const [at, setAt] = useState(-1);
  const field = useRef();
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (document.activeElement !== field.current) setText(value);
  }, [value]);
  const send = (said) => {
    clearTimeout(timer.current);
    if (said.trim() !== value) onChange(said.trim());
  };
  const ask = (said) => {
    const end = field.current.selectionEnd ?? said.length;
    const found = suggest(said.slice(0, end), keys);
    setOffer(found.options.length ? { ...found, end } : null);
    setAt(-1);
  };
  const typed = (event) => {
    const said = event.target.value;
    setText(said);
    ask(said);
    clearTimeout(timer.current);
    if (complete(said)) timer.current = setTimeout(() => send(said), WAIT);
  };
  const take = (option) => {
    const said = `${text.slice(0, offer.from)}${option} ${text.slice(offer.end).trimStart()}`;
    const place = offer.from + option.length + 1;
    setText(said);
    clearTimeout(timer.current);
    requestAnimationFrame(() => {
      field.current.setSelectionRange(place, place);
      ask(said);
    });
  };
  const pressed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && offer) setAt((at + step + offer.options.length) % offer.options.length);
    else if (event.key === "Tab" && offer && at >= 0 && !event.shiftKey) take(offer.options[at][0]);
    else if (event.key === "Enter") offer && at >= 0 ? take(offer.options[at][0]) : (setOffer(null), send(text));
    else if (event.key === "Escape" && offer) setOffer(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="filter-box">
    <input ref=${field} class="field filter-text mono" role="combobox" type="text" spellcheck="false" autocomplete="off" autocapitalize="off" aria-label=${label} aria-autocomplete="list" aria-expanded=${!!offer} aria-controls="filter-offer" aria-activedescendant=${offer && at >= 0 ? `offer-${at}` : undefined}
      aria-invalid=${!!error} aria-describedby=${error ? "filter-error" : undefined} placeholder=${placeholder} value=${text} onInput=${typed} onKeyDown=${pressed} onFocus=${() => ask(text)} onBlur=${() => (setOffer(null), send(text))} />
    ${text ? html`<button class="plain filter-clear" aria-label="Take the filter away" onClick=${() => (setText(""), send(""))}>×</button>` : null}
    <ul id="filter-offer" role="listbox" aria-label="Completions" class="filter-offer" hidden=${!offer}>
      ${(offer?.options ?? []).map(([option, note], i) => html`<li role="option" id=${`offer-${i}`} aria-selected=${i === at} onMouseDown=${(event) => (event.preventDefault(), take(option))} onMouseMove=${() => setAt(i)}><span class="mono grow">${option}</span><span class="faint small">${note}</span></li>`)}
    </ul>
    ${error ? html`<p class="filter-error" id="filter-error" role="alert">${error.message}${error.hint ? html` <span class="dim">${error.hint}</span>` : null}</p>` : null}
  </div>`;
}
