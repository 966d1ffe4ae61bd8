"""Holding one bound against the answers on some rows: overall, or in every group that is large enough to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perenne.projects import Guardrail, Objective
from perenne.stats import fairness
from perenne.stats.columns import Column, Columns, Task
from perenne.stats.metrics import METRICS, evaluate
from perenne.training.model import BoundCheck, Measured

MIN_GROUP_ROWS = 30
MIN_GROUP_CLASS_ROWS = 10


@dataclass(frozen=True)
class GroupedAnswers:
    """What a model answered, what was right, and the columns that group the rows."""

    task: Task
    classes: tuple[Any, ...]
    y: Column
    predictions: Column
    scores: Column | None
    slices: Columns

    def part(self, rows: Column) -> "GroupedAnswers":
        """Return the answers to some rows, without groups."""
        scores = None if self.scores is None else self.scores[rows]
        return GroupedAnswers(self.task, self.classes, self.y[rows], self.predictions[rows], scores, {})


def check_bound(
    kind: str,
    bound: Objective | Guardrail,
    answers: GroupedAnswers,
    metrics: Sequence[Measured],
    operational: Mapping[str, float],
) -> BoundCheck | None:
    """Hold a bound against answers; None for a metric that only a running deployment has."""
    check = f"{kind}: {bound}"
    if bound.operational:
        if bound.metric not in operational:
            return None
        value = operational[bound.metric]
        return BoundCheck(kind, check, value, None, None, bound.limit, bound.met(value), "measured on the packaged form")
    if bound.metric in fairness.measures():
        return _fairness(kind, check, bound, answers)
    if bound.metric not in METRICS or answers.task not in METRICS[bound.metric].tasks:
        return BoundCheck(kind, check, None, None, None, bound.limit, None, f"{answers.task} models have no {bound.metric}")
    if bound.by is None:
        found = next(item for item in metrics if item.metric == bound.metric)
        detail = f"95 % interval {found.low:.4g} to {found.high:.4g}" if found.low is not None and found.high is not None else ""
        return BoundCheck(kind, check, found.value, found.low, found.high, bound.limit, bound.met(found.value), detail)
    return _worst_group(kind, check, bound, answers)


def _worst_group(kind: str, check: str, bound: Objective | Guardrail, answers: GroupedAnswers) -> BoundCheck:
    groups = answers.slices[bound.by or ""]
    values: list[tuple[float, str, int]] = []
    skipped = 0
    for level in sorted({value for value in groups if value is not None}):
        rows = np.flatnonzero(groups == level)
        if not large_enough(answers, rows, METRICS[bound.metric].needs_scores):
            skipped += 1
            continue
        scores = None if answers.scores is None else answers.scores[rows]
        value = evaluate(bound.metric, answers.task, answers.y[rows], answers.predictions[rows], scores, answers.classes)
        if np.isfinite(value):
            values.append((float(value), level, len(rows)))
    if not values:
        return BoundCheck(kind, check, None, None, None, bound.limit, None, f"no group of {bound.by} has enough rows")
    value, level, count = min(values) if bound.at_least is not None else max(values)
    detail = f"worst: {level} with {value:.4g} on {count} rows; {len(values)} groups"
    if skipped:
        detail += f", {skipped} too small to tell"
    return BoundCheck(kind, check, value, None, None, bound.limit, bound.met(value), detail)


def large_enough(answers: GroupedAnswers, rows: Column, by_scores: bool) -> bool:
    """Tell whether a group can be judged: enough rows, and for a metric of scores a few of each class."""
    if len(rows) < MIN_GROUP_ROWS:
        return False
    if not by_scores:
        return True
    present = np.bincount(answers.y[rows], minlength=len(answers.classes))
    return bool(present[present > 0].min() >= MIN_GROUP_CLASS_ROWS and np.count_nonzero(present) > 1)


def _fairness(kind: str, check: str, bound: Objective | Guardrail, answers: GroupedAnswers) -> BoundCheck:
    if bound.by is None:
        return BoundCheck(kind, check, None, None, None, bound.limit, None, f"{bound.metric} needs by=, the column of the groups")
    if answers.task is not Task.BINARY:
        return BoundCheck(kind, check, None, None, None, bound.limit, None, f"{bound.metric} is defined for two classes")
    counts = fairness.count_groups(answers.slices[bound.by], answers.predictions, answers.scores, answers.y)
    found = fairness.disparity_interval(bound.metric, counts)
    if found is None:
        return BoundCheck(kind, check, None, None, None, bound.limit, None, f"no two groups of {bound.by} have enough rows")
    detail = f"{len(counts)} groups of {bound.by}; 95 % interval {found.low:.4g} to {found.high:.4g}"
    return BoundCheck(kind, check, found.value, found.low, found.high, bound.limit, bound.met(found.value), detail)
