"""Features in the order in which somebody should look at them: how far they moved, times how much the answer goes with them."""

from collections.abc import Mapping, Sequence

import msgspec

from perenne.monitoring.model import FeatureLine, WindowVerdict, finite
from perenne.stats import drift
from perenne.stats.cells import Reference
from perenne.stats.contribution import contributions

MOST_LINES = 64
MATTERS = 0.1
"""Contribution index from which on a feature is said to matter to the answer; less is what chance and noise bring."""

_DIGITS = 5


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A feature of a window, and why somebody should look at it.

    Attributes
    ----------
    drift : float
        How far it moved, in units of what the rule lets pass: from 1 on it is material and beyond the baseline's own spread.
    importance : float
        Its contribution index in the reference, 0 to 1: how closely the answer goes with it.
    score : float
        The product, by which features are ranked.
    quadrant : str
        `act` (moved, and matters), `harmless` (moved, and the answer hardly goes with it), `steady` (matters, and did not move),
        `quiet`.
    """

    feature: str
    state: str
    drift: float
    importance: float
    score: float
    quadrant: str
    impact: float | None
    js2: float
    js_limit: float
    d: float
    d_limit: float


def lines_of(found: drift.DriftVerdict) -> tuple[FeatureLine, ...]:
    """Return how far each feature moved and what the rule lets pass; of very many those that moved most."""
    lines = [
        FeatureLine(
            feature.name,
            feature.state,
            round(feature.js2, _DIGITS),
            round(max(drift.MATERIAL_JS, feature.band_js), _DIGITS),
            round(feature.ks_d, _DIGITS),
            round(max(drift.MATERIAL_D, feature.band_d), _DIGITS),
            round(finite(feature.impact) or 0.0, _DIGITS),
        )
        for feature in found.features
    ]
    return tuple(sorted(lines, key=lambda line: (-line.times, line.feature))[:MOST_LINES])


def importances(reference: Reference) -> dict[str, float]:
    """Return how closely the answer goes with each feature in the reference: the contribution index."""
    ratios, correlations = contributions(reference, reference.profile)
    names = [feature.name for feature in reference.layout.features]
    return {name: float(max(ratio, abs(r))) for name, ratio, r in zip(names, ratios, correlations, strict=True)}


def ranked(verdict: WindowVerdict, importance: Mapping[str, float]) -> list[Ranked]:
    """Rank the features of a window: those that moved first; what the model answers itself last, for it follows from them."""
    found = [_ranked(line, importance.get(line.feature, 0.0)) for line in verdict.lines]
    return sorted(found, key=lambda one: (one.feature.startswith("@"), one.drift < 1, -one.score, -one.drift, one.feature))


def _ranked(line: FeatureLine, importance: float) -> Ranked:
    moved, matters = line.times >= 1, importance >= MATTERS
    quadrant = ("act" if matters else "harmless") if moved else ("steady" if matters else "quiet")
    return Ranked(
        feature=line.feature,
        state=line.state,
        drift=line.times,
        importance=importance,
        score=line.times * importance,
        quadrant=quadrant,
        impact=line.impact,
        js2=line.js2,
        js_limit=line.js_limit,
        d=line.d,
        d_limit=line.d_limit,
    )


def over_windows(verdicts: Sequence[WindowVerdict], importance: Mapping[str, float]) -> list[str]:
    """Name the features that moved in any of some windows, by the greatest drift times importance; inputs before answers."""
    best: dict[str, tuple[float, ...]] = {}
    for verdict in verdicts:
        for line in verdict.lines:
            score = float(line.times >= 1), line.times * importance.get(line.feature, 0.0), line.times
            best[line.feature] = max(score, best.get(line.feature, (0.0, 0.0, 0.0)))
    return sorted(best, key=lambda name: (name.startswith("@"), tuple(-value for value in best[name]), name))
