// One deployment: its versions, its traffic, its servers, how to call it, and who changed it when.
import { html } from "../core/dom.js";
import { count, number, percent, plural } from "../core/format.js";
import { Card, Copy, State, Table, Tabs, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Lines } from "../core/charts/lines.js";
import { Places } from "../delivery/clusters.js";
import { WindowState, figure } from "../monitoring/words.js";
import { Changes } from "../serving/actions.js";
import { Queue } from "../serving/queue.js";
import { LiveServers } from "../serving/live.js";
import { Comparison, Rollout } from "../serving/rollout.js";

export default function DeploymentScreen({ params, query }) {
  const view = useView(`/api/view/deploy/${encodeURIComponent(params.deployment)}`);
  return html`<${Screen} title=${params.deployment} crumbs=${[["Deployments", "/deploy"]]} view=${view} note=${note}
    tools=${(data) => html`<a class="button" href=${`/monitor/${encodeURIComponent(data.name)}`}>Monitor</a><${Changes} deployment=${data} reload=${view.reload} />`}>
    ${(data) => html`
      ${data.stop ? html`<${Stopped} stop=${data.stop} answer=${data.answer} />` : null}
      <${Queue} name=${data.name} queue=${data.queue} reload=${view.reload} />
      <${Rollout} deployment=${data} reload=${view.reload} />
      <${Comparison} compared=${data.rollout.compared} />
      <${LiveServers} name=${data.name} />
      <${Places} rows=${data.places} />
      <${Traffic} traffic=${data.traffic} />
      <div class="half">
        <${Calling} calling=${data.calling} shown=${query.call || "curl"} />
        <${History} rows=${data.history} />
      </div>`}
  <//>`;
}

const note = (data) => html`<span class="row"><${State} tone=${data.stop ? "crit" : "ok"} word=${data.stop ? "stopped" : "serving"} /><${WindowState} state=${data.health} healthy />
  <span>generation ${data.generation}</span>${data.alerts ? html`<a href=${`/alert?deployment=${encodeURIComponent(data.name)}`}>${plural(data.alerts, "open alert")}</a>` : null}</span>`;

const Stopped = ({ stop, answer }) => html`<${Card} title="Stopped" className="serving-stop" note=${html`<${Time} at=${stop.since} />`}>
  <p>${stop.mode === "previous" ? "The previous version answers meanwhile." : stop.mode === "person" ? "People answer meanwhile." : html`The constant <code>${JSON.stringify(answer)}</code> is answered meanwhile.`} Stopped by ${stop.by}: ${stop.reason}</p>
<//>`;

function Traffic({ traffic }) {
  const x = traffic.start;
  if (!x.length) return html`<${Card} title="Traffic"><p class="dim">No window has been judged yet. A window is judged when it has ended.</p><//>`;
  const marks = traffic.version.flatMap((version, i) => (i && version !== traffic.version[i - 1] ? [{ at: x[i], label: version, tone: "info" }] : []));
  const perSecond = traffic.rows.map((rows, i) => rows / (traffic.length[i] / 1e6));
  const line = (name, label) => ({ label, values: traffic.figures[name], low: traffic.low[name], high: traffic.high[name] });
  const latency = [["latency_p50_ms", "p50"], ["latency_p99_ms", "p99"]].filter(([name]) => traffic.figures[name]).map(([name, label]) => line(name, label));
  return html`<div class="serving-charts">
    <${Card} title="Traffic" note=${`rows by window, now ${number(perSecond.at(-1), 2)} a second`}><${Lines} label="Rows by window" x=${x} time height=${150} marks=${marks} yFormat=${count} series=${[{ label: "rows", values: traffic.rows }]} /><//>
    ${latency.length ? html`<${Card} title="Latency" note=${limitWords(traffic, "latency_p99_ms") || "from arrival to answer"}><${Lines} label="Latency by window" x=${x} time height=${150} marks=${marks} yFormat=${(value) => `${number(value)} ms`} limit=${limits(traffic, ["latency_p50_ms", "latency_p99_ms"])} series=${latency} /><//>` : null}
    ${traffic.figures.error_rate ? html`<${Card} title="Errors" note=${limitWords(traffic, "error_rate") || "share of the requests the model failed on"}><${Lines} label="Error rate by window" x=${x} time height=${150} marks=${marks} yFormat=${(value) => figure("error_rate", value)} limit=${limits(traffic, ["error_rate"])} series=${[line("error_rate", "error rate")]} /><//>` : null}
    ${traffic.limits.availability ? html`<${Card} title="Availability" note=${limitWords(traffic, "availability")}><${Lines} label="Availability by window" x=${x} time height=${150} marks=${marks} yFormat=${(value) => percent(value, 2)} limit=${limits(traffic, ["availability"])} series=${[line("availability", "availability")]} /><//>` : null}
  </div>`;
}

const limits = (traffic, names) => names.filter((name) => traffic.limits[name]).map((name) => ({ value: traffic.limits[name].limit, label: `${traffic.limits[name].kind}, ${traffic.limits[name].at_least ? "at least" : "at most"}` }));

function limitWords(traffic, name) {
  const found = traffic.limits[name];
  return found ? `${found.kind}: ${found.at_least ? "at least" : "at most"} ${figure(name, found.limit)}` : "";
}

function Calling({ calling, shown }) {
  if (!calling) return html`<${Card} title="How to call it"><p class="dim">The champion's package cannot be read here, so its inputs are not known.</p><//>`;
  const columns = [{ title: "input", key: "name" }, { title: "type", key: "datatype" }, { title: "for example", num: true, cell: (row) => (row.example === null ? html`<span class="faint">missing</span>` : String(row.example)) }];
  return html`<${Card} title="How to call it" note=${calling.classes.length ? `answers ${calling.target}: ${calling.classes.join(" or ")}` : `answers ${calling.target}, a number`} tools=${html`<${Tabs} name="call" label="Language" value=${shown} options=${[["curl", "curl"], ["python", "Python"]]} />`}>
    <div class="serving-call">
      <${Copy} block text=${shown === "python" ? calling.python : calling.curl} />
      ${calling.page ? html`<p class="dim">Or try it on <a href=${calling.page} target="_blank" rel="noopener noreferrer">the model server's own page</a>, which has a form for it.</p>` : null}
      <details><summary>Inputs and their types</summary><${Table} dense label="Inputs" columns=${columns} rows=${calling.inputs} rowKey=${(row) => row.name} />${calling.more_inputs ? html`<p class="small faint">and ${calling.more_inputs} more</p>` : null}</details>
    </div>
  <//>`;
}

const History = ({ rows }) => html`<${Card} flush title="History" note="who put what in service when, from the audit trail">
  <ol class="serving-history">${rows.map((row) => html`<li key=${row.record}>
    <${Time} at=${row.time} /><${State} tone=${row.tone} word=${row.word} />
    <p><b>${row.champion || "unknown"}</b>${row.generation ? html` <span class="faint">generation ${row.generation}</span>` : null} by <a href=${`/audit?record=${row.record}`}>${row.by}</a>${row.on_behalf_of ? ` for ${row.on_behalf_of}` : ""}${row.reason ? html`<br /><span class="dim">${row.reason}</span>` : null}</p>
  </li>`)}</ol>
<//>`;
