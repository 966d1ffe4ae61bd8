"""What the data did to a model: the same function, parameters, seed and held-out rows, and other rows to learn from."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from perenne import data
from perenne.core.errors import Invalid
from perenne.pipelines import current, pipeline, step
from perenne.stats.bootstrap import compare, interval
from perenne.stats.columns import Column, FieldKind, Task
from perenne.stats.metrics import METRICS
from perenne.training.checks import GroupedAnswers, large_enough
from perenne.training.evaluation import STANDARD, finite
from perenne.training.fitting import ModelFunction, describe, fit, predict
from perenne.training.model import Effect, Impact, Plan, Recipe, Variant, VariantImpact
from perenne.training.planning import make_plan, time_seconds
from perenne.training.rows import load_rows, order_of, rows_of
from perenne.training.slices import USUAL, largest_groups

if TYPE_CHECKING:
    import pyarrow as pa

    from perenne.storage.objects import ObjectStore

FEWEST_ROWS = 20
MOST_SOURCES = 30
DRAWS = 300


@dataclass(frozen=True)
class Answers:
    """What a model learned from one variant says about the held-out rows, and what it learned from."""

    rows: int
    held_out: int
    unknown: int
    lacking: tuple[str, ...]
    estimator: str
    seconds: float
    predictions: np.ndarray
    scores: np.ndarray | None


def sources_of(table: "pa.Table", column: str) -> list[str | None]:
    """Return the values by which rows can be left out, the most frequent first; None stands for rows without one.

    Raises
    ------
    Invalid
        If there is no such column, or fewer than two values.
    """
    if column not in table.column_names:
        known = ", ".join(table.column_names[:20])
        raise Invalid(f"the data has no column {column!r}", code="training.column", hint=f"it has {known}")
    counted = _as_text(table.column(column)).value_counts()
    values, counts = counted.field("values").to_pylist(), np.asarray(counted.field("counts"))
    if len(values) < 2:
        raise Invalid(
            f"column {column!r} has one value only", code="training.one_source", hint="name a column that tells sources"
        )
    return [values[place] for place in np.argsort(-counts, kind="stable")[:MOST_SOURCES]]


def plan_impact(objects: "ObjectStore", snapshot: str, recipe: Recipe, column: str = "") -> Plan:
    """Plan the study on the snapshot whose newest rows, or a fifth of them, are held out; `column` is looked at in groups too."""
    plan = make_plan(data.snapshots.read_snapshot(objects, snapshot), recipe)
    if column and column not in plan.slices:
        plan = msgspec.structs.replace(plan, slices=(*plan.slices, column))
    return plan


@step
def learn(
    variant: Variant, judged_on: str, plan: Plan, key: str | None, function: ModelFunction, parameters: Mapping[str, Any]
) -> Answers:
    """Fit the model on a variant's rows, all but those held out, and let it answer these."""
    objects = current().objects
    table, held_out, unknown, lacking = _teaching(variant, judged_on, plan, key, objects)
    if table.num_rows < FEWEST_ROWS:
        raise Invalid(
            f"{variant.name}: {table.num_rows} rows are left to learn from, at least {FEWEST_ROWS} are needed",
            code="training.too_few_rows",
            hint=f"{held_out:,} rows were held out, or not earlier than those that were",
        )
    started = time.process_time()
    encoder, estimator = fit(function, rows_of(table, plan), plan, parameters)
    seconds = time.process_time() - started
    held = load_rows(objects, judged_on, plan).part(plan.validation, plan.rows)
    predictions, scores = predict(encoder, estimator, held.columns, plan.task)
    return Answers(table.num_rows, held_out, unknown, lacking, describe(estimator), round(seconds, 3), predictions, scores)


def _teaching(
    variant: Variant, judged_on: str, plan: Plan, key: str | None, objects: "ObjectStore"
) -> "tuple[pa.Table, int, int, tuple[str, ...]]":
    """Return the rows to learn from, how many were kept from it as held out and as unknown, and the columns it lacks."""
    table = data.snapshots.read_snapshot(objects, variant.snapshot)
    if plan.target not in table.column_names:
        raise Invalid(f"{variant.name} has no column {plan.target!r}", code="training.column", hint="it is the target")
    table = table.filter(table.column(plan.target).is_valid())
    wanted = dict.fromkeys([*(field.name for field in plan.fields), *plan.slices])
    lacking = tuple(name for name in wanted if name not in table.column_names)
    table = _completed(table, lacking, plan)
    if variant.column:
        table = table.filter(_is_not(table.column(variant.column), variant.without))
    apart = _not_held_out(table, judged_on, plan, key, objects)
    known = _has_known_label(table, plan)
    return table.filter(apart & known), int((~apart).sum()), int((apart & ~known).sum()), lacking


def _completed(table: "pa.Table", lacking: Sequence[str], plan: Plan) -> "pa.Table":
    """Add the columns that data of another time did not have, empty."""
    import pyarrow as pa

    kinds = {field.name: field.kind for field in plan.fields}
    types: dict[FieldKind, Any] = {FieldKind.NUMBER: pa.float64(), FieldKind.TIME: pa.timestamp("us", "UTC")}
    for name in lacking:
        table = table.append_column(name, pa.nulls(table.num_rows, types.get(kinds.get(name, FieldKind.CATEGORY), pa.string())))
    return table


def _is_not(column: "pa.ChunkedArray[Any]", value: str | None) -> Column:
    texts = _as_text(column)
    if value is None:
        return np.asarray(texts.is_valid())
    return np.asarray([text != value for text in texts.to_pylist()], bool)


