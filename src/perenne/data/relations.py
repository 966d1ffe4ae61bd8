"""How columns hang together: each with the target, and the pairs of numbers a person should look at."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.model import Bin, PairProfile, TargetRelation
from perenne.data.tables import Values, floats, pc, scale_of
from perenne.stats.columns import Column

LEAK = 0.9
"""A column that tells so much of the target is suspected to know it."""

SHAPE_DIFFERENCE = 0.1
_STRONG = 0.5
_MAX_COLUMNS = 100
_MAX_PAIRS = {"shape": 20, "strong": 10}
_PAIR_BINS = 16
_QUANTILE_BINS = 20
_LEVELS = 20
_MAX_CLASSES = 20

Codes = NDArray[np.int64]


def relations_to(columns: Mapping[str, Values], target: str) -> dict[str, TargetRelation]:
    """Tell how much every other column says about the target, on rows where it is known.

    A number is cut at its quantiles into 20 bins, a category into its 20 most frequent levels and the rest; missing is a bin.
    """
    known = pc.is_valid(columns[target])
    answer = columns[target].filter(known)
    if len(answer) == 0 or pa.types.is_timestamp(answer.type):
        return {}
    encoded = answer.dictionary_encode()
    classes = encoded.dictionary
    by_class = len(classes) == 2 or pa.types.is_string(answer.type) or pa.types.is_boolean(answer.type)
    found = {}
    for name, values in columns.items():
        if name == target:
            continue
        codes, labels = _bins(values.filter(known))
        if by_class:
            found[name] = _with_classes(codes, labels, *_class_codes(encoded))
        else:
            found[name] = _with_number(codes, labels, floats(answer))
    return found


def _class_codes(encoded: Values) -> tuple[Codes, int]:
    """Return the class of every row, in the order of the classes' values, and how many there are; rare ones share the last."""
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.minimum(rank[np.asarray(encoded.indices)], _MAX_CLASSES - 1), min(len(order), _MAX_CLASSES)


def _bins(values: Values) -> tuple[Codes, list[str]]:
    """Return the bin of every row and the bins' labels."""
    if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        return _level_bins(values)
    return _number_bins(floats(values), _instant if pa.types.is_timestamp(values.type) else "{:.6g}".format)


def _instant(edge: float) -> str:
    return str(np.datetime64(int(edge), "us"))[:16].replace("T", " ")


def _number_bins(values: Column, told: Callable[[float], str]) -> tuple[Codes, list[str]]:
    missing = np.isnan(values)
    if missing.all():
        return np.zeros(len(values), np.int64), ["(missing)"]
    edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, _QUANTILE_BINS + 1)[1:-1], method="inverted_cdf"))
    codes = np.searchsorted(edges, values, "left")
    codes[missing] = len(edges) + 1
    bounds = [told(edge) for edge in edges]
    labels = [f"up to {bounds[0]}", *(f"up to {bound}" for bound in bounds[1:]), f"above {bounds[-1]}", "(missing)"]
    return codes, labels


def _level_bins(values: Values) -> tuple[Codes, list[str]]:
    encoded = values.dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(len(encoded.dictionary)))
    counts = np.bincount(codes, minlength=len(encoded.dictionary) + 1)
    levels = [str(value)[:80] for value in encoded.dictionary.to_pylist()]
    kept = sorted(range(len(levels)), key=lambda code: (-counts[code], levels[code]))[:_LEVELS]
    place = np.full(len(counts), len(kept), np.int64)
    place[kept] = np.arange(len(kept))
    place[-1] = len(kept) + 1
    return place[codes], [*(levels[code] for code in kept), "(others)", "(missing)"]


def _with_classes(codes: Codes, labels: list[str], classes: Codes, n_classes: int) -> TargetRelation:
    table = np.bincount(codes * n_classes + classes, minlength=len(labels) * n_classes).reshape(len(labels), n_classes)
    rows = table.sum(1)
    shares = table[:, -1] / np.maximum(rows, 1)
    return TargetRelation("cramers_v", cramers_v(table), _as_bins(labels, rows, shares))


def _with_number(codes: Codes, labels: list[str], answer: Column) -> TargetRelation:
    finite = np.isfinite(answer)
    scale = scale_of(answer[finite])
    codes, answer = codes[finite], answer[finite] / scale
    rows = np.bincount(codes, minlength=len(labels))
    means = np.bincount(codes, answer, len(labels)) / np.maximum(rows, 1)
    total = float(np.square(answer - answer.mean()).sum()) if answer.size else 0.0
    between = float(rows @ np.square(means - answer.mean())) if answer.size else 0.0
    ratio = float(np.sqrt(min(between / total, 1.0))) if total > 0 else 0.0
    return TargetRelation("correlation_ratio", ratio, _as_bins(labels, rows, means * scale))


