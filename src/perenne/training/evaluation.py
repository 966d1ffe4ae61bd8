"""Evaluating what will be served: the packaged, compiled form on rows nobody has learned from, against bounds and champion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perenne import inference
from perenne.core.errors import PerenneError
from perenne.projects import Guardrail, Objective
from perenne.stats.bootstrap import compare, interval
from perenne.stats.columns import Column, Columns, Task, take
from perenne.stats.curves import Curves, curves
from perenne.stats.metrics import METRICS
from perenne.storage.objects import ObjectStore
from perenne.training.checks import GroupedAnswers, check_bound
from perenne.training.contests import hold_contests
from perenne.training.model import BoundCheck, Compared, Evaluation, Measured, Plan, Terms
from perenne.training.rows import load_rows
from perenne.training.slices import measure_slices

STANDARD = {
    Task.BINARY: ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "precision", "recall", "f1"),
    Task.MULTICLASS: ("accuracy", "balanced_accuracy", "f1", "log_loss"),
    Task.REGRESSION: ("rmse", "mae", "r2"),
}
DRAWS = 200
TIMED_ROWS = 512


def evaluate(
    objects: ObjectStore,
    snapshot: str,
    plan: Plan,
    package: Path,
    *,
    objectives: Sequence[Objective],
    guardrails: Sequence[Guardrail],
    seconds: float = 0.5,
) -> Evaluation:
    """Measure a package on the holdout.

    Parameters
    ----------
    package : Path
        The folder of the packaged model.
    seconds : float
        For how long answers are timed, one by one and again in batches, at most; at least one of each is.
    """
    rows = load_rows(objects, snapshot, plan).part(plan.validation, plan.rows)
    predictor = inference.load(package)
    answer = predictor.predict(rows.columns)
    asked = (bound.metric for bound in (*objectives, *guardrails) if bound.metric in METRICS)
    names = [*STANDARD[plan.task], *(name for name in asked if plan.task in METRICS[name].tasks)]
    metrics = tuple(
        Measured(name, *_interval(name, plan, rows.y, answer.predictions, answer.scores)) for name in dict.fromkeys(names)
    )
    timing = inference.time_predictor(predictor, take(rows.columns, slice(0, TIMED_ROWS)), seconds=seconds)
    operational = {"latency_p50_ms": timing.p50_ms, "latency_p99_ms": timing.p99_ms}
    answers = GroupedAnswers(plan.task, plan.classes, rows.y, answer.predictions, answer.scores, rows.slices)
    checks: list[BoundCheck] = []
    for kind, bounds in (("objective", objectives), ("guardrail", guardrails)):
        found = (check_bound(kind, bound, answers, metrics, operational) for bound in bounds)
        checks += [check for check in found if check is not None]
    return Evaluation(
        rows=len(rows.y),
        metrics=metrics,
        checks=tuple(checks),
        parity=predictor.parity.sentence,
        fallback=_typical(plan, rows.y),
        latency_p50_ms=timing.p50_ms,
        latency_p99_ms=timing.p99_ms,
        rows_per_second=timing.rows_per_second,
        size_bytes=sum(path.stat().st_size for path in package.rglob("*") if path.is_file()),
        slices=measure_slices(answers, (*objectives, *guardrails), seed=plan.seed),
        curves=_draw(plan, rows.y, answer),
    )


def holdout(objects: ObjectStore, snapshot: str, plan: Plan) -> Columns:
    """Read the inputs of the rows nobody has learned from."""
    return load_rows(objects, snapshot, plan).part(plan.validation, plan.rows).columns


def _draw(plan: Plan, y: Column, answer: "inference.Prediction") -> Curves:
    """Return the curves of answers; a round does not fail because something cannot be drawn."""
    try:
        return curves(plan.task, y, answer.predictions, answer.scores, plan.classes)
    except (ValueError, ArithmeticError, IndexError) as error:
        return Curves(rows=len(y), missing={"all": f"they could not be drawn: {error}"})


def _typical(plan: Plan, y: Column) -> str | int | float | bool:
    if plan.task is Task.REGRESSION:
        return float(np.median(y))
    return plan.classes[int(np.bincount(y).argmax())]


def _interval(
    name: str, plan: Plan, y: Column, predictions: Column, scores: Column | None
) -> tuple[float | None, float | None, float | None]:
    found = interval(name, plan.task, y, predictions, scores, plan.classes, draws=DRAWS, seed=plan.seed)
    return finite(found.value), finite(found.low), finite(found.high)


def finite(value: float | None) -> float | None:
    """Return a figure, or None where there is none: JSON holds no NaN."""
    return None if value is None or not np.isfinite(value) else float(value)


def compare_packages(
    objects: ObjectStore,
    snapshot: str,
    plan: Plan,
    challenger: Path,
    champion: Path,
    metric: str,
    terms: Terms | None = None,
) -> Compared:
    """Let challenger and champion answer the same holdout; where the champion cannot, say why instead of guessing.

    Parameters
    ----------
    terms : Terms, optional
        What the challenger has to show; nothing is tested if not given.
    """
    rows = load_rows(objects, snapshot, plan).part(plan.validation, plan.rows)
    try:
        predictor = inference.load(champion)
    except PerenneError as error:
        return _uncompared(metric, f"the champion cannot be loaded: {error.message}")
    signature = predictor.signature
    lacking = sorted(field.name for field in signature.fields if field.name not in rows.columns)
    if lacking:
        return _uncompared(metric, f"the data no longer has the champion's input {lacking[0]!r}")
    if signature.task is not plan.task or tuple(signature.classes) != plan.classes:
        return _uncompared(metric, "champion and challenger answer different questions")
    before, after = predictor.predict(rows.columns), inference.load(challenger).predict(rows.columns)
    found = compare(metric, plan.task, rows.y, before, after, classes=plan.classes, draws=5 * DRAWS, seed=plan.seed)
    return Compared(
        metric=metric,
        champion=finite(found.champion),
        challenger=finite(found.challenger),
        difference=finite(found.difference),
        low=finite(found.low),
        high=finite(found.high),
        p_superior=finite(found.p_superior),
        rows=found.rows,
        curves=_draw(plan, rows.y, before),
        contests=hold_contests(objects, snapshot, plan, rows, (before, after), metric, terms) if terms else (),
    )


def _uncompared(metric: str, reason: str) -> Compared:
    return Compared(metric, None, None, None, None, None, None, 0, reason)
