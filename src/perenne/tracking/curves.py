"""Thinning a metric for a chart: what an eye would see of a million points is in the least, greatest and last of each column."""

from typing import Any

import msgspec
import numpy as np

from perenne.core.errors import Invalid
from perenne.tracking.chunks import Points

AXES = ("step", "time")


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as a chart draws it, by step or time.

    Attributes
    ----------
    count : int
        How many points there are between `start` and `end`.
    start, end : int
        The least and greatest step or time of them.
    exact : bool
        Whether every point is there: then `least`, `greatest` and `last` are the same.
    at : list of int
        Where the last point of each bucket lies; empty buckets are left out.
    least, greatest, last : list of float or None
        Of the values in each bucket; None if none of them is a number.
    """

    count: int
    start: int
    end: int
    exact: bool
    at: list[int]
    least: list[float | None]
    greatest: list[float | None]
    last: list[float | None]


def curve(points: Points, buckets: int, *, by: str = "step", start: int | None = None, end: int | None = None) -> Curve:
    """Thin points, which come in the order of their steps.

    Raises
    ------
    Invalid
        If `by` is neither step nor time, or there is no bucket.

    >>> from perenne.tracking.chunks import points_of
    >>> thin = curve(points_of(range(6), range(6), [3.0, 1.0, 2.0, 9.0, 7.0, 8.0]), 2)
    >>> thin.at, thin.least, thin.greatest, thin.last
    ([2, 5], [1.0, 7.0], [3.0, 9.0], [2.0, 8.0])
    """
    if by not in AXES or buckets < 1:
        raise Invalid(
            f"a curve by {by[:40]!r} with {buckets} buckets", code="curve.axis", hint="by step or time, with at least 1"
        )
    at = points.step if by == "step" else points.time
    if by == "time":
        order = np.argsort(at, kind="stable")
        points, at = points.of(order), at[order]
    chosen = slice(
        0 if start is None else int(np.searchsorted(at, start, "left")),
        len(at) if end is None else int(np.searchsorted(at, end, "right")),
    )
    at, value = at[chosen], points.value[chosen]
    if not len(at):
        return Curve(count=0, start=start or 0, end=end or 0, exact=True, at=[], least=[], greatest=[], last=[])
    exact = len(at) <= buckets
    firsts = np.arange(len(at)) if exact else _firsts(at, buckets, start, end)
    lasts = np.append(firsts[1:], len(at)) - 1
    return Curve(
        count=len(at),
        start=int(at[0]),
        end=int(at[-1]),
        exact=exact,
        at=at[lasts].tolist(),
        least=_told(np.fmin.reduceat(value, firsts)),
        greatest=_told(np.fmax.reduceat(value, firsts)),
        last=_told(value[lasts]),
    )


def _firsts(at: Any, buckets: int, start: int | None, end: int | None) -> Any:
    """Return where each bucket that is not empty begins."""
    low = int(at[0]) if start is None else start
    high = int(at[-1]) if end is None else end
    bucket = np.minimum((at.astype(np.float64) - low) * (buckets / max(high - low, 1)), buckets - 1).astype(np.int64)
    return np.concatenate([[0], np.flatnonzero(bucket[1:] != bucket[:-1]) + 1])


def _told(values: Any) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
