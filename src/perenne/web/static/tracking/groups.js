// Runs put together by what they have in common: how many, the newest, and what their figures come to.
import { html } from "../core/dom.js";
import { count } from "../core/format.js";
import { Time } from "../core/parts.js";
import { spelled, titleOf } from "./columns.js";
import { literal, written } from "./words.js";

const OFFERED = 40;

/** What runs can be put together by. */
export const groupOptions = (keys) => [
  ["", "not grouped"],
  ...["experiment", "status", "user_id"].map((key) => [`attributes.${key}`, `by ${titleOf(`attributes.${key}`)}`]),
  ...(keys.params ?? []).slice(0, OFFERED).map((key) => [`params.${key}`, `by ${key}`]),
  ...(keys.tags ?? []).slice(0, OFFERED).map((key) => [`tags.${key}`, `by ${key} (tag)`]),
];

/** The columns of a grid of groups: what they have in common, how many, and the mean and the best of each figure. */
export function groupColumns(group, ids) {
  const figures = ids.filter((id) => id.startsWith("metrics."));
  return [
    { key: "value", title: titleOf(group), width: 170, cell: (row) => (row.value === null ? html`<span class="faint">without</span>` : row.value === "" ? html`<span class="faint">empty</span>` : row.label ?? row.value) },
    { key: "runs", title: "runs", width: 70, num: true, cell: (row) => count(row.runs) },
    { key: "newest", title: "newest", width: 92, cell: (row) => html`<${Time} at=${row.newest} />` },
    ...figures.flatMap((id) => [
      { key: `${id} mean`, title: `${titleOf(id)}, mean`, hint: `mean of ${id}`, width: 110, num: true, cell: (row) => written(row.figures[id]?.mean) },
      { key: `${id} range`, title: "least to most", hint: `range of ${id}`, width: 140, num: true, cell: (row) => (row.figures[id] ? `${written(row.figures[id].least)} to ${written(row.figures[id].most)}` : "–") },
    ]),
  ];
}

/** The filter that leaves only the runs of one group. */
export function within(filter, group, value) {
  const name = group === "attributes.experiment" ? "attributes.experiment_id" : spelled(group);
  const own = value === null ? `${name} IS NULL` : `${name} = ${literal(value)}`;
  return filter ? `(${filter}) AND ${own}` : own;
}
