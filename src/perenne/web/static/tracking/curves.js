// The curves of metrics: asked for as they come into sight, drawn down by the server, and how they are looked at.
import { html, useEffect, useMemo, useRef, useState } from "../core/dom.js";
import { Card, Choice, Empty } from "../core/parts.js";
import { setQuery } from "../core/router.js";
import { useView } from "../core/screen.js";
import { Curves } from "../core/charts/curves.js";

const POINTS = 500;
const NEAR = "300px";
const SMOOTHEST = 0.99;
const WAIT = 120;

/** How an address looks at curves: over what, smoothed how much, on which axes. */
export const lookOf = (query) => ({
  kind: ["time", "relative"].includes(query.x) ? query.x : "step",
  smooth: Math.max(0, Math.min(SMOOTHEST, Number(query.smooth) || 0)),
  logX: (query.log ?? "").includes("x"),
  logY: (query.log ?? "").includes("y"),
});

/** The tools that change it. */
export function LookTools({ query, small = false }) {
  const look = lookOf(query);
  const flip = (axis, on) => setQuery({ log: ["x", "y"].filter((name) => (name === axis ? on : look[`log${name.toUpperCase()}`])).join("") });
  return html`<div class="row looks">
    <${Choice} name="x" label="Over" value=${query.x ?? ""} options=${[["", "step"], ["relative", "time since the start"], ["time", "time of day"]]} />
    <${Smoothing} value=${look.smooth} />
    ${look.kind === "time" || small ? null : html`<label class="check"><input type="checkbox" checked=${look.logX} onChange=${(event) => flip("x", event.target.checked)} />log x</label>`}
    <label class="check"><input type="checkbox" checked=${look.logY} onChange=${(event) => flip("y", event.target.checked)} />log y</label>
  </div>`;
}

function Smoothing({ value }) {
  const [shown, setShown] = useState(value);
  const timer = useRef(0);
  useEffect(() => setShown(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const slid = (event) => {
    const now = Number(event.target.value);
    setShown(now);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ smooth: now || null }), WAIT);
  };
  return html`<label class="smoothing">smooth<input type="range" min="0" max=${SMOOTHEST} step="0.01" value=${shown} aria-label="Smoothing" onInput=${slid} /><output class="num">${shown.toFixed(2)}</output></label>`;
}

/** Curves of one metric. `runs`: `[{id, label, color, dash}]`; charts with the same `sync` are pointed at together. */
export function MetricCurves({ runs, metric, look, sync, height = 200 }) {
  const ids = runs.map((run) => run.id).join(",");
  const view = useView(`/api/view/runs/curves?${new URLSearchParams({ ids, key: metric, by: look.kind === "step" ? "step" : "time", points: POINTS })}`);
  const data = view.data?.key === metric && (view.data.by === "step") === (look.kind === "step") ? view.data : null;
  const colours = runs.map((run) => `${run.color}${run.dash}${run.label}`).join();
  const series = useMemo(() => (data ? runs.map((run) => seriesOf(run, data.curves[run.id], look)).filter((item) => item) : []), [data, colours, look.kind, ids]);
  if (view.error && !data) return html`<${Empty} title=${view.error.message} hint=${view.error.hint} />`;
  if (!data) return html`<div class="bones" style=${{ height: `${height}px` }}><span class="bone"></span></div>`;
  return html`<${Curves} series=${series} kind=${look.kind} smooth=${look.smooth} logX=${look.logX && look.kind !== "time"} logY=${look.logY} sync=${sync} height=${height} label=${metric} />`;
}

function seriesOf(run, curve, look) {
  if (!curve) return null;
  const place = { step: (at) => at, time: (at) => at / 1000, relative: (at) => (at - curve.start) / 1000 }[look.kind];
  const band = curve.exact ? {} : { low: curve.least, high: curve.greatest };
  return { id: run.id, label: run.label, color: run.color, dash: run.dash, x: curve.at.map(place), y: curve.last, points: curve.count, ...band };
}

/** A card of curves, drawn once it comes near to what is in sight. */
export function CurveCard({ runs, metric, look, sync, height, note }) {
  const [near, setNear] = useState(false);
  const box = useRef();
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && (setNear(true), observer.disconnect()), { rootMargin: NEAR });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return html`<div ref=${box} class="curve-card"><${Card} title=${metric} note=${note}>${near ? html`<${MetricCurves} runs=${runs} metric=${metric} look=${look} sync=${sync} height=${height} />` : html`<div style=${{ height: `${height}px` }}></div>`}<//></div>`;
}

/** Which curve is whose. */
export const RunLegend = ({ runs }) => html`<div class="legend runs-legend">${runs.map((run) => html`<span><i style=${{ background: run.color }} class=${run.dash ? "dashed" : ""}></i><a class="mono" href=${`/runs/${run.id}`}>${run.label}</a></span>`)}</div>`;
