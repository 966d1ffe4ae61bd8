"""The drift rule: material, and significant, and beyond the reference's own spread.

A p-value alone never alarms, and a distance alone never alarms.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats import distances
from perenne.stats.cells import Reference
from perenne.stats.layout import FIXED, FeatureCells
from perenne.stats.numeric import NULL, ORDINARY, UNSEEN
from perenne.stats.phases import standard_of
from perenne.stats.profile import Profile
from perenne.stats.spread import compare
from perenne.stats.standard import Standard
from perenne.stats.wording import describe

MATERIAL_JS = 0.002
MATERIAL_D = 0.05
"""A Gaussian shifted by 1/8 standard deviation has about both."""

SIGNIFICANCE = 0.001
"""A window alarms by chance about once in 1,000."""

WARNING = 0.01
MINIMUM_ROWS = 200

_RANK = {"alarm": 0, "warn": 1, "ok": 2}


class FeatureDrift(msgspec.Struct, frozen=True):
    """What became of one feature.

    Attributes
    ----------
    name, state : str
        `ok`, `warn` or `alarm`.
    js2, js_p : float
        Jensen-Shannon divergence less what chance alone brings, and the p-value of the chi-square test.
    ks_d, ks_p : float
        Kolmogorov's D of the values and its p-value; 0 and 1 for categories.
    band_js, band_d : float
        How far the reference's own parts lie from it.
    missing_reference, missing_window, unseen_window : float
        Shares of missing values, and of levels never met (for numbers: of values that are none).
    impact : float
        By how much this shift alone moves the mean score or prediction, in its units.
    sentence : str
        What changed, in words; empty if nothing did.
    statistic : str
        By which statistic the project has it judged, if not by the rule; `value`, `p` and `threshold` are of that.
    """

    name: str
    state: str
    js2: float
    js_p: float
    ks_d: float
    ks_p: float
    band_js: float
    band_d: float
    missing_reference: float
    missing_window: float
    unseen_window: float
    impact: float
    sentence: str
    statistic: str = ""
    value: float | None = None
    p: float | None = None
    threshold: float | None = None


class DriftVerdict(msgspec.Struct, frozen=True):
    """Whether a window differs from the reference in a way that matters.

    Attributes
    ----------
    state : str
        `ok`, `warn`, `alarm`, or `too_few` rows to judge.
    rows, needed_rows : int
        Rows of the window; rows from which on the smallest change that matters can be told from chance.
    features : tuple of FeatureDrift
        Alarms first; among them inputs before the answers that follow from them, then by the size of their impact.
    """

    state: str
    rows: int
    needed_rows: int
    features: tuple[FeatureDrift, ...]


def judge(
    reference: Reference,
    window: Profile,
    *,
    minimum_rows: int = MINIMUM_ROWS,
    against: Standard | None = None,
    comparisons: int | None = None,
) -> DriftVerdict:
    """Judge a window against the reference of its model version, or against windows that were in production.

    Parameters
    ----------
    reference : Reference
    window : Profile
        Counted in the reference's cells.
    minimum_rows : int
        Below it the state is `too_few`; the features' figures are there all the same.
    against : Standard, optional
        What it is compared with instead of the reference, in the same cells.
    comparisons : int, optional
        How many features are judged together with these and share the chance of a false alarm; these alone if not given.
    """
    features = reference.layout.features
    against = against or standard_of(reference)
    base = against.profile.counts
    js2, d, tested_base, tested_window = compare(features, against.baseline, window.counts)
    js_p = distances.chi2_p(*distances.chi2(tested_base, tested_window))
    ordered = base[:, :ORDINARY], window.counts[:, :ORDINARY]
    d_p, moved_p = distances.ks_p(d, *(side.sum(axis=1) for side in ordered)), distances.ordered_p(d, *ordered)
    band_js, band_d = against.bands.at(window.rows)
    comparisons = max(comparisons or 0, len(features))
    states = rule(js2, js_p, band_js, d, moved_p, band_d, comparisons=comparisons)
    shares, base_shares = distances.shares(window.counts), distances.shares(base)
    impacts = impact(reference, window, against.profile)
    found = [
        FeatureDrift(
            name=feature.name,
            state=states[place],
            js2=float(js2[place]),
            js_p=float(js_p[place]),
            ks_d=float(d[place]),
            ks_p=float(d_p[place]),
            band_js=float(band_js[place]),
            band_d=float(band_d[place]),
            missing_reference=float(base_shares[place, NULL]),
            missing_window=float(shares[place, NULL]),
            unseen_window=float(shares[place, UNSEEN]),
            impact=float(impacts[place]),
            sentence=_sentence(feature, states[place], base[place], window, place),
        )
        for place, feature in enumerate(features)
    ]
    too_few = window.rows < minimum_rows or not against.profile.rows
    needed = max(minimum_rows, needed_rows(comparisons, against.profile.rows))
    return ranked(DriftVerdict("too_few" if too_few else "ok", window.rows, needed, ()), tuple(found))


def ranked(verdict: DriftVerdict, found: tuple[FeatureDrift, ...]) -> DriftVerdict:
    """Return the verdict with these features in order, and its state after the worst of them, if there were rows to judge."""
    worst = min((feature.state for feature in found), key=_RANK.__getitem__, default="ok")
    state = verdict.state if verdict.state == "too_few" else worst
    return DriftVerdict(state, verdict.rows, verdict.needed_rows, tuple(sorted(found, key=_order)))


def _order(feature: FeatureDrift) -> tuple[int, bool, float, float]:
    return _RANK[feature.state], feature.name.startswith("@"), -abs(feature.impact), -feature.js2


def _sentence(feature: FeatureCells, state: str, base: NDArray[np.int64], window: Profile, place: int) -> str:
    if state == "ok":
        return ""
    return describe(feature, base, window.counts[place], list(window.new_levels[place].values()))


def rule(
    js2: NDArray[np.float64],
    js_p: NDArray[np.float64],
    band_js: NDArray[np.float64],
    d: NDArray[np.float64],
    d_p: NDArray[np.float64],
    band_d: NDArray[np.float64],
    *,
    comparisons: int | None = None,
) -> list[str]:
    """Return the state of each feature by the rule, each branch for itself."""
    comparisons = comparisons or len(js2)
    alarm, warn = np.zeros(len(js2), np.bool_), np.zeros(len(js2), np.bool_)
    for size, limit, band, p in ((js2, MATERIAL_JS, band_js, js_p), (d, MATERIAL_D, band_d, d_p)):
        material, beyond = size > limit, size > band
        significant = 2 * comparisons * p < SIGNIFICANCE
        alarm |= material & beyond & significant
        warn |= (material & beyond & (comparisons * p < WARNING)) | (material & significant)
    return ["alarm" if alarm[place] else "warn" if warn[place] else "ok" for place in range(len(js2))]


def needed_rows(features: int, reference_rows: int) -> int:
    """Return the window's rows from which on the smallest material D is significant; 0 if the reference is too small for any.

    >>> needed_rows(16, 25_000)
    2597
    """
    if not features or not reference_rows:
        return 0
    spare = MATERIAL_D**2 / (np.log(8 * features / SIGNIFICANCE) / 2) - 1 / reference_rows
    return int(np.ceil(1 / spare)) if spare > 0 else 0


def impact(reference: Reference, window: Profile, before: Profile | None = None) -> NDArray[np.float64]:
    """Return by how much the shift of each feature alone moves the mean score or prediction, (features,).

    `before` is what the window is compared with, the reference if not given.

    `sum over groups of cells: (share in window - share in reference) * (mean answer of the group in the reference - its mean)`.
    Groups the reference has no rows in take the window's own mean. The impacts do not add up to the whole change: features are
    correlated.
    """
    before = before or reference.profile
    base, seen = before.group_counts(), window.group_counts()
    base_sums, seen_sums = before.sums[:, :, 0], window.sums[:, :, 0]
    mean = np.divide(base_sums, base, out=np.zeros(base.shape), where=base > 0)
    mean = np.where((base == 0) & (seen > 0), np.divide(seen_sums, seen, out=np.zeros(base.shape), where=seen > 0), mean)
    overall = base_sums.sum(axis=1, keepdims=True) / np.maximum(1, base.sum(axis=1, keepdims=True))
    moved = ((distances.shares(seen) - distances.shares(base)) * (mean - overall)).sum(axis=1)
    known = window.rows > 0 and before.rows > 0
    return np.asarray(moved / FIXED * reference.layout.answer_scale) if known else np.zeros(len(base))
