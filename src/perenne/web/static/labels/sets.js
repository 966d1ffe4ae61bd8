// Every label set: how far it is, and how often people say the same.
import { html } from "../core/dom.js";
import { Card, Empty, Meter, Table, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { count, percent } from "../core/format.js";
import { hrefOf } from "./words.js";

const COLUMNS = [
  { key: "name", title: "label set", cell: (row) => row.name },
  { key: "project", cell: (row) => row.project || html`<span class="faint">none</span>` },
  { key: "kind" },
  { key: "progress", width: 180, cell: (row) => html`<${Progress} row=${row} />` },
  { key: "disputed", num: true, cell: (row) => (row.disputed ? html`<span class="state warn"><i class="dot warn"></i>${count(row.disputed)}</span>` : "0") },
  { key: "suspect", title: "likely wrong", num: true, cell: (row) => count(row.suspect) },
  { key: "same", title: "same answer", num: true, cell: (row) => (row.same === null ? html`<span class="faint">–</span>` : percent(row.same)) },
  { key: "changed", cell: (row) => html`<${Time} at=${row.changed} />` },
];

function Progress({ row }) {
  if (!row.items) return html`<span class="faint">no rows chosen</span>`;
  const words = `${count(row.labelled)} of ${count(row.items)}`;
  return html`<span class="two">${words}<${Meter} label=${`${words} labelled`} parts=${[{ share: row.labelled / row.items, tone: "ok" }, { share: row.disputed / row.items, tone: "warn" }]} /></span>`;
}

const nothing = html`<${Empty} title="No label sets yet" note="A label set says what is asked of which rows, and who may say it. This command makes one."
  command="perenne label create NAME --project PROJECT --class A --class B" />`;

export default function SetsScreen() {
  const view = useView("/api/view/label");
  return html`<${Screen} title="Labels" note="what people and rules say of rows" view=${view}>
    ${(data) => html`<${Card} flush=${true}><${Table} label="Label sets" columns=${COLUMNS} rows=${data.rows} rowKey=${(row) => row.name} rowHref=${(row) => hrefOf(row.name)} empty=${nothing} /><//>`}
  <//>`;
}
