// A label set: how far it is, how far people agree, who said how much, what rules cover, and which versions there are.
import { html } from "../core/dom.js";
import { Card, Empty, Facts, Meter, State, Table, Time } from "../core/parts.js";
import { Prose } from "../core/prose.js";
import { Screen, useView } from "../core/screen.js";
import { count, number, percent, plural } from "../core/format.js";
import { Klass, hrefOf, said } from "./words.js";

const share = (value) => (value === null ? html`<span class="faint">–</span>` : percent(value));
const kappa = (value) => (value === null ? html`<span class="faint">–</span>` : number(value, 2));

export default function SetScreen({ params }) {
  const view = useView(`/api/view/label/${encodeURIComponent(params.set)}`);
  return html`<${Screen} title=${params.set} crumbs=${[["Labels", "/label"]]} view=${view} tools=${(data) => html`<${Tools} data=${data} />`}>
    ${(data) => html`<div class="cols label-cols">
      <div class="body">
        <${Progress} data=${data} />
        <${Agreement} agreement=${data.agreement} />
        <${Rules} rules=${data.rules} name=${params.set} />
        <${Versions} versions=${data.versions} name=${params.set} />
      </div>
      <div class="body">
        <${Asked} data=${data} />
        <${Classes} data=${data} />
      </div>
    </div>`}
  <//>`;
}

function Tools({ data }) {
  const { name, snapshot } = data.label_set;
  return html`${data.may_decide && data.progress.disputed ? html`<a class="button" href=${hrefOf(name, "/decide")}>Decide ${plural(data.progress.disputed, "item")}</a>` : null}
    ${data.may_label && snapshot ? html`<a class="button primary" href=${hrefOf(name, "/work")}>Label</a>` : null}`;
}

function Progress({ data }) {
  const { progress, label_set: set } = data;
  if (!set.snapshot) return html`<${Card} title="Progress"><${Empty} title="No rows are chosen yet" note="Choose the snapshot whose rows are labelled." command=${`perenne label rows ${set.name} SNAPSHOT`} /><//>`;
  const part = (key, tone, title) => ({ share: progress.items ? progress[key] / progress.items : 0, tone, title: `${count(progress[key])} ${title}` });
  const parts = [part("done", "ok", "done"), part("decided", "info", "decided"), part("disputed", "warn", "disputed")];
  return html`<${Card} title="Progress" note=${`${plural(progress.items, "item")} of ${set.dataset}`}>
    <${Meter} parts=${parts} />
    <div class="row label-states">
      <${State} tone="ok" word=${`${count(progress.done)} done`} /><${State} tone="info" word=${`${count(progress.decided)} decided`} />
      <${State} tone="warn" word=${`${count(progress.disputed)} disputed`} /><${State} word=${`${count(progress.open)} open`} />
      ${progress.suspect ? html`<a href=${hrefOf(set.name, "/work?order=suspect")}><${State} tone="crit" word=${`${count(progress.suspect)} likely wrong`} /></a>` : null}
      <span class="faint">${count(progress.mine)} by you</span>
    </div>
  <//>`;
}

function Agreement({ agreement }) {
  const { alpha, fleiss, pairs, labellers, items } = agreement;
  const range = alpha.low === null ? "" : `, from ${number(alpha.low, 2)} to ${number(alpha.high, 2)}`;
  const note = items ? `${plural(items, "item")} with two opinions or more` : "nobody labelled what somebody else did yet";
  return html`<${Card} title="Agreement" note=${note}>
    ${alpha.value === null ? null : html`<div class="row label-alpha"><span class="big">${number(alpha.value, 3)}</span><span class="dim">Krippendorff’s alpha${range}</span>${fleiss === null ? null : html`<span class="dim">Fleiss’ kappa ${number(fleiss, 3)}</span>`}</div>`}
    <${Table} dense=${true} label="Labellers" rows=${labellers} empty="Nobody has labelled anything yet." columns=${[
      { key: "labeller" },
      { key: "labels", num: true, cell: (row) => count(row.labels) },
      { key: "same", title: "same as others", num: true, cell: (row) => share(row.same) },
      { key: "right", title: "right where known", num: true, cell: (row) => html`${share(row.right)}${row.known ? html` <span class="faint">of ${count(row.known)}</span>` : null}` },
    ]} />
    ${pairs.length ? html`<${Matrix} pairs=${pairs} />` : null}
  <//>`;
}

