"""Distances and tests between two rows of counts over the same cells; the last axis is the cells, any before it are features.

`reference` and `window` are counts, not shares. Natural logarithms throughout.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts: TypeAlias = NDArray[np.integer] | NDArray[np.floating]
Floats: TypeAlias = NDArray[np.float64]

_SMOOTHING = 0.5
_KOLMOGOROV_TERMS = np.arange(1, 101)


def shares(counts: Counts) -> Floats:
    """Return counts as shares of their sum; zeros if there are none."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0))


def cumulative(counts: Counts) -> Floats:
    """Return the share of rows up to each cell: exactly 1 from the last row on, so that far, empty cells add nothing."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(np.cumsum(counts, axis=-1), total, out=np.zeros(counts.shape), where=total > 0))


def js_divergence(reference: Counts, window: Counts) -> Floats:
    """Return the Jensen-Shannon divergence, 0 to ln 2; 0 if either side is empty."""
    p, q = shares(reference), shares(window)
    middle = (p + q) / 2
    both = (reference.sum(axis=-1) > 0) & (window.sum(axis=-1) > 0)
    return np.where(both, (_relative(p, middle) + _relative(q, middle)) / 2, 0.0)


def js_distance(reference: Counts, window: Counts) -> Floats:
    """Return the square root of the Jensen-Shannon divergence, as SciPy does."""
    return np.sqrt(np.maximum(0, js_divergence(reference, window)))


def js_excess(reference: Counts, window: Counts) -> Floats:
    """Return the Jensen-Shannon divergence less its expected value under no change, `(k - 1)/8 (1/n + 1/m)`."""
    n, m = reference.sum(axis=-1), window.sum(axis=-1)
    cells = ((reference > 0) | (window > 0)).sum(axis=-1)
    both = (n > 0) & (m > 0)
    bias = np.where(both, (cells - 1) / 8 * (1 / np.maximum(n, 1) + 1 / np.maximum(m, 1)), 0.0)
    return np.asarray(js_divergence(reference, window) - bias)


def _relative(p: Floats, q: Floats) -> Floats:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log(ratio)).sum(axis=-1))


def ks(reference: Counts, window: Counts) -> Floats:
    """Return Kolmogorov's D, the largest difference of the distribution functions; cells must be in order of value."""
    both = (reference.sum(axis=-1) > 0) & (window.sum(axis=-1) > 0)
    distance = np.abs(cumulative(reference) - cumulative(window)).max(axis=-1, initial=0.0)
    return np.where(both, distance, 0.0)


def ks_p(distance: ArrayLike, n: ArrayLike, m: ArrayLike) -> Floats:
    """Return the two-sided p of D for n and m rows, by Kolmogorov's limit law."""
    n, m = np.asarray(n, np.float64), np.asarray(m, np.float64)
    scaled = np.asarray(distance) * np.sqrt(n * m / np.maximum(n + m, 1))
    terms = np.exp(-2.0 * _KOLMOGOROV_TERMS**2 * np.square(scaled)[..., None])
    total = 2 * (np.where(_KOLMOGOROV_TERMS % 2 == 1, 1.0, -1.0) * terms).sum(axis=-1)
    return np.where(scaled < 0.2, 1.0, np.clip(total, 0.0, 1.0))


def rank_sum(reference: Counts, window: Counts) -> tuple[Floats, Floats]:
    """Return the chance that a value of the window is above one of the reference, ties counted half, and the two-sided p.

    Cells must be in order of value. The p is that of the normal limit, with the variance corrected for ties (Mann and Whitney);
    0.5 and 1 if a side has no rows.
    """
    from scipy.special import ndtr

    n, m = reference.sum(axis=-1).astype(np.float64), window.sum(axis=-1).astype(np.float64)
    both, rows = (n > 0) & (m > 0), n + m
    below = np.cumsum(reference, axis=-1) - reference / 2
    area = np.divide((window * below).sum(axis=-1), n * m, out=np.full(n.shape, 0.5), where=both)
    ties = (reference + window).astype(np.float64)
    tied = (ties**3 - ties).sum(axis=-1) / np.maximum(rows * (rows - 1), 1)
    variance = n * m / 12 * (rows + 1 - tied)
    z = np.divide(np.abs(area - 0.5) * n * m, np.sqrt(np.maximum(variance, 1e-12)), out=np.zeros(n.shape), where=variance > 1e-9)
    return np.asarray(area), np.asarray(2 * ndtr(-z))


def ordered_p(distance: ArrayLike, reference: Counts, window: Counts) -> Floats:
    """Return the p of a difference of two distributions, cells in order: the smaller of Kolmogorov's and of the ranks', doubled.

    Kolmogorov's test sees any difference; that of the ranks sees that values moved, of which it needs half the rows.
    """
    kolmogorov = ks_p(distance, reference.sum(axis=-1), window.sum(axis=-1))
    return np.asarray(np.minimum(1.0, 2 * np.minimum(kolmogorov, rank_sum(reference, window)[1])))


