// What the running model servers say of themselves, asked every few seconds while somebody looks.
import { html, useEffect, useRef, useState } from "../core/dom.js";
import { get } from "../core/api.js";
import { bytes, count, duration, number, plural } from "../core/format.js";
import { Card, Copy, State, Table } from "../core/parts.js";

const EVERY = 3000;
const FAILED = ["unavailable", "failed"];

export function LiveServers({ name }) {
  const { live, before } = useLive(`/api/deploy/${encodeURIComponent(name)}/live`);
  if (!live) return null;
  if (!live.servers.length) {
    return html`<${Card} title="Model servers"><p class="dim">No model server of this deployment runs on this machine, so there are no live figures.</p><${Copy} text=${`perenne serve ${name}`} /><//>`;
  }
  return html`<${Card} flush title="Model servers" note="live, from the servers themselves"><${Table} label="Model servers" columns=${COLUMNS} rows=${live.servers.map((server) => ({ ...server, rate: rate(server, live, before) }))} rowKey=${(row) => row.url} /><//>`;
}

function useLive(path) {
  const [state, setState] = useState({ live: null, before: null });
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    let timer = 0;
    const ask = async () => {
      if (!document.hidden) {
        const live = await get(path).catch(() => null);
        if (alive.current && live) setState((old) => ({ live, before: old.live }));
      }
      if (alive.current) timer = setTimeout(ask, EVERY);
    };
    ask();
    return () => {
      alive.current = false;
      clearTimeout(timer);
    };
  }, [path]);
  return state;
}

/** What happened between two looks: requests a second, errors, and latencies of those requests alone. */
function rate(server, live, before) {
  const old = before?.servers.find((other) => other.url === server.url)?.figures;
  const { figures } = server;
  if (!figures || !old || live.now <= before.now) return null;
  const total = (found) => Object.values(found.requests).reduce((sum, n) => sum + n, 0);
  const failed = (found) => FAILED.reduce((sum, key) => sum + (found.requests[key] || 0), 0);
  const requests = total(figures) - total(old);
  if (requests < 0) return null;
  return { per_second: requests / ((live.now - before.now) / 1e6), requests, failed: failed(figures) - failed(old) };
}

/** The latency that a share of all requests since the start stayed under, in seconds. */
function quantile(latency, share) {
  const whole = latency.length ? latency.at(-1)[1] : 0;
  return whole ? latency.find(([, n]) => n >= share * whole)[0] : null;
}

const COLUMNS = [
  { title: "server", cell: (row) => html`<span class="two"><code>${row.url}</code><small>${[row.host, row.pid ? `process ${row.pid}` : "", row.version].filter(Boolean).join(", ")}</small></span>` },
  { title: "state", cell: (row) => html`<span class="two"><${State} tone=${tone(row)} word=${row.state === "unknown" ? "on another machine" : row.state} /><small>${row.problem || row.words}</small></span>` },
  { title: "requests/s", num: true, cell: (row) => (row.rate ? number(row.rate.per_second, 3) : row.figures ? "…" : html`<span class="faint" title=${row.silent_because}>${row.silent_because || "–"}</span>`) },
  { title: "since start", num: true, cell: (row) => (row.figures ? html`<span class="two">${count(row.figures.requests.ok || 0)} answered<small>${told(row.figures)}</small></span>` : "–") },
  { title: "p50, p99 under", num: true, cell: (row) => (row.figures ? html`<span class="two">${micro(quantile(row.figures.latency, 0.5))}<small>${micro(quantile(row.figures.latency, 0.99))}</small></span>` : "–") },
  { title: "at work", num: true, cell: (row) => (row.figures ? count(row.figures.in_flight) : "–") },
  { title: "not logged", num: true, cell: (row) => count(row.dropped) },
  { title: "memory", num: true, cell: (row) => (row.figures ? bytes(row.figures.resident_bytes) : "–") },
  { title: "processes", cell: (row) => html`<span class="small">${row.processes.map((item) => item.name + (item.pid ? "" : " (not running)")).join(", ") || (row.workers ? plural(row.workers, "worker") : "–")}</span>` },
];

const tone = (row) => (row.problem || row.state === "gone" ? "crit" : row.state === "alive" && row.generation ? "ok" : "warn");
const micro = (seconds) => (seconds === null ? "–" : duration(seconds * 1e6));

function told(figures) {
  const others = Object.entries(figures.requests).filter(([key, n]) => key !== "ok" && n).map(([key, n]) => `${count(n)} ${key}`);
  return others.join(", ") || "none failed";
}
