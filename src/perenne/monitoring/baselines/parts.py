"""What moved within the groups of a column, beside what moved as a whole: pure."""

from collections.abc import Sequence

import msgspec

from perenne.monitoring.model import Cause, Figure, Watch, Window, finite
from perenne.stats import drift
from perenne.stats.cells import Reference
from perenne.stats.lists import list_figures
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles

MOST_SEGMENTS = 3


def comparisons_of(reference: Reference) -> int:
    """Return how many features are judged at once, those of every group among them: a false alarm of any is one too many."""
    return len(reference.layout.features) * (1 + len(reference.segments.names))


def cause_of(feature: drift.FeatureDrift, segment: str = "") -> Cause:
    """Return a feature that has drifted as a cause."""
    return Cause(
        feature=feature.name,
        state=feature.state,
        js2=finite(feature.js2),
        ks_d=finite(feature.ks_d),
        impact=finite(feature.impact),
        sentence=feature.sentence,
        missing_rise=finite(feature.missing_window - feature.missing_reference) or 0.0,
        statistic=feature.statistic,
        value=finite(feature.value),
        threshold=feature.threshold,
        segment=segment,
    )


def segment_causes(watch: Watch, reference: Reference, span: Sequence[Window], comparisons: int) -> list[Cause]:
    """Compare each group that has rows enough with the same group of the reference; return what drifted there."""
    known, found = reference.segments, list[Cause]()
    if not known.segments:
        return found
    whole = SegmentProfiles(reference, known.segments)
    for part in span:
        whole.merge(SegmentProfiles.from_bytes(part.segments, reference, known.segments))
    for place, (name, profile) in enumerate(zip(known.names, whole.profiles, strict=True)):
        verdict = drift.judge(
            reference,
            profile,
            minimum_rows=watch.plan.minimum_rows,
            against=known.standard(place),
            comparisons=comparisons,
        )
        if verdict.state in ("alarm", "warn"):
            found += [cause_of(feature, name) for feature in verdict.features if feature.state != "ok"]
    return found


def with_segments(whole: Sequence[Cause], parts: Sequence[Cause]) -> list[Cause]:
    """Add to what moved what moved in groups only; of what moved as a whole, say in which groups it moved most."""
    order = {"alarm": 0, "warn": 1}
    within: dict[str, list[Cause]] = {}
    for part in parts:
        within.setdefault(part.feature, []).append(part)
    found = []
    for cause in whole:
        mine = [part for part in within.get(cause.feature, ()) if order[part.state] <= order[cause.state]]
        names = [part.segment for part in sorted(mine, key=lambda part: -(part.js2 or 0.0))[:MOST_SEGMENTS]]
        where = f", most in {', '.join(names)}" if names else ""
        found.append(msgspec.structs.replace(cause, sentence=cause.sentence + where))
    alarming = {cause.feature for cause in whole if cause.state == "alarm"}
    only = [part for part in parts if part.feature not in alarming and part.state == "alarm"]
    return sorted(
        [*found, *only], key=lambda cause: (order[cause.state], cause.feature.startswith("@"), -abs(cause.impact or 0.0))
    )


def list_measures(reference: Reference, window: Profile) -> dict[str, Figure]:
    """Return what lists of items show of the catalogue: figures that objectives and guardrails may be about.

    `coverage_<list>`, `entropy_<list>`, `gini_<list>` of the items the reference had, and how many different ones there were.
    """
    found: dict[str, Figure] = {}
    for place, name in enumerate(reference.layout.lists):
        told = list_figures(reference.profile.items[place], window.items[place])
        for metric in ("coverage", "entropy", "gini", "distinct"):
            found[f"{metric}_{name}"] = Figure(value=finite(getattr(told, metric)), rows=window.rows)
    return found
