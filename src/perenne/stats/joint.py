"""How unusual a row's combination of inputs is: its distance from the middle of the reference, along the reference's own axes.

Each input alone may stay as it was while two no longer go together; no column shows it, this number does. It is the length of a
row in the reference's principal axes, each in its own standard deviation (Mahalanobis' distance), so that an axis which hardly
varied, such as the difference of two inputs that used to agree, counts as much as one that varied widely.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perenne.stats.levels import CategoryCells
from perenne.stats.numeric import CELLS, ORDINARY, NumberCells

Floats = NDArray[np.float64]
Features = Sequence[NumberCells | CategoryCells]

TOGETHER = "@together"
"""Name of the pseudo feature."""

MAX_AXES = 64
"""Numbers and levels that take part; of a wide table the first."""

_LEVELS = 8
_LEVEL_SHARE = 0.02
_FARTHEST = 4.0  # interquartile ranges: what lies beyond is for the input itself to tell, and one outlier makes no axis
_SMALLEST = 0.01  # an axis that varies less is taken to vary so much: rounding must not be magnified
_ENOUGH = 35.0


@dataclass(frozen=True, eq=False)
class Joint:
    """The axes of a reference.

    Attributes
    ----------
    inputs : int
        How many of the features are inputs.
    features, cells : int64 (axes,)
        What goes in: the place of a feature, and the cell of a level; -1 for the standardised value of a number.
    center : float64 (axes,)
    turn : float64 (axes, axes)
        From differences to the middle to principal axes in units of their standard deviation.
    """

    inputs: int
    features: NDArray[np.int64]
    cells: NDArray[np.int64]
    center: Floats
    turn: Floats

    @classmethod
    def fit(cls, features: Features, cells: NDArray[np.uint8], standardised: Sequence[NDArray[np.float64]]) -> "Joint | None":
        """Find the axes of a reference's inputs; None if fewer than two inputs vary, or there are too few rows.

        Rows that helped to find the axes lie nearer to the middle than the next ones will, by about `axes ** 1.5 / rows` of the
        spread of distances. So many axes are taken that this stays far below a change that matters.

        Parameters
        ----------
        features : sequence of FeatureCells
            The inputs.
        cells : uint8 (inputs, rows)
        standardised : sequence of float64 (rows,)
            Of the numbers among them, in order.
        """
        chosen = _axes(features, cells)
        if len({place for place, _ in chosen}) < 2:
            return None
        places, levels = np.array(chosen, np.int64).T
        x = _inputs(places, levels, _rows_of(features), cells, standardised)
        center, scale = x.mean(axis=1), x.std(axis=1)
        varies = scale > 0
        if len(set(places[varies].tolist())) < 2:
            return None
        places, levels, center, scale = places[varies], levels[varies], center[varies], scale[varies]
        z = (x[varies] - center[:, None]) / scale[:, None]
        variances, axes = np.linalg.eigh(z @ z.T / z.shape[1])
        turn = axes / np.sqrt(np.maximum(variances, _SMALLEST)) / scale[:, None]
        return cls(len(features), places, levels, center, turn)

    def distances(self, features: Features, cells: NDArray[np.uint8], standardised: Sequence[NDArray[np.float64]]) -> Floats:
        """Return the distance of each row, about 1 where it is as the reference was."""
        rows = _rows_of(features[: self.inputs])
        x = _inputs(self.features, self.cells, rows, cells, standardised) - self.center[:, None]
        return np.asarray(np.sqrt(np.mean((self.turn.T @ x) ** 2, axis=0)))


def _axes(features: Features, cells: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Choose a number's value, and the indicators of a category's most frequent levels, up to the limit."""
    most = min(MAX_AXES, int((cells.shape[1] / _ENOUGH) ** (2 / 3)))
    chosen: list[tuple[int, int]] = []
    for place, feature in enumerate(features):
        if len(chosen) >= most:
            break
        if isinstance(feature, NumberCells):
            chosen.append((place, -1))
            continue
        shares = np.bincount(cells[place], minlength=CELLS)[:_LEVELS] / max(1, cells.shape[1])
        chosen += [(place, level) for level in np.flatnonzero((shares > _LEVEL_SHARE) & (shares < 1 - _LEVEL_SHARE)).tolist()]
    return chosen[:most]


def _rows_of(features: Features) -> dict[int, int]:
    """Return in which row of the standardised values each number is."""
    numeric = [place for place, feature in enumerate(features) if isinstance(feature, NumberCells)]
    return {place: row for row, place in enumerate(numeric)}


def _inputs(
    places: NDArray[np.int64],
    levels: NDArray[np.int64],
    rows: dict[int, int],
    cells: NDArray[np.uint8],
    standardised: Sequence[NDArray[np.float64]],
) -> Floats:
    x = np.empty((len(places), cells.shape[1]))
    for axis, (place, level) in enumerate(zip(places.tolist(), levels.tolist(), strict=True)):
        if level >= 0:
            x[axis] = cells[place] == level
        else:
            x[axis] = np.where(cells[place] < ORDINARY, np.clip(standardised[rows[place]], -_FARTHEST, _FARTHEST), 0.0)
    return x
