"""Deciding what is learned from what: the task, the inputs, the classes, and a split that never looks into the future."""

from typing import TYPE_CHECKING, Any

import numpy as np

from perenne import data
from perenne.core.clock import SECOND
from perenne.core.errors import Invalid
from perenne.projects import Project, RetrainPolicy
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.layout import Watched
from perenne.training.model import LeftOut, Plan, Recipe

if TYPE_CHECKING:
    import pyarrow as pa

MIN_ROWS = 60
VALIDATION_SHARE = 0.2
HOLDOUT_SHARE = 0.2
HOLDOUT_ROWS = 500
CHUNK_LIMITS = (8, 56)
UNTIMED_CHUNKS = 12
HOLDOUT_LIMITS = (0.05, 0.4)


SEED = 20130101


def recipe_of(project: Project) -> Recipe:
    """Return what a project says about the rows and columns of its model."""
    model, policy, said = project.only_model, project.policy or RetrainPolicy(), project.monitoring
    return Recipe(
        dataset=model.dataset.name,
        time=model.dataset.time,
        key=model.dataset.key,
        target=model.target,
        ignore=model.ignore,
        positive=model.positive,
        slices=tuple(
            dict.fromkeys(
                (*(b.by for b in (*project.objectives, *project.guardrails) if b.by and not b.operational), *policy.slices)
            )
        ),
        holdout=policy.holdout,
        window=project.window,
        watched=Watched(said.segments, said.groups, said.clusters, said.lists, said.together),
        seed=SEED,
    )


def make_plan(table: "pa.Table", recipe: Recipe) -> Plan:
    """Plan the training of a model on a table.

    Raises
    ------
    Invalid
        If the target or a slice is not there, the target has one class only, or there are too few rows.
    """
    _require_columns(table, recipe)
    guesses = data.fields.infer_fields(table, target=recipe.target, time=recipe.time, key=recipe.key, exclude=recipe.ignore)
    fields = tuple(Field(guess.name, FieldKind(guess.kind), guess.datatype) for guess in guesses if guess.role == "feature")
    if not fields:
        raise Invalid(
            f"{recipe.dataset}: no column is left to learn from", code="training.no_features", hint="see `perenne data profile`"
        )
    task = data.fields.task_of(table.column(recipe.target))
    labelled = table.filter(table.column(recipe.target).is_valid())
    times = time_seconds(labelled, recipe.time)
    ordered = None if times is None else np.sort(times)
    train, validation = _split(labelled.num_rows, ordered, recipe.holdout)
    return Plan(
        task=task,
        target=recipe.target,
        classes=() if task is Task.REGRESSION else classes_of(labelled.column(recipe.target), recipe.positive),
        fields=fields,
        slices=recipe.slices,
        time=recipe.time or "",
        left_out=tuple(LeftOut(guess.name, guess.reason) for guess in guesses if guess.role == "ignored"),
        rows=labelled.num_rows,
        unlabelled=table.num_rows - labelled.num_rows,
        train=train,
        validation=validation,
        chunks=_chunks(None if ordered is None else (ordered[-1] - ordered[train]) * SECOND, recipe.window),
        holdout_start=None if ordered is None else int(ordered[validation] * SECOND),
        holdout_end=None if ordered is None else int(ordered[-1] * SECOND),
        seed=recipe.seed,
        watched=recipe.watched,
    )


def _require_columns(table: "pa.Table", recipe: Recipe) -> None:
    for name in (recipe.target, *recipe.slices, *([recipe.time] if recipe.time else [])):
        if name not in table.column_names:
            known = ", ".join(table.column_names[:20])
            raise Invalid(f"{recipe.dataset} has no column {name!r}", code="training.column", hint=f"it has {known}")


def _split(rows: int, times: Column | None, holdout: int) -> tuple[int, int]:
    """Return where training rows and validation rows end, among rows in order."""
    if rows < MIN_ROWS:
        raise Invalid(
            f"{rows} rows with a target are too few", code="training.too_few_rows", hint=f"at least {MIN_ROWS} are needed"
        )
    share = HOLDOUT_SHARE
    if times is not None:
        newest = float(np.count_nonzero(times > times[-1] - holdout / SECOND)) / rows
        enough = min(HOLDOUT_ROWS / rows, HOLDOUT_SHARE)
        share = min(max(newest, enough, HOLDOUT_LIMITS[0]), HOLDOUT_LIMITS[1])
    end = rows - max(1, round(rows * share))
    return end - max(1, round(end * VALIDATION_SHARE)), end


def _chunks(span: float | None, window: int) -> int:
    """Return how many windows the reference spans, within the limits in which its spread can be told."""
    if span is None:
        return UNTIMED_CHUNKS
    return int(min(max(round(span / window), CHUNK_LIMITS[0]), CHUNK_LIMITS[1]))


def time_seconds(table: "pa.Table", time: str | None) -> Column | None:
    """Return the time column as float64 seconds, None where there is no time column.

    Raises
    ------
    Invalid
        If a row has no time; the message gives the first one.
    """
    if not time:
        return None
    seconds = data.fields.to_columns(table.select([time]), [Field(time, FieldKind.TIME)])[time]
    empty = np.flatnonzero(np.isnan(seconds))
    if empty.size:
        raise Invalid(
            f"column {time!r} has no time in {empty.size} rows, first in row {empty[0] + 1}",
            code="training.time",
            hint="fill them in, or name another column as time",
        )
    return seconds


def classes_of(column: "pa.ChunkedArray[Any]", positive: str | None) -> tuple[Any, ...]:
    """Return the labels in a fixed order: sorted, the positive one last.

    Raises
    ------
    Invalid
        If there is one class only, or the positive one is not among them.
    """
    labels = sorted(column.unique().drop_null().to_pylist(), key=lambda label: (str(type(label)), label))
    if len(labels) < 2:
        raise Invalid(
            f"the target has one class only: {str(labels[0])[:60] if labels else 'none'}",
            code="data.one_class",
            hint="take rows of more than one class, or another target",
        )
    if positive is not None:
        chosen = [label for label in labels if str(label).lower() == str(positive).lower()]
        if not chosen:
            raise Invalid(
                f"positive={positive!r} is no level of the target", code="training.positive", hint=f"levels: {labels[:10]}"
            )
        labels = [label for label in labels if label not in chosen] + chosen
    return tuple(labels)
