"""How right a deployment's answers were over its windows: estimates beside what came true, gaps, detectors, labels, slices."""

from collections.abc import Mapping, Sequence

import msgspec

from perenne.monitoring import charted, row_store
from perenne.monitoring.model import Figure, Stream, WindowKey, WindowMetric, WindowVerdict
from perenne.monitoring.performance import stream_store
from perenne.monitoring.rightness import Contributions, Firing
from perenne.monitoring.row_store import Totals
from perenne.stats.slices import Slice
from perenne.storage.database import Transaction


class Values(msgspec.Struct, frozen=True):
    """One value for each window with its interval; None where unknown."""

    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class MetricLine(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over the windows.

    Attributes
    ----------
    gap : Values
        Estimated less realised, on the same labelled rows.
    limit : float or None
        How far they may lie apart in the newest window that tells.
    wide : tuple of bool
        In which windows the model did worse than its estimate, beyond all that.
    """

    metric: str
    estimated: Values
    realised: Values
    gap: Values
    limit: float | None
    wide: tuple[bool, ...]


class WindowLine(msgspec.Struct, frozen=True, kw_only=True):
    """A window with what is known of its labels: how many, which share, and when the newest became known."""

    start: int
    length: int
    version: str
    rows: int
    labelled: int
    coverage: float | None
    watermark: int | None
    unsure: tuple[str, ...]
    lasting: bool


class StreamLine(msgspec.Struct, frozen=True, kw_only=True):
    """A label stream: whose, how many labels came, their mean loss, and where its detectors stand.

    Attributes
    ----------
    usual : float or None
        The error rate when all is well, for CUSUM; None while it is not known.
    score : float
        What has gathered against it; CUSUM fires at 7.
    recent, width : float, int
        Mean loss of the labels that ADWIN holds to be alike, and how many they are.
    """

    version: str
    segment: str
    labels: int
    loss: float
    usual: float | None
    score: float
    recent: float
    width: int
    fired: int


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """The performance of a deployment: its windows oldest first, and of the chosen one the worst slices and what else is told."""

    deployment: str
    windows: tuple[WindowLine, ...]
    metrics: tuple[MetricLine, ...]
    firings: tuple[Firing, ...]
    streams: tuple[StreamLine, ...]
    chosen: int | None
    slices: tuple[Slice, ...]
    inside: str
    unsure: tuple[str, ...]
    contributions: Contributions | None
    totals: Totals


def follow(tx: Transaction, deployment: str, verdicts: Sequence[WindowVerdict], chosen: WindowVerdict | None) -> Following:
    """Put together what is known of the performance in some windows, oldest first; one of them in full."""
    metrics = _metrics(tx, verdicts)
    mine = {stream: stream_store.states(tx, stream) for stream in dict.fromkeys(verdict.key.stream for verdict in verdicts)}
    firings = [firing for states in mine.values() for _, state in states.values() for firing in state.firings]
    first = verdicts[0].window_start if verdicts else 0
    return Following(
        deployment=deployment,
        windows=tuple(_window(verdict, metrics.get(verdict.key, ())) for verdict in verdicts),
        metrics=tuple(_lines(verdicts, metrics)),
        firings=tuple(sorted((firing for firing in firings if firing.window >= first), key=lambda firing: firing.window)),
        streams=tuple(_stream(stream, name, state) for stream, states in mine.items() for name, (_, state) in states.items()),
        chosen=None if chosen is None else chosen.window_start,
        slices=() if chosen is None else chosen.slices,
        inside="" if chosen is None or chosen.inside is None else chosen.inside.words,
        unsure=() if chosen is None else chosen.unsure,
        contributions=None if chosen is None else chosen.contributions,
        totals=row_store.label_totals(tx),
    )


def followed(tx: Transaction, deployment: str, *, version: str = "", windows: int = charted.SHOWN_WINDOWS) -> Following:
    """Tell of a deployment's performance in its newest windows; the newest that has labels is the chosen one."""
    verdicts = charted.shown_verdicts(tx, deployment, version, windows)
    labelled = [verdict for verdict in verdicts if verdict.concept is not None]
    return follow(tx, deployment, verdicts, labelled[-1] if labelled else verdicts[-1] if verdicts else None)


def _metrics(tx: Transaction, verdicts: Sequence[WindowVerdict]) -> dict[WindowKey, list[WindowMetric]]:
    """Read the metrics of all windows, in one statement for each stream."""
    oldest: dict[Stream, int] = {}
    for verdict in verdicts:
        oldest[verdict.key.stream] = min(verdict.window_start, oldest.get(verdict.key.stream, verdict.window_start))
    found: dict[WindowKey, list[WindowMetric]] = {}
    for stream, start in oldest.items():
        found |= row_store.metrics_since(tx, stream, start)
    return found


def _window(verdict: WindowVerdict, metrics: Sequence[WindowMetric]) -> WindowLine:
    return WindowLine(
        start=verdict.window_start,
        length=verdict.window_length,
        version=verdict.version,
        rows=verdict.rows,
        labelled=max((metric.rows_labelled for metric in metrics), default=0),
        coverage=max((metric.coverage for metric in metrics), default=None),
        watermark=max((metric.watermark for metric in metrics), default=None),
        unsure=verdict.unsure,
        lasting=verdict.concept is not None and verdict.concept.lasting,
    )


def _lines(verdicts: Sequence[WindowVerdict], metrics: Mapping[WindowKey, Sequence[WindowMetric]]) -> list[MetricLine]:
    """Make a line of every metric that is estimated or realised anywhere: those first that are both."""
    realised = [
        {metric.metric: _figure(metric) for metric in metrics.get(verdict.key, ()) if not metric.by} for verdict in verdicts
    ]
    gaps = [{gap.metric: gap for gap in verdict.gaps} for verdict in verdicts]
    both = dict.fromkeys(name for found in gaps for name in found)
    names = [*both, *dict.fromkeys(name for item in verdicts for name in item.estimated if name not in both)]
    names += dict.fromkeys(name for found in realised for name in found if name not in names)
    lines = []
    for name in names:
        told = [found.get(name) for found in gaps]
        spans = [None if gap is None else Figure(value=gap.gap, low=gap.low, high=gap.high) for gap in told]
        limits = [gap.limit for gap in told if gap is not None]
        lines.append(
            MetricLine(
                metric=name,
                estimated=_values([verdict.estimated.get(name) for verdict in verdicts]),
                realised=_values([found.get(name) for found in realised]),
                gap=_values(spans),
                limit=limits[-1] if limits else None,
                wide=tuple(gap is not None and gap.wide for gap in told),
            )
        )
    return lines


def _figure(metric: WindowMetric) -> Figure:
    return Figure(value=metric.value, low=metric.low, high=metric.high, source="realised", rows=metric.n_labelled)


def _values(figures: Sequence[Figure | None]) -> Values:
    return Values(
        *(tuple(None if figure is None else getattr(figure, name) for figure in figures) for name in ("value", "low", "high"))
    )


def _stream(stream: Stream, segment: str, state: stream_store.StreamState) -> StreamLine:
    return StreamLine(
        version=stream.version,
        segment=segment,
        labels=state.labels,
        loss=state.losses / state.labels if state.labels else 0.0,
        usual=None if state.cusum is None else state.cusum.rate,
        score=0.0 if state.cusum is None else state.cusum.score,
        recent=state.adwin.mean,
        width=state.adwin.width,
        fired=len(state.firings),
    )
