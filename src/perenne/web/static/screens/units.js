// The units of metrics, which their names tell.
import { number } from "../core/format.js";

const UNITS = [["_ms", "ms"], ["_days", "d"], ["_rps", "/s"]];

/** A metric's value with its unit, if it has one. */
export function withUnit(metric, value) {
  const unit = UNITS.find(([ending]) => metric.endsWith(ending))?.[1];
  return number(value) + (unit && value !== null ? ` ${unit}` : "");
}
