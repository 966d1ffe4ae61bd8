"""What a window's counts say of the model: do inputs still go with the answer, can an estimate be relied on? Pure."""

import numpy as np

from perenne.monitoring.performance.measured import MATTERS
from perenne.monitoring.rightness import Contribution, Contributions
from perenne.stats.cells import Reference
from perenne.stats.contribution import ContributionDrift, contributions, judge_contributions
from perenne.stats.distances import shares
from perenne.stats.layout import PREDICTION, SCORE
from perenne.stats.numeric import NON_FINITE, UNSEEN, NumberCells
from perenne.stats.profile import Profile

KEPT = 8
DOUBTFUL = 0.1
"""A share of rows in regions the reference did not know, from which on an estimate is not relied on."""


def relations(reference: Reference, window: Profile) -> Contributions | None:
    """Compare how inputs go with the answer; None without inputs, or where nothing can be said."""
    found = judge_contributions(reference, window) if window.rows and reference.profile.rows else ()
    if not found:
        return None
    changes = np.array([one.window - one.reference for one in found])
    weights = np.array([one.reference for one in found])
    mean = float((np.abs(changes) * weights).sum() / weights.sum()) if weights.sum() > 0 else 0.0
    return Contributions(float(np.abs(changes).max()), mean, tuple(map(_contribution, found[:KEPT])))


def _contribution(one: ContributionDrift) -> Contribution:
    return Contribution(one.name, one.state, one.reference, one.window, one.correlation_reference, one.correlation_window)


def doubts(reference: Reference, window: Profile) -> tuple[str, ...]:
    """Say which inputs that matter have many rows where the reference knew none, so that estimates may be wrong."""
    if not window.rows:
        return ()
    ratio, _ = contributions(reference, reference.profile)
    now, before = shares(window.counts), shares(reference.profile.counts)
    said = []
    for place, feature in enumerate(reference.layout.features):
        if feature.name in (PREDICTION, SCORE) or ratio[place] < MATTERS:
            continue
        unknown = {"new values" if not isinstance(feature, NumberCells) else "no numbers": float(now[place, UNSEEN])}
        unknown["not finite"] = float(now[place, NON_FINITE] - before[place, NON_FINITE])
        if isinstance(feature, NumberCells):
            ends = [0, len(feature.bounds()[0]) - 1]
            unknown["at or beyond the ends of what was known"] = float((now[place, ends] - before[place, ends]).sum())
        said += [f"{feature.name}: {share:.0%} {what}" for what, share in unknown.items() if share > DOUBTFUL]
    return tuple(said)
