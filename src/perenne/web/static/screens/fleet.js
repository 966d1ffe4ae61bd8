// The home page: the loop, every deployment with the worst first, what needs a person, what was done last.
import { html } from "../core/dom.js";
import { ago, clockTime, count, day, duration, number, percent, plural, signed, when } from "../core/format.js";
import { Card, Empty, Meter, State, Table } from "../core/parts.js";
import { withQuery } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { Sparkline } from "../core/charts/sparkline.js";
import { Strip } from "../core/charts/strip.js";
import { Needs } from "./needs.js";
import { withUnit } from "./units.js";

const WINDOW = 200;
const SHOWN_CELLS = 24;
const WORDS = { alarm: "in alarm", stopped: "stopped", warn: "to watch", ok: "healthy" };
const TONES = { ok: "ok", warn: "warn", alarm: "crit" };
const CELL_WORDS = { ok: "no drift", warn: "some drift", alarm: "drifted", too_few: "too few rows to tell", gap: "too much was not logged" };

export default function FleetScreen({ query }) {
  const offset = Number(query.offset) || 0;
  const view = useView(`/api/view/${offset ? `?offset=${offset}` : ""}`);
  return html`<${Screen} title="Fleet" note=${summary} view=${view}>
    ${(fleet) => html`
      <${Loop} stages=${fleet.stages} />
      <div class="cols">
        <${Deployments} fleet=${fleet} offset=${offset} />
        <aside class="side" aria-label="What needs you, and what was done">
          <${Needs} needs=${fleet.needs} more=${fleet.more_needs} reload=${view.reload} />
          ${fleet.audit ? html`<${Trail} rows=${fleet.audit} />` : null}
        </aside>
      </div>`}
  <//>`;
}

function summary({ total, states }) {
  if (!total) return "nothing is in service yet";
  const known = Object.entries(WORDS).reverse().filter(([state]) => states[state]);
  const told = known.map(([state, word]) => `${count(states[state])} ${word}`);
  const rest = total - known.reduce((sum, [state]) => sum + states[state], 0);
  return `${plural(total, "model")} in service: ${[...told, ...(rest ? [`${count(rest)} of which too little is known`] : [])].join(", ")}`;
}

const Loop = ({ stages }) => html`<nav class="card fleet-loop" aria-label="The loop">
  ${stages.map((stage) => html`<a class="fleet-stage" href=${stage.path} key=${stage.stage}>
    <span class="eyebrow">${stage.title}</span>
    <span class="fleet-figure">${count(stage.figure)}</span>
    <span class="fleet-caption" title=${stage.caption}>${stage.caption}</span>
    <${Meter} parts=${shares(stage.parts)} label=${stage.parts.length ? stage.parts.map((part) => part.title).join(", ") : "nothing yet"} />
  </a>`)}
</nav>`;

function shares(parts) {
  const whole = parts.reduce((sum, part) => sum + part.count, 0);
  return parts.map((part) => ({ share: part.count / whole, tone: part.tone, title: part.title }));
}

function Deployments({ fleet, offset }) {
  if (!fleet.total) return html`<${Card} title="Deployments"><${Nothing} projects=${fleet.projects} /><//>`;
  return html`<${Card} flush title="Deployments" note="worst first" tools=${html`<${Pages} offset=${offset} total=${fleet.total} />`}>
    <${Table} label="Deployments, worst first" columns=${COLUMNS} rows=${fleet.rows} rowKey=${(row) => row.name} rowHref=${(row) => row.path} />
  <//>`;
}

const Nothing = ({ projects }) =>
  projects
    ? html`<${Empty} title="Nothing is in service yet" note="The first version whose gate opens goes into service by itself." command="perenne run" />`
    : html`<${Empty} title="There is no project yet" note="A project states what a model is for; its first round trains one." command="perenne init --data FILE --target COLUMN" />`;

function Pages({ offset, total }) {
  if (total <= WINDOW) return null;
  const last = Math.min(total, offset + WINDOW);
  const link = (to, text) => html`<a class="button small" href=${withQuery({ offset: to || null })}>${text}</a>`;
  return html`<span class="faint small">${count(offset + 1)}–${count(last)} of ${count(total)}</span>
    ${offset > 0 ? link(Math.max(0, offset - WINDOW), "Worse") : null}${last < total ? link(offset + WINDOW, "Better") : null}`;
}

const two = (first, second) => html`<span class="two"><span>${first}</span><small>${second}</small></span>`;

