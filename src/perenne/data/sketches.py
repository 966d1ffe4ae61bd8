"""The sketch of a column of numbers: its values at even shares of the rows. Sketches of parts are merged into one of the whole.

Between two points of a sketch the shares are taken as a straight line, so a share read from it is off by at most one step, a
128th; each merge adds at most as much.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

POINTS = 129
"""Values in a sketch: the least, the greatest, and 127 between them."""

Floats = NDArray[np.float64]
Part = tuple[int, Sequence[float]]
"""How many rows a part has, and its sketch."""


def merge(parts: Sequence[Part]) -> tuple[float, ...]:
    """Return the sketch of all parts together; an empty one if none has a row.

    >>> whole = merge([(100, np.linspace(0, 1, POINTS)), (300, np.linspace(1, 2, POINTS))])
    >>> whole[0], round(whole[32], 3), whole[-1]
    (0.0, 1.0, 2.0)
    """
    held = [(rows, np.asarray(points, np.float64)) for rows, points in parts if rows and len(points)]
    if not held:
        return ()
    if len(held) == 1:
        return tuple(held[0][1].tolist())
    values = np.unique(np.concatenate([points for _, points in held]))
    total = sum(rows for rows, _ in held)
    below = np.sum([rows * _limits(points, values) for rows, points in held], axis=0) / total
    merged = np.interp(np.linspace(0, 1, POINTS), below.ravel(), np.repeat(values, 2))
    merged[0], merged[-1] = values[0], values[-1]
    return tuple(merged.tolist())


def _limits(points: Floats, values: Floats) -> Floats:
    """Return the shares of a sketch's rows below each value and up to it, as rows of two; they differ where a value repeats."""
    different, first = np.unique(points, return_index=True)
    low = first / (len(points) - 1)
    high = (np.append(first[1:], len(points)) - 1) / (len(points) - 1)
    at = np.clip(np.searchsorted(different, values, "right") - 1, 0, len(different) - 1)
    following = np.clip(at + 1, 0, len(different) - 1)
    width = np.where(following > at, different[following] - different[at], 1.0)
    between = high[at] + (low[following] - high[at]) * np.clip((values - different[at]) / width, 0, 1)
    here = values == different[at]
    found = np.column_stack([np.where(here, low[at], between), np.where(here, high[at], between)])
    found[values < different[0]] = 0.0
    found[values > different[-1]] = 1.0
    return found
