// The page of a model server: a form made from the model's inputs, the answer, and calls to copy. It talks to that server alone.
import { html, render, signal, useEffect, useState } from "../core/dom.js";
import { number, percent, plural } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { Card, Chip, Copy, Facts, State, Table, Tabs } from "../core/parts.js";
import { theme, switchTheme } from "../core/theme.js";
import { Toasts } from "../core/toast.js";

const token = signal(null);
const MANY_CHOICES = 12;

class Refused extends Error {
  constructor(status, said, headers) {
    super(said.error || said.message || `the server answered ${status}`);
    this.status = status;
    this.headers = headers;
    this.hint = said.hint || "";
  }
}

async function ask(path, body) {
  const headers = { ...(token.value ? { authorization: `Bearer ${token.value}` } : {}), ...(body ? { "content-type": "application/json" } : {}) };
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body ? JSON.stringify(body) : undefined, credentials: "omit", cache: "no-store" });
  } catch {
    throw new Refused(0, { error: "The server does not answer" }, new Headers());
  }
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, said, response.headers);
  return { said, headers: response.headers };
}

/** What a field holds as the wire wants it; undefined if it is none of its kind. */
function read(input, text) {
  if (text === "") return null;
  if (input.kind === "boolean") return text === "true";
  if (input.kind === "text" || input.kind === "time") return text;
  try {
    const value = input.kind === "tensor" ? JSON.parse(text) : Number(text);
    return typeof value === "number" && !Number.isFinite(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

const shown = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

function Field({ input, value, onInput, wrong }) {
  const id = `input-${input.name}`;
  const common = { id, class: "field", value, "aria-invalid": wrong, "aria-describedby": `${id}-note`, onInput: (event) => onInput(event.currentTarget.value) };
  const range = input.least === null || input.least === undefined || input.kind === "time" ? "" : `known from ${number(input.least, 4)} to ${number(input.most, 4)}`;
  const note = wrong ? `not ${{ tensor: "nested lists in JSON" }[input.kind] || "a number"}` : input.kind === "tensor" ? `shape ${input.shape.replace("[n, ", "[").replace("[n]", "[]")}, as nested lists` : input.kind === "time" ? "ISO 8601, UTC" : range || (input.choices.length ? plural(input.choices.length, "known value") : "");
  let control;
  if (input.kind === "tensor") control = html`<textarea ...${{ ...common, class: "field tryout-tensor" }} rows="3" spellcheck="false"></textarea>`;
  else if (input.kind === "boolean" || (input.choices.length && input.choices.length <= MANY_CHOICES))
    control = html`<select ...${common}><option value="">missing</option>${(input.kind === "boolean" ? ["true", "false"] : withValue(input.choices, value)).map((choice) => html`<option value=${choice} selected=${choice === value}>${choice}</option>`)}</select>`;
  else
    control = html`<input ...${common} type="text" inputmode=${input.kind === "number" || input.kind === "whole" ? "decimal" : undefined} placeholder="missing" autocomplete="off" list=${input.choices.length ? `${id}-choices` : undefined} />
      ${input.choices.length ? html`<datalist id=${`${id}-choices`}>${input.choices.map((choice) => html`<option value=${choice}></option>`)}</datalist>` : null}`;
  return html`<div class=${`tryout-field${input.kind === "tensor" ? " wide" : ""}`}>
    <label for=${id}><b>${input.name}</b> <span class="faint small">${input.datatype}</span></label>
    ${control}
    <small id=${`${id}-note`} class=${wrong ? "tryout-wrong" : "faint"}>${note || " "}</small>
  </div>`;
}

const withValue = (choices, value) => (value === "" || choices.includes(value) ? choices : [value, ...choices]);

function Form({ form, texts, setTexts, wrong, run, busy }) {
  const reset = () => setTexts(examples(form));
  return html`<${Card} title="Try it" note=${plural(form.inputs.length, "input")} tools=${html`<button type="button" class="button quiet small" onClick=${reset}>Example</button>`}>
    <form class="tryout-form" onSubmit=${(event) => { event.preventDefault(); run(); }}>
      <div class="tryout-fields">${form.inputs.map((input) => html`<${Field} key=${input.name} input=${input} value=${texts[input.name]} wrong=${wrong.includes(input.name)} onInput=${(text) => setTexts({ ...texts, [input.name]: text })} />`)}</div>
      <div class="row end"><button class="button primary" disabled=${busy || wrong.length > 0} aria-busy=${busy}>Predict</button></div>
    </form>
  <//>`;
}

function Answer({ answer, form }) {
  if (!answer) return html`<${Card} title="Answer"><p class="dim">Nothing was asked yet. What is predicted here is logged like any other prediction.</p><//>`;
  if (answer.error) return html`<${Card} title="Answer" note=${answer.error.status ? `status ${answer.error.status}` : ""}><div class="stack" role="alert"><${State} tone="crit" word=${answer.error.message} />${answer.error.hint ? html`<p class="dim">${answer.error.hint}</p>` : null}</div><//>`;
  const outputs = Object.fromEntries(answer.said.outputs.map((output) => [output.name, output]));
  const label = outputs.prediction?.data[0];
  const scores = outputs.probabilities?.data || [];
  const others = answer.said.outputs.filter((output) => !["prediction", "probabilities", "prediction_id"].includes(output.name));
  const { variant, fallback, stopped } = answer.said.parameters || {};
  const facts = [["prediction", outputs.prediction_id?.data[0]], ["version", answer.said.model_version], ["variant", variant], ["took", `${number(answer.ms, 3)} ms in this browser`]];
  return html`<${Card} title="Answer" note=${form.target} tools=${fallback || stopped ? html`<${Chip} tone="warn">${fallback ? "fallback" : "stopped"}<//>` : null}>
    <div class="stack" role="status">
      ${outputs.prediction ? html`<div class="big tryout-label">${typeof label === "number" ? number(label, 5) : String(label)}</div>` : null}
      ${scores.length ? html`<ul class="tryout-scores">${form.classes.map((name, at) => html`<li key=${name}><span>${name}</span><i><b style=${{ width: scores[at] === null ? 0 : `${100 * scores[at]}%` }}></b></i><span class="num">${scores[at] === null ? "–" : percent(scores[at], 1)}</span></li>`)}</ul>` : null}
      ${others.map((output) => html`<div key=${output.name}><b>${output.name}</b> <span class="faint small">${output.datatype} ${JSON.stringify(output.shape)}</span><pre class="tryout-values" tabindex="0">${JSON.stringify(output.data.slice(0, 200))}${output.data.length > 200 ? " …" : ""}</pre></div>`)}
      <${Facts} rows=${facts} />
      <details><summary>As it came</summary><pre class="tryout-values" tabindex="0" aria-label="The whole answer">${JSON.stringify(answer.said, null, 1)}</pre></details>
    </div>
  <//>`;
}

function Calls({ calls }) {
  const [chosen, choose] = useState("curl");
  const call = calls.find((item) => item.key === chosen) || calls[0];
  return html`<${Card} title="Call it" note="with the values of the form" tools=${html`<${Tabs} label="Language" value=${chosen} onChange=${choose} options=${calls.map((item) => [item.key, item.title])} />`}>
    ${call ? html`<${Copy} block text=${call.text} />` : html`<p class="dim">Fill in the form, and calls with its values stand here.</p>`}
    ${token.value ? html`<p class="small dim">They read the token from the variable PERENNE_TOKEN.</p>` : null}
  <//>`;
}

function Endpoints({ document }) {
  if (!document) return null;
  const rows = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, protocol: operation.tags[0], summary: operation.summary })));
  const order = document.tags.map((tag) => tag.name);
  rows.sort((a, b) => order.indexOf(a.protocol) - order.indexOf(b.protocol) || b.method.localeCompare(a.method) || a.path.localeCompare(b.path));
  const columns = [{ title: "", key: "method" }, { title: "path", cell: (row) => html`<code>${row.path}</code>` }, { title: "protocol", key: "protocol" }, { title: "what it does", key: "summary" }];
  return html`<${Card} flush title="Endpoints" note="OpenAPI 3.1" tools=${html`<button class="button small" onClick=${() => save(document)}><${Icon} name="download" />openapi.json</button>`}>
    <${Table} dense label="Endpoints" columns=${columns} rows=${rows} rowKey=${(row) => row.method + row.path} />
  <//>`;
}

