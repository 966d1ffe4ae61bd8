"""How much columns tell of each other, numbers and categories alike: one figure and, for two numbers, two coefficients a pair."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.aspects import Associations
from perenne.data.relations import Codes, cramers_v, level_bins
from perenne.data.tables import Values, floats, scale_of
from perenne.stats.columns import Column

MAX_COLUMNS = 40
"""So many columns are held against each other: the first ones that vary and do not name rows."""

_CUTS = 8
_FEWEST_IN_A_CELL = 5


class _Coded(NamedTuple):
    """A column as small whole numbers, -1 where it is missing, how many there are, and its numbers if it has any."""

    codes: Codes
    size: int
    numbers: Column | None


def associate(columns: Mapping[str, Values]) -> Associations | None:
    """Hold every column against every other one; None if there are no two that vary."""
    coded: dict[str, _Coded] = {}
    for name, values in columns.items():
        if len(coded) < MAX_COLUMNS:
            found = _coded(values)
            if found is not None:
                coded[name] = found
    if len(coded) < 2:
        return None
    names = list(coded)
    numbers = [name for name in names if coded[name].numbers is not None]
    place = {name: at for at, name in enumerate(numbers)}
    pearson, spearman = _coefficients([coded[name].numbers for name in numbers])
    below = [(names[i], names[j]) for i in range(len(names)) for j in range(i)]
    both = [(place[x], place[y]) if x in place and y in place else None for x, y in below]
    return Associations(
        columns=tuple(names),
        kinds=tuple("number" if name in place else "category" for name in names),
        pearson=tuple(None if at is None else round(float(pearson[at]), 4) for at in both),
        spearman=tuple(None if at is None else round(float(spearman[at]), 4) for at in both),
        strength=tuple(round(_strength(coded[x], coded[y]), 4) for x, y in below),
    )


def _coefficients(numbers: list[Column | None]) -> tuple[Column, Column]:
    if not numbers:
        return np.zeros((0, 0)), np.zeros((0, 0))
    matrix = np.column_stack([values / scale_of(values) for values in numbers if values is not None])
    return correlations(matrix), correlations(ranks(matrix))


def _coded(values: Values) -> _Coded | None:
    if is_number(values):
        numbers = finite(values)
        return _Coded(*_cut(numbers), numbers) if varies(numbers) else None
    if pa.types.is_timestamp(values.type):
        return None
    codes, labels = level_bins(values)
    codes = np.where(codes == len(labels) - 1, -1, codes)
    known = codes[codes >= 0]
    if not known.size or known.min() == known.max() or (codes == len(labels) - 2).sum() > 0.5 * known.size:
        return None
    return _Coded(codes, len(labels) - 1, None)


def _cut(numbers: Column) -> tuple[Codes, int]:
    """Cut numbers at their quantiles, into as many bins as the rows allow."""
    known = numbers[~np.isnan(numbers)]
    bins = int(np.clip(np.sqrt(known.size / _FEWEST_IN_A_CELL), 2, _CUTS))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    codes = np.searchsorted(edges, numbers, "left")
    codes[np.isnan(numbers)] = -1
    return codes, len(edges) + 1


def _strength(x: _Coded, y: _Coded) -> float:
    if (x.numbers is None) != (y.numbers is None):
        number, category = (x, y) if x.numbers is not None else (y, x)
        assert number.numbers is not None
        return correlation_ratio(category.codes, category.size, number.numbers)
    both = (x.codes >= 0) & (y.codes >= 0)
    table = np.bincount(x.codes[both] * y.size + y.codes[both], minlength=x.size * y.size).reshape(x.size, y.size)
    return cramers_v(table)


def correlation_ratio(codes: Codes, size: int, numbers: Column) -> float:
    """Return how much of a number's spread lies between groups: the root of epsilon squared, eta squared less what chance brings.

    Rows whose code is -1 or whose number is missing are left out (Kelley 1935).

    >>> round(correlation_ratio(np.array([0, 0, 1, 1]), 2, np.array([1.0, 1.0, 5.0, 5.0])), 3)
    1.0
    """
    both = (codes >= 0) & ~np.isnan(numbers)
    codes, numbers = codes[both], numbers[both] / scale_of(numbers)
    rows = np.bincount(codes, minlength=size)
    groups, n = int((rows > 0).sum()), int(rows.sum())
    if groups < 2 or n <= groups:
        return 0.0
    centred = numbers - numbers.mean()
    total = float(np.square(centred).sum())
    if total <= 0:
        return 0.0
    sums = np.bincount(codes, centred, size)
    between = float((np.square(sums) / np.maximum(rows, 1)).sum())
    return float(np.sqrt(np.clip(1 - (1 - between / total) * (n - 1) / (n - groups), 0, 1)))


def is_number(values: Values) -> bool:
    """Tell whether a column holds numbers, and any at all."""
    return (pa.types.is_int64(values.type) or pa.types.is_float64(values.type)) and values.null_count < len(values)


def varies(values: Column) -> bool:
    """Tell whether there are two different numbers."""
    known = values[~np.isnan(values)]
    return known.size > 1 and bool(known.min() < known.max())


def finite(values: Values) -> Column:
    """Return numbers with NaN for what is missing or infinite."""
    numbers = floats(values)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def ranks(matrix: Column) -> Column:
    """Return the mean rank of every value within its column; NaN stays."""
    found = np.full_like(matrix, np.nan)
    for j in range(matrix.shape[1]):
        known = ~np.isnan(matrix[:, j])
        _, inverse, counts = np.unique(matrix[known, j], return_inverse=True, return_counts=True)
        found[known, j] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return found


def correlations(matrix: Column) -> Column:
    """Return Pearson's coefficient of every pair of columns over the rows where both are known; 0 where it is undefined."""
    known = (~np.isnan(matrix)).astype(np.float64)
    centred = matrix - np.nanmean(matrix, 0)
    spread = np.nanstd(matrix, 0)
    x = np.nan_to_num(centred / np.where(spread > 0, spread, 1))
    n = np.maximum(_product(known, known), 1)
    sums = _product(x, known)
    squares = _product(np.square(x), known)
    covariance = _product(x, x) - sums * sums.T / n
    variance = squares - np.square(sums) / n
    scale = np.sqrt(np.maximum(variance * variance.T, 0))
    return np.clip(np.where(scale > 1e-12, covariance / np.maximum(scale, 1e-12), 0.0), -1, 1)


def _product(a: Column, b: Column) -> NDArray[np.float64]:
    """Return `a.T @ b`, in blocks too small for the linear algebra to start threads: beside a busy core these wait 0.6 s."""
    step = max(1, 200_000 // (a.shape[1] * b.shape[1]))
    total = np.zeros((a.shape[1], b.shape[1]))
    for start in range(0, len(a), step):
        total += a[start : start + step].T @ b[start : start + step]
    return total
