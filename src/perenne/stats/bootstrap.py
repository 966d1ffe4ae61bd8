"""How far a metric would move with other rows of the same kind: the bootstrap over rows, or over groups of rows."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Task
from perenne.stats.metrics import METRICS, prepare


class Interval(msgspec.Struct, frozen=True):
    """A value and the limits between which it lies with the stated confidence; NaN where undefined."""

    value: float
    low: float
    high: float


class Comparison(msgspec.Struct, frozen=True):
    """A challenger against a champion, on the same rows.

    Attributes
    ----------
    champion, challenger : float
        The metric of either.
    difference, low, high : float
        Above 0 the challenger is better, whichever way the metric runs; with two-sided limits.
    p_superior : float
        p-value against "the challenger is not better"; small speaks for the challenger.
    p_worse : float
        p-value against "the challenger is not worse"; small speaks against it.
    p_non_inferior : float
        p-value against "the challenger is worse by the margin or more"; small lets it pass as no worse.
    rows : int
    """

    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    p_superior: float
    p_worse: float
    p_non_inferior: float
    rows: int


class Answered(Protocol):
    """What a model said, such as `perenne.inference.Prediction`."""

    @property
    def predictions(self) -> NDArray[Any]:
        """Places in the classes, or numbers."""
        ...

    @property
    def scores(self) -> NDArray[Any] | None:
        """Scores (rows, classes), or None."""
        ...


def interval(
    name: str,
    task: Task,
    y: NDArray[Any],
    predictions: NDArray[Any],
    scores: NDArray[np.floating] | None = None,
    classes: Sequence[object] | int = 0,
    *,
    draws: int = 200,
    seed: int = 0,
    level: float = 0.95,
    groups: NDArray[Any] | None = None,
) -> Interval:
    """Return a metric with its percentile bootstrap interval.

    Parameters
    ----------
    name, task, y, predictions, scores, classes
        As for `perenne.stats.metrics.evaluate`.
    draws, seed : int
    level : float
        Confidence, two-sided.
    groups : array (rows,) or None
        Rows of one group (a day, a person) are drawn together.
    """
    metric = prepare(name, task, y, predictions, scores, classes)
    value = metric(np.ones(len(y)))
    drawn = np.array([metric(weights) for weights in _draws(len(y), draws, seed, groups)])
    return Interval(value, *_limits(drawn, level))


def compare(
    name: str,
    task: Task,
    y: NDArray[Any],
    champion: Answered,
    challenger: Answered,
    *,
    classes: Sequence[object] | int = 0,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    margin: float = 0.0,
    groups: NDArray[Any] | None = None,
) -> Comparison:
    """Compare two models on the same rows by the paired bootstrap.

    Parameters
    ----------
    name, task, y, classes, draws, seed, level, groups
        As for `interval`.
    champion, challenger : Answered
        Their answers to these rows.
    margin : float
        By how much the challenger may be worse and still pass as non-inferior, in units of the metric.
    """
    old, new, drawn = differences(name, task, y, champion, challenger, classes=classes, draws=draws, seed=seed, groups=groups)
    sign = 1.0 if METRICS[name].better == "higher" else -1.0
    low, high = _limits(drawn, level)
    return Comparison(
        champion=old,
        challenger=new,
        difference=sign * (new - old),
        low=low,
        high=high,
        p_superior=_p(drawn <= 0, drawn),
        p_worse=_p(drawn >= 0, drawn),
        p_non_inferior=_p(drawn <= -margin, drawn),
        rows=len(y),
    )


def differences(
    name: str,
    task: Task,
    y: NDArray[Any],
    champion: Answered,
    challenger: Answered,
    *,
    classes: Sequence[object] | int = 0,
    draws: int = 1000,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> tuple[float, float, NDArray[np.float64]]:
    """Return a metric of champion and challenger, and their difference under rows drawn anew, in the challenger's favour.

    Parameters
    ----------
    name, task, y, champion, challenger, classes, draws, seed, groups
        As for `compare`.
    """
    sign = 1.0 if METRICS[name].better == "higher" else -1.0
    first = prepare(name, task, y, champion.predictions, champion.scores, classes)
    second = prepare(name, task, y, challenger.predictions, challenger.scores, classes)
    ones = np.ones(len(y))
    drawn = np.array([sign * (second(weights) - first(weights)) for weights in _draws(len(y), draws, seed, groups)])
    return first(ones), second(ones), drawn


def _draws(rows: int, draws: int, seed: int, groups: NDArray[Any] | None) -> Iterator[NDArray[np.float64]]:
    """Yield how often each row is drawn."""
    rng = np.random.default_rng(seed)
    member = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(member.max(initial=-1)) + 1
    for _ in range(draws if count else 0):
        weights = np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64)
        yield weights if groups is None else weights[member]


def _limits(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Percentiles of the draws; NaN if the metric is undefined in more than half of them."""
    known = drawn[~np.isnan(drawn)]
    if not len(known) or 2 * len(known) < len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _p(against: NDArray[np.bool_], drawn: NDArray[np.float64]) -> float:
    known = ~np.isnan(drawn)
    if 2 * known.sum() <= len(drawn):
        return 1.0
    return float((1 + (against & known).sum()) / (1 + known.sum()))
