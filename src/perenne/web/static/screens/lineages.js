// Where lineage can start from.
import { html } from "../core/dom.js";
import { Card, Empty, State } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";

const KINDS = [["versions", "Versions"], ["deployments", "Deployments"], ["snapshots", "Snapshots"]];

export default function LineageStartScreen() {
  const view = useView("/api/view/lineage");
  return html`<${Screen} title="Lineage" note="where something comes from, and what came of it" view=${view}>
    ${(data) => {
      const shown = KINDS.filter(([key]) => data[key].length);
      if (!shown.length) return html`<${Card}><${Empty} title="Nothing has come of anything yet" note="Data, runs, versions and deployments are linked as they come to be." command="perenne run" /><//>`;
      return html`<div class="lineage-starts">${shown.map(([key, title]) => html`<${Card} title=${title} note="newest">
        <ul class="lineage-list">${data[key].map((node) => html`<li key=${node.id}><a href=${hrefOf(node)}>${node.title}</a> <span class="dim small">${node.note}</span>${node.state === "none" ? null : html`<${State} tone=${node.state} word="" />`}</li>`)}</ul>
      <//>`)}</div>`;
    }}
  <//>`;
}

/** The lineage of a node: its id is its kind, a colon, and what it is called. */
export function hrefOf(node) {
  const at = node.id.indexOf(":");
  return `/lineage/${node.id.slice(0, at)}/${node.id.slice(at + 1).split("/").map(encodeURIComponent).join("/")}`;
}
