// Figures and times as people read them. Unknown is a dash, never a zero.
import { now } from "./api.js";

export const UNKNOWN = "–";
const MINUS = "\u2212";

const sign = (text) => text.replace(/^-/, MINUS);

/** A figure with so many significant digits. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return sign(value.toLocaleString("en-US"));
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return sign(value.toExponential(digits - 1).replace("e+", "e"));
  if (size >= 1000) return sign(Math.round(value).toLocaleString("en-US"));
  return sign(value.toPrecision(digits));
}

/** A figure with its sign always shown: a difference. */
export const signed = (value, digits = 3) =>
  value === null || value === undefined ? UNKNOWN : (value > 0 ? "+" : "") + number(value, digits);

export function percent(value, digits = 0) {
  if (value === null || value === undefined) return UNKNOWN;
  const text = (value * 100).toFixed(digits);
  return `${sign(Number(text) === 0 ? text.replace("-", "") : text)} %`;
}

/** A count, shortened above ten thousand. */
export function count(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (Math.abs(value) < 10_000) return sign(Math.round(value).toLocaleString("en-US"));
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return sign((value / size).toPrecision(3)) + " " + unit;
  }
  return String(value);
}

/** Bytes in binary units. */
export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit ? value.toPrecision(3) : value} ${units[unit]}`;
}

const SPANS = [["d", 86_400e6], ["h", 3_600e6], ["min", 60e6], ["s", 1e6]];

/** A length of time given in microseconds, by its two largest units. */
export function duration(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 1_000) return `${Math.round(value)} µs`;
  if (value < 1e6) return `${number(value / 1_000)} ms`;
  if (value < 60e6) return `${number(value / 1e6, 2)} s`;
  const parts = [];
  for (const [unit, size] of SPANS) {
    const whole = Math.floor(value / size);
    if (whole && parts.length < 2) parts.push(`${whole} ${unit}`);
    value -= whole * size;
  }
  return parts.join(" ");
}

const REPLAYED = 30 * 86_400e6;

/** How long ago an instant is, in one unit. Where traffic of the past is replayed, what people did there happened in their own time. */
export function ago(instant) {
  if (!instant) return UNKNOWN;
  const ahead = instant - now() > REPLAYED;
  const passed = (ahead ? Date.now() * 1000 : now()) - instant;
  const [size, unit] = SPANS.map(([name, length]) => [Math.floor(Math.abs(passed) / length), name]).find(([n]) => n) || [0, "s"];
  if (!size || (unit === "s" && size < 5)) return "just now";
  return passed < 0 ? `in ${size} ${unit}` : `${size} ${unit} ago`;
}

const iso = (instant) => new Date(instant / 1000).toISOString();

/** An instant in full, UTC. */
export const when = (instant) => (instant ? iso(instant).slice(0, 16).replace("T", " ") + " UTC" : UNKNOWN);

/** The day of an instant, UTC. */
export const day = (instant) => (instant ? iso(instant).slice(0, 10) : UNKNOWN);

/** The time of day of an instant, UTC. */
export const clockTime = (instant) => (instant ? iso(instant).slice(11, 16) : UNKNOWN);

/** `1 row`, `3 rows`. */
export const plural = (n, word, more = `${word}s`) => `${count(n)} ${n === 1 ? word : more}`;
