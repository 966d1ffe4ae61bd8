"""Holding a challenger against a champion on the same rows, as its terms ask: all rows, older and newer ones, and groups."""

from typing import Any

import numpy as np

from perenne import data
from perenne.core.errors import Invalid
from perenne.inference import Prediction
from perenne.stats.bootstrap import differences
from perenne.stats.columns import Column, Task
from perenne.stats.metrics import METRICS
from perenne.stats.promotion import Contest, Demand, by_counts, by_draws
from perenne.storage.objects import ObjectStore
from perenne.training.checks import MIN_GROUP_CLASS_ROWS, MIN_GROUP_ROWS
from perenne.training.model import Plan, Terms
from perenne.training.planning import time_seconds
from perenne.training.rows import Rows, order_of
from perenne.training.slices import largest_groups

DRAWS = 1_000
GROUP_DRAWS = 400
SECONDS_A_DAY = 86_400


def hold_contests(
    objects: ObjectStore, snapshot: str, plan: Plan, rows: Rows, answers: tuple[Prediction, Prediction], metric: str, terms: Terms
) -> tuple[Contest, ...]:
    """Hold every contest that the terms ask for.

    Parameters
    ----------
    rows : Rows
        The holdout, in the plan's order.
    answers : tuple
        What champion and challenger say about it.
    metric : str
        What is compared.
    """
    times, clusters = _beside(objects, snapshot, plan, terms)
    ring = _Ring(plan, rows, answers, metric, clusters)
    better = Demand("superior", terms.alpha, terms.min_effect, 0.0, terms.minimum)
    as_good = Demand("non_inferior", terms.alpha, 0.0, terms.margin, terms.minimum)
    everything = np.arange(len(rows.y))
    if terms.mode == "fresh" and times is not None:
        cut = split_at(times, terms.since, max(terms.minimum, len(times) // 10))
        found = [ring.hold("old", everything[:cut], as_good), ring.hold("new", everything[cut:], better)]
    else:
        found = [ring.hold("all", everything, as_good if terms.mode == "non_inferior" else better)]
    guard = Demand("non_inferior", terms.alpha, 0.0, terms.slice_margin)
    return (*found, *(contest for column in terms.slices for contest in ring.groups(column, guard)))


def split_at(times: Column, since: int, least: int) -> int:
    """Return the place where newer rows begin: at an instant, or in the middle where that leaves too few on one side.

    >>> split_at(np.arange(10.0), 7_000_000, 2), split_at(np.arange(10.0), 9_000_000, 2)
    (7, 5)
    """
    cut = int(np.searchsorted(times, since / 1e6, side="left"))
    return cut if least <= cut <= len(times) - least else len(times) // 2


class _Ring:
    """The rows and both answers."""

    def __init__(
        self, plan: Plan, rows: Rows, answers: tuple[Prediction, Prediction], metric: str, clusters: Column | None
    ) -> None:
        self._plan, self._rows, self._metric, self._clusters = plan, rows, metric, clusters
        self._answers = answers

    def hold(self, part: str, places: Column, demand: Demand, draws: int = DRAWS) -> Contest:
        """Test the rows at some places: by counts where answers are right or wrong, else by the paired bootstrap."""
        plan, y = self._plan, self._rows.y[places]
        before, after = (_part(answer, places) for answer in self._answers)
        clusters = None if self._clusters is None else self._clusters[places]
        if self._metric == "accuracy" and clusters is None and plan.task is not Task.REGRESSION:
            right, righter = before.predictions == y, after.predictions == y
            wins, losses = int((righter & ~right).sum()), int((right & ~righter).sum())
            return by_counts(len(y), wins, losses, demand, part=part, seed=plan.seed)
        if len(y) < max(1, demand.minimum):
            return by_draws(float("nan"), np.empty(0), len(y), demand, part=part)
        old, new, drawn = differences(
            self._metric, plan.task, y, before, after, classes=plan.classes, draws=draws, seed=plan.seed, groups=clusters
        )
        sign = 1.0 if METRICS[self._metric].better == "higher" else -1.0
        test = "paired bootstrap" if clusters is None else "block bootstrap"
        return by_draws(sign * (new - old), drawn, len(y), demand, part=part, test=test)

    def groups(self, column: str, demand: Demand) -> list[Contest]:
        """Test each group of a column that is large enough to tell."""
        values = self._rows.slices[column]
        return [
            self.hold(f"{column}={group}", places, demand, GROUP_DRAWS)
            for group, places in largest_groups(values)
            if self._tells(places)
        ]

    def _tells(self, places: Column) -> bool:
        if len(places) < MIN_GROUP_ROWS:
            return False
        if self._plan.task is Task.REGRESSION:
            return True
        counts = np.bincount(self._rows.y[places], minlength=len(self._plan.classes))
        return not METRICS[self._metric].needs_scores or int(counts.min()) >= MIN_GROUP_CLASS_ROWS


def _part(answer: Prediction, places: Column) -> Prediction:
    return Prediction(answer.predictions[places], None if answer.scores is None else answer.scores[places])


def _beside(objects: ObjectStore, snapshot: str, plan: Plan, terms: Terms) -> tuple[Column | None, Column | None]:
    """Read what stands beside the holdout's rows: their times in seconds, and what groups rows that belong together."""
    if terms.mode != "fresh" and not terms.cluster:
        return None, None
    table = data.snapshots.read_snapshot(objects, snapshot)
    table = table.filter(table.column(plan.target).is_valid())
    order = order_of(table, plan)[plan.validation : plan.rows]
    times: Any = time_seconds(table, plan.time)
    times = None if times is None else np.asarray(times)[order]
    if terms.cluster == "day":
        return times, None if times is None else (times // SECONDS_A_DAY).astype(np.int64)
    if terms.cluster:
        if terms.cluster not in table.column_names:
            raise Invalid(
                f"retraining: cluster {terms.cluster!r} is no column of {plan.target}'s rows",
                code="training.cluster",
                hint='name a column, or "day"',
            )
        return times, np.array([str(value) for value in table.column(terms.cluster).to_pylist()])[order]
    return times, None