def chi2(reference: Counts, window: Counts) -> tuple[Floats, Floats]:
    """Return Pearson's X^2 and its degrees of freedom; cells with an expected count under 1 are pooled into one."""
    statistic = np.zeros(reference.shape[:-1])
    sides, freedom = _pooled(reference, window)
    for observed, expected in sides:
        parts = np.divide((observed - expected) ** 2, expected, out=np.zeros(expected.shape), where=expected > 0)
        statistic += parts.sum(axis=-1)
    return statistic, freedom


def g_test(reference: Counts, window: Counts) -> tuple[Floats, Floats]:
    """Return the likelihood ratio `2 sum O ln(O/E)` and its degrees of freedom; rare cells are pooled as for `chi2`."""
    statistic = np.zeros(reference.shape[:-1])
    sides, freedom = _pooled(reference, window)
    for observed, expected in sides:
        ratio = np.divide(observed, expected, out=np.ones(expected.shape), where=(expected > 0) & (observed > 0))
        statistic += 2 * (observed * np.log(ratio)).sum(axis=-1)
    return statistic, freedom


def _pooled(reference: Counts, window: Counts) -> tuple[list[tuple[Floats, Floats]], Floats]:
    """Return observed and expected counts of both sides, and the degrees of freedom.

    Cells with an expected count under 1 on either side are emptied into one more cell.
    """
    n, m = reference.sum(axis=-1, keepdims=True), window.sum(axis=-1, keepdims=True)
    together, total = reference + window, np.maximum(n + m, 1)
    sides = [(reference, together * (n / total)), (window, together * (m / total))]
    rare = np.minimum(sides[0][1], sides[1][1]) < 1
    pooled = []
    for observed, expected in sides:
        pool = [np.where(rare, counts, 0).sum(axis=-1, keepdims=True) for counts in (observed, expected)]
        kept = [np.where(rare, 0.0, counts) for counts in (observed, expected)]
        pooled.append((np.concatenate([kept[0], pool[0]], axis=-1), np.concatenate([kept[1], pool[1]], axis=-1)))
    cells = (~rare).sum(axis=-1) + (pooled[0][1][..., -1] > 0)
    return pooled, np.maximum(cells - 1, 0).astype(np.float64)


def chi2_p(statistic: ArrayLike, freedom: ArrayLike) -> Floats:
    """Return the upper tail of the chi-square distribution; 1 without degrees of freedom."""
    from scipy.special import gammaincc

    freedom = np.asarray(freedom, np.float64)
    tail = gammaincc(np.maximum(freedom, 1) / 2, np.asarray(statistic) / 2)
    return np.where(freedom > 0, tail, 1.0)


def psi(reference: Counts, window: Counts) -> Floats:
    """Return the population stability index; 0.5 is added to every count of a cell that either side uses."""
    used = (reference > 0) | (window > 0)
    p, q = shares(np.where(used, reference + _SMOOTHING, 0.0)), shares(np.where(used, window + _SMOOTHING, 0.0))
    ratio = np.divide(p, q, out=np.ones_like(p), where=used)
    return np.asarray(((p - q) * np.log(ratio)).sum(axis=-1))


def kl(reference: Counts, window: Counts) -> Floats:
    """Return the Kullback-Leibler divergence of the window from the reference, `sum Q ln(Q/P)`, smoothed as for `psi`."""
    used = (reference > 0) | (window > 0)
    p, q = (shares(np.where(used, counts + _SMOOTHING, 0.0)) for counts in (reference, window))
    ratio = np.divide(q, p, out=np.ones_like(p), where=used)
    return np.asarray((q * np.log(ratio)).sum(axis=-1))


def hellinger(reference: Counts, window: Counts) -> Floats:
    """Return Hellinger's distance, 0 to 1."""
    overlap = np.sqrt(shares(reference) * shares(window)).sum(axis=-1)
    return np.asarray(np.sqrt(np.clip(1 - overlap, 0, 1)))


def linf(reference: Counts, window: Counts) -> Floats:
    """Return the largest difference of a share."""
    return np.asarray(np.abs(shares(reference) - shares(window)).max(axis=-1, initial=0.0))


def tv(reference: Counts, window: Counts) -> Floats:
    """Return the total variation, half the sum of the differences of shares: 0 to 1."""
    return np.asarray(np.abs(shares(reference) - shares(window)).sum(axis=-1) / 2)


def wasserstein(values: Floats, reference: Counts, window: Counts, scale: float = 1.0) -> float:
    """Return the first Wasserstein distance between counts at `values`, which must rise, in units of `scale`."""
    if not reference.sum() or not window.sum():
        return 0.0
    gap = np.abs(cumulative(reference) - cumulative(window))[:-1]
    return float((gap * np.diff(values)).sum() / scale)
