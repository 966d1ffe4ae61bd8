// What validation found in a snapshot: counts, words, and the first rows that break each rule.
import { html } from "../core/dom.js";
import { Card, Copy, Empty, State, Time } from "../core/parts.js";
import { number, plural } from "../core/format.js";
import { hrefOf, short } from "./words.js";

export function Findings({ data }) {
  const { findings, snapshot } = data;
  if (!findings) return html`<${Card} title="Validation"><${Empty} title="Not validated" note="These rows were held against no schema yet. A round does so by itself." command=${`perenne data validate ${short(snapshot.id)} --baseline SNAPSHOT`} /><//>`;
  const total = findings.errors + findings.warnings;
  const against = findings.baseline && !/^[0-9a-f]{64}$/.test(findings.baseline) ? html`<code>${findings.baseline}</code>` : findings.baseline ? html`the schema of <a href=${`${hrefOf(data.name)}?snapshot=${findings.baseline}`}><code>${short(findings.baseline)}</code></a>` : "its own schema";
  return html`<${Card} title="Validation" note=${total ? `${plural(findings.errors, "error")}, ${plural(findings.warnings, "warning")}` : ""}>
    <p class="dim small">Against ${against}, <${Time} at=${findings.examined} />.</p>
    ${total ? null : html`<p><${State} tone="ok" word="keeps every rule" /></p>`}
    <ul class="data-findings">${findings.shown.map(({ anomaly, words }) => html`<li key=${anomaly.id}>
      <${State} tone=${anomaly.severity === "error" ? "crit" : "warn"} word=${anomaly.severity} />
      <p>${words}</p>
      ${anomaly.sample_rows.length > 1 ? html`<p class="small faint">rows ${anomaly.sample_rows.map((sample) => number(sample.row)).join(", ")}${anomaly.count > anomaly.sample_rows.length ? ", …" : ""}</p>` : null}
    </li>`)}</ul>
    ${total > findings.shown.length ? html`<p class="small">${plural(total - findings.shown.length, "more", "more")}: <${Copy} text=${`perenne data show ${short(snapshot.id)} --json`} /></p>` : null}
  <//>`;
}
