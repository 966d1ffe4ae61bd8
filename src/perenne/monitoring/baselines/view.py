"""What the monitor's screen shows of drift: features ranked, over the windows, and a window laid over a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from perenne.core.errors import Invalid, NotFound
from perenne.monitoring import store as windows
from perenne.monitoring.baselines import store
from perenne.monitoring.baselines.choosing import REFERENCE, choose
from perenne.monitoring.baselines.ranking import Ranked, importances, over_windows, ranked
from perenne.monitoring.model import FeatureLine, Watch, Window, WindowState, WindowVerdict
from perenne.projects import BaselineKind
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles
from perenne.storage.transaction import Transaction

PREVIOUS = "previous"
AGAINST = (*(kind.value for kind in BaselineKind), PREVIOUS)
MOST_RANKED = 24
MOST_TIMELINES = 6
MOST_HOURS = 96


class FeatureTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """A feature over the windows; None where nothing can be said. `limits` are the larger of what matters and the band."""

    feature: str
    importance: float
    states: tuple[str, ...]
    times: tuple[float | None, ...]
    js2: tuple[float | None, ...]
    js_limits: tuple[float | None, ...]
    d: tuple[float | None, ...]
    d_limits: tuple[float | None, ...]


class HourMark(msgspec.Struct, frozen=True):
    """A short window that is drawn only, and how far its farthest feature moved in units of what the rule lets pass."""

    start: int
    state: WindowState
    times: float
    feature: str


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """Drift, for the screen.

    Attributes
    ----------
    ranked : tuple of Ranked
        Features of the chosen window; `hidden` others are not shown.
    against, words : str
        What the window is laid over, and in words.
    segment, segments : str, tuple of str
        The group that is laid over its own reference, and all that there are.
    """

    ranked: tuple[Ranked, ...] = ()
    hidden: int = 0
    timelines: tuple[FeatureTimeline, ...] = ()
    hours: tuple[HourMark, ...] = ()
    baseline: str = ""
    baseline_words: str = ""
    skew: bool = False
    schema: tuple[str, ...] = ()
    against: str = ""
    words: str = ""
    segment: str = ""
    segments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Laid:
    """Two profiles to lay over each other, and what the first is, in words."""

    against: str
    words: str
    before: Profile
    window: Profile


def drift_view(
    tx: Transaction, verdicts: Sequence[WindowVerdict], chosen: WindowVerdict, reference: Reference | None, laid: Laid | None,
    *, segment: str = "", feature: str = "",
) -> DriftView:  # fmt: skip
    """Show drift over some windows, and in one of them.

    Parameters
    ----------
    reference : Reference or None
        Of the chosen window; without it nothing is known of importance.
    """
    importance = {} if reference is None else importances(reference)
    found = ranked(chosen, importance)
    names = over_windows(verdicts, importance)
    shown = list(dict.fromkeys([feature, *names] if feature in names else names))[:MOST_TIMELINES]
    hours = store.drawn_since(tx, chosen.deployment, chosen.variant, verdicts[0].window_start, MOST_HOURS)
    return DriftView(
        ranked=tuple(found[:MOST_RANKED]),
        hidden=max(0, len(found) - MOST_RANKED),
        timelines=tuple(_timeline(name, importance.get(name, 0.0), verdicts) for name in shown),
        hours=tuple(map(_hour, hours)),
        baseline=chosen.baseline,
        baseline_words=chosen.baseline_words,
        skew=chosen.skew,
        schema=chosen.schema,
        against="" if laid is None else laid.against,
        words="" if laid is None else laid.words,
        segment=segment,
        segments=() if reference is None else tuple(reference.segments.names),
    )


def _timeline(name: str, importance: float, verdicts: Sequence[WindowVerdict]) -> FeatureTimeline:
    lines = [_line(verdict, name) for verdict in verdicts]

    def series(field: str) -> tuple[float | None, ...]:
        return tuple(None if line is None else float(getattr(line, field)) for line in lines)

    return FeatureTimeline(
        feature=name,
        importance=importance,
        states=tuple("unknown" if line is None else line.state for line in lines),
        times=series("times"),
        js2=series("js2"),
        js_limits=series("js_limit"),
        d=series("d"),
        d_limits=series("d_limit"),
    )


def _line(verdict: WindowVerdict, name: str) -> FeatureLine | None:
    return next((line for line in verdict.lines if line.feature == name), None)


def _hour(verdict: WindowVerdict) -> HourMark:
    worst = max(verdict.lines, key=lambda line: line.times, default=None)
    return HourMark(
        verdict.window_start, verdict.state, 0.0 if worst is None else worst.times, "" if worst is None else worst.feature
    )


def lay(
    tx: Transaction, watch: Watch, reference: Reference, verdict: WindowVerdict, *, against: str = "", segment: str = ""
) -> Laid:
    """Find what a window is laid over: what it was judged by, or another baseline, or the window before.

    Raises
    ------
    Invalid, NotFound
        If there is no such baseline or no such group.
    """
    if against and against not in AGAINST:
        raise Invalid(f"against is {against[:40]!r}", code="request.query", hint=f"one of {', '.join(AGAINST)}")
    span = windows.windows_between(tx, verdict.key, verdict.span_start)
    if segment:
        return _of_segment(reference, span, segment)
    window = _merged(reference, span)
    kind = against or verdict.baseline
    if kind == PREVIOUS:
        before = windows.recent_verdicts(tx, verdict.key.stream, 1, until=verdict.span_start - 1)
        if not before:
            return Laid(PREVIOUS, "there is no window before", Profile.empty(reference), window)
        earlier = windows.windows_between(tx, before[0].key, before[0].span_start)
        return Laid(
            PREVIOUS, "the window before; it is drawn only, for a slow drift hides from it", _merged(reference, earlier), window
        )
    asked = msgspec.structs.replace(watch, plan=msgspec.structs.replace(watch.plan, baseline=BaselineKind(kind)))
    chosen = choose(tx, asked, reference, span) if span else REFERENCE
    return Laid(kind, chosen.words, reference.profile if chosen.standard is None else chosen.standard.profile, window)


def _of_segment(reference: Reference, span: Sequence[Window], segment: str) -> Laid:
    known = reference.segments
    if segment not in known.names:
        raise NotFound(
            f"there is no group {segment[:60]!r}",
            code="monitor.segment_not_found",
            hint=f"there are {', '.join(known.names[:6])}" if known.names else "Monitoring(segments=[…]) names columns",
        )
    place, whole = known.names.index(segment), SegmentProfiles(reference, known.segments)
    for window in span:
        whole.merge(SegmentProfiles.from_bytes(window.segments, reference, known.segments))
    return Laid("training", f"the rows of the reference with {segment}", known.profiles[place], whole.profiles[place])


def _merged(reference: Reference, span: Sequence[Window]) -> Profile:
    whole = Profile.empty(reference)
    for window in span:
        if window.reference == reference.digest:
            whole.merge(Profile.from_bytes(window.profile, reference))
    return whole
