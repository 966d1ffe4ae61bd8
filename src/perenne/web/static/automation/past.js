// The past of one rule as lanes over the same time: what monitoring said, what fired, the episodes, and who answered.
import { html } from "../core/dom.js";
import { day, plural, when } from "../core/format.js";

const TONES = { ok: "ok", warn: "warn", alarm: "crit", too_few: "none", gap: "none" };
const WORDS = { ok: "nothing found", warn: "small changes", alarm: "drift", too_few: "too few rows", gap: "rows are missing" };
const KEYS = [["ok", "nothing found"], ["warn", "small changes"], ["crit", "drift, or an alert that fires"], ["info", "an episode, or another model"]];

/** `shown` as `backtest.views.RuleInFull`; `starts` are the windows, each of a length. */
export function Past({ starts, length, shown }) {
  const end = starts.at(-1) + length;
  const at = (instant) => (100 * (Math.min(end, Math.max(starts[0], instant)) - starts[0])) / (end - starts[0]);
  const wide = (from, to) => ({ left: `${at(from)}%`, width: `max(3px, ${at(to) - at(from)}%)` });
  const windows = starts.map((start, i) => ({ from: start, to: start + length, tone: TONES[shown.states[i]] || "none", title: `${when(start)}: ${WORDS[shown.states[i]] || shown.states[i]}` }));
  const alerts = starts.flatMap((start, i) => (shown.fired[i].length ? [{ from: start, to: start + length, tone: "crit", title: `${when(start)}: ${shown.fired[i].join(", ")}` }] : []));
  const bouts = shown.bouts.map(({ bout, word, tone }) => ({ from: bout.opened, to: bout.ended ?? end, tone, title: `${when(bout.opened)}: ${word}. ${bout.note}` }));
  const lanes = [["windows", windows], ["alerts", alerts], ["episodes", bouts], ["answered by", models(starts, length, shown.models)]];
  return html`<figure class="past" aria-label=${`The past under ${shown.name}`}>
    ${lanes.map(([name, items]) => html`<div class="past-lane"><span class="past-name">${name}</span>
      <span class="past-track" role="img" aria-label=${`${name}: ${plural(items.length, "entry", "entries")}`}>${items.map((item) => html`<i class=${`past-span tone-${item.tone}`} style=${wide(item.from, item.to)} title=${item.title}>${item.word ? html`<b>${item.word}</b>` : null}</i>`)}</span></div>`)}
    <div class="past-lane" aria-hidden="true"><span></span><span class="past-axis"><span>${day(starts[0])}</span><span>${day(end)}</span></span></div>
    <figcaption class="legend">${KEYS.map(([tone, word]) => html`<span><i class=${`past-key tone-${tone}`}></i>${word}</span>`)}</figcaption>
  </figure>`;
}

/** Spans in which the same model answered; every second one is shaded, so that a change is seen. */
function models(starts, length, names) {
  const spans = [];
  names.forEach((name, i) => {
    if (i && name === names[i - 1]) spans.at(-1).to = starts[i] + length;
    else spans.push({ from: starts[i], to: starts[i] + length, word: name, title: name, tone: spans.length % 2 ? "info" : "none" });
  });
  return spans;
}
