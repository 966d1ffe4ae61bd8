"""What goes wrong in one column, and what only seems to: each is a function of a column, its window since onset, and chance.

Sizes are such as somebody would want to hear of. They were fixed before any detector was run on them, and are those of the
specification where it names any.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Change = Callable[[np.random.Generator, NDArray[Any], int], NDArray[Any]]

WINDOWS = 6
"""Windows an incident lasts."""


def _spread(column: NDArray[Any]) -> float:
    finite = column[np.isfinite(column)]
    return float(np.std(np.clip(finite, *np.quantile(finite, [0.01, 0.99])))) if len(finite) else 1.0


def shift(size: float) -> Change:
    """Move all values by so many standard deviations."""
    return lambda rng, column, window: column + size * _spread(column)


def gradual(rng: np.random.Generator, column: NDArray[Any], window: int) -> NDArray[Any]:
    """Move by 0.25 standard deviations more in each window."""
    return column + 0.25 * (window + 1) * _spread(column)


def scale(size: float) -> Change:
    """Widen or narrow about the median."""
    return lambda rng, column, window: (column - np.nanmedian(column)) * size + np.nanmedian(column)


def some(share: float, value: Callable[[NDArray[Any]], object]) -> Change:
    """Replace a share of the values by one."""

    def change(rng: np.random.Generator, column: NDArray[Any], window: int) -> NDArray[Any]:
        new = value(column)
        return np.array(np.where(rng.random(len(column)) < share, np.asarray(new), column))

    return change


def tail(rng: np.random.Generator, column: NDArray[Any], window: int) -> NDArray[Any]:
    """Throw 5 % of the values far out."""
    return np.where(rng.random(len(column)) < 0.05, np.nanmedian(column) + 8 * _spread(column), column)


def burst(rng: np.random.Generator, column: NDArray[Any], window: int) -> NDArray[Any]:
    """One run of rows, a fifth of the window, repeats its first value: a sensor that sticks."""
    start, length = int(rng.integers(0, len(column) * 4 // 5)), len(column) // 5
    stuck = column.copy()
    stuck[start : start + length] = np.nanmedian(column) if column[start] != column[start] else column[start]
    return stuck


def merged(rng: np.random.Generator, column: NDArray[Any], window: int) -> NDArray[Any]:
    """The second commonest level is written as the commonest, as after a change of a code table."""
    known = [level for level in column.tolist() if level is not None]
    levels, counts = np.unique(np.array(known, str), return_counts=True)
    first, second = levels[np.argsort(-counts)[:2]]
    return np.where(column == second, first, column)


def mixed(share: float) -> Change:
    """Another customer comes: a share of the rows has the second commonest level."""

    def change(rng: np.random.Generator, column: NDArray[Any], window: int) -> NDArray[Any]:
        known = np.array([level for level in column.tolist() if level is not None], str)
        levels, counts = np.unique(known, return_counts=True)
        return np.where(rng.random(len(column)) < share, levels[np.argsort(-counts)[1]], column)

    return change


NUMBERS: dict[str, Change] = {
    "shift 0.3 sd": shift(0.3),
    "shift 0.5 sd": shift(-0.5),
    "shift 1 sd": shift(1.0),
    "gradual": gradual,
    "scale x1.5": scale(1.5),
    "scale x0.6": scale(0.6),
    "unit x1000": lambda rng, column, window: column * 1000,
    "unit degrees": lambda rng, column, window: column * 1.8 + 32,
    "nulls 5 %": some(0.05, lambda column: np.nan),
    "nulls 30 %": some(0.3, lambda column: np.nan),
    "default -1 in 10 %": some(0.1, lambda column: -1.0),
    "stuck fifth": burst,
    "tail 5 %": tail,
}
LEVELS: dict[str, Change] = {
    "new level 5 %": some(0.05, lambda column: "brand new"),
    "new level 20 %": some(0.2, lambda column: "brand new"),
    "mix 15 %": mixed(0.15),
    "mix 40 %": mixed(0.4),
    "nulls 10 %": some(0.1, lambda column: None),
    "two levels as one": merged,
}
