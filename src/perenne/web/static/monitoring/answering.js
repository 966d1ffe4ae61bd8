// What people do with an alert: say that they are on it, let go of it, ask for silence, write something.
import { html, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { Action } from "../core/parts.js";

const LENGTHS = [["1h", "1 hour"], ["6h", "6 hours"], ["1d", "a day"], ["1w", "a week"]];
const KINDS = {
  drift: "Drift", intake: "Observer", serving: "Model server", no_data: "No rows", parked: "Parked", source: "Source", late: "Late rows", channel: "Channel", data: "Drift in the data", policy: "Retraining", alert: "Own rule", concept: "Concept drift", contribution: "Relations changed", schema: "Columns have changed",
  feedback: "Feedback loop",
};

/** What a rule is called. */
export function title(rule) {
  const [kind, ...rest] = rule.split(":");
  if (kind === "objective") return `Objective missed: ${rest[0]}`;
  if (kind === "guardrail") return `Guardrail breached: ${rest[0]}`;
  if (kind === "alert") return rest.join(":").replace(/:(measured|estimated|realised)$/, "");
  const [word, ...names] = rule.split(" ");
  return `${KINDS[word] || word}${names.length ? `: ${names.join(" ")}` : ""}`;
}

/** What an alert is about: its deployment, or what it speaks of. */
export const about = (row) => row.deployment || (row.source || row.rule.split(" ").slice(1).join(" ") || "perenne");

/** The buttons of an open alert. */
export function Answers({ row, reload }) {
  const [length, setLength] = useState("6h");
  const words = LENGTHS.find(([key]) => key === length)[1];
  const send = (what, body, said) => async (reason) => {
    await post(`/api/alert/${row.id}/${what}`, reason ? { ...body, reason } : body);
    reload();
    return said;
  };
  const unsilence = async (reason) => {
    await post(`/api/alert/silences/${row.silence.id}/end`, { reason: reason || "" });
    reload();
    return "The silence has ended: people are told again";
  };
  return html`<span class="row">
    ${row.acknowledged_by
      ? html`<${Action} small tone="quiet" label="Let go" run=${send("unacknowledge", {}, "Nobody is on it: people are told again")} title="Take the acknowledgement back" />`
      : html`<${Action} small label="Acknowledge" run=${send("acknowledge", {}, "You are on it: it is not sent again while it stays as it is")} title="Somebody is on it" />`}
    ${row.silence
      ? html`<${Action} small tone="quiet" label="End silence" run=${unsilence} confirm=${`People are told again. The silence was asked for by ${row.silence.owner}: ${row.silence.reason}`} reason="Why (kept in the audit trail)" />`
      : html`<span class="monitoring-silence">
        <${Action} small label="Silence" run=${send("silence", { for: length }, `Nobody is told about it for ${words}`)} confirm=${`Tell nobody about ${title(row.rule).toLowerCase()} of ${about(row)} for ${words}. The alert itself goes on.`} reason="Why nobody needs to be told" required />
        <select class="field" aria-label="For how long" value=${length} onChange=${(event) => setLength(event.target.value)}>${LENGTHS.map(([key, name]) => html`<option value=${key} selected=${key === length}>${name}</option>`)}</select>
      </span>`}
  </span>`;
}
