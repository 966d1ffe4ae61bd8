"""Centres of a reference's rows: which is nearest to a row, and how far it is, are features like any other.

What no column shows by itself - a combination that was rare before - moves rows to other centres, or away from all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column
from perenne.stats.levels import CategoryCells
from perenne.stats.numeric import NumberCells

CLUSTER, DISTANCE = "@cluster", "@distance"

_SAMPLE = 20_000
_ROUNDS = 15
_LEVELS = 4
_LEVEL_WEIGHT = 0.7  # two rows of different levels lie about one interquartile range apart
_FAR = 3.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Centres, in the standardised numbers and the most frequent levels of the inputs.

    Attributes
    ----------
    levels : tuple of int
        For each input: 0 for a number, else how many of its levels have a dimension.
    centres : float32 (centres, dimensions)
    """

    levels: tuple[int, ...]
    centres: Floats

    @classmethod
    def fit(
        cls,
        features: Sequence[NumberCells | CategoryCells],
        cells: NDArray[np.uint8],
        standardised: Sequence[NDArray[np.float64]],
        count: int,
    ) -> "Clusters":
        """Find centres by k-means; the same rows give the same centres.

        Parameters
        ----------
        features : sequence
            The inputs.
        cells : uint8 (features, rows)
        standardised : sequence of arrays
            Of the numbers among them, in order.
        count : int
            How many centres.
        """
        levels = tuple(0 if isinstance(feature, NumberCells) else min(_LEVELS, len(feature.levels)) for feature in features)
        places = np.unique(np.linspace(0, max(0, cells.shape[1] - 1), min(cells.shape[1], _SAMPLE)).astype(np.int64))
        rows = _matrix(levels, cells[:, places], [column[places] for column in standardised])
        return cls(levels, _centres(rows, count))

    def columns(self, cells: NDArray[np.uint8], standardised: Sequence[NDArray[np.float64]]) -> dict[str, Column]:
        """Return the nearest centre and the distance to it of each row, given the cells of the inputs."""
        rows = _matrix(self.levels, cells[: len(self.levels)], standardised)
        nearest, distance = _nearest(rows, self.centres)
        names = np.array([f"c{place}" for place in range(len(self.centres))] or [""], object)
        return {CLUSTER: names[nearest], DISTANCE: distance.astype(np.float64)}


def _matrix(levels: Sequence[int], cells: NDArray[np.uint8], standardised: Sequence[NDArray[np.float64]]) -> Floats:
    """Lay rows out in dimensions: numbers as they are, at most three spreads out, and a dimension for each level."""
    numbers, dimensions = iter(standardised), []
    for place, count in enumerate(levels):
        if count:
            dimensions += [np.where(cells[place] == level, np.float32(_LEVEL_WEIGHT), np.float32(0)) for level in range(count)]
        else:
            dimensions.append(np.clip(next(numbers), -_FAR, _FAR).astype(np.float32))
    return np.column_stack(dimensions) if dimensions else np.zeros((cells.shape[1], 1), np.float32)


def _nearest(rows: Floats, centres: Floats) -> tuple[NDArray[np.int64], Floats]:
    squares = (centres**2).sum(axis=1) - 2 * rows @ centres.T
    nearest = squares.argmin(axis=1)
    least = squares[np.arange(len(rows)), nearest] + (rows**2).sum(axis=1)
    return nearest, np.sqrt(np.maximum(least, 0))


def _centres(rows: Floats, count: int) -> Floats:
    """Choose rows far from one another, then move each centre to the middle of the rows that are nearest to it."""
    rng = np.random.default_rng(0)
    centres = rows[rng.integers(0, len(rows), 1)]
    while len(centres) < min(count, len(rows)):
        weight = _nearest(rows, centres)[1].astype(np.float64) ** 2
        if not weight.sum():
            break
        centres = np.vstack([centres, rows[rng.choice(len(rows), p=weight / weight.sum())]])
    for _ in range(_ROUNDS):
        nearest, _ = _nearest(rows, centres)
        held = np.bincount(nearest, minlength=len(centres))
        sums = np.column_stack([np.bincount(nearest, weights=column, minlength=len(centres)) for column in rows.T])
        moved = np.where(held[:, None] > 0, sums / np.maximum(held, 1)[:, None], centres).astype(np.float32)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.asarray(centres, np.float32)
