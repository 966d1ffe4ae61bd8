"""Many windows against many references at once: the drift rule's verdict without its reasons, by one pass over stacked counts.

The states are those of `drift.judge` to the last one: what is quick says only which features may be material, and those alone
are compared exactly. References are kept small for it: no edges, no rows, no fine counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perenne.stats import distances
from perenne.stats.cells import Reference
from perenne.stats.drift import MATERIAL_D, MATERIAL_JS, MINIMUM_ROWS, rule
from perenne.stats.numeric import CELLS, ORDINARY, UNSEEN, NumberCells
from perenne.stats.spread import Baseline, expect_new_levels

BLOCK = 2_000
"""Features at a time: their counts stay in the processor's cache."""

_SLACK = 1e-4
"""By how much single precision may be wrong, and more."""


@dataclass(frozen=True, eq=False)
class Screen:
    """What of a reference decides whether a window has drifted; (features, 64) if not said otherwise.

    Attributes
    ----------
    counts, singles : int32
        As in `Baseline`.
    tests : int64
        Into which cell each is merged for the test.
    merged : float32
        The counts in those cells, as shares.
    entropy : float32 (features,)
        Sum of share times its logarithm.
    tested : float64 (features,)
        Rows compared with, at least 1.
    steps : float32 (features, 60)
        The share of rows up to each cell.
    ordered, uncertain : bool (features,)
        Whether D is taken; and whether new levels are to be expected, which is left to the exact comparison.
    band_rows, band_js, band_d
        As in `Bands`.
    rows, comparisons : int
        Rows of the reference, and how many features share the chance of a false alarm.
    """

    counts: NDArray[np.int32]
    singles: NDArray[np.int32] | None
    tests: NDArray[np.uint8]
    merged: NDArray[np.float32]
    entropy: NDArray[np.float32]
    tested: NDArray[np.float64]
    steps: NDArray[np.float32]
    ordered: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]
    band_rows: NDArray[np.int64]
    band_js: NDArray[np.float64]
    band_d: NDArray[np.float64]
    rows: int
    comparisons: int

    @classmethod
    def of(cls, reference: Reference) -> "Screen":
        """Make the screen of a reference."""
        features, baseline = reference.layout.features, reference.baseline
        tests = np.array([feature.tests for feature in features], np.uint8).reshape(len(features), CELLS)
        merged = distances.shares(_merge(tests, baseline.counts))
        ordered = np.array([isinstance(feature, NumberCells) for feature in features], np.bool_)
        return cls(
            counts=baseline.counts.astype(np.int32),
            singles=baseline.singles.astype(np.int32) if baseline.singles.any() else None,
            tests=tests,
            merged=merged.astype(np.float32),
            entropy=(merged * np.log(np.maximum(merged, 1e-30))).sum(axis=1).astype(np.float32),
            tested=np.maximum(baseline.counts.sum(axis=1), 1).astype(np.float64),
            steps=distances.cumulative(baseline.counts[:, :ORDINARY]).astype(np.float32),
            ordered=ordered,
            uncertain=np.asarray(baseline.singles.any(axis=1)),
            band_rows=reference.bands.rows,
            band_js=reference.bands.js,
            band_d=reference.bands.d,
            rows=reference.profile.rows,
            comparisons=len(features) * (1 + len(reference.segments.names)),
        )


def _merge(tests: NDArray[np.uint8], counts: NDArray[np.number]) -> NDArray[np.float64]:
    index = tests + (np.arange(len(tests), dtype=np.int64) * CELLS)[:, None]
    merged = np.bincount(index.ravel(), weights=counts.ravel(), minlength=len(tests) * CELLS)
    return merged.astype(np.float64).reshape(len(tests), CELLS)


