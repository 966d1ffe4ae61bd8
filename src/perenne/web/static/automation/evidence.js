// What decided a retraining, in figures: the harm of drift, the contests, the package, and what labels say of a trial.
import { html } from "../core/dom.js";
import { bytes, count, number, percent, signed, UNKNOWN } from "../core/format.js";
import { Bound, Card, Facts, Meter, State, Table } from "../core/parts.js";

const SHOWN = { pass: ["ok", "passed"], fail: ["crit", "failed"], unknown: ["warn", "unknown"] };
const WANTED = { superior: "better", non_inferior: "not worse" };

/** That no retraining is needed is a finding: what was looked at, and what it showed. */
export function Harm({ data }) {
  const harm = data.evidence.not_needed;
  if (!harm) return null;
  return html`<${Card} title="No retraining needed" note="a finding like any other" tools=${html`<${State} tone="ok" word="does no harm" />`}>
    <p>${data.episode.note}</p>
    <${Facts} rows=${[
      ["moves the mean answer by", harm.impact === null ? "unknown" : `${number(harm.impact)} at most`],
      ["met, by labels", harm.met.join(", ") || "none"],
      ["not met", harm.open.join(", ") || "none"],
      ["without labels", (harm.unknown || []).join(", ") || "none"],
      ["labelled rows", count(harm.labels)],
      ["other alerts", harm.alarms.join(", ") || "none"],
    ]} />
  <//>`;
}

const CONTESTS = [
  { title: "rows", cell: (row) => html`<b>${row.part}</b> <span class="faint">${count(row.rows)}</span>` },
  { title: "has to be", cell: (row) => `${WANTED[row.demand.kind] || row.demand.kind}${row.demand.margin ? ` by ${number(row.demand.margin)}` : row.demand.min_effect ? ` by ${number(row.demand.min_effect)}` : ""}` },
  { title: "difference", cell: (row) => html`<span class="row">${signed(row.difference)} <${Bound} limit=${row.demand.kind === "non_inferior" ? -row.demand.margin : 0} value=${row.difference} low=${row.low} high=${row.high} tone=${SHOWN[row.shown][0]} /></span>` },
  { title: "p", num: true, cell: (row) => number(row.p, 2) },
  { title: "alpha", num: true, cell: (row) => number(row.demand.alpha, 2) },
  { title: "power", num: true, cell: (row) => (row.power === null ? UNKNOWN : percent(row.power)) },
  { title: "only right", num: true, cell: (row) => (row.wins === null ? UNKNOWN : `${count(row.wins)} : ${count(row.losses)}`) },
  { title: "verdict", cell: (row) => html`<${State} tone=${SHOWN[row.shown][0]} word=${SHOWN[row.shown][1]} />${row.missing ? html` <span class="faint">${count(row.missing)} labels missing</span>` : null}` },
];

/** Every test that was made: on all rows, on older and newer ones, and in the groups that must not be worse. */
export function Contests({ data }) {
  const found = data.evidence.evaluated?.contests;
  if (!found?.length) return null;
  const terms = data.evidence.evaluated.terms;
  const note = `${{ superior: "better", fresh: "better on the newer rows, not worse on the older", non_inferior: "not worse" }[terms.mode] || terms.mode}; this test may err once in ${count(Math.round(1 / terms.alpha))}`;
  return html`<${Card} flush title="Tests" note=${note}><${Table} dense label="Paired tests of challenger and champion" columns=${CONTESTS} rows=${found} rowKey=${(row) => row.part} /><//>`;
}

export function Infrastructure({ data }) {
  const found = data.evidence.infra_checked;
  if (!found) return null;
  return html`<${Card} title="The package"><${Facts} rows=${[["answers its example", found.problem || "yes"], ["latency p50, p99", `${number(found.latency_p50_ms)} ms, ${number(found.latency_p99_ms)} ms`], ["rows a second", count(found.rows_per_second)], ["size", bytes(found.size_bytes)]]} /><//>`;
}

/** The evidence of labels that have come while a challenger answered beside the champion, against where it decides. */
export function Proof({ shadow }) {
  if (!shadow.labelled) return html`<p class="small dim">No label of these rows has come yet.</p>`;
  const share = (value) => Math.max(0, Math.min(1, value / shadow.needed));
  const told = (value) => `e = ${number(Math.exp(Math.min(value, 700)), 2)} of ${number(Math.exp(shadow.needed), 2)}`;
  return html`<div class="automation-proof">
    <span>better</span><${Meter} parts=${[{ share: share(shadow.log_e_better), tone: "ok", title: told(shadow.log_e_better) }]} label=${`Evidence that it is better: ${told(shadow.log_e_better)}`} /><span class="faint">${told(shadow.log_e_better)}</span>
    <span>worse</span><${Meter} parts=${[{ share: share(shadow.log_e_worse), tone: "crit", title: told(shadow.log_e_worse) }]} label=${`Evidence that it is worse: ${told(shadow.log_e_worse)}`} /><span class="faint">${told(shadow.log_e_worse)}</span>
  </div>
  <p class="small dim">Of ${count(shadow.labelled)} labelled rows it alone has ${count(shadow.wins)} right, the champion alone ${count(shadow.losses)}. ${shadow.prove_live ? "It must be shown to be better." : "It must only not be shown to be worse."}</p>`;
}