def _as_bins(labels: list[str], rows: Codes, means: Column) -> tuple[Bin, ...]:
    return tuple(Bin(label, int(n), float(mean)) for label, n, mean in zip(labels, rows, means, strict=True) if n)


def cramers_v(table: NDArray[np.int64]) -> float:
    """Return Cramér's V of a table of counts, corrected for bias (Bergsma 2013).

    >>> round(cramers_v(np.array([[50, 0], [0, 50]])), 3)
    1.0
    """
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    n, (r, k) = int(table.sum()), table.shape
    if min(r, k) < 2 or n < 2:
        return 0.0
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi2 = float((np.square(table - expected) / expected).sum()) / n
    phi2 = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    r_corrected, k_corrected = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    least = min(r_corrected, k_corrected) - 1
    return min(1.0, float(np.sqrt(phi2 / least))) if least > 0 else 0.0


def pairs_of(columns: Mapping[str, Values]) -> tuple[PairProfile, ...]:
    """Return the pairs of numbers worth a look: those a line would mislead about, and the strongest.

    Spearman's coefficient is Pearson's of the ranks among each column's own values. At most the first 100 columns are paired.
    """
    numbers = {name: _finite(values) for name, values in columns.items() if _is_number(values)}
    names = [name for name, values in numbers.items() if _varies(values)][:_MAX_COLUMNS]
    if len(names) < 2:
        return ()
    matrix = np.column_stack([numbers[name] / scale_of(numbers[name]) for name in names])
    pearson, spearman = _correlations(matrix), _correlations(_ranks(matrix))
    first, second = np.triu_indices(len(names), 1)
    r, rho = pearson[first, second], spearman[first, second]
    apart = np.abs(r - rho)
    shape = [index for index in np.argsort(-apart, kind="stable") if apart[index] > SHAPE_DIFFERENCE]
    strong = [index for index in np.argsort(-np.abs(r), kind="stable") if abs(r[index]) >= _STRONG and index not in set(shape)]
    found = []
    for reason, indices in (("shape", shape), ("strong", strong)):
        for index in indices[: _MAX_PAIRS[reason]]:
            x, y = names[first[index]], names[second[index]]
            found.append(_pair(x, y, numbers[x], numbers[y], float(r[index]), float(rho[index]), reason))
    return tuple(found)


def _varies(values: Column) -> bool:
    known = values[~np.isnan(values)]
    return known.size > 1 and bool(known.min() < known.max())


def _is_number(values: Values) -> bool:
    return (pa.types.is_int64(values.type) or pa.types.is_float64(values.type)) and values.null_count < len(values)


def _finite(values: Values) -> Column:
    numbers = floats(values)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _ranks(matrix: Column) -> Column:
    """Return the mean rank of every value within its column; NaN stays."""
    ranks = np.full_like(matrix, np.nan)
    for j in range(matrix.shape[1]):
        known = ~np.isnan(matrix[:, j])
        _, inverse, counts = np.unique(matrix[known, j], return_inverse=True, return_counts=True)
        ranks[known, j] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _correlations(matrix: Column) -> Column:
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


def _product(a: Column, b: Column) -> Column:
    """Return `a.T @ b`, in blocks too small for the linear algebra to start threads: beside a busy core these wait 0.6 s."""
    step = max(1, 500_000 // (a.shape[1] * b.shape[1]))
    total = np.zeros((a.shape[1], b.shape[1]))
    for start in range(0, len(a), step):
        total += a[start : start + step].T @ b[start : start + step]
    return total


def _pair(x: str, y: str, xs: Column, ys: Column, pearson: float, spearman: float, reason: str) -> PairProfile:
    both = ~(np.isnan(xs) | np.isnan(ys))
    x_scale, y_scale = scale_of(xs), scale_of(ys)
    counts, x_edges, y_edges = np.histogram2d(xs[both] / x_scale, ys[both] / y_scale, _PAIR_BINS)
    x_bounds, y_bounds = tuple((x_edges * x_scale).tolist()), tuple((y_edges * y_scale).tolist())
    rows = tuple(tuple(row) for row in counts.astype(np.int64).tolist())
    return PairProfile(x, y, pearson, spearman, reason, x_bounds, y_bounds, rows)
