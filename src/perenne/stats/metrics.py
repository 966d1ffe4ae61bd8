"""Metrics of a model's answers: each is prepared once for some rows, then read off under any row weights (for the bootstrap)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats.columns import Task

Floats: TypeAlias = NDArray[np.float64]
Weighted: TypeAlias = Callable[[Floats], float]
"""From one weight for each row to the metric; NaN if it is undefined."""

_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said about rows whose truth is known.

    Attributes
    ----------
    y, predictions : int64 (rows,) places in the classes, or float64 (rows,) for regression
    scores : float64 (rows, classes) or None
    classes : int
        How many classes there are; 0 for regression. The positive class is the last of two.
    """

    y: NDArray[Any]
    predictions: NDArray[Any]
    scores: Floats | None
    classes: int


@dataclass(frozen=True)
class Metric:
    """A metric by name.

    Attributes
    ----------
    name : str
    tasks : frozenset of Task
        For which it is defined.
    better : str
        `higher` or `lower`.
    ideal : float or None
        Its best value; None if there is none, as for a selection rate.
    prepare : callable
        From `Answers` to the metric as a function of row weights.
    needs_scores : bool
    """

    name: str
    tasks: frozenset[Task]
    better: Literal["higher", "lower"]
    ideal: float | None
    prepare: Callable[[Answers], Weighted]
    needs_scores: bool = False


def evaluate(
    name: str,
    task: Task,
    y: NDArray[Any],
    predictions: NDArray[Any],
    scores: NDArray[np.floating] | None = None,
    classes: Sequence[object] | int = 0,
) -> float:
    """Return a metric over rows; NaN where it is undefined, such as a ROC area with one class only.

    Parameters
    ----------
    name : str
        One of `METRICS`.
    task : Task
    y, predictions : array (rows,)
        Places in the classes, or numbers for regression.
    scores : float array (rows, classes) or None
    classes : sequence or int
        The classes or their number; taken from the scores or the largest place if 0.

    Raises
    ------
    Invalid
        If there is no such metric for the task.

    >>> evaluate("accuracy", Task.BINARY, np.array([0, 1, 1]), np.array([0, 1, 0]))
    0.666...
    """
    weighted = prepare(name, task, y, predictions, scores, classes)
    return weighted(np.ones(len(y)))


def prepare(
    name: str,
    task: Task,
    y: NDArray[Any],
    predictions: NDArray[Any],
    scores: NDArray[np.floating] | None = None,
    classes: Sequence[object] | int = 0,
) -> Weighted:
    """Return a metric over rows as a function of row weights; parameters as for `evaluate`."""
    metric = METRICS.get(name)
    if metric is None or task not in metric.tasks:
        known = ", ".join(sorted(name for name, metric in METRICS.items() if task in metric.tasks))
        raise Invalid(f"there is no metric '{name}' for {task} models", code="metric.unknown", hint=f"one of: {known}")
    if not len(y) or (metric.needs_scores and scores is None):
        return lambda weights: _NAN
    if task is Task.REGRESSION:
        return metric.prepare(Answers(np.asarray(y, np.float64), np.asarray(predictions, np.float64), None, 0))
    table = None if scores is None else np.asarray(scores, np.float64).reshape(len(y), -1)
    if table is not None and table.shape[1] == 1:
        table = np.column_stack([1 - table[:, 0], table[:, 0]])
    count = classes if isinstance(classes, int) else len(classes)
    count = count or (table.shape[1] if table is not None else 1 + int(max(np.max(y), np.max(predictions))))
    y, predictions = np.asarray(y, np.int64), np.asarray(predictions, np.int64)
    return metric.prepare(Answers(y, predictions, table, 2 if task is Task.BINARY else count))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else _NAN


def _weighted_sum(values: Floats, weights: Floats) -> float:
    # No dot product: for vectors of this size BLAS wakes threads that cost more than they save.
    return float((values * weights).sum())


def _mean_of(values: Floats) -> Weighted:
    return lambda weights: _ratio(_weighted_sum(values, weights), float(weights.sum()))


def _accuracy(given: Answers) -> Weighted:
    return _mean_of((given.y == given.predictions).astype(np.float64))


def _selection_rate(given: Answers) -> Weighted:
    return _mean_of((given.predictions == 1).astype(np.float64))


def _confusion(given: Answers) -> Callable[[Floats], tuple[Floats, Floats, Floats]]:
    """Per class: rows that are right, rows that are of the class, rows answered with the class."""
    count = given.classes
    right = given.y == given.predictions

    def counts(weights: Floats) -> tuple[Floats, Floats, Floats]:
        hits = np.bincount(given.y[right], weights=weights[right], minlength=count)
        actual, answered = (np.bincount(places, weights=weights, minlength=count) for places in (given.y, given.predictions))
        return hits.astype(np.float64), actual.astype(np.float64), answered.astype(np.float64)

    return counts


def _precision(given: Answers) -> Weighted:
    counts = _confusion(given)

    def value(weights: Floats) -> float:
        hits, _, answered = counts(weights)
        return _ratio(hits[1], answered[1])

    return value


def _recall(given: Answers) -> Weighted:
    counts = _confusion(given)

    def value(weights: Floats) -> float:
        hits, actual, _ = counts(weights)
        return _ratio(hits[1], actual[1])

    return value


def _f1(given: Answers) -> Weighted:
    """F1 of the positive class, or the mean over the classes that occur."""
    counts = _confusion(given)
    chosen = slice(1, 2) if given.classes == 2 else slice(None)

    def value(weights: Floats) -> float:
        hits, actual, answered = (column[chosen] for column in counts(weights))
        used = actual + answered > 0
        return float(np.mean(2 * hits[used] / (actual + answered)[used])) if used.any() else _NAN

    return value


