"""Statistics of whole rows: has the combination of columns changed? They need rows of both sides, and sample them.

Of windows in production the same is asked without rows, by the distance of `joint`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats import distances
from perenne.stats.columns import Columns, Field, FieldKind, Task, row_count, take
from perenne.stats.layout import fit_layout
from perenne.stats.levels import CategoryCells
from perenne.stats.moments import Moments, t_test
from perenne.stats.named import Measured
from perenne.stats.names import ROWS, own_name
from perenne.stats.numeric import CELLS

Floats = NDArray[np.float64]

MOST_ROWS = 10_000
MOST_PAIRED = 2_000
"""Rows a side where every pair of rows is looked at."""

_FOLDS = 5
_SHUFFLES = 1_999
_EXPLAINED = 0.65
_LEVELS = 12


def compare(reference: Columns, window: Columns, fields: Sequence[Field], name: str, threshold: float | None = None) -> Measured:
    """Compare two tables by `dissimilarity`, `mmd`, `energy` or `reconstruction`, or by what others call them.

    Numbers are taken in units of the reference's interquartile range from its median, missing ones at the median; of a category
    each of the dozen most frequent levels, missing included, is a column of 0 and 1. Of more rows than are looked at, some are
    drawn, always the same.

    Raises
    ------
    Invalid
        If there is no such statistic of tables.
    """
    own = own_name(name)
    if own not in _COMPUTE:
        raise Invalid(
            f"'{name}' is no statistic of whole rows", code="statistic.one_column", hint=f"there are {', '.join(_COMPUTE)}"
        )
    most = MOST_PAIRED if own in ("mmd", "energy") else MOST_ROWS
    first, second = tables(_sample(reference, most), _sample(window, most), fields)
    limit = ROWS[own].threshold if threshold is None else threshold
    n, m = len(first), len(second)
    if min(n, m) < 2 * _FOLDS or not first.shape[1]:
        return Measured(own, 0.0, None, n, m, limit, "unknown")
    value, p = _COMPUTE[own](first, second)
    return Measured(own, value, p, n, m, limit, "alarm" if ROWS[own].alarms(value, p, limit) else "ok")


def tables(reference: Columns, window: Columns, fields: Sequence[Field]) -> tuple[Floats, Floats]:
    """Return both sides as numbers, (rows, columns), as the reference's cells see them."""
    fields = [field for field in fields if field.kind is not FieldKind.TENSOR]
    layout = fit_layout(reference, fields, Task.REGRESSION, (), 0.5)
    sides = []
    for columns in (reference, window):
        encoded = layout.encode({field.name: columns[field.name] for field in fields if field.name in columns}, None, None)
        parts = [encoded.standardised[row] for row in range(len(encoded.standardised))]
        for place, feature in enumerate(layout.features):
            if isinstance(feature, CategoryCells):
                parts += [(encoded.cells[place] == cell).astype(float) for cell in (*range(_LEVELS), *range(CELLS - 4, CELLS))]
        sides.append(np.array(parts).T if parts else np.zeros((row_count(columns), 0)))
    varies = np.ptp(np.concatenate(sides), axis=0) > 0
    return sides[0][:, varies], sides[1][:, varies]


def _sample(columns: Columns, most: int) -> Columns:
    rows = row_count(columns)
    if rows <= most:
        return columns
    return take(columns, np.sort(np.random.default_rng(rows).choice(rows, most, replace=False)))


def dissimilarity(reference: Floats, window: Floats) -> tuple[float, float]:
    """Return how well gradient boosting tells the window's rows from the reference's, as ROC area over 5 folds, and its p.

    Each row is scored by a model that has not seen it. 0.5 is chance; p is that of the rank sum, two-sided.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = np.concatenate([reference, window])
    new = np.repeat([0, 1], [len(reference), len(window)])
    fold = np.random.default_rng(0).permutation(len(rows)) % _FOLDS
    scores = np.empty(len(rows))
    for number in range(_FOLDS):
        held = fold == number
        model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, early_stopping=False)
        with threadpool_limits(1):  # so small a fit is slowed down by more
            scores[held] = model.fit(rows[~held], new[~held]).decision_function(rows[held])
    _, place = np.unique(scores, return_inverse=True)
    counts = [np.bincount(place[new == side]) for side in (0, 1)]
    width = max(map(len, counts))
    area, p = distances.rank_sum(*(np.pad(side, (0, width - len(side))) for side in counts))
    return float(area), float(p)


def mmd(reference: Floats, window: Floats) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy by a Gaussian kernel as wide as the median distance, and its permutation p."""
    apart = _squared_distances(reference, window)
    width = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
    return _permuted(np.exp(-apart / width), len(reference))


def energy(reference: Floats, window: Floats) -> tuple[float, float]:
    """Return the energy distance `2 E|X-Y| - E|X-X'| - E|Y-Y'|` and its permutation p."""
    return _permuted(-np.sqrt(_squared_distances(reference, window)), len(reference))


def _squared_distances(reference: Floats, window: Floats) -> NDArray[np.float32]:
    rows = np.concatenate([reference, window])
    lengths = (rows**2).sum(axis=1)
    return np.asarray(np.maximum(lengths[:, None] + lengths - 2 * rows @ rows.T, 0), np.float32)


def _permuted(kernel: NDArray[np.float32], n: int) -> tuple[float, float]:
    """Return `w K w` for the two sides' means, and the share of random divisions of the rows that reach it."""
    rows = len(kernel)
    rng = np.random.default_rng(rows)
    weights = np.full((rows, _SHUFFLES + 1), -1 / n, np.float32)
    weights[n:, 0] = 1 / (rows - n)
    for shuffle in range(1, _SHUFFLES + 1):
        weights[rng.permutation(rows)[n:], shuffle] = 1 / (rows - n)
    found = np.einsum("ij,ij->j", weights, kernel @ weights)
    return float(found[0]), float((found >= found[0]).mean())


def reconstruction(reference: Floats, window: Floats) -> tuple[float, float]:
    """Return the relative rise of the error that the reference's principal components leave, and the p of the means (Welch).

    Components that hold 65 % of the variance are learned from every other row of the reference; the error of a row is its
    distance from what they keep of it.
    """
    learned, held = reference[0::2], reference[1::2]
    center, scale = learned.mean(axis=0), learned.std(axis=0)
    scale[scale == 0] = 1.0
    z = (learned - center) / scale
    variances, axes = np.linalg.eigh(z.T @ z / len(z))
    kept = int(np.searchsorted(np.cumsum(variances[::-1]) / variances.sum(), _EXPLAINED)) + 1
    left = axes[:, : max(1, len(variances) - kept)]
    errors = [np.sqrt((((side - center) / scale @ left) ** 2).sum(axis=1)) for side in (held, window)]
    sides = [Moments(len(error), float(error.mean()), float(((error - error.mean()) ** 2).sum())) for error in errors]
    return sides[1].mean / max(sides[0].mean, 1e-12) - 1, t_test(*sides)[1]


_COMPUTE: dict[str, Callable[[Floats, Floats], tuple[float, float]]] = {
    "dissimilarity": dissimilarity,
    "mmd": mmd,
    "energy": energy,
    "reconstruction": reconstruction,
}
