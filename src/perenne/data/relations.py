"""How much each column tells of the target, and the bins by which it is told."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.model import Bin, TargetRelation
from perenne.data.tables import Values, floats, pc, scale_of
from perenne.stats.columns import Column

LEAK = 0.9
"""A column that tells so much of the target is suspected to know it."""

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
        return level_bins(values)
    return number_bins(floats(values), _instant if pa.types.is_timestamp(values.type) else "{:.6g}".format)


def _instant(edge: float) -> str:
    return str(np.datetime64(int(edge), "us"))[:16].replace("T", " ")


def number_bins(values: Column, told: Callable[[float], str]) -> tuple[Codes, list[str]]:
    """Cut numbers at their quantiles; return the bin of every row and the bins' labels."""
    missing = np.isnan(values)
    if missing.all():
        return np.zeros(len(values), np.int64), ["(missing)"]
    edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, _QUANTILE_BINS + 1)[1:-1], method="inverted_cdf"))
    codes = np.searchsorted(edges, values, "left")
    codes[missing] = len(edges) + 1
    bounds = [told(edge) for edge in edges]
    labels = [f"up to {bounds[0]}", *(f"up to {bound}" for bound in bounds[1:]), f"above {bounds[-1]}", "(missing)"]
    return codes, labels


def level_bins(values: Values) -> tuple[Codes, list[str]]:
    """Keep the most frequent levels; the last two bins are the others and the missing."""
    encoded = values.dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(len(encoded.dictionary)))
    counts = np.bincount(codes, minlength=len(encoded.dictionary) + 1)
    kept = _most_frequent(encoded.dictionary, counts[:-1])
    place = np.full(len(counts), len(kept), np.int64)
    place[kept] = np.arange(len(kept))
    place[-1] = len(kept) + 1
    return place[codes], [*(str(encoded.dictionary[code].as_py())[:80] for code in kept), "(others)", "(missing)"]


def _most_frequent(levels: Values, counts: Codes) -> list[int]:
    """Return the most frequent levels, those of equal count in the order of their texts."""
    likely = np.arange(len(counts))
    if len(counts) > _LEVELS:
        likely = np.flatnonzero(counts >= np.partition(counts, -_LEVELS)[-_LEVELS])
    if len(likely) > 100 * _LEVELS:  # as good as every row has its own: any of them will do
        likely = likely[: 100 * _LEVELS]
    texts = levels.take(pa.array(likely)).to_pylist()
    order = sorted(range(len(likely)), key=lambda at: (-counts[likely[at]], str(texts[at])))
    return [int(likely[at]) for at in order[:_LEVELS]]


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
