"""The picture of a column, from its profile: cells with counts, and the same in a line of text."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.data.model import ColumnProfile

SKETCH = 30
_FEW = 5
_BLOCKS = "▁▂▃▄▅▆▇█"


class Cells(NamedTuple):
    """Counts between edges."""

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]


def is_discrete(column: ColumnProfile) -> bool:
    """Tell whether a column of numbers has a few values, each named by the profile, that come again and again."""
    return column.distinct <= min(len(column.top), SKETCH) and column.distinct <= max(_FEW, column.count // 2)


def points_of(column: ColumnProfile) -> dict[float, int]:
    """Return the finite numbers that the profile names, with their counts."""
    found: dict[float, int] = {}
    for item in column.top:
        value = float(item.value)  # 0 and -0 are one number, and two values
        if np.isfinite(value):
            found[value] = found.get(value, 0) + item.count
    return found


def rest_of(column: ColumnProfile, points: Mapping[float, int]) -> Cells:
    """Return the column's histogram without the values that are named."""
    if column.numbers is None:
        return Cells(np.zeros(2), np.zeros(1))
    edges, counts = np.array(column.numbers.edges), np.array(column.numbers.counts, np.float64)
    values = np.array([*points], np.float64)
    places = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(counts) - 1)
    np.subtract.at(counts, places, np.array([*points.values()], np.float64))
    return Cells(edges, np.maximum(counts, 0.0))


def sketch(column: ColumnProfile) -> tuple[int, ...]:
    """Return the heights of a small picture of a column: its histogram, its levels, or its rows over time.

    Numbers of few values are shown value by value, in order; levels from the most frequent one.
    """
    if column.times is not None:
        return _pooled([item.count for item in column.times.counts])
    if column.numbers is None:
        return tuple(item.count for item in column.top[:SKETCH])
    if is_discrete(column):
        return tuple(count for _, count in sorted(points_of(column).items()))
    return column.numbers.counts


def _pooled(counts: Sequence[int]) -> tuple[int, ...]:
    """Add neighbours up until there are few enough."""
    size = -(-len(counts) // SKETCH) or 1
    return tuple(sum(counts[start : start + size]) for start in range(0, len(counts), size))


def sparkline(heights: Sequence[int]) -> str:
    """Draw heights as a line of text; nothing is a gap, and the least there is can be seen.

    >>> sparkline([0, 1, 5, 10])
    ' ▁▄█'
    """
    highest = max(heights, default=0)
    if not highest:
        return ""
    return "".join(_BLOCKS[max(0, round(height / highest * len(_BLOCKS)) - 1)] if height else " " for height in heights)
