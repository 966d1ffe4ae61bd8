// A line of states and the way that was taken through it; where it ended elsewhere, the branch that leads there.
import { html } from "../dom.js";
import { duration, when } from "../format.js";

/**
 * `line`: `[{state, word, status, entered, left, note}]` with the status `passed`, `here`, `end`, `skipped` or `ahead`;
 * `end` is such a state beside the line, `leftFrom` the state of the line that led to it; `tone` colours where it stands.
 */
export function States({ line, end, leftFrom, tone = "info", label }) {
  const from = end ? Math.max(0, line.findIndex((item) => item.state === leftFrom)) : -1;
  return html`<ol class="states" aria-label=${label} style=${{ "--states": line.length }}>
    ${line.map((item, i) => html`<li key=${item.state} class=${`states-${item.status}`} aria-current=${item.status === "here" ? "step" : undefined} title=${told(item)}>
      <i class=${`states-mark ${item.status === "here" || item.status === "end" ? tone : ""}`} aria-hidden="true"></i>
      <span class="states-word">${item.word}</span>
      <span class="states-time faint">${item.status === "skipped" ? "not needed" : item.entered ? stayed(item) : ""}</span>
      <span class="sr-only">${told(item)}</span>
      ${i === from ? html`<span class="states-branch" title=${told(end)}><i class=${`states-mark ${tone}`} aria-hidden="true"></i><span class="states-word">${end.word}</span><span class="sr-only">${told(end)}</span></span>` : null}
    </li>`)}
  </ol>`;
}

const WORDS = { passed: "passed", here: "it stands here", end: "it ended here", skipped: "not needed", ahead: "not reached" };

const told = (item) => `${item.word}: ${WORDS[item.status]}${item.entered ? `, entered ${when(item.entered)}` : ""}${item.note ? `. ${item.note}` : ""}`;

function stayed(item) {
  if (item.status === "here") return "now";
  if (!item.left) return "";
  return item.left > item.entered ? duration(item.left - item.entered) : "at once";
}
