"""How far labellers agree beyond chance: Cohen's and Fleiss' kappa, Krippendorff's alpha, with intervals over items.

Formulas: J. Cohen, "A coefficient of agreement for nominal scales" (1960); J. L. Fleiss, "Measuring nominal scale agreement among
many raters" (1971); K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), nominal and interval metric.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perenne.stats.bootstrap import Interval

Matrix = NDArray[np.float64]
_AT_ONCE = 4_000_000


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> float:
    """Return Cohen's kappa of two labellers over the items that both labelled; NaN if chance alone would agree.

    Parameters
    ----------
    first, second : array of int, (items,)
        The class that each gave an item, from 0 on; -1 where one gave none.

    >>> round(cohen_kappa([0] * 25 + [1] * 25, [0] * 20 + [1] * 5 + [0] * 10 + [1] * 15), 3)
    0.4
    """
    a, b = np.asarray(first, np.int64), np.asarray(second, np.int64)
    both = (a >= 0) & (b >= 0)
    if not both.any():
        return float("nan")
    return _kappa(_crossed(a[both], b[both]))


def _crossed(a: NDArray[np.int64], b: NDArray[np.int64]) -> Matrix:
    classes = int(max(a.max(), b.max())) + 1
    return np.bincount(a * classes + b, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def _kappa(counts: Matrix) -> float:
    total = counts.sum()
    observed, expected = np.trace(counts) / total, float(counts.sum(0) @ counts.sum(1)) / total**2
    return float("nan") if expected >= 1 - 1e-15 else float((observed - expected) / (1 - expected))


def fleiss_kappa(counts: ArrayLike) -> float:
    """Return Fleiss' kappa; NaN if no item has two opinions, or all are of one class.

    Parameters
    ----------
    counts : array, (items, classes)
        How many labellers gave each item each class. Items with fewer than two opinions are left out; where the number of
        opinions differs, each item's agreement is of its own pairs.
    """
    n = np.asarray(counts, np.float64)
    said = n.sum(1)
    n, said = n[said >= 2], said[said >= 2]
    if not len(n):
        return float("nan")
    observed = float((((n**2).sum(1) - said) / (said * (said - 1))).mean())
    expected = float(((n.sum(0) / n.sum()) ** 2).sum())
    return float("nan") if expected >= 1 - 1e-15 else (observed - expected) / (1 - expected)


def krippendorff_alpha(values: ArrayLike, *, interval: bool = False, draws: int = 0, seed: int = 0) -> Interval:
    """Return Krippendorff's alpha, with a percentile interval of 95 % over resampled items.

    Parameters
    ----------
    values : array of float, (labellers, items)
        NaN where a labeller said nothing. Items with fewer than two values say nothing of agreement and are left out.
    interval : bool
        Whether the values are numbers whose distance counts (squared); else they are names, equal or not.
    draws, seed : int
        How often items are drawn anew; 0 for no limits (NaN). Each draw is of whole items, so that what one item's values have
        to do with each other stays.

    Returns
    -------
    Interval
        NaN where alpha is not defined: no item with two values, or no difference anywhere.
    """
    table = np.asarray(values, np.float64)
    table = table[:, (~np.isnan(table)).sum(0) >= 2]
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    if table.shape[1] == 0:
        return nothing
    unit, total = (_distances if interval else _names)(table)
    whole = _alpha(np.ones((1, table.shape[1])), unit, total, interval=interval)[0]
    if not draws:
        return Interval(float(whole), nothing.low, nothing.high)
    found = _drawn(unit, total, interval=interval, draws=draws, seed=seed)
    found = found[~np.isnan(found)]
    if not len(found):
        return Interval(float(whole), nothing.low, nothing.high)
    low, high = np.percentile(found, (2.5, 97.5))
    return Interval(float(whole), float(low), float(high))


def _names(table: Matrix) -> tuple[Matrix, Matrix]:
    """Return what pairs of each item differ by, over its pairable values less one, and the counts of each value by item."""
    known = np.unique(table[~np.isnan(table)])
    counts = np.stack([(table == value).sum(0) for value in known], axis=1).astype(np.float64)
    said = counts.sum(1)
    return (said**2 - (counts**2).sum(1)) / (said - 1), counts


def _distances(table: Matrix) -> tuple[Matrix, Matrix]:
    """Return the same for squared distances, and number, sum and sum of squares of the values by item."""
    centred = table - np.nanmean(table)
    said = (~np.isnan(table)).sum(0).astype(np.float64)
    sums, squares = np.nansum(centred, 0), np.nansum(centred**2, 0)
    return 2 * (said * squares - sums**2) / (said - 1), np.stack([said, sums, squares], axis=1)


def _alpha(weights: Matrix, unit: Matrix, total: Matrix, *, interval: bool) -> Matrix:
    """Return alpha for each row of weights of the items."""
    observed, sums = weights @ unit, weights @ total
    if interval:
        number = sums[:, 0]
        expected = 2 * (number * sums[:, 2] - sums[:, 1] ** 2)
    else:
        number = sums.sum(1)
        expected = number**2 - (sums**2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha: Matrix = np.where(expected > 1e-12 * number**2, 1 - (number - 1) * observed / expected, np.nan)
    return alpha


def _drawn(unit: Matrix, total: Matrix, *, interval: bool, draws: int, seed: int) -> Matrix:
    random, items = np.random.default_rng(seed), len(unit)
    each = max(1, _AT_ONCE // items)
    found = []
    for start in range(0, draws, each):
        weights = random.multinomial(items, np.full(items, 1 / items), size=min(each, draws - start)).astype(np.float64)
        found.append(_alpha(weights, unit, total, interval=interval))
    return np.concatenate(found)
