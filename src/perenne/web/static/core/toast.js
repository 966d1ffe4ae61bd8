// Short words about what just happened, in a corner, read out to those who cannot see them.
import { html, signal } from "./dom.js";

const shown = signal([]);
const SECONDS = { ok: 4, info: 4, crit: 9, warn: 9 };
let number = 0;

/** Say something for a few seconds. */
export function toast(text, tone = "ok") {
  const id = ++number;
  shown.value = [...shown.value.slice(-3), { id, text, tone }];
  setTimeout(() => drop(id), (SECONDS[tone] || 5) * 1000);
}

const drop = (id) => {
  shown.value = shown.value.filter((item) => item.id !== id);
};

export const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">
  ${shown.value.map(
    (item) => html`<div key=${item.id} class=${`toast ${item.tone}`}>
      <i class=${`dot ${item.tone}`}></i><span class="grow">${item.text}</span>
      <button class="plain" aria-label="Dismiss" onClick=${() => drop(item.id)}>×</button>
    </div>`,
  )}
</div>`;
