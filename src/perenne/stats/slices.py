"""Where a model does worst: every cell of every feature is a slice, and a slice must be worse than chance would have it."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.cells import Reference
from perenne.stats.columns import Columns
from perenne.stats.layout import FeatureCells
from perenne.stats.levels import NAMED
from perenne.stats.numeric import CELLS, NON_FINITE, NULL, ORDINARY, UNSEEN, NumberCells

MINIMUM_ROWS = 50
_SIGNIFICANCE = 0.01
_SPECIAL = {NULL: "missing", NON_FINITE: "infinite"}


class Slice(msgspec.Struct, frozen=True):
    """Rows of one cell of a feature, and how much worse the model is on them.

    Attributes
    ----------
    feature, where : str
        The feature, and its values in words.
    rows : int
    mean, overall : float
        Mean loss in the slice and over all rows.
    excess : float
        `(mean - overall) * rows`: the loss that would be saved if the slice were like the rest.
    p : float
        One-sided p-value, corrected for the number of slices looked at.
    """

    feature: str
    where: str
    rows: int
    mean: float
    overall: float
    excess: float
    p: float


def worst_slices(
    reference: Reference, columns: Columns, loss: NDArray[np.floating], *, top: int = 5, minimum_rows: int = MINIMUM_ROWS
) -> list[Slice]:
    """Return the slices that cost the most, among those worse than the rest beyond chance.

    Parameters
    ----------
    reference : Reference
        Whose cells cut the rows.
    columns : Columns
        Inputs of labelled rows.
    loss : float array (rows,)
        0 and 1 for an error, or any loss; rows without a finite loss are left out.
    """
    features = [feature for feature in reference.layout.features if feature.name in columns]
    cells = [reference_cells(feature, columns) for feature in features]
    return worst_cells(features, cells, loss, top=top, minimum_rows=minimum_rows)


def worst_cells(
    features: Sequence[FeatureCells],
    cells: Sequence[NDArray[np.uint8]],
    loss: NDArray[np.floating],
    *,
    top: int = 5,
    minimum_rows: int = MINIMUM_ROWS,
) -> list[Slice]:
    """Return the slices that cost the most, of rows whose cells are known; see `worst_slices`.

    Parameters
    ----------
    cells : sequence of uint8 (rows,)
        For each feature the cell of each row, merged as for the drift test.
    """
    known = np.isfinite(loss)
    values = np.asarray(loss, np.float64)[known]
    if len(values) < minimum_rows:
        return []
    overall = float(values.mean())
    found: list[Slice] = []
    looked = 0
    for feature, given in zip(features, cells, strict=True):
        inside = given[known]
        rows = np.bincount(inside, minlength=CELLS)
        sums, squares = (np.bincount(inside, weights=weights, minlength=CELLS) for weights in (values, values**2))
        for cell in np.flatnonzero((rows >= minimum_rows) & (rows < len(values))).tolist():
            looked += 1
            mean = float(sums[cell] / rows[cell])
            if mean > overall:
                p = tail(int(rows[cell]), float(sums[cell]), float(squares[cell]), values)
                excess = (mean - overall) * int(rows[cell])
                found.append(Slice(feature.name, in_words(feature, cell), int(rows[cell]), mean, overall, excess, p))
    return worst_of(found, looked, top)


def worst_of(found: Sequence[Slice], looked: int, top: int) -> list[Slice]:
    """Return those that cost the most among some slices, if they are worse beyond the chance of so many looked at."""
    corrected = [msgspec.structs.replace(piece, p=min(1.0, piece.p * looked)) for piece in found]
    return sorted((piece for piece in corrected if piece.p < _SIGNIFICANCE), key=lambda piece: -piece.excess)[:top]


def reference_cells(feature: FeatureCells, columns: Columns) -> NDArray[np.uint8]:
    """Return the cell of each row of one feature, merged as for the drift test."""
    cells = feature.encode(columns[feature.name])
    return feature.tests[cells[0] if isinstance(cells, tuple) else cells]


def tail(rows: int, total: float, squares: float, values: NDArray[np.float64]) -> float:
    """Welch's test of the slice against the rest, by the normal limit."""
    from scipy.special import ndtr

    rest_rows, rest_total = len(values) - rows, float(values.sum()) - total
    variances = [
        max(0.0, square / count - (part / count) ** 2)
        for count, part, square in ((rows, total, squares), (rest_rows, rest_total, float((values**2).sum()) - squares))
    ]
    error = np.sqrt(variances[0] / rows + variances[1] / rest_rows)
    distance = total / rows - rest_total / rest_rows
    return float(ndtr(-distance / error)) if error > 0 else float(distance <= 0)


def in_words(feature: FeatureCells, cell: int) -> str:
    """Write which values a test cell holds, such as `3 to 7`, `0`, `'UA'` or `missing`."""
    if cell in _SPECIAL:
        return _SPECIAL[cell]
    if cell > ORDINARY:
        return "no number" if isinstance(feature, NumberCells) else "a new level"
    if not isinstance(feature, NumberCells):
        return f"'{feature.levels[cell]}'" if cell < NAMED else "a rare level"
    lower, upper = feature.bounds()
    return _range(lower, upper, np.flatnonzero(feature.tests[: len(lower)] == cell))


def group_in_words(feature: FeatureCells, group: int) -> str:
    """Write which values a group of cells holds; groups are wider than test cells, for looking at pairs of columns."""
    special = {int(feature.groups[cell]): cell for cell in (NON_FINITE, NULL, UNSEEN)}
    if group in special:
        return in_words(feature, special[group])
    if isinstance(feature, NumberCells):
        lower, upper = feature.bounds()
        return _range(lower, upper, np.flatnonzero(feature.groups[: len(lower)] == group))
    members = [cell for cell in np.flatnonzero(feature.groups[:ORDINARY] == group).tolist() if cell < len(feature.levels)]
    if not members or members[-1] >= NAMED:
        return "a rare level"
    named = " or ".join(f"'{feature.levels[cell]}'" for cell in members[:2])
    return named if len(members) <= 2 else f"{named} or {len(members) - 2} more"


def _range(lower: NDArray[np.float64], upper: NDArray[np.float64], cells: NDArray[np.int64]) -> str:
    low, high = lower[cells[0]], upper[cells[-1]]
    if low == high:
        return f"{low:.4g}"
    if np.isinf(low):
        return "any" if np.isinf(high) else f"below {high:.4g}"
    return f"{low:.4g} or more" if np.isinf(high) else f"{low:.4g} to {high:.4g}"
