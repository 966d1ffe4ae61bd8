"""Metrics in groups of the holdout, with intervals: where a model is weak although it is good on the whole."""

from collections.abc import Iterable, Iterator

import numpy as np

from perenne.projects import Guardrail, Objective
from perenne.stats.bootstrap import interval
from perenne.stats.columns import Column, Task
from perenne.stats.metrics import METRICS
from perenne.training.checks import GroupedAnswers, large_enough
from perenne.training.model import SliceMetric

MOST_GROUPS = 30
DRAWS = 200
USUAL = {Task.BINARY: "roc_auc", Task.MULTICLASS: "accuracy", Task.REGRESSION: "mae"}


def measure_slices(answers: GroupedAnswers, bounds: Iterable[Objective | Guardrail], *, seed: int) -> tuple[SliceMetric, ...]:
    """Measure in each group what the bounds look at by it, or else the task's usual metric; at most the 30 largest groups."""
    asked = list(bounds)
    found: list[SliceMetric] = []
    for by, groups in answers.slices.items():
        named = [bound.metric for bound in asked if bound.by == by and bound.metric in METRICS]
        metrics = [name for name in dict.fromkeys(named) if answers.task in METRICS[name].tasks] or [USUAL[answers.task]]
        for group, rows in largest_groups(groups):
            found += [_measure(answers, by, group, rows, metric, seed) for metric in metrics]
    return tuple(found)


def largest_groups(groups: Column) -> Iterator[tuple[str, Column]]:
    """Go through the groups, the largest first, each with the places of its rows."""
    known = np.array([value is not None for value in groups], bool)
    levels, codes = np.unique(groups[known].astype(str), return_inverse=True)
    places, sizes = np.flatnonzero(known), np.bincount(codes, minlength=len(levels))
    for code in np.argsort(-sizes, kind="stable")[:MOST_GROUPS]:
        yield str(levels[code]), places[codes == code]


def _measure(answers: GroupedAnswers, by: str, group: str, rows: Column, metric: str, seed: int) -> SliceMetric:
    if not large_enough(answers, rows, METRICS[metric].needs_scores):
        return SliceMetric(by, group, len(rows), metric)
    scores = None if answers.scores is None else answers.scores[rows]
    y, predictions = answers.y[rows], answers.predictions[rows]
    found = interval(metric, answers.task, y, predictions, scores, answers.classes, draws=DRAWS, seed=seed)
    value, low, high = (float(x) if np.isfinite(x) else None for x in (found.value, found.low, found.high))
    return SliceMetric(by, group, len(rows), metric, value, low, high)
