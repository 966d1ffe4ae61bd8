// The audit trail: who did what to which thing, how far the chain is known to be good, and one record whole.
import { html, useEffect } from "../core/dom.js";
import { count, when } from "../core/format.js";
import { Grid } from "../core/grid.js";
import { Card, Choice, Copy, Empty, Facts, Filter, State } from "../core/parts.js";
import { withQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";

const FILTERS = ["actor", "entity", "text"];
const AGAIN = 400;

const COLUMNS = [
  { key: "seq", title: "record", width: 70, grow: 0.2, num: true, cell: (row) => count(row.seq) },
  { key: "time", title: "when (UTC)", width: 104, grow: 0.4, cell: (row) => html`<span class="mono" title=${when(row.time)}>${when(row.time).slice(5, 16)}</span>` },
  { key: "who", title: "who", width: 110, grow: 0.6, cell: (row) => html`<b>${row.told.who}</b>` },
  { key: "what", title: "did what", width: 260, grow: 2, cell: (row) => html`<span class="dim">${row.told.did}</span> ${row.told.what}` },
  { key: "more", title: "outcome and reason", width: 200, grow: 2, cell: (row) => html`<span class="dim" title=${row.told.more}>${row.told.more}</span>` },
  { key: "action", title: "action", width: 170, grow: 0.6, cell: (row) => html`<code class="small">${row.action}</code>` },
];

export default function AuditScreen({ query }) {
  const filters = new URLSearchParams(FILTERS.filter((name) => query[name]).map((name) => [name, query[name]])).toString();
  const view = useView("/api/view/audit?limit=1");
  return html`<${Screen} title="Audit" wide view=${view} tools=${(trail) => html`<${Chain} chain=${trail.chain} reload=${view.reload} />`}>
    ${(trail) => html`<div class=${`audit${query.record ? " audit-with-record" : ""}`}>
      <${Card} flush className="fill">
        <div class="toolbar">
          <${Filter} name="text" value=${query.text} placeholder="Action, id or reason" label="Filter by action, id or reason" />
          <${Filter} name="actor" value=${query.actor} placeholder="Who" label="Filter by who did it" />
          <${Choice} name="entity" value=${query.entity} label="Kind of thing" options=${[["", "everything"], ...trail.entities.map((name) => [name, name])]} />
        </div>
        <${Grid} label="Audit records" noun="record" columns=${COLUMNS} source=${`/api/view/audit${filters ? `?${filters}` : ""}`} rowKey=${(row) => row.seq}
          rowHref=${(row) => withQuery({ record: row.seq })} empty=${html`<${Empty} title=${filters ? "No record fits" : "Nothing was done yet"} />`} />
      <//>
      ${query.record ? html`<${RecordPanel} seq=${query.record} key=${query.record} />` : null}
    </div>`}
  <//>`;
}

/** How far the chain is known to be good; a long one is checked bit by bit, each time it is asked. */
function Chain({ chain, reload }) {
  const behind = chain.bad === null && chain.good < chain.head;
  useEffect(() => {
    if (!behind) return undefined;
    const timer = setTimeout(reload, AGAIN);
    return () => clearTimeout(timer);
  }, [chain.good, behind]);
  if (chain.bad !== null) return html`<${State} tone="crit" word=${`record ${count(chain.bad)} is ${chain.problem}`} title=${`the ${count(chain.good)} records before it are good`} />`;
  if (!chain.head) return html`<${State} tone="none" word="no record yet" />`;
  const title = "Each record holds the hash of the one before. `perenne audit verify` reads all of it anew";
  return html`<${State} tone=${behind ? "info" : "ok"} title=${title} word=${behind ? `checked up to record ${count(chain.good)} of ${count(chain.head)}` : `chain verified up to record ${count(chain.good)}`} />`;
}

function RecordPanel({ seq }) {
  const view = useView(`/api/view/audit/${encodeURIComponent(seq)}`);
  const close = html`<a class="button small quiet" href=${withQuery({ record: null })} aria-label="Close the record">Close</a>`;
  if (!view.data) return html`<aside class="audit-record"><${Card} title=${`Record ${seq}`} tools=${close}>${view.error ? html`<${Empty} title=${view.error.message} hint=${view.error.hint} />` : html`<span class="bone"></span>`}<//></aside>`;
  const { record, told, good } = view.data;
  return html`<aside class="audit-record" aria-label=${`Record ${seq}`}><${Card} title=${`Record ${count(record.seq)}`} tools=${close}>
    <p class="audit-sentence"><b>${told.who}</b> ${told.did} ${told.path ? html`<a href=${told.path}>${told.what}</a>` : told.what}${told.more ? html`<span class="dim">: ${told.more}</span>` : null}</p>
    <${Facts} rows=${[
      ["when", when(record.time)],
      ["who", `${record.actor} (${record.actor_kind})`],
      ["for", record.on_behalf_of],
      ["action", html`<code>${record.action}</code>`],
      ["thing", html`${record.entity} <code class="audit-hash">${record.entity_id}</code>`],
      ["reason", record.reason],
      ["chain", html`<${State} tone=${good ? "ok" : "none"} word=${good ? "verified" : "not checked yet"} />`],
      ["hash", html`<${Copy} text=${record.hash} />`],
      ["before it", html`<${Copy} text=${record.prev} />`],
    ]} />
    <${Change} before=${record.before} after=${record.after} />
  <//></aside>`;
}

/** What changed, field by field; where there was no set of fields before, all that was kept. */
function Change({ before, after }) {
  if (before === null && after === null) return null;
  const [old, fresh] = [before, after].map((kept) => (kept === null ? null : JSON.parse(kept)));
  const comparable = isFields(old) && isFields(fresh);
  const fields = isFields(fresh) ? fresh : { value: fresh };
  const names = comparable ? changed(old, fresh) : Object.keys(fields);
  return html`<h3 class="audit-heading">${comparable ? "What changed" : "Kept with it"}</h3>
    ${old !== null && !comparable ? html`<p class="dim audit-before">Before: ${isFields(old) ? "another state" : text(old)}</p>` : null}
    ${names.length
      ? html`<dl class="audit-change">${names.map((name) => html`<dt>${name}</dt><dd>${comparable ? html`<del>${text(old[name])}</del> ` : null}<ins>${text(fields[name])}</ins></dd>`)}</dl>`
      : html`<p class="none dim">Nothing did.</p>`}`;
}

const isFields = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const changed = (old, fresh) => [...new Set([...Object.keys(old), ...Object.keys(fresh)])].filter((name) => text(old[name]) !== text(fresh[name]));

const [EARLIEST, LATEST] = [1e15, 4e15];

/** A value as it was kept; what is an instant in microseconds is told as such. */
function text(value) {
  if (value === undefined || value === null) return "nothing";
  if (Number.isInteger(value) && value > EARLIEST && value < LATEST) return when(value);
  return typeof value === "string" ? value || "“”" : JSON.stringify(value, null, 1);
}