function save(document_) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 1)], { type: "application/json" }));
  link.download = "openapi.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const examples = (form) => Object.fromEntries(form.inputs.map((input) => [input.name, shown(input.example)]));

function Page({ form, document }) {
  const [texts, setTexts] = useState(() => examples(form));
  const [answer, setAnswer] = useState(null);
  const [written, setWritten] = useState(null);
  const [busy, setBusy] = useState(false);
  const row = Object.fromEntries(form.inputs.map((input) => [input.name, read(input, texts[input.name])]));
  const wrong = Object.keys(row).filter((name) => row[name] === undefined);
  const write = () => ask("/docs/calls", { row, url: location.origin, token: Boolean(token.value) });
  useEffect(() => {
    if (wrong.length) return undefined;
    let late = false;
    const waiting = setTimeout(() => write().then(({ said }) => late || setWritten(said), () => late || setWritten(null)), 150);
    return () => { late = true; clearTimeout(waiting); };
  }, [JSON.stringify(texts)]);
  const run = async () => {
    setBusy(true);
    try {
      const { said: request } = await write();
      const start = performance.now();
      const { said } = await ask(request.path, request.body);
      setAnswer({ said, ms: performance.now() - start });
    } catch (error) {
      if (error.status === 401) token.value = "";
      setAnswer({ error });
    }
    setBusy(false);
  };
  return html`<div class="head"><h1>${form.deployment}</h1><${Chip} tone="ok">${form.model}@${form.version}<//><span class="dim">predicts ${form.target}${form.classes.length ? `: ${form.classes.join(" or ")}` : ""}</span></div>
    ${form.problem ? html`<p class="trouble" role="alert"><${State} tone="warn" word=${form.problem} /></p>` : null}
    <div class="half"><${Form} form=${form} texts=${texts} setTexts=${setTexts} wrong=${wrong} run=${run} busy=${busy} />
      <div class="side"><${Answer} answer=${answer} form=${form} /><${Calls} calls=${written ? written.calls : []} /></div></div>
    <${Endpoints} document=${document} />`;
}

