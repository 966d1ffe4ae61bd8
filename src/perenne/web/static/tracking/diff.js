// Two runs line by line: parameters, metrics, tags, packages, and the code itself.
import { html, Fragment } from "../core/dom.js";
import { signed } from "../core/format.js";
import { Card, Empty, Table } from "../core/parts.js";
import { Patch } from "../core/patch.js";
import { useView } from "../core/screen.js";
import { written } from "./words.js";

const gone = (value) => (value === null || value === undefined ? html`<span class="faint">none</span>` : value);
const TEXTS = [
  { key: "name", title: "name" },
  { key: "left", title: "from", cell: (row) => html`<del>${gone(row.left)}</del>` },
  { key: "right", title: "to", cell: (row) => html`<ins>${gone(row.right)}</ins>` },
];
const FIGURES = [
  { key: "name", title: "name" },
  { key: "left", title: "from", num: true, cell: (row) => written(row.left) },
  { key: "right", title: "to", num: true, cell: (row) => written(row.right) },
  { key: "change", title: "difference", num: true, cell: (row) => (row.left === null || row.right === null ? "–" : signed(row.right - row.left)) },
];

export function Diff({ left, right }) {
  const view = useView(`/api/view/runs/diff?${new URLSearchParams({ left, right })}`);
  const { data } = view;
  if (!data || data.left !== left || data.right !== right) return view.error ? html`<${Card}><${Empty} title=${view.error.message} hint=${view.error.hint} /><//>` : html`<${Card}><span class="bone"></span><//>`;
  return html`<${Fragment}>
    <div class="half">
      <${Part} title="Parameters" rows=${data.params} same=${data.same.params} columns=${TEXTS} />
      <${Part} title="Metrics" rows=${data.metrics} same=${data.same.metrics} columns=${FIGURES} />
      <${Part} title="Tags" rows=${data.tags} same=${data.same.tags} columns=${TEXTS} />
      <${Part} title="Environment" rows=${data.environment} same=${data.same.environment} columns=${TEXTS} none=${data.unknown.environment} />
    </div>
    <${Card} flush title="Code" note=${data.code.length ? `${data.code.length} files differ` : undefined}>
      ${data.unknown.code ? html`<p class="none dim">${data.unknown.code}</p>` : data.code.length ? data.code.map((file) => html`<details class="diff-file" open=${data.code.length <= 5}><summary class="mono">${file.path} <span class="faint">${file.state}</span></summary>${file.patch ? html`<${Patch} text=${file.patch} label=${`Changes of ${file.path}`} />` : html`<p class="none dim">${file.reason}</p>`}</details>`) : html`<p class="none dim">The code is the same.</p>`}
    <//>
  <//>`;
}

const Part = ({ title, rows, same, columns, none }) => html`<${Card} flush title=${title} note=${same ? `${same} the same` : undefined}>
  <${Table} dense=${true} label=${`${title} that differ`} columns=${columns} rows=${rows} empty=${none || (same ? "All the same." : "There are none.")} /><//>`;
