// Where a value stands on an axis, from 0 to 1, and what is written beside it; numbers by size or by ratio, words by their places.
import { number } from "../format.js";

const TICKS = 5;
const LEVELS = 6;
const RATIO = 100;

/**
 * The scale of some values. `log`: true or false, by itself if left out: where positive numbers span more than two powers of ten.
 *
 * Returns `{at(value), ends, ticks, numeric}`: `at` is null where a value has no place; `ends` and `ticks` are `[[place, text], …]`.
 */
export function scaleOf(values, log) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length && known.every((value) => typeof value === "number")) return numbers(known, log);
  const levels = [...new Set(known.map(String))].sort();
  const place = (level) => (levels.length < 2 ? 0.5 : levels.indexOf(level) / (levels.length - 1));
  const ends = levels.slice(0, LEVELS).map((level) => [place(level), level.slice(0, 16)]);
  return { at: (value) => (value === null || value === undefined ? null : place(String(value))), ends, ticks: ends, numeric: false };
}

function numbers(known, log) {
  const positive = known.every((value) => value > 0);
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  if (low === high) return { at: (value) => (typeof value === "number" ? 0.5 : null), ends: [[0.5, number(low)]], ticks: [[0.5, number(low)]], numeric: true };
  const bent = positive && (log ?? high / low > RATIO);
  const bend = bent ? Math.log : (value) => value;
  const place = (value) => (bend(value) - bend(low)) / (bend(high) - bend(low));
  const at = (value) => (typeof value === "number" && (!bent || value > 0) ? place(value) : null);
  const marks = (bent ? powers(low, high) : steps(low, high)).filter((value) => value >= low && value <= high);
  return { at, ends: [[0, number(low)], [1, number(high)]], ticks: marks.map((value) => [place(value), number(value)]), numeric: true };
}

/** Round numbers between two, about five of them. */
function steps(low, high) {
  const rough = (high - low) / TICKS;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((candidate) => candidate >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function powers(low, high) {
  const first = Math.floor(Math.log10(low));
  const all = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i));
  const every = Math.ceil(all.length / (TICKS + 1));
  const some = all.filter((_, i) => i % every === 0);
  return some.filter((value) => value >= low && value <= high).length > 1 ? some : all.flatMap((value) => [value, 2 * value, 5 * value]);
}

/** The colour of a place from 0 to 1. */
export const shadeOf = (place) => (place === null || place === undefined ? "var(--ink-3)" : `color-mix(in oklab, var(--shade-high) ${Math.round(100 * place)}%, var(--shade-low))`);