function LogIn({ problem, enter }) {
  const [text, setText] = useState("");
  return html`<div class="tryout-login"><${Card} title="A token is asked for">
    <form class="stack" onSubmit=${(event) => { event.preventDefault(); enter(text.trim()); }}>
      <p class="dim">This server answers those who show a token. It is kept as long as this page is open, and nowhere else.</p>
      <label class="stack" for="token">Token<input id="token" class="field" type="password" autocomplete="off" required value=${text} onInput=${(event) => setText(event.currentTarget.value)} /></label>
      ${problem ? html`<p role="alert"><${State} tone="crit" word=${problem} /></p>` : null}
      <div class="row end"><button class="button primary">Go on</button></div>
    </form>
  <//></div>`;
}

function App() {
  const [state, setState] = useState({});
  const load = async (shown) => {
    token.value = shown;
    try {
      const [{ said: form }, { said: document_ }] = await Promise.all([ask("/docs/form"), ask("/openapi.json")]);
      document.title = `${form.deployment} · perenne`;
      setState({ form, document: document_ });
    } catch (error) {
      if (error.status === 401) setState({ asks: true, problem: shown ? error.message : "" });
      else setState({ problem: error.message });
    }
  };
  useEffect(() => (document.body.dataset.token ? setState({ asks: true }) : void load(null)), []);
  let body = html`<div class="bones"><i class="bone"></i><i class="bone"></i></div>`;
  if (state.form) body = html`<${Page} form=${state.form} document=${state.document} />`;
  else if (state.asks) body = html`<${LogIn} problem=${state.problem} enter=${load} />`;
  else if (state.problem) body = html`<p class="trouble" role="alert"><${State} tone="warn" word=${state.problem} /> <button class="button small" onClick=${() => load(token.value)}>Try again</button></p>`;
  return html`<div class="tryout">
    <header class="top">
      <span class="brand"><svg width="20" height="20" viewBox="0 0 24 24" aria-hidden="true"><path class="ring" d="M12 2a10 10 0 1 0 10 10" /><path class="leaf" d="M12 17c0-6 2-9 8-11 0 7-3 10-8 11z" /></svg>perenne</span>
      <nav class="crumbs" aria-label="Where you are"><span>model server</span>${state.form ? html`<span class="faint" aria-hidden="true">/</span><b aria-current="page">${state.form.deployment}</b>` : null}</nav>
      <span class="grow"></span>
      <button class="plain round" aria-label=${theme.value === "dark" ? "Switch to light" : "Switch to dark"} onClick=${switchTheme}><${Icon} name=${theme.value === "dark" ? "sun" : "moon"} /></button>
    </header>
    <main class="main" tabindex="-1">${body}</main>
    <${Toasts} />
  </div>`;
}

render(html`<${App} />`, document.getElementById("app"));