def _balanced_accuracy(given: Answers) -> Weighted:
    counts = _confusion(given)

    def value(weights: Floats) -> float:
        hits, actual, _ = counts(weights)
        used = actual > 0
        return float(np.mean(hits[used] / actual[used])) if used.any() else _NAN

    return value


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Rows by falling score, with the last row of each run of equal scores."""

    order: NDArray[np.int64]
    positive: NDArray[np.bool_]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, positive: NDArray[np.bool_], score: Floats) -> "_Ranking":
        order = np.argsort(-score, kind="stable")
        ordered = score[order]
        return cls(order, positive[order], np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1))

    def hits_and_misses(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of positive and of negative rows at or above each distinct score."""
        ordered = weights[self.order]
        hits = np.cumsum(np.where(self.positive, ordered, 0.0))
        return hits[self.ends], (np.cumsum(ordered) - hits)[self.ends]

    def area(self, weights: Floats) -> float:
        """Return the area under the ROC curve: the share of pairs in order, ties half."""
        hits, misses = self.hits_and_misses(weights)
        steps = np.diff(misses, prepend=0.0)
        return _ratio(float((steps * (hits + np.concatenate([[0.0], hits[:-1]]))).sum()) / 2, float(hits[-1] * misses[-1]))


def _roc_auc(given: Answers) -> Weighted:
    assert given.scores is not None
    if np.isnan(given.scores).any():
        return lambda weights: _NAN
    if given.classes == 2:
        return _Ranking.of(given.y == 1, given.scores[:, 1]).area
    rankings = [_Ranking.of(given.y == place, given.scores[:, place]) for place in range(given.classes)]

    def value(weights: Floats) -> float:
        areas = [area for area in (ranking.area(weights) for ranking in rankings) if not np.isnan(area)]
        return float(np.mean(areas)) if areas else _NAN

    return value


def _average_precision(given: Answers) -> Weighted:
    assert given.scores is not None
    if np.isnan(given.scores).any():
        return lambda weights: _NAN
    ranking = _Ranking.of(given.y == 1, given.scores[:, 1])

    def value(weights: Floats) -> float:
        hits, misses = ranking.hits_and_misses(weights)
        answered = hits + misses
        precision = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
        return _ratio(float((np.diff(hits, prepend=0.0) * precision).sum()), float(hits[-1]))

    return value


def _log_loss(given: Answers) -> Weighted:
    assert given.scores is not None
    tiny = np.finfo(np.float64).eps
    return _mean_of(-np.log(np.clip(given.scores[np.arange(len(given.y)), given.y], tiny, 1.0)))


def _brier(given: Answers) -> Weighted:
    assert given.scores is not None
    return _mean_of((given.scores[:, 1] - given.y) ** 2)


def _r2(given: Answers) -> Weighted:
    squares = (given.y - given.predictions) ** 2

    def value(weights: Floats) -> float:
        total = weights.sum()
        if not total > 0:
            return _NAN
        spread = _weighted_sum((given.y - _weighted_sum(given.y, weights) / total) ** 2, weights)
        return 1 - _weighted_sum(squares, weights) / spread if spread > 0 else _NAN

    return value


def _rmse(given: Answers) -> Weighted:
    mean = _mean_of((given.y - given.predictions) ** 2)
    return lambda weights: float(np.sqrt(mean(weights)))


def _mae(given: Answers) -> Weighted:
    return _mean_of(np.abs(given.y - given.predictions))


def _mape(given: Answers) -> Weighted:
    return _mean_of(np.abs(given.y - given.predictions) / np.maximum(np.abs(given.y), np.finfo(np.float64).eps))


def _median_absolute_error(given: Answers) -> Weighted:
    errors = np.abs(given.y - given.predictions)
    order = np.argsort(errors, kind="stable")
    errors = errors[order]

    def value(weights: Floats) -> float:
        below = np.cumsum(weights[order])
        if not below[-1] > 0:
            return _NAN
        middle = below[-1] / 2
        low, high = np.searchsorted(below, middle, "left"), np.searchsorted(below, middle, "right")
        return float((errors[low] + errors[min(high, len(errors) - 1)]) / 2)

    return value


_CLASSES = frozenset({Task.BINARY, Task.MULTICLASS})
_TWO = frozenset({Task.BINARY})
_NUMBER = frozenset({Task.REGRESSION})

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", _CLASSES, "higher", 1.0, _roc_auc, needs_scores=True),
        Metric("average_precision", _TWO, "higher", 1.0, _average_precision, needs_scores=True),
        Metric("accuracy", _CLASSES, "higher", 1.0, _accuracy),
        Metric("balanced_accuracy", _CLASSES, "higher", 1.0, _balanced_accuracy),
        Metric("precision", _TWO, "higher", 1.0, _precision),
        Metric("recall", _TWO, "higher", 1.0, _recall),
        Metric("f1", _CLASSES, "higher", 1.0, _f1),
        Metric("log_loss", _CLASSES, "lower", 0.0, _log_loss, needs_scores=True),
        Metric("brier", _TWO, "lower", 0.0, _brier, needs_scores=True),
        Metric("selection_rate", _TWO, "higher", None, _selection_rate),
        Metric("r2", _NUMBER, "higher", 1.0, _r2),
        Metric("mae", _NUMBER, "lower", 0.0, _mae),
        Metric("rmse", _NUMBER, "lower", 0.0, _rmse),
        Metric("mape", _NUMBER, "lower", 0.0, _mape),
        Metric("median_absolute_error", _NUMBER, "lower", 0.0, _median_absolute_error),
    )
}
"""Every metric by name, in the order in which they are shown."""
