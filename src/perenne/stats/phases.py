"""What a window is compared with: a reference, or windows that were in production, with what those did to themselves.

Windows of the same phase - the same hour of the week, the same day of it - are compared like with like.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perenne.stats.cells import Reference
from perenne.stats.layout import FeatureCells
from perenne.stats.numeric import CELLS
from perenne.stats.profile import Profile
from perenne.stats.spread import DEVIATIONS, MIN_CHUNKS, Bands, Baseline, compare
from perenne.stats.standard import Standard

MIN_PHASE = 3
"""Members from which on a phase stands for itself."""


def standard_of(reference: Reference) -> Standard:
    """Return the reference of a version as what its windows are compared with."""
    return Standard(reference.profile, reference.baseline, reference.bands)


def standard_from(reference: Reference, members: Sequence[Profile]) -> Standard:
    """Return some windows, in order of time, as what others are compared with; their spread is that of each from the rest.

    As with the parts of a reference, runs of 1, 2, 4, ... windows are compared, so that longer windows have their own band.
    """
    features = reference.layout.features
    counts = _counts(reference, members)
    sizes = [size for size in (2**step for step in range(10)) if len(members) // size >= MIN_CHUNKS]
    rows, limits = [], []
    for size in sizes:
        runs = np.array([counts[start : start + size].sum(axis=0) for start in range(0, len(members) - size + 1, size)])
        apart = [_apart(features, counts.sum(axis=0) - run, run) for run in runs]
        rows.append(int(np.mean([profile.rows for profile in members]) * size))
        limits.append(_limit(apart))
    return Standard(_whole(reference, members), _baseline(counts.sum(axis=0)), _bands(rows, limits, len(features)))


def standard_of_phase(reference: Reference, phases: Sequence[Sequence[Profile]], place: int) -> Standard | None:
    """Return one phase as what windows of it are compared with, or None if it has had fewer than three.

    Parameters
    ----------
    phases : sequence of sequences of Profile
        The members of each phase: of 7 days of the week, for example.
    place : int
        The phase that is asked for.

    Notes
    -----
    The spread leaves one week out: each member from the others of its phase. Three or four of them tell little of a spread, so
    those of all phases are taken together; they are differences within a phase, so that none holds the season itself.
    """
    mine = phases[place]
    if len(mine) < MIN_PHASE:
        return None
    features, apart, rows = reference.layout.features, [], []
    for members in phases:
        if len(members) >= MIN_PHASE:
            counts = _counts(reference, members)
            apart += [_apart(features, counts.sum(axis=0) - one, one) for one in counts]
            rows += [profile.rows for profile in members]
    bands = _bands([int(np.mean(rows))], [_limit(apart)], len(features))
    return Standard(_whole(reference, mine), _baseline(_counts(reference, mine).sum(axis=0)), bands)


def _counts(reference: Reference, members: Sequence[Profile]) -> NDArray[np.int64]:
    return np.array([profile.counts for profile in members], np.int64).reshape(-1, len(reference.layout.features), CELLS)


def _whole(reference: Reference, members: Sequence[Profile]) -> Profile:
    whole = Profile.empty(reference)
    for member in members:
        whole.merge(member)
    return whole


def _baseline(counts: NDArray[np.int64]) -> Baseline:
    """Levels met once are not known apart in counts, so that a level never met is news at any share."""
    return Baseline(counts, np.zeros_like(counts))


def _apart(
    features: Sequence[FeatureCells], rest: NDArray[np.int64], part: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return compare(features, _baseline(rest), part)[:2]


def _limit(apart: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    found = np.array(apart)
    return np.asarray(found.mean(axis=0) + DEVIATIONS * found.std(axis=0))


def _bands(rows: Sequence[int], limits: Sequence[NDArray[np.float64]], features: int) -> Bands:
    table = np.array(limits, np.float64).reshape(len(limits), 2, features)
    return Bands(np.array(rows, np.int64), table[:, 0], table[:, 1])
