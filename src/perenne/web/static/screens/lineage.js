// The graph around one thing: what it comes from on the left, what came of it on the right; and the same as a list.
import { html } from "../core/dom.js";
import { Card, Choice, State } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { plural } from "../core/format.js";
import { Graph } from "./graph.js";
import { hrefOf } from "./lineages.js";

const DEPTHS = [["", "3 links deep"], ["1", "1 link deep"], ["2", "2 links deep"], ["5", "5 links deep"], ["8", "8 links deep"]];

export default function LineageScreen({ params, query }) {
  const path = `${encodeURIComponent(params.kind)}/${params.id.split("/").map(encodeURIComponent).join("/")}`;
  const view = useView(`/api/view/lineage/${path}?${new URLSearchParams({ depth: query.depth || "3" })}`);
  const home = (data) => data.nodes.find((node) => node.id === data.focus)?.path;
  return html`<${Screen} title=${(data) => `Lineage of ${data.title}`} note=${(data) => plural(data.nodes.filter((node) => node.kind !== "more").length, "thing")} crumbs=${[["Lineage", "/lineage"]]} view=${view}
    tools=${(data) => html`<${Choice} name="depth" label="Depth" value=${query.depth || ""} options=${DEPTHS} />${home(data) ? html`<a class="button" href=${home(data)}>Open ${params.kind}</a>` : null}`}>
    ${(data) => html`<${Card} title="Graph" note="from what was before, on the left, to what came of it">
        ${data.edges.length ? html`<${Graph} nodes=${data.nodes} edges=${data.edges} focus=${data.focus} label=${`lineage of ${data.title}`} />` : html`<p class="none dim">Nothing is linked to it yet.</p>`}
        ${data.cut ? html`<p class="dim small">There is more than can be shown; choose fewer links, or go on from another node.</p>` : null}
      <//>
      <${Links} data=${data} />`}
  <//>`;
}

/** Every link as a sentence. */
function Links({ data }) {
  const nodes = new Map(data.nodes.map((node) => [node.id, node]));
  const open = (node) => html`<a href=${node.kind === "more" ? node.path : node.id === data.focus && node.path ? node.path : hrefOf(node)}>${node.title}</a>`;
  return html`<${Card} title="As a list" note=${plural(data.edges.length, "link")} flush=${true}>
    <div class="scroll lineage-links" tabindex="0" role="region" aria-label="Links"><table class="table dense">
      <thead><tr><th scope="col">what was before</th><th scope="col"></th><th scope="col">what came of it</th></tr></thead>
      <tbody>${data.edges.map((edge) => {
        const [before, after] = [nodes.get(edge.from), nodes.get(edge.to)];
        return html`<tr key=${edge.from + edge.to}><td>${open(before)} <span class="faint small">${before.kind === "more" ? "" : before.kind}</span></td><td class="dim">${edge.label}</td><td>${open(after)} ${after.state === "none" ? html`<span class="faint small">${after.kind === "more" ? "" : after.note || after.kind}</span>` : html`<${State} tone=${after.state} word=${after.note} />`}</td></tr>`;
      })}</tbody>
    </table></div>
  <//>`;
}