/** Cohen's kappa of each two labellers, shaded by how far they agree; the number stands in every square. */
function Matrix({ pairs }) {
  const names = [...new Set(pairs.flatMap((pair) => [pair.first, pair.second]))];
  const found = new Map(pairs.flatMap((pair) => [[`${pair.first}\n${pair.second}`, pair], [`${pair.second}\n${pair.first}`, pair]]));
  const square = (a, b) => {
    const pair = found.get(`${a}\n${b}`);
    if (a === b || !pair) return html`<td class="faint">${a === b ? "" : "–"}</td>`;
    const shade = { background: `color-mix(in srgb, var(--ok) ${Math.round(26 * Math.max(0, pair.kappa ?? 0))}%, transparent)` };
    return html`<td style=${shade} title=${`${a} and ${b}: ${percent(pair.same)} the same of ${count(pair.items)}`}><b>${kappa(pair.kappa)}</b><small>${percent(pair.same)} of ${count(pair.items)}</small></td>`;
  };
  return html`<div class="confusion label-matrix"><h3>Cohen’s kappa, and the share that is the same</h3><div class="scroll" tabindex="0" role="region" aria-label="Agreement of each two labellers"><table>
    <thead><tr><td></td>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${names.map((a) => html`<tr><th scope="row">${a}</th>${names.map((b) => square(a, b))}</tr>`)}</tbody>
  </table></div></div>`;
}

function Rules({ rules, name }) {
  const empty = html`<${Empty} title="No rules" note="A rule says the class of the rows that a condition in SQL is true of; several of them are weighed against each other."
    command=${`perenne label rules add ${name} RULE --when "CONDITION" --class CLASS`} />`;
  const figure = (key) => ({ key, num: true, cell: (row) => (row.report ? count(row.report[key]) : html`<span class="faint">–</span>`) });
  return html`<${Card} title="Rules" flush=${true} note=${rules.length ? "weak labels" : undefined}>
    <${Table} dense=${true} label="Rules" rows=${rules} empty=${empty} columns=${[
      { key: "name", title: "rule", cell: (row) => html`<span class="two"><span>${row.name}</span><code class="faint label-code">${row.text.trim().split("\n")[0]}</code></span>` },
      { key: "value", title: "class", cell: (row) => row.value || html`<span class="faint">a function</span>` },
      figure("covered"), figure("overlaps"), figure("conflicts"),
      { key: "right", title: "right where known", num: true, cell: (row) => (row.report?.checked ? `${percent(row.report.right / row.report.checked)} of ${count(row.report.checked)}` : html`<span class="faint">–</span>`) },
      { key: "estimated", num: true, cell: (row) => share(row.report?.estimated ?? null) },
    ]} />
  <//>`;
}

function Versions({ versions, name }) {
  const empty = html`<${Empty} title="No versions" note="A version is what counts now, named by its content; with a snapshot and a seed it makes a training set." command=${`perenne label version ${name}`} />`;
  return html`<${Card} title="Versions" flush=${true}>
    <${Table} dense=${true} label="Versions" rows=${versions} empty=${empty} columns=${[
      { key: "id", title: "version", cell: (row) => html`<code>${row.id.slice(0, 12)}</code>` },
      { key: "labels", num: true, cell: (row) => count(row.labels) },
      { key: "classes", cell: (row) => Object.entries(row.classes).map(([key, n]) => `${key} ${count(n)}`).join(", ") },
      { key: "snapshot", cell: (row) => (row.snapshot ? html`<a href=${`/data/snapshot/${row.snapshot}`}><code>${row.snapshot.slice(0, 12)}</code></a>` : "") },
      { key: "known", cell: (row) => html`<${Time} at=${row.known} />` },
      { key: "created_by", title: "by" },
    ]} />
  <//>`;
}

function Asked({ data }) {
  const { label_set: set } = data;
  const { definition: asked } = set;
  return html`<${Card} title="What is asked">
    <${Facts} rows=${[
      ["kind", asked.kind],
      ["project", set.project ? html`<a href=${`/project/${encodeURIComponent(set.project)}`}>${set.project}</a>` : ""],
      ["rows", set.snapshot ? html`<a href=${`/data/snapshot/${set.snapshot}`}>${set.dataset} <code>${set.snapshot.slice(0, 12)}</code></a>` : ""],
      ["a row is", asked.keys.length > 4 ? plural(asked.keys.length, "column") : asked.keys.join(", ")],
      ["opinions", count(asked.opinions)],
      ["limits", asked.low === null && asked.high === null ? "" : `${said(asked.low ?? "any")} to ${said(asked.high ?? "any")}`],
      ["changed", html`<${Time} at=${set.changed} /> by ${set.changed_by}`],
    ]} />
    ${asked.instructions ? html`<div class="label-instructions"><${Prose} text=${asked.instructions} /></div>` : null}
  <//>`;
}

function Classes({ data }) {
  const { definition: asked } = data.label_set;
  if (!asked.classes.length) return null;
  const found = new Map(data.agreement.classes.map((each) => [each.value, each.items]));
  const most = Math.max(1, ...found.values());
  return html`<${Card} title="Classes" note="items by what counts">
    <ul class="label-classes">${asked.classes.map((item) => html`<li><span class="row"><${Klass} item=${item} /><span class="grow"></span><span class="num">${count(found.get(item.name) ?? 0)}</span></span>
      <${Meter} label=${`${item.name}: ${count(found.get(item.name) ?? 0)}`} parts=${[{ share: (found.get(item.name) ?? 0) / most, tone: "" }]} />
      ${item.help ? html`<span class="faint small">${item.help}</span>` : null}</li>`)}</ul>
  <//>`;
}
