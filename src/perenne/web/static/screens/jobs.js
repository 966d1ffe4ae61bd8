// Jobs and events: what waits, what runs and how far it is, what failed, and what people can do about it.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { count, duration, percent, plural, when } from "../core/format.js";
import { Action, Card, Choice, Copy, Empty, Facts, Meter, State, Table, Time } from "../core/parts.js";
import { setQuery, withQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";

const TONES = { queued: "info", running: "info", done: "ok", failed: "crit", cancelled: "none" };
const STATES = [["", "any state"], ...Object.keys(TONES).map((state) => [state, state])];
const ENDED = new Set(["done", "failed", "cancelled"]);

export default function JobsScreen({ query }) {
  const asked = new URLSearchParams(["state", "kind", "before", "job"].filter((name) => query[name]).map((name) => [name, query[name]]));
  const view = useView(`/api/view/job?${asked}`);
  return html`<${Screen} title="Jobs" note=${(data) => standing(data.waiting)} view=${view}>
    ${(data) => html`
      ${data.shown ? html`<${Shown} job=${data.shown} may=${data.may_change} reload=${view.reload} />` : null}
      <${Queue} data=${data} query=${query} reload=${view.reload} />
      <${Aside} data=${data} reload=${view.reload} />`}
  <//>`;
}

const total = (rows, state) => rows.filter((row) => row.state === state).reduce((sum, row) => sum + row.count, 0);

function standing(waiting) {
  const told = ["queued", "running", "failed"].map((state) => [total(waiting, state), state]).filter(([n]) => n);
  return told.length ? told.map(([n, state]) => `${count(n)} ${state}`).join(", ") : "nothing waits, runs or has failed";
}

function Queue({ data, query, reload }) {
  const kinds = [["", "any kind"], ...data.kinds.map((kind) => [kind, kind])];
  const columns = [
    { title: "job", cell: (row) => html`<b>${row.kind}</b><div class="faint small">${row.id}</div>` },
    { title: "state", cell: (row) => html`<${Standing} row=${row} />` },
    { title: "progress", width: 190, cell: (row) => html`<${Progress} row=${row} />` },
    { title: "priority", num: true, cell: (row) => (row.priority === 0 ? "0" : row.priority > 0 ? `+${row.priority}` : `−${-row.priority}`) },
    { title: "try", num: true, cell: (row) => `${row.attempt} of ${row.attempts_allowed}` },
    { title: "made", num: true, cell: (row) => html`<${Time} at=${row.created} />` },
    { title: "took", num: true, cell: (row) => (row.started && row.ended ? duration(row.ended - row.started) : "–") },
    { title: "worker", cell: (row) => row.worker || "–" },
    ...(data.may_change ? [{ title: "", cell: (row) => html`<${Changes} row=${row} reload=${reload} />` }] : []),
  ];
  const filtered = query.state || query.kind || query.before;
  const none = filtered
    ? html`<${Empty} title="No such job" hint="take a filter away" />`
    : html`<${Empty} title="No job yet" note="Retraining, alerts and tidying up are jobs. perenne up and workers do them." command="perenne worker" />`;
  const more = html`${query.before ? html`<a class="button small" href=${withQuery({ before: null })}>Newest</a>` : null}
    ${data.more ? html`<a class="button small" href=${withQuery({ before: data.more })}>Older</a>` : null}`;
  return html`<${Card} title="Queue" note="newest first" flush tools=${more}>
    <div class="toolbar">
      <${Choice} name="state" value=${query.state} options=${STATES} label="State" />
      <${Choice} name="kind" value=${query.kind} options=${kinds} label="Kind" />
    </div>
    <${Table} label="Jobs" columns=${columns} rows=${data.rows} rowKey=${(row) => row.id} rowHref=${(row) => withQuery({ job: row.id })} empty=${none} />
  <//>`;
}

const Standing = ({ row }) => html`<${State} tone=${row.cancelling ? "warn" : TONES[row.state]} word=${row.cancelling ? "cancelling" : row.state} />`;

function Progress({ row }) {
  if (row.state === "running") {
    const share = row.share ?? null;
    return html`<span class="screens-progress">
      ${share === null ? html`<span class="small">${row.message || "it does not say how far it is"}</span>` : html`<${Meter} label=${`${percent(share)} done`} parts=${[{ share, tone: "info" }]} /><span class="small">${percent(share)} ${row.message}</span>`}
    </span>`;
  }
  if (row.state === "failed") return html`<span class="small screens-cut" title=${row.error}>${row.error}</span>`;
  return row.state === "queued" && row.error ? html`<span class="small screens-cut" title=${row.error}>after: ${row.error}</span>` : "–";
}

function Changes({ row, reload }) {
  const change = (verb, body, said) => async (reason) => {
    await post(`/api/jobs/${row.id}/${verb}`, { reason: reason || "", ...body });
    reload();
    return said;
  };
  const may = { cancel: !ENDED.has(row.state) && !row.cancelling, retry: row.state === "failed" || row.state === "cancelled", sooner: row.state === "queued" };
  return html`<span class="row end screens-actions">
    ${may.sooner ? html`<${Action} label="Sooner" small run=${change("priority", { priority: Math.max(-1000, row.priority - 10) }, "It goes before others now")} title="Put it ten places of priority before" />` : null}
    ${may.retry ? html`<${Action} label="Retry" small run=${change("retry", {}, "Queued again")} />` : null}
    ${may.cancel ? html`<${Action} label="Stop" small tone="crit" run=${change("cancel", {}, "Stopped")} confirm=${row.state === "running" ? `Stop this ${row.kind}? Its worker ends it.` : `Stop this ${row.kind} before it begins?`} reason="Why" />` : null}
  </span>`;
}

function Shown({ job, may, reload }) {
  const { row } = job;
  const facts = [
    ["State", html`<${Standing} row=${row} />`],
    ["Tries", `${row.attempt} of ${row.attempts_allowed}`],
    ["Made", when(row.created)],
    ["Due", row.state === "queued" ? when(row.due) : null],
    ["Began", row.started ? when(row.started) : null],
    ["Ended", row.ended ? when(row.ended) : null],
    ["Worker", row.worker],
    ["May take", job.time_limit ? duration(job.time_limit) : "as long as it wants"],
    ["Key", job.key],
    ["Error", row.error ? html`<span class="screens-error">${row.error}</span>` : null],
    ["It gets", html`<${Copy} text=${job.payload} />`],
  ];
  const tools = html`${may ? html`<${Changes} row=${row} reload=${reload} />` : null}<button class="button small quiet" onClick=${() => setQuery({ job: null })}>Close</button>`;
  return html`<${Card} title=${row.kind} note=${row.id} tools=${tools}><${Facts} rows=${facts} /><//>`;
}

function Aside({ data, reload }) {
  const waiting = total(data.events, "waiting");
  const change = (row, verb, said) => async (reason) => {
    await post(`/api/events/${row.id}/${verb}`, { reason: reason || "" });
    reload();
    return said;
  };
  const columns = [
    { title: "event", cell: (row) => html`<b>${row.name}</b><div class="faint small">${row.id}</div>` },
    { title: "why it stays", cell: (row) => row.error },
    { title: "tries", num: true, key: "attempts" },
    { title: "made", num: true, cell: (row) => html`<${Time} at=${row.created} />` },
    ...(data.may_change
      ? [{
          title: "",
          cell: (row) => html`<span class="row end screens-actions">
            <${Action} label="Deliver again" small run=${change(row, "retry", "It is delivered again")} />
            <${Action} label="Drop" small tone="crit" run=${change(row, "drop", "Nobody gets it")} confirm="Give this event up? Nobody will hear of it." reason="Why" />
          </span>`,
        }]
      : []),
  ];
  return html`<${Card} title="Events set aside" note=${waiting ? `${plural(waiting, "other")} on the way` : "what parts of the loop tell each other and could not deliver"} flush>
    <${Table} label="Events set aside" columns=${columns} rows=${data.aside} rowKey=${(row) => row.id} empty="Every event has arrived." />
  <//>`;
}
