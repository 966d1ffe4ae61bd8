"""What the reference has done to itself: each part of it, in time order, compared with all the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column
from perenne.stats.distances import js_excess, ks
from perenne.stats.layout import FeatureCells
from perenne.stats.levels import CategoryCells, level_text
from perenne.stats.numeric import CELLS, ORDINARY, UNSEEN, NumberCells

MIN_CHUNKS = 4
_SMALLEST = 200
_DEVIATIONS = 4.0


@dataclass(frozen=True, eq=False)
class Bands:
    """The largest distance that is nothing new, by window size: mean plus four standard deviations over the parts.

    Attributes
    ----------
    rows : int64 (sizes,)
        Rows of the parts compared, rising.
    js, d : float64 (sizes, features)
        Limits of the Jensen-Shannon excess and of Kolmogorov's D.
    """

    rows: NDArray[np.int64]
    js: NDArray[np.float64]
    d: NDArray[np.float64]

    def at(self, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the limits of the nearest size not above `rows`, whose band is the wider one; zeros if there are none."""
        if not len(self.rows):
            return np.zeros(self.js.shape[1]), np.zeros(self.d.shape[1])
        place = max(0, int(np.searchsorted(self.rows, rows, "right")) - 1)
        return self.js[place], self.d[place]


@dataclass(frozen=True, eq=False)
class ChunkLevels:
    """Rows of each level of one categorical feature in each chunk.

    A level that only one part has would be new to the rest; the kept cells cannot tell, so this keeps count while the reference
    is made. None where the feature has too many levels to tell new from rare.
    """

    cells: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, feature: FeatureCells, column: Column, bounds: Sequence[int]) -> "ChunkLevels | None":
        """Count the levels between the bounds of the chunks."""
        if not isinstance(feature, CategoryCells) or not feature.complete:
            return None
        places: dict[str | None, int] = {}
        codes = np.fromiter(
            (places.setdefault(level_text(value), len(places)) for value in column.tolist()), np.int64, len(column)
        )
        counts = np.array([np.bincount(codes[start:end], minlength=len(places)) for start, end in pairwise(bounds)])
        return cls(feature.encode(np.array([*places, None], object)[:-1]).astype(np.int64), counts)

    def part(self, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return, per cell, the rows of the chunks whose level the rest lacks, and the rows of the rest whose level is single."""
        inside = self.counts[start:end].sum(axis=0)
        rest = self.counts.sum(axis=0) - inside
        new = np.bincount(self.cells, weights=np.where(rest == 0, inside, 0), minlength=CELLS)
        single = np.bincount(self.cells, weights=rest == 1, minlength=CELLS)
        new[ORDINARY], single[ORDINARY] = 0, 0  # a missing value is no level
        return new.astype(np.int64), single.astype(np.int64)


def fit_bands(features: Sequence[FeatureCells], chunks: NDArray[np.int64], levels: Sequence[ChunkLevels | None]) -> Bands:
    """Compare parts of the reference with the rest of it, at window sizes of 200, 400, 800, ... rows.

    Parameters
    ----------
    features : sequence of FeatureCells
    chunks : int64 (chunks, features, 64)
        Counts of each chunk, in time order.
    levels : sequence of ChunkLevels or None
        One for each feature.
    """
    count = len(chunks)
    rows = int(chunks[:, 0].sum()) // max(1, count) if len(features) else 0
    sizes = sorted({size for size in _part_sizes(rows) if count // size >= MIN_CHUNKS})
    js, d = np.zeros((len(sizes), len(features))), np.zeros((len(sizes), len(features)))
    total = chunks.sum(axis=0)
    for place, size in enumerate(sizes):
        distances = [
            _one_part(features, chunks, total, levels, start, start + size) for start in range(0, count - size + 1, size)
        ]
        values = np.array(distances)  # (parts, 2, features)
        js[place], d[place] = values.mean(axis=0) + _DEVIATIONS * values.std(axis=0)
    return Bands(np.array([size * rows for size in sizes], np.int64), js, d)


def _part_sizes(rows: int) -> list[int]:
    return [max(1, round(_SMALLEST * 2**step / rows)) for step in range(40)] if rows else []


def _one_part(
    features: Sequence[FeatureCells],
    chunks: NDArray[np.int64],
    total: NDArray[np.int64],
    levels: Sequence[ChunkLevels | None],
    start: int,
    end: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    part = chunks[start:end].sum(axis=0)
    rest = total - part
    singles = np.zeros_like(part)
    for place, counted in enumerate(levels):
        if counted is not None:
            new, singles[place] = counted.part(start, end)
            part[place] -= new
            part[place, UNSEEN] += new.sum()
    return compare(features, rest, singles, part)[:2]


def compare(
    features: Sequence[FeatureCells],
    reference: NDArray[np.int64],
    singles: NDArray[np.int64],
    window: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the Jensen-Shannon excess and Kolmogorov's D of each feature, and the test counts of both sides.

    D is 0 for categories. All counts are (features, 64).
    """
    tested_reference = tested(features, expect_new_levels(reference, singles, window))
    tested_window = tested(features, window)
    ordered = np.array([isinstance(feature, NumberCells) for feature in features], np.bool_)
    distance = np.where(ordered, ks(reference[:, :ORDINARY], window[:, :ORDINARY]), 0.0)
    return js_excess(tested_reference, tested_window), distance, tested_reference, tested_window


def expect_new_levels(reference: NDArray[np.int64], singles: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Move up to the share of levels met once to the reference's unseen cell, as far as the window has unseen levels.

    The reference cannot hold levels it has not seen, so a window of the same source looks different from it. Leaving out one row
    at a time, a row is unseen if its level occurs once (Good and Turing); more than that share is news.
    """
    n, m = reference.sum(axis=1), window.sum(axis=1)
    single = singles.sum(axis=1)
    seen = window[:, UNSEEN] * n / np.maximum(m, 1)
    moved = np.divide(np.minimum(single, seen), single, out=np.zeros(len(single)), where=single > 0)
    expected = reference - singles * moved[:, None]
    expected[:, UNSEEN] += single * moved
    return np.asarray(expected)


def tested(features: Sequence[FeatureCells], counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge cells into those that are tested."""
    if not features:
        return np.zeros((0, CELLS))
    index = np.array([feature.tests for feature in features], np.int64) + (np.arange(len(features)) * CELLS)[:, None]
    merged = np.bincount(index.ravel(), weights=counts.ravel(), minlength=len(features) * CELLS)
    return merged.astype(np.float64).reshape(len(features), CELLS)