def _as_text(column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    import pyarrow as pa

    return column.cast(pa.string())


def _not_held_out(table: "pa.Table", judged_on: str, plan: Plan, key: str | None, objects: "ObjectStore") -> Column:
    """Tell which rows may be learned from: those before the held-out time, or those that are none of the held-out rows."""
    times = time_seconds(table, plan.time)
    if times is not None and plan.holdout_start is not None:
        return np.asarray(times * 1e6 < plan.holdout_start)
    judged = data.snapshots.read_snapshot(objects, judged_on)
    judged = judged.filter(judged.column(plan.target).is_valid())
    judged = judged.take(order_of(judged, plan)[plan.validation :])
    by_key = key if key in table.column_names and key in judged.column_names else None
    held_out = set(_fingerprints(judged, plan, by_key))
    return np.array([row not in held_out for row in _fingerprints(table, plan, by_key)], bool)


def _fingerprints(table: "pa.Table", plan: Plan, key: str | None) -> Iterator[tuple[Any, ...]]:
    """Go through the rows as what tells one from another: the key, or all that the model sees and the answer."""
    if key is not None:
        return zip(_as_text(table.column(key)).to_pylist(), strict=True)
    columns = [column.tolist() for column in data.fields.to_columns(table, plan.fields).values()]
    columns.append(_as_text(table.column(plan.target)).to_pylist())
    return zip(*([None if value != value else value for value in column] for column in columns), strict=True)


def _has_known_label(table: "pa.Table", plan: Plan) -> Column:
    if plan.task is Task.REGRESSION:
        return np.ones(table.num_rows, bool)
    encoded: Any = table.column(plan.target).combine_chunks().dictionary_encode()
    known = np.array([label in plan.classes for label in encoded.dictionary.to_pylist()] or [False])
    return np.asarray(known[np.asarray(encoded.indices)]) if table.num_rows else np.zeros(0, bool)


@step
def judge(variants: Sequence[Variant], answers: Sequence[Answers], study: Impact, plan: Plan, metrics: Sequence[str]) -> Impact:
    """Measure every variant on the held-out rows, all and in groups, and its difference to the first, on the same rows."""
    held = load_rows(current().objects, study.judged_on, plan).part(plan.validation, plan.rows)

    def given(answer: Answers) -> GroupedAnswers:
        return GroupedAnswers(plan.task, plan.classes, held.y, answer.predictions, answer.scores, held.slices)

    found = []
    for variant, answer in zip(variants, answers, strict=True):
        effects = tuple(_effects(given(answer), metrics, plan.seed, None if answer is answers[0] else given(answers[0])))
        found.append(
            VariantImpact(
                variant=variant, rows=answer.rows, held_out=answer.held_out, unknown=answer.unknown, lacking=answer.lacking,
                estimator=answer.estimator, seconds=answer.seconds, effects=effects,
            )
        )  # fmt: skip
    return msgspec.structs.replace(study, variants=tuple(found), holdout=len(held.y))


def _effects(given: GroupedAnswers, metrics: Sequence[str], seed: int, first: GroupedAnswers | None) -> Iterator[Effect]:
    everything = np.arange(len(given.y))
    for metric in metrics:
        yield _effect(given, first, Effect(metric=metric, rows=len(everything)), everything, seed)
    usual = next((name for name in metrics if name == USUAL[given.task]), metrics[0])
    for by, groups in given.slices.items():
        for group, rows in largest_groups(groups):
            effect = Effect(metric=usual, by=by, group=group, rows=len(rows))
            enough = large_enough(given, rows, METRICS[usual].needs_scores)
            yield _effect(given, first, effect, rows, seed) if enough else effect


def _effect(given: GroupedAnswers, first: GroupedAnswers | None, effect: Effect, rows: Column, seed: int) -> Effect:
    """Measure some rows, and their difference to what the first variant's model answered."""
    new = given.part(rows)
    own = interval(effect.metric, new.task, new.y, new.predictions, new.scores, new.classes, draws=DRAWS, seed=seed)
    measured = {"value": finite(own.value), "low": finite(own.low), "high": finite(own.high)}
    if first is not None:
        found = compare(effect.metric, new.task, new.y, first.part(rows), new, classes=new.classes, draws=DRAWS, seed=seed)
        limits = {"difference_low": finite(found.low), "difference_high": finite(found.high)}
        measured |= {"difference": finite(found.difference), **limits}
    return msgspec.structs.replace(effect, **measured)


@pipeline
def impact_study(
    variants: Sequence[Variant],
    study: Impact,
    plan: Plan,
    key: str | None,
    function: ModelFunction,
    metrics: Sequence[str],
) -> Any:
    """Learn from every variant, judge all on the same rows; what was learned before is not learned again."""
    answers = [learn(variant, study.judged_on, plan, key, function, study.parameters) for variant in variants]
    return judge(variants, answers, study, plan, metrics)


def metrics_for(task: Task, asked: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics to measure: those asked for, or the task's usual ones.

    Raises
    ------
    Invalid
        If the task has no such metric.
    """
    for name in asked:
        if name not in METRICS or task not in METRICS[name].tasks:
            known = ", ".join(sorted(metric for metric, about in METRICS.items() if task in about.tasks))
            raise Invalid(f"{task} models have no metric {name!r}", code="training.metric", hint=f"there is {known}")
    return tuple(dict.fromkeys(asked)) or STANDARD[task]
