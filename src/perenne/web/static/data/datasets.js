// Every dataset by its newest snapshot: what it holds, how fresh it is, what validation found.
import { html } from "../core/dom.js";
import { Card, Choice, Empty, Filter, Tabs, Time } from "../core/parts.js";
import { Grid } from "../core/grid.js";
import { Screen } from "../core/screen.js";
import { bytes, count } from "../core/format.js";
import { TrackedFiles } from "./tracked.js";
import { Freshness, Tags } from "./catalogue.js";
import { Name, Validity, hrefOf, span } from "./words.js";

const ORDERS = [["", "newest first"], ["findings", "most findings first"], ["rows", "most rows first"], ["name", "by name"]];

const COLUMNS = [
  { key: "name", title: "dataset", width: 170, grow: 2, cell: (row) => html`<${Name} text=${row.name} />` },
  { key: "projects", title: "project", width: 110, cell: (row) => row.projects.join(", ") || html`<span class="faint">none</span>` },
  { key: "errors", title: "validation", width: 150, cell: (row) => html`<${Validity} ...${row} />` },
  { key: "owner", width: 100, cell: (row) => row.owner || html`<span class="faint">nobody</span>` },
  { key: "classification", title: "class", width: 100, cell: (row) => row.classification || html`<span class="faint">not said</span>` },
  { key: "tags", width: 120, cell: (row) => html`<${Tags} tags=${row.tags} />` },
  { key: "freshness", width: 90, cell: (row) => html`<${Freshness} allowed=${row.freshness} newest=${row.last ?? row.taken} />` },
  { key: "rows", num: true, width: 80, cell: (row) => count(row.rows) },
  { key: "columns", num: true, width: 70, cell: (row) => count(row.columns) },
  { key: "bytes", title: "size", num: true, width: 80, cell: (row) => bytes(row.bytes) },
  { key: "first", title: "rows from – to", width: 190, grow: 2, cell: (row) => span(row.first, row.last) },
  { key: "last", title: "newest row", width: 100, cell: (row) => html`<${Time} at=${row.last} />` },
  { key: "taken", width: 100, cell: (row) => html`<${Time} at=${row.taken} />` },
  { key: "snapshots", num: true, width: 76, cell: (row) => count(row.snapshots) },
];

const nothing = html`<${Empty} title="No data yet" note="A dataset appears with its first snapshot: the rows as they were, kept for good. A round takes one; so does this command."
  command="perenne data snapshot FILE" />`;

export default function DatasetsScreen({ query }) {
  const asked = new URLSearchParams({ find: query.find || "", order: query.order || "newest" });
  const empty = query.find ? html`<p class="none dim">No dataset is called so, and nothing of the kind is said of one.</p>` : nothing;
  const tabs = html`<${Tabs} name="show" label="What is shown" value=${query.show || ""} options=${[["", "Snapshots"], ["files", "Files under versions"]]} />`;
  if (query.show === "files") return html`<${Screen} title="Datasets" note="files and folders, as DVC keeps them" tools=${() => tabs}>${() => html`<${TrackedFiles} />`}<//>`;
  return html`<${Screen} title="Datasets" note="each by its newest snapshot" tools=${() => tabs} wide=${true}>
    ${() => html`<${Card} className="fill" flush=${true}>
      <div class="toolbar"><${Filter} name="find" value=${query.find || ""} placeholder="Find a dataset" /><${Choice} name="order" label="Order" value=${query.order || ""} options=${ORDERS} /></div>
      <${Grid} label="Datasets" source=${`/api/view/data?${asked}`} columns=${COLUMNS} rowKey=${(row) => row.name} rowHref=${(row) => hrefOf(row.name)} noun="dataset" empty=${empty} />
    <//>`}
  <//>`;
}