const COLUMNS = [
  { key: "name", title: "model", cell: (row) => two(html`<b>${row.name}</b>`, row.owner || row.project) },
  { key: "state", title: "state", cell: (row) => html`<${State} tone=${row.tone} word=${row.word} title=${row.why || undefined} />` },
  { key: "champion", title: "champion", cell: champion },
  { key: "traffic", title: "traffic", num: true, cell: traffic },
  { key: "shape", title: "newest windows", cell: shape },
  { key: "latency", title: "p95, errors", num: true, cell: latency },
  { key: "quality", title: "quality", num: true, cell: quality },
  { key: "drift", title: "drift", cell: drift },
];

const numberOf = (version) => `v${version.split("@").pop()}`;

function champion(row) {
  const against = row.challengers.map(numberOf).join(", ");
  return two(html`<a class="mono" href=${row.champion.path}>${numberOf(row.champion.version)}</a>`, against ? `against ${against}` : age(row.champion.created));
}

const age = (created) => (created ? ago(created).replace(" ago", " old").replace("just now", "new") : "");

function traffic({ recently }) {
  if (!recently) return "–";
  if (recently.per_second >= 0.1) return two(number(recently.per_second), "requests/s");
  return two(count(recently.rows.at(-1)), `rows in ${duration(recently.length)}`);
}

/** Put what is known of each window into its place: a window that is missing leaves a gap. */
function placed(recently, values) {
  const cells = new Array(Math.min(SHOWN_CELLS, recently.back[0] + 1)).fill(null);
  recently.back.forEach((back, i) => {
    if (back < cells.length) cells[cells.length - 1 - back] = values[i];
  });
  return cells;
}

function shape({ name, recently }) {
  if (!recently) return "–";
  const rows = placed(recently, recently.rows);
  return html`<${Sparkline} values=${rows} width=${72} label=${`rows of ${name} in the newest ${rows.length} windows of ${duration(recently.length)}, now ${count(rows.at(-1))}`} />`;
}

function latency({ recently }) {
  if (!recently) return "–";
  const failed = recently.error_rate;
  return two(recently.p95_ms === null ? "–" : `${number(recently.p95_ms)} ms`, failed === null ? "–" : html`<span class=${failed > 0.01 ? "down" : ""}>${percent(failed, 2)}</span>`);
}

function quality(row) {
  const known = row.quality;
  if (!known) return html`<span class="faint" title="no window has told it yet">unknown</span>`;
  const title = `${known.metric} is ${number(known.value)}, ${known.source}; the limit is ${number(known.limit)}. Window from ${when(known.start)}`;
  return html`<span title=${title}>${two(
    html`<span class="faint small">${known.metric.replaceAll("_", " ")}</span> ${withUnit(known.metric, known.value)}`,
    html`<span class=${known.margin < 0 ? "down" : ""}>${signed(known.margin, 2)}</span>${known.source === "realised" ? "" : `, ${known.source}`}`,
  )}</span>`;
}

function drift({ name, recently }) {
  if (!recently) return "–";
  const cells = placed(recently, recently.states).map((state, i, all) => ({
    tone: TONES[state],
    title: `${when(recently.start - (all.length - 1 - i) * recently.length)}: ${state ? CELL_WORDS[state] || state : "no window"}`,
  }));
  const bad = recently.states.filter((state) => state === "alarm").length;
  return html`<${Strip} cells=${cells} cell=${5} label=${`drift of ${name}: ${bad} of ${plural(recently.states.length, "window")} drifted, the newest: ${CELL_WORDS[recently.states.at(-1)] || "unknown"}`} />`;
}

const Trail = ({ rows }) => html`<${Card} flush title="Audit" tools=${html`<a class="small dim" href="/audit">all</a>`}>
  ${rows.length
    ? html`<ol class="fleet-trail">${rows.map((row) => html`<li key=${row.seq}>
        <a class="faint small mono" href=${`/audit?record=${row.seq}`} title=${when(row.time)} aria-label=${`record ${row.seq}, ${when(row.time)}`}>${moment(row.time, rows[0].time)}</a>
        <span><b>${row.told.who}</b> <span class="dim">${row.told.did}</span> ${row.told.path ? html`<a href=${row.told.path}>${row.told.what}</a>` : row.told.what}</span>
      </li>`)}</ol>`
    : html`<p class="none dim">Nothing was done yet.</p>`}
<//>`;

/** The time of day, or the day if that is another one than the newest record's. */
const moment = (at, newest) => (day(at) === day(newest) ? clockTime(at) : day(at).slice(5));
