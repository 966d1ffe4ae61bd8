"""Statistics of two sides that need a count, a mean and a variance, or two shares."""

import msgspec
import numpy as np

from perenne.stats.layout import FIXED


class Moments(msgspec.Struct, frozen=True):
    """How many values, their mean, and the sum of their squared distances from it."""

    rows: int
    mean: float
    scatter: float

    @classmethod
    def of(cls, rows: int, first: int, second: int) -> "Moments":
        """Read the sums of x and x^2 that a profile keeps, in multiples of 1/65,536."""
        if not rows:
            return cls(0, 0.0, 0.0)
        total, squares = first / FIXED, second / FIXED
        return cls(rows, total / rows, max(0.0, squares - total * total / rows))

    @property
    def variance(self) -> float:
        """The unbiased variance; 0 of fewer than two rows."""
        return self.scatter / (self.rows - 1) if self.rows > 1 else 0.0

    @property
    def deviation(self) -> float:
        """The square root of the variance."""
        return float(self.variance**0.5)


def t_test(reference: Moments, window: Moments) -> tuple[float, float]:
    """Return Welch's t of the means and its two-sided p; 0 and 1 if nothing varies.

    >>> value, p = t_test(Moments(50, 0.0, 49.0), Moments(40, 0.5, 39.0))
    >>> round(value, 3), round(p, 4)
    (2.357, 0.0208)
    """
    from scipy.special import stdtr

    parts = [side.variance / side.rows if side.rows else 0.0 for side in (reference, window)]
    if min(reference.rows, window.rows) < 2 or not sum(parts):
        return 0.0, 1.0
    value = (window.mean - reference.mean) / sum(parts) ** 0.5
    freedom = sum(parts) ** 2 / sum(part**2 / (side.rows - 1) for part, side in zip(parts, (reference, window), strict=True))
    return value, float(2 * stdtr(freedom, -abs(value)))


def mean_difference(reference: Moments, window: Moments) -> float:
    """Return the difference of the means in the reference's deviations (in its spread, if the reference does not vary)."""
    return (window.mean - reference.mean) / (reference.deviation or 1.0) if window.rows and reference.rows else 0.0


def variance_ratio(reference: Moments, window: Moments) -> tuple[float, float]:
    """Return the window's variance over the reference's, and the two-sided p by the F law (of normal values)."""
    from scipy.special import fdtr, fdtrc

    if min(reference.rows, window.rows) < 2 or not reference.variance:
        return (1.0, 1.0) if not window.variance else (float("inf"), 0.0)
    value = window.variance / reference.variance
    freedom = window.rows - 1, reference.rows - 1
    return value, float(min(1.0, 2 * min(fdtr(*freedom, value), fdtrc(*freedom, value))))


def z_share(held: int, rows: int, held_window: int, rows_window: int) -> tuple[float, float]:
    """Return the z of two shares, with their pooled variance, and its two-sided p.

    >>> value, p = z_share(50, 100, 70, 100)
    >>> round(value, 3), round(p, 4)
    (2.887, 0.0039)
    """
    from scipy.special import ndtr

    if not rows or not rows_window:
        return 0.0, 1.0
    pooled = (held + held_window) / (rows + rows_window)
    spread = pooled * (1 - pooled) * (1 / rows + 1 / rows_window)
    value = (held_window / rows_window - held / rows) / spread**0.5 if spread > 0 else 0.0
    return float(value), float(2 * ndtr(-abs(value)))


def share_rise(held: int, rows: int, held_window: int, rows_window: int) -> tuple[float, float]:
    """Return by how much a share rose, and the two-sided p of its z."""
    if not rows or not rows_window:
        return 0.0, 1.0
    return held_window / rows_window - held / rows, z_share(held, rows, held_window, rows_window)[1]


def fisher_exact(held: int, rows: int, held_window: int, rows_window: int) -> tuple[float, float]:
    """Return the odds ratio of two shares, window over reference, and Fisher's exact two-sided p."""
    from scipy.stats import fisher_exact as exact

    found = exact(np.array([[held_window, rows_window - held_window], [held, rows - held]]))
    return float(found.statistic), float(found.pvalue)
