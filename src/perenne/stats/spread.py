"""What the reference has done to itself: each part of it, in time order, compared with all the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column, Columns
from perenne.stats.distances import js_excess, ks
from perenne.stats.layout import ANSWERS, FeatureCells
from perenne.stats.levels import CategoryCells, level_codes
from perenne.stats.numeric import CELLS, NULL, ORDINARY, UNSEEN, NumberCells

MIN_CHUNKS = 4
_SMALLEST = 200
DEVIATIONS = 4.0


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
class Baseline:
    """The counts a window is compared with, (features, 64) each.

    Attributes
    ----------
    counts : int64
        Rows per cell. Where the reference chose some of many levels to be tested by name, only the rows that had no part in the
        choice: a level chosen for being frequent is less so in the next rows.
    singles : int64
        Those of them whose level occurs once: by their share new levels are to be expected (Good and Turing).
    """

    counts: NDArray[np.int64]
    singles: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class History:
    """Rows of one feature per level and chunk while a reference is made; cells stand for levels where those do not matter.

    Attributes
    ----------
    cells : int64 (levels,)
    counts, held : int64 (chunks, levels)
        All rows, and those to be compared with.
    named : bool
        The levels are the feature's own, so that new and single ones are known.
    """

    cells: NDArray[np.int64]
    counts: NDArray[np.int64]
    held: NDArray[np.int64]
    named: bool

    @classmethod
    def of(cls, feature: FeatureCells, column: Column, bounds: Sequence[int]) -> "History":
        """Count a reference's column between the bounds of its chunks."""
        if isinstance(feature, NumberCells):
            cells, codes = np.arange(CELLS), feature.encode(column)[0].astype(np.int64)
        elif not feature.complete:
            cells, codes = np.arange(CELLS), feature.encode(column).astype(np.int64)
        else:
            codes, levels = level_codes(column)
            cells = feature.encode(np.array([*levels, None], object)[:-1]).astype(np.int64)
        spans = [slice(start, end) for start, end in pairwise(bounds)]
        counts = np.array([np.bincount(codes[span], minlength=len(cells)) for span in spans])
        named = isinstance(feature, CategoryCells) and feature.complete
        if not isinstance(feature, CategoryCells) or not feature.chosen:
            return cls(cells, counts, counts, named)
        uninvolved = np.arange(len(codes)) % 2 == 1
        held = np.array([np.bincount(codes[span][uninvolved[span]], minlength=len(cells)) for span in spans])
        return cls(cells, counts, held, named)

    def rest(self, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows outside the chunks start..end per cell, and those among them whose level is single there."""
        held = self.held.sum(axis=0) - self.held[start:end].sum(axis=0)
        single = (self.counts.sum(axis=0) - self.counts[start:end].sum(axis=0) == 1) & (self.cells != NULL)
        return self._in_cells(self.cells, held), self._in_cells(self.cells, held * (single & self.named))

    def part(self, start: int, end: int) -> NDArray[np.int64]:
        """Return the rows of the chunks start..end per cell, as the rest would see them: levels it lacks are unseen."""
        inside = self.counts[start:end].sum(axis=0)
        new = (self.counts.sum(axis=0) == inside) & (self.cells != NULL) & self.named
        return self._in_cells(np.where(new, UNSEEN, self.cells), inside)

    @staticmethod
    def _in_cells(cells: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(cells, weights=rows, minlength=CELLS).astype(np.int64)


def fit_spread(
    features: Sequence[FeatureCells], columns: Columns, bounds: Sequence[int], served: int = 0
) -> tuple[Baseline, Bands]:
    """Count a reference for comparison, and compare parts of it with the rest at window sizes of 200, 400, 800, ... rows.

    Parameters
    ----------
    features : sequence of FeatureCells
    columns : Columns
        The reference's rows, with a column for each feature.
    bounds : sequence of int
        Rows at which the chunks begin, in time order, and the end of the last.
    served : int
        The chunk from which on rows were answered by the model that serves. Answers of the one before are compared among
        themselves for the spread, and never with a window.
    """
    chunks = len(bounds) - 1
    rows = bounds[-1] // chunks
    sizes = sorted({size for size in _part_sizes(rows) if chunks // size >= MIN_CHUNKS})
    counts, singles = np.zeros((len(features), CELLS), np.int64), np.zeros((len(features), CELLS), np.int64)
    limits = np.zeros((2, len(sizes), len(features)))
    for place, feature in enumerate(features):
        starts = [bounds[served:], bounds[: served + 1]] if served and feature.name in ANSWERS else [bounds]
        histories = [History.of(feature, columns[feature.name], part) for part in starts]
        counts[place], singles[place] = histories[0].rest(0, 0)
        for row, size in enumerate(sizes):
            apart = [_runs_apart(feature, history, size) for history in histories if len(history.counts) // size > 1]
            if sum(part.shape[1] for part in apart) >= MIN_CHUNKS:
                together = np.concatenate(apart, axis=1)
                limits[:, row, place] = together.mean(axis=1) + DEVIATIONS * together.std(axis=1)
    return Baseline(counts, singles), Bands(np.array([size * rows for size in sizes], np.int64), limits[0], limits[1])


def _runs_apart(feature: FeatureCells, history: History, size: int) -> NDArray[np.float64]:
    """Return both distances of each run of so many chunks from the rest, (2, runs)."""
    starts = range(0, len(history.counts) - size + 1, size)
    return np.array(_parts_apart(feature, history, [(start, start + size) for start in starts]))


def _part_sizes(rows: int) -> list[int]:
    return [max(1, round(_SMALLEST * 2**step / rows)) for step in range(40)] if rows else []


def _parts_apart(
    feature: FeatureCells, history: History, parts: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Jensen-Shannon excess and D of each part from the rest, (parts,) each."""
    pairs = [history.rest(*part) for part in parts]
    rest = Baseline(np.array([counts for counts, _ in pairs]), np.array([singles for _, singles in pairs]))
    return compare([feature] * len(parts), rest, np.array([history.part(*part) for part in parts]))[:2]


def compare(
    features: Sequence[FeatureCells], reference: Baseline, window: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the Jensen-Shannon excess and Kolmogorov's D of each feature, and the test counts of both sides.

    D is 0 for categories.
    """
    tested_reference = tested(features, expect_new_levels(reference, window))
    tested_window = tested(features, window)
    ordered = np.array([isinstance(feature, NumberCells) for feature in features], np.bool_)
    distance = np.where(ordered, ks(reference.counts[:, :ORDINARY], window[:, :ORDINARY]), 0.0)
    return js_excess(tested_reference, tested_window), distance, tested_reference, tested_window


def expect_new_levels(reference: Baseline, window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Move up to the share of levels met once to the reference's unseen cell, as far as the window has unseen levels.

    The reference cannot hold levels it has not seen, so a window of the same source looks different from it. Leaving out one row
    at a time, a row is unseen if its level occurs once (Good and Turing); more than that share is news.
    """
    n, m = reference.counts.sum(axis=1), window.sum(axis=1)
    single = reference.singles.sum(axis=1)
    seen = window[:, UNSEEN] * n / np.maximum(m, 1)
    moved = np.divide(np.minimum(single, seen), single, out=np.zeros(len(single)), where=single > 0)
    expected = reference.counts - reference.singles * moved[:, None]
    expected[:, UNSEEN] += single * moved
    return np.asarray(expected)


def tested(features: Sequence[FeatureCells], counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge cells into those that are tested."""
    if not features:
        return np.zeros((0, CELLS))
    index = np.array([feature.tests for feature in features], np.int64) + (np.arange(len(features)) * CELLS)[:, None]
    merged = np.bincount(index.ravel(), weights=counts.ravel(), minlength=len(features) * CELLS)
    return merged.astype(np.float64).reshape(len(features), CELLS)
