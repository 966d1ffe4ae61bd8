"""Tests of two rows of counts over cells in order of value, each with its p by the limit law.

`reference` and `window` are counts of one feature, (cells,). Values in one cell are ties.
"""

import numpy as np
from numpy.typing import NDArray

from perenne.stats.distances import Counts, cumulative

Floats = NDArray[np.float64]

_TERMS = np.arange(0, 12)


def cramer_von_mises(reference: Counts, window: Counts) -> tuple[float, float]:
    """Return `nm/(n+m) sum (F-G)^2 w`, w the pooled share of the cell, and its p."""
    n, m, gap, weight, _ = _gaps(reference, window)
    if not n or not m:
        return 0.0, 1.0
    value = float(n * m / (n + m) * (gap**2 * weight).sum())
    return value, cramer_von_mises_p(value)


def anderson_darling(reference: Counts, window: Counts) -> tuple[float, float]:
    """Return `nm/(n+m) sum (F-G)^2 w / (H (1-H))`, H the pooled distribution function, and its p."""
    n, m, gap, weight, pooled = _gaps(reference, window)
    if not n or not m:
        return 0.0, 1.0
    inner = (pooled > 0) & (pooled < 1)
    value = float(n * m / (n + m) * (gap[inner] ** 2 * weight[inner] / (pooled[inner] * (1 - pooled[inner]))).sum())
    return value, anderson_darling_p(value)


def _gaps(reference: Counts, window: Counts) -> tuple[float, float, Floats, Floats, Floats]:
    n, m = float(reference.sum()), float(window.sum())
    together = (reference + window) / max(n + m, 1)
    return n, m, cumulative(reference) - cumulative(window), np.asarray(together), np.minimum(np.cumsum(together), 1.0)


def cramer_von_mises_p(value: float) -> float:
    """Return the upper tail of the limit law of Cramér and von Mises (Anderson and Darling, 1952, equation 4.35).

    >>> round(cramer_von_mises_p(0.46136), 4), round(cramer_von_mises_p(0.74346), 4)
    (0.05, 0.01)
    """
    from scipy.special import gammaln, kve

    if value < 0.01 or value > 8:  # beyond 8 the tail is below 1e-14, and the series needs more terms
        return float(value < 1)
    place = (4 * _TERMS + 1) ** 2 / (16 * value)
    weight = np.exp(gammaln(_TERMS + 0.5) - gammaln(0.5) - gammaln(_TERMS + 1.0) - 2 * place) * np.sqrt(4 * _TERMS + 1.0)
    below = float((weight * kve(0.25, place)).sum() / (np.pi * np.sqrt(value)))
    return min(1.0, max(0.0, 1 - below))


def anderson_darling_p(value: float) -> float:
    """Return the upper tail of the limit law of Anderson and Darling, by the approximation of Marsaglia and Marsaglia (2004).

    >>> round(anderson_darling_p(2.492), 3), round(anderson_darling_p(3.857), 3)
    (0.05, 0.01)
    """
    if value <= 0.05:
        return 1.0
    if value < 2:
        series = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
        below = np.exp(-1.2337141 / value) / np.sqrt(value) * np.polynomial.polynomial.polyval(value, series)
    else:
        series = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)
        below = np.exp(-np.exp(np.polynomial.polynomial.polyval(min(value, 30.0), series)))
    return float(min(1.0, max(0.0, 1 - below)))