def screen(
    screens: Sequence[Screen], windows: Sequence[NDArray[np.int64]], rows: Sequence[int], minimum: Sequence[int] = ()
) -> list[str]:
    """Tell the state of each window against its reference: `ok`, `warn`, `alarm` or `too_few`.

    Parameters
    ----------
    screens : sequence of Screen
        One for each window.
    windows : sequence of int array (features, 64)
        Counted in the reference's cells.
    rows : sequence of int
        Rows of each window.
    minimum : sequence of int
        Rows below which each is `too_few`; the usual number if none is given.
    """
    least = minimum or [MINIMUM_ROWS] * len(rows)
    states = ["too_few" if few < limit or not one.rows else "ok" for one, few, limit in zip(screens, rows, least, strict=True)]
    judged = [place for place, state in enumerate(states) if state == "ok" and len(windows[place])]
    start = 0
    while start < len(judged):
        size = max(1, BLOCK // max(1, len(windows[judged[start]])))
        block, start = judged[start : start + size], start + size
        for place, feature in _suspects([screens[one] for one in block], [windows[one] for one in block]):
            window = block[place]
            if states[window] != "alarm":
                found = _exactly(screens[window], windows[window], rows[window], feature)
                states[window] = found if found == "alarm" or states[window] == "ok" else states[window]
    return states


def _suspects(screens: Sequence[Screen], windows: Sequence[NDArray[np.int64]]) -> list[tuple[int, NDArray[np.int64]]]:
    """Return the features that may be material, by the place of their window."""
    merged, seen = np.concatenate([one.merged for one in screens]), np.concatenate(windows)
    tests, ordered = np.concatenate([one.tests for one in screens]), np.concatenate([one.ordered for one in screens])
    tested = _merge(tests, seen).astype(np.float32)
    total = np.maximum(tested.sum(axis=1, keepdims=True), 1)
    share = tested / total
    middle = (share + merged) * np.float32(0.5)
    tiny = np.float32(1e-30)
    inside = (share * np.log(np.maximum(share, tiny))).sum(axis=1) + np.concatenate([one.entropy for one in screens])
    js = inside / 2 - (middle * np.log(np.maximum(middle, tiny))).sum(axis=1)
    chance = (np.count_nonzero(middle, axis=1) - 1) / 8 * (1 / np.concatenate([one.tested for one in screens]) + 1 / total[:, 0])
    js -= np.maximum(chance, 0)
    steps = np.cumsum(seen[:, :ORDINARY], axis=1).astype(np.float32)
    apart = np.abs(steps / np.maximum(steps[:, -1:], 1) - np.concatenate([one.steps for one in screens])).max(axis=1)
    suspect = (js > MATERIAL_JS - _SLACK) | (ordered & (apart > MATERIAL_D - _SLACK))
    suspect |= np.concatenate([one.uncertain for one in screens]) & (seen[:, UNSEEN] > 0)
    starts = np.cumsum([0, *(len(one) for one in windows)])
    found = []
    for place in range(len(windows)):
        features = np.flatnonzero(suspect[starts[place] : starts[place + 1]])
        if len(features):
            found.append((place, features))
    return found


def _exactly(one: Screen, window: NDArray[np.int64], rows: int, features: NDArray[np.int64]) -> str:
    """Return the worst state of some features of a window, by the rule itself."""
    seen, counts = window[features], one.counts[features].astype(np.int64)
    singles = np.zeros_like(counts) if one.singles is None else one.singles[features].astype(np.int64)
    tests = one.tests[features]
    reference = _merge(tests, expect_new_levels(Baseline(counts, singles), seen))
    tested = _merge(tests, seen)
    js = distances.js_excess(reference, tested)
    d = np.where(one.ordered[features], distances.ks(counts[:, :ORDINARY], seen[:, :ORDINARY]), 0.0)
    js_p = distances.chi2_p(*distances.chi2(reference, tested))
    d_p = distances.ordered_p(d, counts[:, :ORDINARY], seen[:, :ORDINARY])
    place = max(0, int(np.searchsorted(one.band_rows, rows, "right")) - 1) if len(one.band_rows) else None
    band_js = np.zeros(len(features)) if place is None else one.band_js[place][features]
    band_d = np.zeros(len(features)) if place is None else one.band_d[place][features]
    states = rule(js, js_p, band_js, d, d_p, band_d, comparisons=one.comparisons)
    return "alarm" if "alarm" in states else "warn" if "warn" in states else "ok"
