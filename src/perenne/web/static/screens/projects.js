// The projects: what each is for, and how its deployment stands.
import { html } from "../core/dom.js";
import { Grid } from "../core/grid.js";
import { Card, Empty, Filter, State } from "../core/parts.js";
import { Screen } from "../core/screen.js";

const COLUMNS = [
  { key: "name", title: "project", width: 150, cell: (row) => html`<b>${row.name}</b>` },
  { key: "word", title: "in service", width: 120, cell: (row) => html`<${State} tone=${row.tone} word=${row.word} />` },
  { key: "problem", title: "problem", width: 240, grow: 3 },
  { key: "owner", title: "owner", width: 100 },
  { key: "champion", title: "champion", width: 110, cell: (row) => html`<span class="mono">${row.champion || "–"}</span>` },
  { key: "objectives", title: "objectives", width: 80, num: true },
  { key: "guardrails", title: "guardrails", width: 80, num: true },
  { key: "due", title: "last milestone", width: 110, cell: (row) => row.due || "–" },
];

export default function ProjectsScreen({ query }) {
  const wanted = query.q || "";
  const none = wanted
    ? html`<${Empty} title="No project is called so" />`
    : html`<${Empty} title="There is no project yet" note="A project states what a model is for, what it must reach, and who answers for it." command="perenne init --data FILE --target COLUMN" />`;
  return html`<${Screen} title="Projects" wide>
    ${() => html`<${Card} flush className="fill">
      <div class="toolbar"><${Filter} value=${wanted} placeholder="Part of a name" label="Filter by name" /></div>
      <${Grid} label="Projects" noun="project" columns=${COLUMNS} source=${`/api/view/project${wanted ? `?q=${encodeURIComponent(wanted)}` : ""}`}
        rowKey=${(row) => row.name} rowHref=${(row) => `/project/${encodeURIComponent(row.name)}`} empty=${none} />
    <//>`}
  <//>`;
}
