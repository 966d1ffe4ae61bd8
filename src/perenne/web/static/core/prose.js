// A small part of Markdown, drawn as elements: nothing of what people write is ever taken as HTML.
import { html } from "./dom.js";

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^\]]+\]\([^\s)]+\)|https?:\/\/[^\s<>)]+)/;
const SAFE = /^(https?:\/\/|\/(?!\/))/;

/** Headings, lists, code, bold, slanted and links of a text; everything else stands there as it was written. */
export const Prose = ({ text }) => html`<div class="prose">${blocks(text).map(draw)}</div>`;

function blocks(text) {
  const found = [];
  let fence = null;
  for (const line of text.replaceAll("\r\n", "\n").split("\n")) {
    const last = found.at(-1);
    const item = line.match(/^\s*(?:[-*+]|\d+[.)])\s+(.*)$/);
    const heading = line.match(/^(#{1,6})\s+(.*)$/);
    if (line.startsWith("```")) {
      fence = fence ? null : { kind: "code", lines: [] };
      if (fence) found.push(fence);
    } else if (fence) fence.lines.push(line);
    else if (heading) found.push({ kind: "heading", lines: [heading[2]] });
    else if (item) last?.kind === "list" ? last.lines.push(item[1]) : found.push({ kind: "list", ordered: /^\s*\d/.test(line), lines: [item[1]] });
    else if (!line.trim()) found.push({ kind: "gap", lines: [] });
    else last?.kind === "paragraph" ? last.lines.push(line) : found.push({ kind: "paragraph", lines: [line] });
  }
  return found.filter((block) => block.kind !== "gap");
}

function draw(block) {
  if (block.kind === "code") return html`<pre tabindex="0">${block.lines.join("\n")}</pre>`;
  if (block.kind === "heading") return html`<p class="prose-heading">${inline(block.lines[0])}</p>`;
  if (block.kind === "list") {
    const items = block.lines.map((line) => html`<li>${inline(line)}</li>`);
    return block.ordered ? html`<ol>${items}</ol>` : html`<ul>${items}</ul>`;
  }
  return html`<p>${block.lines.map((line, i) => html`${i ? html`<br />` : null}${inline(line)}`)}</p>`;
}

function inline(text) {
  return text.split(INLINE).map((part) => {
    if (/^`.+`$/.test(part)) return html`<code>${part.slice(1, -1)}</code>`;
    if (/^\*\*.+\*\*$/.test(part)) return html`<b>${part.slice(2, -2)}</b>`;
    if (/^\*.+\*$/.test(part)) return html`<em>${part.slice(1, -1)}</em>`;
    const link = part.match(/^\[([^\]]+)\]\(([^\s)]+)\)$/) ?? (/^https?:/.test(part) ? [part, part, part] : null);
    return link && SAFE.test(link[2]) ? html`<a href=${link[2]} rel="noopener noreferrer" target=${link[2].startsWith("/") ? undefined : "_blank"}>${link[1]}</a>` : part;
  });
}
