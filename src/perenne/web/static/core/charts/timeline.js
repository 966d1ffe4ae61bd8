// Lives of versions side by side: when each answered people, answered unseen, stood by or waited, and what happened to it.
import { html, useState } from "../dom.js";
import { clockTime, day, duration, when } from "../format.js";
import { withQuery } from "../router.js";

const ROLES = { champion: "answers people", challenger: "in shadow", previous: "stands by", review: "waits for a person" };
const SHOWN = 10;
const TICKS = 4;
const AFTER = 0.12;

/** `lanes` as `screens.lifespans.Lane`, oldest first; `selected` is a version. A lane leads to `?version=`. */
export function Timeline({ lanes, selected, label }) {
  const [all, setAll] = useState(false);
  const shown = (all ? lanes : lanes.slice(-SHOWN)).slice().reverse();
  const times = shown.flatMap((lane) => [...lane.marks.map((mark) => mark.time), ...lane.spans.flatMap((span) => [span.start, span.end ?? span.start])]);
  const first = Math.min(...times);
  const last = Math.max(...times);
  const end = Math.min(Math.max(Date.now() * 1000, last), last + Math.max(1e6, AFTER * (last - first)));
  const at = (instant) => (100 * (instant - first)) / (end - first || 1);
  return html`<figure class="timeline" aria-label=${label}>
    <div class="timeline-lanes">
      ${shown.map((lane) => html`<a class=${`timeline-lane${lane.version === selected ? " chosen" : ""}`} href=${withQuery({ version: lane.number })} aria-current=${lane.version === selected ? "true" : undefined}>
        <span class="timeline-name">v${lane.number}<span class="sr-only"> ${lane.spans.length ? told(lane) : ""}</span></span>
        <span class="timeline-track">
          ${lane.spans.map((span) => html`<i class=${`timeline-span ${span.role}${span.end === null ? " open" : ""}`} style=${{ left: `${at(span.start)}%`, width: `${Math.max(0.4, at(span.end ?? end) - at(span.start))}%` }}
            title=${`${ROLES[span.role]}${span.deployment ? ` in ${span.deployment}` : ""}, ${when(span.start)} to ${span.end ? when(span.end) : "now"}`}><b>${ROLES[span.role]}</b></i>`)}
          ${lane.marks.map((mark) => html`<i class=${`timeline-mark ${mark.tone}`} style=${{ left: `${at(mark.time)}%` }} title=${`${mark.what} ${when(mark.time)} by ${mark.by}${mark.reason ? `: ${mark.reason}` : ""}`}></i>`)}
          ${lane.spans.length ? null : html`<em class="timeline-word" style=${flip(at(lane.marks.at(-1)?.time ?? first))}>${lane.marks.at(-1)?.what ?? ""}</em>`}
        </span></a>`)}
      <div class="timeline-axis" aria-hidden="true"><span></span><span class="timeline-track">${ticks(first, end).map((tick) => html`<span style=${{ left: `${at(tick)}%` }}>${written(tick, end - first)}</span>`)}</span></div>
    </div>
    <figcaption class="legend">${Object.entries(ROLES).map(([role, word]) => html`<span><i class=${`timeline-key ${role}`}></i>${word}</span>`)}
      <span class="faint">from ${when(first)}, ${duration(last - first)} to the last change</span></figcaption>
    ${lanes.length > SHOWN ? html`<button class="button small" onClick=${() => setAll(!all)}>${all ? "Show the newest only" : `Show all ${lanes.length} versions`}</button>` : null}
    <details class="as-table"><summary>As a table</summary><div class="scroll" tabindex="0" role="region" aria-label=${`${label} as a table`}><table class="table dense">
      <thead><tr><th scope="col">version</th><th scope="col">when</th><th scope="col">what</th><th scope="col">by</th><th scope="col">why</th></tr></thead>
      <tbody>${shown.flatMap((lane) => lane.marks.map((mark) => html`<tr><td>v${lane.number}</td><td>${when(mark.time)}</td><td>${mark.what}</td><td>${mark.by}</td><td>${mark.reason}</td></tr>`))}</tbody>
    </table></div></details>
  </figure>`;
}

const told = (lane) => [...lane.spans.filter((span) => span.end === null).map((span) => ROLES[span.role]), ...lane.marks.slice(-1).map((mark) => mark.what)].join(", ") || "nothing is known";

const flip = (at) => (at > 70 ? { right: `calc(${100 - at}% + 10px)` } : { left: `calc(${at}% + 10px)` });

const ticks = (first, end) => Array.from({ length: TICKS }, (_, i) => first + ((end - first) * i) / TICKS);

const written = (instant, span) => (span > 3 * 86_400e6 ? day(instant).slice(5) : span > 3_600e6 ? `${day(instant).slice(5)} ${clockTime(instant)}` : new Date(instant / 1000).toISOString().slice(11, 19));
