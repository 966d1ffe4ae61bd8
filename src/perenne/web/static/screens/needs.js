// What needs a person, with the decision in place.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { Action, Card, Chip, State, Time } from "../core/parts.js";

const SHAPES = { version: "waits", alert: "alert", event: "set aside", labels: "differ" };
const DONE = { Approve: "approved", Reject: "rejected", Acknowledge: "acknowledged", "Try again": "will be tried again", "Give up": "was given up" };

/** The list of needs; `more` of them are not listed. `reload` asks again once one is done. */
export const Needs = ({ needs, more = 0, reload }) => html`<${Card} flush title="Needs you" tools=${needs.length ? html`<${Chip} tone="warn">${needs.length + more}<//>` : null}>
  ${needs.length
    ? html`<ul class="needs">${needs.map((need) => html`<${NeedLine} key=${need.kind + need.id} need=${need} reload=${reload} />`)}</ul>`
    : html`<p class="none dim">Nothing waits for a person.</p>`}
  ${more ? html`<p class="none dim">${more} more are not listed; these are the most urgent.</p>` : null}
<//>`;

const NeedLine = ({ need, reload }) => html`<li class="need">
  <div class="need-head">
    <${State} tone=${need.tone} word=${SHAPES[need.kind]} /><a class="need-title" href=${need.path}>${need.title}</a>
    ${need.at ? html`<span class="faint small need-time"><${Time} at=${need.at} /></span>` : null}
  </div>
  <p class="dim small">${need.text}${need.by ? html` <span class="faint">${sentence(need.by)}</span>` : null}</p>
  <div class="row">
    ${need.buttons.map((button) => html`<${Decision} button=${button} need=${need} reload=${reload} />`)}
    <a class="button small quiet" href=${need.path}>${need.kind === "version" ? "Review" : "Open"}</a>
  </div>
</li>`;

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function Decision({ button, need, reload }) {
  const send = async (why) => {
    await post(button.path, why ? { ...button.body, reason: why } : button.body);
    reload?.();
    return `${need.title} ${DONE[button.label] || "is done"}`;
  };
  return html`<${Action} small label=${button.label} tone=${button.tone} run=${send} confirm=${button.reason ? `${button.label}: ${need.title}` : undefined}
    reason=${button.reason || undefined} required=${button.required} disabled=${!button.allowed} title=${button.allowed ? undefined : "Your roles do not allow this"} />`;
}
