// How the gates of delivery are said: verdicts, figures against limits, and what holds a version back.
import { html } from "../core/dom.js";
import { number } from "../core/format.js";
import { State } from "../core/parts.js";

const VERDICTS = { pass: ["ok", "pass"], fail: ["crit", "fail"] };

/** What one gate said; what is unknown is a warning only where it is required and not let go. */
export const Verdict = ({ verdict, required, waived, title }) => {
  const [tone, word] = VERDICTS[verdict] ?? [required && !waived ? "warn" : "none", waived ? "let go" : "unknown"];
  return html`<${State} tone=${tone} word=${word} title=${title} />`;
};

/** What all gates of a version come to. */
export const Outcome = ({ line }) => {
  if (!line.verdict) return html`<${State} tone="none" word="not run" title="Nobody has run its gates" />`;
  const [tone, word] = { pass: ["ok", "let through"], fail: ["crit", `${line.failed} failed`], unknown: ["warn", line.required_unknown ? `${line.required_unknown} required unknown` : "nothing passed"] }[line.verdict];
  return html`<${State} tone=${tone} word=${word} />`;
};

export const figure = (value, unit) => (value === null ? "–" : `${number(value)}${unit ? ` ${unit}` : ""}`);
