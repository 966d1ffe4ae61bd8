"""A deployment's windows as charts show them: bounds over time, features by windows, and one window in full."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from perenne.core.errors import NotFound
from perenne.monitoring import recent_store, row_store, store
from perenne.monitoring.baselines.view import Laid
from perenne.monitoring.findings import sentence
from perenne.monitoring.model import (
    CHAMPION,
    BoundState,
    Cause,
    Figure,
    Stream,
    Watch,
    WindowKey,
    WindowMetric,
    WindowState,
    WindowVerdict,
)
from perenne.monitoring.overlays import Overlay, feature_names, overlay_of
from perenne.projects import Objective
from perenne.stats.cells import Reference
from perenne.stats.fairness import GroupRates, rates
from perenne.storage.transaction import Transaction

SHOWN_WINDOWS = 60
SHOWN_FEATURES = 24
TOP_OVERLAYS = 3
PSEUDO = ("@score", "@prediction")


class WindowCell(msgspec.Struct, frozen=True):
    """A window on the time axis; `coverage` is the share of its rows with a label, None while none has come."""

    start: int
    length: int
    variant: str
    version: str
    state: WindowState
    rows: int
    dropped_share: float
    coverage: float | None


class BoundSeries(msgspec.Struct, frozen=True):
    """A bound's figures as they are known in one way, one for each window; None where unknown."""

    source: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class BoundChart(msgspec.Struct, frozen=True):
    """An objective or guardrail over the windows; `operational` is one of the service and not of its answers."""

    kind: str
    bound: str
    limit: float
    at_least: bool
    operational: bool
    series: tuple[BoundSeries, ...]


class HeatRow(msgspec.Struct, frozen=True):
    """A feature over the windows: its distance where it had drifted, 0 where it had not, None where nothing can be said."""

    feature: str
    states: tuple[str, ...]
    distances: tuple[float | None, ...]


class BoundLine(msgspec.Struct, frozen=True):
    """How a bound stands in a window, in a sentence and in figures."""

    kind: str
    bound: str
    limit: float
    at_least: bool
    standing: str
    sentence: str
    figure: Figure


class GroupLine(msgspec.Struct, frozen=True):
    """What the labels say of a group of a column: a metric with its interval, on how many rows."""

    by: str
    group: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int


class GroupTable(msgspec.Struct, frozen=True):
    """How often each group of a column is answered with the positive class, and how right that was."""

    by: str
    rates: tuple[GroupRates, ...]


class WindowDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One window in full.

    Attributes
    ----------
    reference : str
        What it is compared with, in words.
    span_start : int
        Earlier than the window if it was judged together with windows before it.
    features : tuple of str
        What can be looked at.
    overlays : tuple of Overlay
        The features that moved the answer most, the one that was asked for, and the answers themselves.
    metrics : tuple of GroupLine
        From labels over all rows.
    estimated : dict
        From the scores alone.
    """

    start: int
    length: int
    variant: str
    version: str
    state: WindowState
    rows: int
    needed_rows: int
    span_start: int
    dropped_share: float
    agreement: float | None
    coverage: float | None
    reference: str
    judged: int
    causes: tuple[Cause, ...]
    bounds: tuple[BoundLine, ...]
    estimated: dict[str, Figure]
    measured: dict[str, Figure]
    metrics: tuple[GroupLine, ...]
    slices: tuple[GroupLine, ...]
    groups: tuple[GroupTable, ...]
    features: tuple[str, ...]
    overlays: tuple[Overlay, ...]


class Timeline(msgspec.Struct, frozen=True):
    """The newest windows, oldest first, and everything over them."""

    windows: tuple[WindowCell, ...]
    charts: tuple[BoundChart, ...]
    heat: tuple[HeatRow, ...]
    more_features: int


def shown_verdicts(tx: Transaction, deployment: str, version: str, limit: int = SHOWN_WINDOWS) -> list[WindowVerdict]:
    """Read the verdicts on the newest windows of the champions, or of one version in whatever part, oldest first."""
    if not version:
        return recent_store.verdicts(tx, deployment, limit)[::-1]
    found: dict[int, WindowVerdict] = {}
    mine = [stream for stream in store.streams(tx, deployment) if stream.version == version]
    for stream in sorted(mine, key=lambda stream: stream.variant == CHAMPION):
        found |= {verdict.window_start: verdict for verdict in store.recent_verdicts(tx, stream, limit)}
    return [found[start] for start in sorted(found)][-limit:]


def pick(verdicts: Sequence[WindowVerdict], window: int | None) -> WindowVerdict | None:
    """Return the verdict on the window that starts at an instant, or the newest.

    Raises
    ------
    NotFound
        If an instant is named at which no shown window starts.
    """
    if window is None:
        return verdicts[-1] if verdicts else None
    for verdict in verdicts:
        if verdict.window_start == window:
            return verdict
    raise NotFound("no window starts then", code="monitor.window_not_found", hint="it may be too old to be shown")


def timeline(tx: Transaction, verdicts: Sequence[WindowVerdict]) -> Timeline:
    """Put verdicts on one time axis."""
    coverage = _coverage(tx, verdicts)
    cells = tuple(
        WindowCell(
            item.window_start, item.window_length, item.variant, item.version, item.state, item.rows, item.dropped_share,
            coverage.get(item.key),
        )
        for item in verdicts
    )  # fmt: skip
    heat = _heat(verdicts)
    return Timeline(cells, _charts(verdicts), heat[:SHOWN_FEATURES], max(0, len(heat) - SHOWN_FEATURES))


def _metrics(tx: Transaction, verdicts: Sequence[WindowVerdict]) -> dict[WindowKey, list[WindowMetric]]:
    """Read the metrics of all windows that are shown, in one statement for each stream."""
    oldest: dict[Stream, int] = {}
    for item in verdicts:
        oldest[item.key.stream] = min(item.window_start, oldest.get(item.key.stream, item.window_start))
    found: dict[WindowKey, list[WindowMetric]] = {}
    for stream, start in oldest.items():
        found |= row_store.metrics_since(tx, stream, start)
    return found


def _coverage(tx: Transaction, verdicts: Sequence[WindowVerdict]) -> dict[WindowKey, float]:
    return {key: max(metric.coverage for metric in metrics) for key, metrics in _metrics(tx, verdicts).items() if metrics}


def _charts(verdicts: Sequence[WindowVerdict]) -> tuple[BoundChart, ...]:
    """Make a chart of every bound that was held against any window; the newest limit counts."""
    found: dict[tuple[str, str], dict[str, dict[int, BoundState]]] = {}
    for place, verdict in enumerate(verdicts):
        for state in verdict.bounds:
            found.setdefault((state.kind, state.bound), {}).setdefault(state.figure.source, {})[place] = state
    return tuple(
        _chart(kind, bound, by_source, len(verdicts)) for (kind, bound), by_source in sorted(found.items(), reverse=True)
    )


def _chart(kind: str, bound: str, by_source: Mapping[str, Mapping[int, BoundState]], windows: int) -> BoundChart:
    newest = max(((place, state) for states in by_source.values() for place, state in states.items()), key=lambda item: item[0])[
        1
    ]
    series = tuple(
        BoundSeries(
            source,
            *(
                tuple(getattr(states[place].figure, name) if place in states else None for place in range(windows))
                for name in ("value", "low", "high")
            ),
        )
        for source, states in sorted(by_source.items())
    )
    operational = Objective(bound.partition(" by ")[0], at_least=0.0).operational
    return BoundChart(kind, bound, newest.limit, newest.at_least, operational, series)


def _heat(verdicts: Sequence[WindowVerdict]) -> tuple[HeatRow, ...]:
    """Return the features that drifted in any window, those with the greatest impact first."""
    causes = [{cause.feature: cause for cause in verdict.causes} for verdict in verdicts]
    impact: dict[str, float] = {}
    for found in causes:
        for name, cause in found.items():
            impact[name] = max(impact.get(name, 0.0), abs(cause.impact or 0.0))
    silent = [verdict.state in (WindowState.TOO_FEW, WindowState.GAP) for verdict in verdicts]
    return tuple(_heat_row(name, causes, silent) for name in sorted(impact, key=lambda name: (-impact[name], name)))


def _heat_row(name: str, causes: Sequence[Mapping[str, Cause]], silent: Sequence[bool]) -> HeatRow:
    states, distances = [], []
    for found, quiet in zip(causes, silent, strict=True):
        cause = found.get(name)
        states.append("unknown" if quiet else cause.state if cause else "ok")
        distances.append(None if quiet else (cause.js2 if cause else 0.0))
    return HeatRow(name, tuple(states), tuple(distances))


def profiles_of(tx: Transaction, verdict: WindowVerdict) -> tuple[str, list[bytes]]:
    """Return the reference of a judged window, and the profiles it was judged by."""
    windows = store.windows_between(tx, verdict.key, verdict.span_start)
    return (windows[-1].reference if windows else ""), [window.profile for window in windows]


def detail(
    tx: Transaction, verdict: WindowVerdict, reference: Reference | None, feature: str, laid: Laid | None = None
) -> WindowDetail:
    """Tell everything about one window.

    Parameters
    ----------
    reference : Reference or None
        The one it was judged by; without it there is nothing to lay the window over.
    feature : str
        What to look at beside those that moved the answer most; empty for none.
    laid : Laid, optional
        What it is laid over; what it was judged by if not given.

    Raises
    ------
    NotFound
        If the reference has no such feature.
    """
    metrics = _metrics(tx, [verdict]).get(verdict.key, [])
    known = _lines(metric for metric in metrics if not metric.by)
    return WindowDetail(
        start=verdict.window_start,
        length=verdict.window_length,
        variant=verdict.variant,
        version=verdict.version,
        state=verdict.state,
        rows=verdict.rows,
        needed_rows=verdict.needed_rows,
        span_start=verdict.span_start,
        dropped_share=verdict.dropped_share,
        agreement=verdict.agreement,
        coverage=max((metric.coverage for metric in metrics), default=None),
        reference=verdict.baseline,
        judged=verdict.judged,
        causes=verdict.causes,
        bounds=tuple(map(_bound_line, verdict.bounds)),
        estimated=verdict.estimated,
        measured=verdict.measured,
        metrics=known,
        slices=_lines(metric for metric in metrics if metric.by),
        groups=tuple(GroupTable(by, tuple(rates(counts))) for by, counts in row_store.list_groups(tx, verdict.key).items()),
        features=() if reference is None else tuple(feature_names(reference)),
        overlays=() if reference is None else _overlays(verdict, reference, feature, laid),
    )


def _bound_line(state: BoundState) -> BoundLine:
    return BoundLine(state.kind, state.bound, state.limit, state.at_least, state.standing.value, sentence(state), state.figure)


def _lines(metrics: Iterable[WindowMetric]) -> tuple[GroupLine, ...]:
    return tuple(
        GroupLine(item.by, item.group, item.metric, item.value, item.low, item.high, item.n_labelled) for item in metrics
    )


def _overlays(verdict: WindowVerdict, reference: Reference, feature: str, laid: Laid | None) -> tuple[Overlay, ...]:
    names = feature_names(reference)
    if laid is None:
        return ()
    if feature:
        reference.place(feature)
    moved = [cause.feature for cause in verdict.causes if cause.feature not in PSEUDO][:TOP_OVERLAYS]
    wanted = dict.fromkeys([feature, *moved, *PSEUDO])
    return tuple(overlay_of(reference, laid.window, name, laid.before) for name in wanted if name in names)


def watch_of(watches: Iterable[Watch], verdict: WindowVerdict | None) -> Watch | None:
    """Return the watch that a verdict was made by."""
    return next((watch for watch in watches if verdict is not None and watch.version == verdict.version), None)
