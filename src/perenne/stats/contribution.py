"""Feature contribution index: how closely each input goes with the prediction, and whether that has changed. It needs no labels.

A window may have every input where it was and still break the relations on which the model relies: a column whose sign turned,
a join that shuffled rows. The drift rule looks at one column at a time and cannot see it. (Published by SAS for intervals as the
correlation with the prediction; the correlation ratio for all kinds of input is ours.)
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.cells import Reference
from perenne.stats.layout import FIXED, PREDICTION, SCORE
from perenne.stats.numeric import ORDINARY, NumberCells
from perenne.stats.profile import Profile
from perenne.stats.spread import MIN_CHUNKS

MATERIAL = 0.1
_SIGNIFICANCE = 0.001
_RATIO_WIDENING = 1.3  # Fisher's z is exact for r; the corrected ratio on 16 groups scatters up to 1.3 times as far

Floats = NDArray[np.float64]


class ContributionDrift(msgspec.Struct, frozen=True):
    """What became of the relation between one input and the prediction.

    Attributes
    ----------
    name, state : str
        `ok` or `alarm`.
    reference, window : float
        Corrected correlation ratio, 0 to 1: of the prediction's variance, the square of it goes with the input's cells.
    correlation_reference, correlation_window : float
        Pearson's r with its sign; 0 for categories.
    p : float
        The smaller p-value of the two relations; each is the larger of Fisher's and of Student's by the chunks' scatter.
    """

    name: str
    state: str
    reference: float
    window: float
    correlation_reference: float
    correlation_window: float
    p: float


def contributions(reference: Reference, profile: Profile) -> tuple[Floats, Floats]:
    """Return the corrected correlation ratio and Pearson's r of each feature with the score or prediction, (features,).

    `eta^2 = sum n_c (m_c - m)^2 / sum (p - m)^2` over 16 groups of cells, less what chance brings:
    `max(0, 1 - (1 - eta^2) (N - 1)/(N - G))`. Of several classes the top score is taken.
    """
    return _ratio(profile.group_counts(), profile.sums), _correlation(reference, profile.counts, profile.sums, profile.moments)


def judge_contributions(reference: Reference, window: Profile) -> tuple[ContributionDrift, ...]:
    """Compare the relations of a window with the reference's: material, significant, and beyond the reference's own spread.

    Returns
    -------
    tuple of ContributionDrift
        One for each input; alarms first, then by the size of the change.
    """
    base, now = contributions(reference, reference.profile), contributions(reference, window)
    scatters = _scatter(reference, window.rows)
    n, m = reference.profile.rows, window.rows
    inputs = [place for place, cells in enumerate(reference.layout.features) if cells.name not in (PREDICTION, SCORE)]
    alarm, ps = np.zeros(len(base[0]), np.bool_), np.ones(len(base[0]))
    for before, after, scatter, widening in zip(base, now, scatters, (_RATIO_WIDENING, 1.0), strict=True):
        change = after - before
        p = np.maximum(_fisher_p(before, after, n, m, widening), _student_p(change, scatter, len(reference.chunks) - 1))
        alarm |= (np.abs(change) > MATERIAL) & (p * len(inputs) < _SIGNIFICANCE)
        ps = np.minimum(ps, p)
    found = [
        ContributionDrift(
            name=reference.layout.features[place].name,
            state="alarm" if alarm[place] else "ok",
            reference=float(base[0][place]),
            window=float(now[0][place]),
            correlation_reference=float(base[1][place]),
            correlation_window=float(now[1][place]),
            p=float(ps[place]),
        )
        for place in inputs
    ]
    return tuple(sorted(found, key=lambda one: (one.state == "ok", -_change(one))))


def _change(one: ContributionDrift) -> float:
    return max(abs(one.window - one.reference), abs(one.correlation_window - one.correlation_reference))


def _ratio(counts: NDArray[np.int64], sums: NDArray[np.int64]) -> Floats:
    rows, groups = counts.sum(axis=1), (counts > 0).sum(axis=1)
    first, second = sums[:, :, 0] / FIXED, sums[:, :, 1].sum(axis=1) / FIXED
    mean = first.sum(axis=1) / np.maximum(rows, 1)
    within = np.divide(first, counts, out=np.zeros(counts.shape), where=counts > 0) - mean[:, None]
    between, total = (counts * within**2).sum(axis=1), second - rows * mean**2
    # Sums are rounded to 1/65,536 a row, so a variance near 1e-5 is none.
    explained = np.divide(between, total, out=np.zeros(len(rows)), where=total > 1e-4 * np.maximum(rows, 1) ** 0.5)
    corrected = 1 - (1 - np.minimum(explained, 1)) * (rows - 1) / np.maximum(rows - groups, 1)
    return np.asarray(np.where(rows > groups, np.sqrt(np.maximum(0, corrected)), 0.0))


def _correlation(reference: Reference, counts: NDArray[np.int64], sums: NDArray[np.int64], moments: NDArray[np.int64]) -> Floats:
    features = reference.layout.features
    correlations = np.zeros(len(features))
    places = [place for place, cells in enumerate(features) if isinstance(cells, NumberCells)]
    for place, (x, xx, xp) in zip(places, (moments / FIXED).tolist(), strict=True):
        ordinary = sorted(set(features[place].groups[:ORDINARY].tolist()))
        n = counts[place, :ORDINARY].sum()
        p, pp = (sums[place, ordinary].sum(axis=0) / FIXED).tolist()
        if n > 3:
            spread = (xx - x * x / n) * (pp - p * p / n)
            correlations[place] = (xp - x * p / n) / np.sqrt(spread) if spread > 1e-6 * n else 0.0
    return np.clip(correlations, -1, 1)


def _scatter(reference: Reference, rows: int) -> tuple[Floats, Floats]:
    """How far the relations of a part of the reference scatter about those of the rest; zeros with fewer than 4 chunks.

    A window smaller than a chunk scatters farther, by the root of the ratio. Fisher's z supposes normal variables: of a U-shape r
    scatters twice as far, and only the chunks know.
    """
    whole = reference.profile
    changes = []
    for chunk in reference.chunks if len(reference.chunks) >= MIN_CHUNKS else ():
        rest = [getattr(whole, name) - getattr(chunk, name) for name in ("counts", "sums", "moments")]
        ratios = _ratio(whole.group_counts() - chunk.group_counts(), rest[1]), _ratio(chunk.group_counts(), chunk.sums)
        signed = _correlation(reference, *rest), _correlation(reference, chunk.counts, chunk.sums, chunk.moments)
        changes.append([ratios[1] - ratios[0], signed[1] - signed[0]])
    if not changes:
        return np.zeros(len(whole.counts)), np.zeros(len(whole.counts))
    wider = max(1.0, np.sqrt(whole.rows / len(changes) / max(1, rows)))
    scatter: Floats = wider * np.sqrt(np.mean(np.square(changes), axis=0))
    return scatter[0], scatter[1]


def _student_p(change: Floats, scatter: Floats, freedom: int) -> Floats:
    """Return the two-sided p of changes in units of a scatter that is itself an estimate; 0 where there is none."""
    from scipy.special import stdtr

    distance = np.divide(np.abs(change), scatter, out=np.full(len(change), np.inf), where=scatter > 0)
    return np.asarray(2 * stdtr(max(1, freedom), -distance))


def _fisher_p(before: Floats, after: Floats, n: int, m: int, widening: float) -> Floats:
    from scipy.special import ndtr

    if min(n, m) <= 3:
        return np.ones(len(before))
    limit = 1 - 1e-9
    moved = np.arctanh(np.clip(after, -limit, limit)) - np.arctanh(np.clip(before, -limit, limit))
    return np.asarray(2 * ndtr(-np.abs(moved) / (widening * np.sqrt(1 / (m - 3) + 1 / (n - 3)))))
