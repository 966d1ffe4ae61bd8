"""The sketch of a column of numbers: its values at even shares of the rows. Sketches of parts are merged into one of the whole.

Between two points of a sketch the shares are taken as a straight line, so a share read from it is off by at most one step, a
128th; each merge adds at most as much.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

POINTS = 129
"""Values in a sketch: the least, the greatest, and 127 between them."""

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
    below = sum(rows * share_below(points, values) for rows, points in held) / total
    shares = np.linspace(0, 1, POINTS)
    merged = np.interp(shares, np.maximum.accumulate(below), values)
    merged[0], merged[-1] = values[0], values[-1]
    return tuple(merged.tolist())


def share_below(points: Sequence[float] | NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of a sketch's rows that lie at or below each value."""
    known = np.asarray(points, np.float64)
    different, last = np.unique(known[::-1], return_index=True)
    shares = (len(known) - 1 - last) / (len(known) - 1)
    return np.interp(values, different, shares, left=0.0, right=1.0)
