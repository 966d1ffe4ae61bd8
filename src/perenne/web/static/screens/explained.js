// One explained prediction: the answer, who gave it, what moved it, and everything behind it.
import { html } from "../core/dom.js";
import { Card, Copy, Facts, State, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { duration, number, plural, signed, when } from "../core/format.js";
import { Icon } from "../core/icons.js";

const DRIFT = { ok: ["ok", "as in training"], warn: ["warn", "watch"], alarm: ["crit", "drifting"], too_few: ["none", "too few rows to say"], gap: ["none", "too much was dropped to say"] };
const ICONS = { deployment: "deploy", version: "model", run: "runs", snapshot: "data", code: "pipeline", decision: "person" };
const MADE = { deployment: "Served by", version: "A version", run: "made by", snapshot: "trained on", code: "from code", decision: "let through" };

export default function WhyScreen({ params }) {
  const view = useView(`/api/view/why/${encodeURIComponent(params.prediction)}`);
  return html`<${Screen} title=${(data) => `Why ${answered(data.why)}`} crumbs=${[["Why", "/why"]]} view=${view} note=${(data) => html`${data.why.deployment}, <${Time} at=${data.why.arrived} />`}>
    ${(data) => html`<div class="cols">
      <div class="side"><${Answer} data=${data} /><${Inputs} why=${data.why} /></div>
      <div class="side"><${Chain} chain=${data.chain} why=${data.why} /><${Drift} why=${data.why} /><${Missing} why=${data.why} /></div>
    </div>`}
  <//>`;
}

const answered = (why) => (why.answer === null ? "there was no answer" : `the answer was ${number(why.answer)}`);

function Answer({ data }) {
  const { why } = data;
  return html`<${Card} title="The answer">
    <div class="why-answer"><span class="why-figure">${why.answer === null ? "no answer" : number(why.answer)}</span>
      ${why.score === null ? null : html`<span class="dim">score ${number(why.score)}</span>`}<span class="grow"></span><${Actual} why=${why} /></div>
    <${Facts} rows=${[
      ["Who answered", data.chosen],
      ["Answered", when(why.arrived)],
      ["About", why.happened === why.arrived ? null : when(why.happened)],
      ["Took", duration(why.latency_us)],
      ["Gate", why.gate],
      ["Beside it", why.others.length ? why.others.map((other) => html`<div><a href=${versionHref(other.version)}>${other.version}</a> in shadow: ${other.answer === null ? "no answer" : number(other.answer)}${other.score === null ? "" : ` (score ${number(other.score)})`}</div>`) : null],
      ["Prediction", html`<${Copy} text=${why.prediction_id} />`],
    ]} />
  <//>`;
}

function Actual({ why }) {
  const { actual } = why;
  if (!actual) return html`<${State} tone="none" word="what really happened is not known yet" />`;
  const known = actual.known ? html` <span class="faint small">known <${Time} at=${actual.known} /></span>` : null;
  if (actual.right !== null) return html`<span><${State} tone=${actual.right ? "ok" : "crit"} word=${actual.right ? `right: it was ${actual.label}` : `wrong: it was ${actual.label}`} />${known}</span>`;
  return html`<span><${State} tone="info" word=${`it was ${number(Number(actual.label))}${actual.error === null ? "" : `, the answer is off by ${signed(actual.error)}`}`} />${known}</span>`;
}

function Inputs({ why }) {
  const most = Math.max(...why.inputs.map((input) => Math.abs(input.effect)), 1e-12);
  const number_ = typeof why.answer === "number";
  return html`<${Card} title="What moved it" note=${`how much ${number_ ? "the answer" : "the score"} changes if only this input is set to its typical value`} flush=${true}>
    ${why.inputs.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Inputs by effect"><table class="table dense why-inputs">
      <thead><tr><th scope="col">input</th><th scope="col" class="num">effect</th><th scope="col"><span class="why-less">less</span><span class="why-more">more</span></th><th scope="col" class="num">value</th><th scope="col" class="num">typical</th><th scope="col">known range</th></tr></thead>
      <tbody>${why.inputs.map((input) => html`<tr key=${input.name}>
        <td>${input.name}</td><td class="num">${input.effect ? signed(input.effect) : "0"}</td>
        <td><svg class="why-bar" width="120" height="14" viewBox="-60 0 120 14" aria-hidden="true"><line x1="0" x2="0" y1="0" y2="14" /><rect class=${input.effect < 0 ? "less" : "more"} x=${Math.min(0, (58 * input.effect) / most)} y="3" width=${Math.abs((58 * input.effect) / most)} height="8" /></svg></td>
        <td class="num">${value(input.value)}</td><td class="num dim">${value(input.typical)}</td>
        <td>${input.known ? html`<span class="dim">${input.range}</span>` : html`<${State} tone="warn" word=${`not seen in training (${input.range})`} />`}</td>
      </tr>`)}</tbody></table></div>` : html`<p class="none dim">No input is ranked: ${why.variant === "constant" ? "a constant answered, and no model." : "the model has none."}</p>`}
  <//>`;
}

const value = (v) => (v === null ? html`<span class="faint">missing</span>` : number(v));

function Chain({ chain, why }) {
  return html`<${Card} title="Behind it" tools=${html`<a class="small" href=${`/lineage/version/${encodeURIComponent(why.version)}`}>lineage</a>`}>
    <ol class="why-chain">${chain.map((item, i) => html`<li key=${i} class=${item.tone}>
      <span class="why-icon"><${Icon} name=${ICONS[item.kind] || "more"} /></span>
      <div><span class="faint small">${MADE[item.kind]}</span><br />${item.path ? html`<a href=${item.path}>${item.title}</a>` : item.title}${item.at ? html` <span class="faint small"><${Time} at=${item.at} /></span>` : null}<div class="dim small">${item.note}</div></div>
    </li>`)}</ol>
  <//>`;
}

function Drift({ why }) {
  const { drift } = why;
  const [tone, word] = drift ? DRIFT[drift.state] || ["none", drift.state] : ["none", "not judged yet"];
  return html`<${Card} title="Drift at that minute" tools=${html`<a class="small" href=${`/monitor/${encodeURIComponent(why.deployment)}`}>monitor</a>`}>
    <p><${State} tone=${tone} word=${word} /></p>
    ${drift ? html`<p class="dim small">${plural(drift.rows, "row")}, ${when(drift.start)} to ${when(drift.end)}</p>${drift.causes.map((cause) => html`<p>${cause.replace(/^@score/, "the score").replace(/^@prediction/, "the answer")}</p>`)}` : null}
  <//>`;
}

function Missing({ why }) {
  if (!why.missing.length) return null;
  return html`<${Card} title="What is missing"><ul class="why-missing">${why.missing.map((text) => html`<li>${text}</li>`)}</ul><//>`;
}

function versionHref(id) {
  const at = id.lastIndexOf("@");
  return `/model/${encodeURIComponent(id.slice(0, at))}?version=${id.slice(at + 1)}`;
}
