"""From what is known of performance to findings: changed relations, and a concept that drifted. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from perenne.monitoring.events import ConceptDrifted, ContributionChanged
from perenne.monitoring.findings import Finding
from perenne.monitoring.model import (
    MINIMUM_COVERAGE,
    Outcome,
    Severity,
    Watch,
    WindowMetric,
    WindowState,
    WindowVerdict,
)
from perenne.monitoring.performance.streams import lasting
from perenne.monitoring.rightness import Concept, Contribution, Firing, Gap, Labelled
from perenne.stats.layout import PREDICTION, SCORE

SHOWN = 3


def complete(verdict: WindowVerdict, labelled: Labelled | None, firings: Mapping[str, Sequence[Firing]]) -> WindowVerdict:
    """Add to a verdict what its labelled rows and the label streams say."""
    if labelled is None:
        return verdict
    mine = tuple(firing for found in firings.values() for firing in found if firing.window == verdict.window_start)
    still = lasting(firings.get("", ()), verdict.window_start, labelled.loss)
    return msgspec.structs.replace(
        verdict, gaps=labelled.gaps, slices=labelled.slices, inside=labelled.inside, concept=Concept(mine, still)
    )


def findings_of(watch: Watch, verdict: WindowVerdict, metrics: Sequence[WindowMetric]) -> list[Finding]:
    """Return what a verdict says of relations and, if labels have come, of the concept."""
    found = [] if verdict.contributions is None else [_contribution(watch, verdict, verdict.contributions.moved)]
    if verdict.concept is not None:
        covered = max((metric.coverage for metric in metrics), default=0.0) >= MINIMUM_COVERAGE
        found.append(_concept(watch, verdict, verdict.concept, covered))
    return found


def _contribution(watch: Watch, verdict: WindowVerdict, moved: Sequence[Contribution]) -> Finding:
    """Relations of inputs that drifted move with them, so that a window with drifted inputs says nothing of relations alone."""
    drifted = {cause.feature for cause in verdict.causes if cause.state == "alarm"} - {PREDICTION, SCORE}
    changed = [one for one in moved if one.state == "alarm"]
    if verdict.state in (WindowState.TOO_FEW, WindowState.GAP) or (changed and drifted):
        outcome = Outcome.UNKNOWN
    else:
        outcome = Outcome.ALARM if changed else Outcome.CLEAR
    return Finding(
        rule="contribution",
        outcome=outcome,
        severity=Severity.WARNING,
        confirm=watch.confirm,
        summary="relations between inputs and answers changed: " + "; ".join(map(_relation, changed[:SHOWN])),
        event=lambda alert: ContributionChanged(
            deployment=verdict.deployment,
            version=verdict.version,
            window_start=verdict.window_start,
            features=tuple(one.feature for one in changed),
            alert=alert,
        ),
    )


def _relation(one: Contribution) -> str:
    turned = one.correlation_reference * one.correlation_window < 0
    if turned or abs(one.correlation_window - one.correlation_reference) > abs(one.window - one.reference):
        return f"{one.feature}: correlation {one.correlation_reference:.2f} -> {one.correlation_window:.2f}"
    return f"{one.feature}: contribution {one.reference:.2f} -> {one.window:.2f}"


def _concept(watch: Watch, verdict: WindowVerdict, concept: Concept, covered: bool) -> Finding:
    wide = [gap for gap in verdict.gaps if gap.wide]
    if not covered:
        outcome = Outcome.UNKNOWN
    elif concept.firings or wide:
        outcome = Outcome.ALARM
    else:
        outcome = Outcome.UNKNOWN if concept.lasting else Outcome.CLEAR
    first = concept.firings[0] if concept.firings else None
    said = [*map(_firing, concept.firings[:SHOWN]), *map(_gap, wide[:SHOWN])]
    if verdict.inside is not None and verdict.inside.words:
        said.append(verdict.inside.words)
    return Finding(
        rule="concept",
        outcome=outcome,
        severity=Severity.WARNING,
        confirm=1 if first else watch.confirm,  # a detector has gathered its evidence over many labels already
        summary="the concept drifted: " + "; ".join(said),
        event=lambda alert: ConceptDrifted(
            deployment=verdict.deployment,
            version=verdict.version,
            detector=first.detector if first else "gap",
            segment=first.segment if first else "",
            since=verdict.window_start,
            alert=alert,
        ),
    )


def _firing(firing: Firing) -> str:
    where = f" in {firing.segment}" if firing.segment else ""
    return f"mean loss{where} {firing.before:.3g} -> {firing.after:.3g} ({firing.detector.upper()})"


def _gap(gap: Gap) -> str:
    return f"{gap.metric} was estimated as {gap.estimated:.3g} and is {gap.realised:.3g} on {gap.rows:,} labelled rows"
