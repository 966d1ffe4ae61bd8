// Every deployment: who answers, who answers unseen, and how the newest window was.
import { html } from "../core/dom.js";
import { count, duration, number, percent, plural } from "../core/format.js";
import { Card, Empty, State, Table } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Pages } from "../monitoring/pages.js";
import { WindowState } from "../monitoring/words.js";

const COLUMNS = [
  { title: "deployment", cell: (row) => html`<span class="two">${row.name}${row.project === row.name ? null : html`<small>${row.project}</small>`}</span>` },
  { title: "state", cell: (row) => html`<${State} tone=${row.state === "stopped" ? "crit" : "ok"} word=${row.state} />` },
  { title: "watch", cell: (row) => html`<${WindowState} state=${row.health} healthy />` },
  { title: "champion", cell: (row) => html`<span class="two">${row.champion}<small>generation ${row.generation}</small></span>` },
  { title: "challengers", cell: (row) => row.challengers.join(", ") || html`<span class="faint">none</span>` },
  { title: "stands by", cell: (row) => row.previous || html`<span class="faint">nobody</span>` },
  { title: "rows, newest window", num: true, cell: (row) => (row.rows === null ? "–" : html`<span class="two">${count(row.rows)}<small>in ${duration(row.length)}</small></span>`) },
  { title: "p99", num: true, cell: (row) => (row.latency_p99_ms === null ? "–" : `${number(row.latency_p99_ms)} ms`) },
  { title: "errors", num: true, cell: (row) => percent(row.error_rate, 2) },
];

export default function DeploymentsScreen({ query }) {
  const asked = ["project", "offset"].filter((name) => query[name]).map((name) => `${name}=${encodeURIComponent(query[name])}`).join("&");
  const view = useView(`/api/view/deploy${asked ? `?${asked}` : ""}`);
  return html`<${Screen} title="Deployments" view=${view} note=${(data) => `${plural(data.total, "deployment")}${data.stopped ? `, ${count(data.stopped)} stopped` : ""}`}>
    ${(data) => html`<${Card} flush title="What answers" tools=${html`<${Pages} ...${data} />`}>
      <${Table} label="Deployments" columns=${COLUMNS} rows=${data.rows} rowKey=${(row) => row.name} rowHref=${(row) => `/deploy/${encodeURIComponent(row.name)}`}
        empty=${html`<${Empty} title="Nothing is deployed yet" hint="The first version whose gate is open is put in service by itself." command="perenne run" />`} />
    <//>`}
  <//>`;
}
