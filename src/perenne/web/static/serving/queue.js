// A person's queue: the requests that wait for somebody who decides, with the decision in place.
import { post } from "../core/api.js";
import { html } from "../core/dom.js";
import { count, number, plural } from "../core/format.js";
import { Action, Card, Time } from "../core/parts.js";

/** The queue of a deployment; nothing where nothing waits. */
export function Queue({ name, queue, reload }) {
  if (!queue?.waiting) return null;
  return html`<${Card} flush title="Waiting for a person" note=${`${plural(queue.waiting, "request")}, the oldest first; what the model says is shown afterwards`}>
    <ol class="serving-queue">${queue.tickets.map((ticket) => html`<${Ticket} key=${ticket.id} name=${name} ticket=${ticket} may=${queue.may_decide} reload=${reload} />`)}</ol>
    ${queue.waiting > queue.tickets.length ? html`<p class="small dim">and ${count(queue.waiting - queue.tickets.length)} more: <code>perenne deploy queue ${name}</code></p>` : null}
  <//>`;
}

function Ticket({ name, ticket, may, reload }) {
  const send = async (answer, reason) => {
    await post(`/api/deploy/${encodeURIComponent(name)}/queue/${ticket.id}/decide`, { answer, reason });
    reload();
    return `Answered: ${answer}`;
  };
  return html`<li>
    <p class="row"><${Time} at=${ticket.opened} /><code class="small">${ticket.id}</code>${ticket.rows.length > 1 ? html`<span class="dim">${plural(ticket.rows.length, "row")}, one answer for all</span>` : null}</p>
    ${ticket.rows.slice(0, 3).map((row) => html`<dl class="serving-inputs">${Object.entries(row).map(([input, value]) => html`<div><dt>${input}</dt><dd>${shown(value)}</dd></div>`)}</dl>`)}
    <p class="row">${ticket.classes.length
      ? ticket.classes.map((answer) => html`<${Action} small label=${String(answer)} confirm=${`Answer ${answer}?`} reason="Why (kept with the decision)" required disabled=${!may} run=${(reason) => send(answer, reason)} />`)
      : html`<span class="dim">a number is asked for: <code>perenne deploy decide ${ticket.id} NUMBER --reason "…"</code></span>`}</p>
  </li>`;
}

const shown = (value) => (value === null ? html`<span class="faint">missing</span>` : typeof value === "number" ? number(value) : String(value));
