// How runs are written: their states, names, values and the colours they are drawn in.
import { html } from "../core/dom.js";
import { number } from "../core/format.js";
import { State } from "../core/parts.js";

const STATES = { finished: ["ok", "finished"], running: ["info", "running"], failed: ["crit", "failed"], scheduled: ["none", "scheduled"], killed: ["warn", "killed"] };
const COLOURS = 8;

/** So many runs stand side by side at most. */
export const MOST = 16;

/** The state of a run as shape and word. */
export const RunStateOf = ({ state, deleted }) => html`<${State} tone=${deleted ? "none" : (STATES[state]?.[0] ?? "none")} word=${deleted ? "deleted" : (STATES[state]?.[1] ?? state)} />`;

/** The last letters of an id: the first ones are the time, and alike. */
export const short = (id) => id.slice(-8).toLowerCase();

/** What a run is called. */
export const nameOf = (run) => run.name || short(run.id);

/** The colours of some runs by id; beyond eight they come again, and are dashed. */
export const coloursOf = (ids) => new Map(ids.map((id, i) => [id, `var(--c${(i % COLOURS) + 1})`]));
export const dashed = (place) => place >= COLOURS;

/** The ids of an address. */
export const idsOf = (text = "") => text.split(",").filter(Boolean).slice(0, MOST);

/** A value as it was logged. */
export const written = (value) => (value === undefined || value === null ? "–" : typeof value === "number" ? number(value, 4) : String(value));

/** Whether all that is known is written as numbers. */
export const figures = (values) => {
  const known = values.filter((value) => value !== null && value !== undefined && value !== "");
  return known.length > 0 && known.every((value) => Number.isFinite(typeof value === "number" ? value : Number(value)));
};

/** A name in the language of filters, quoted where it must be. */
export const quoted = (key) => (/^[\w.\-/:@]+$/.test(key) ? key : key.includes("`") ? `"${key}"` : `\`${key}\``);

/** A text in the language of filters. */
export const literal = (text) => `'${String(text).replaceAll("'", "''")}'`;
