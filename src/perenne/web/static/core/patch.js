// A unified diff, line by line: what was added and taken away by sign, word and colour.
import { html } from "./dom.js";

const KINDS = { "+": "added", "-": "taken", "@": "place" };

export const Patch = ({ text, label }) => html`<div class="patch scroll" tabindex="0" role="region" aria-label=${label}><pre>${text.split("\n").map((line) => {
  const head = /^(\+\+\+|---|diff |index )/.test(line);
  return html`<span class=${head ? "head" : (KINDS[line[0]] ?? "")}>${line}${"\n"}</span>`;
})}</pre></div>`;
