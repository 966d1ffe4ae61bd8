"""What is watched, the windows, what was found in them, and the rules by which a finding becomes an alert."""

import math
from enum import StrEnum

import msgspec

from perenne.core.clock import DAY
from perenne.core.days import span_of
from perenne.monitoring.rightness import MINIMUM_COVERAGE as MINIMUM_COVERAGE  # noqa: PLC0414
from perenne.monitoring.rightness import Concept, Contributions, Gap
from perenne.monitoring.rightness import WindowMetric as WindowMetric  # noqa: PLC0414
from perenne.projects import Guardrail, Monitoring, Objective, OwnBound
from perenne.stats.outcomes import Inside
from perenne.stats.slices import Slice

CHAMPION = "champion"
MERGED_WINDOWS = 8
GATHERED_WINDOWS = 512
"""Windows that are judged together at most, where they end by their rows."""

GAP_SHARE = 0.05
BLIND_SHARE = 0.5
ORPHAN_AGE = 7 * DAY
RESEND_AFTER = DAY
TOP_CAUSES = 5


class Stream(msgspec.Struct, frozen=True, order=True):
    """Whose windows are compared with each other: a version in a variant of a deployment."""

    deployment: str
    variant: str
    version: str


class WindowKey(msgspec.Struct, frozen=True, order=True):
    """Which window: whose, from when, how long; microseconds."""

    stream: Stream
    start: int
    length: int

    @property
    def end(self) -> int:
        """The first instant after the window."""
        return self.start + self.length

    @property
    def id(self) -> str:
        """How lineage and the audit trail call the window."""
        return f"{self.stream.deployment}/{self.stream.variant}/{self.stream.version}/{self.start}+{self.length}"


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a deployment that is watched.

    Attributes
    ----------
    reference : str
        Digest of the reference's bytes in the object store; also what its profiles call it.
    objectives, guardrails : tuple
        What it is held to.
    window_length : int
        Microseconds of a window.
    confirm, clear : int
        Alarm windows in a row before an alert fires, and windows without alarm before it is resolved.
    since : int
        When the watch began.
    plan : Monitoring
        What the project says of how it is watched.
    """

    deployment: str
    version: str
    project: str
    reference: str
    window_length: int
    objectives: tuple[Objective, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    confirm: int = 2
    clear: int = 2
    since: int = 0
    plan: Monitoring = Monitoring()

    @property
    def bounds(self) -> tuple[Objective | Guardrail | OwnBound, ...]:
        """Objectives and guardrails, and the limits of the project's own alerts."""
        own = (alert.bound for alert in self.plan.alerts)
        return (*self.objectives, *self.guardrails, *(bound for bound in own if bound is not None))

    def window(self, variant: str, instant: int) -> WindowKey:
        """Return the window of a variant that holds an instant."""
        stream = Stream(self.deployment, variant, self.version)
        if self.plan.windows:
            return WindowKey(stream, *span_of(instant, self.plan.windows, self.plan.zone))
        start = instant // self.window_length * self.window_length
        return WindowKey(stream, start, self.window_length)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What the observers have posted about one window so far. `revision` counts the additions.

    Times are microseconds. `segments` holds the profiles of groups, `columns` names those that the reference does not know.
    `rows` are in the profile, `dropped` were never seen, on `errors` requests the model failed;
    `latency` holds requests per cell of `perenne.formats.windows.LATENCY_EDGES_US`; of `compared` rows a challenger answered
    `agreed` like the champion.
    """

    deployment: str
    variant: str
    version: str
    window_start: int
    window_length: int
    reference: str
    rows: int
    dropped: int
    errors: int
    first: int
    last: int
    latency: tuple[int, ...]
    agreed: int
    compared: int
    profile: bytes
    revision: int
    segments: bytes | None = None
    columns: tuple[str, ...] = ()

    @property
    def key(self) -> WindowKey:
        """Which window it is."""
        return WindowKey(Stream(self.deployment, self.variant, self.version), self.window_start, self.window_length)


class WindowState(StrEnum):
    """What a window's comparison came to; `gap`: more than half was dropped, so nothing is said; `no_data`: nobody asked."""

    OK = "ok"
    WARN = "warn"
    ALARM = "alarm"
    TOO_FEW = "too_few"
    GAP = "gap"
    NO_DATA = "no_data"


class Cause(msgspec.Struct, frozen=True):
    """A drifted feature: its state, distances, what its shift does to the mean answer, and the change in words.

    `statistic` is the one that the project has it judged by, if not the rule, with its value and its limit.
    `segment` is the group of a column within which it has drifted; empty for all rows.
    """

    feature: str
    state: str
    js2: float | None
    ks_d: float | None
    impact: float | None
    sentence: str
    missing_rise: float = 0.0
    segment: str = ""
    statistic: str = ""
    value: float | None = None
    threshold: float | None = None

    @property
    def where(self) -> str:
        """The feature, and the group it is about."""
        return f"{self.feature} in {self.segment}" if self.segment else self.feature


class FeatureLine(msgspec.Struct, frozen=True, array_like=True):
    """How far a feature moved, and what the rule lets pass, by both distances; and what its shift does to the mean answer."""

    feature: str
    state: str
    js2: float
    js_limit: float
    d: float
    d_limit: float
    impact: float | None = None

    @property
    def times(self) -> float:
        """How far it moved in units of what the rule lets pass; of the divergence the root, which grows like the shift itself."""
        return max(math.sqrt(max(0.0, self.js2 / self.js_limit)), self.d / self.d_limit)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its interval, how it is known (`measured`, `estimated`, `realised`), on how many rows, of which group."""

    value: float | None
    low: float | None = None
    high: float | None = None
    source: str = "measured"
    rows: int = 0
    group: str = ""


class Standing(StrEnum):
    """How a bound stands in a window; `unsure`: beyond the limit, but by less than chance may do."""

    MET = "met"
    UNSURE = "unsure"
    MISSED = "missed"
    UNKNOWN = "unknown"


class BoundState(msgspec.Struct, frozen=True, kw_only=True):
    """How one objective or guardrail stands in one window; `stop` is who answers after a guardrail's breach."""

    kind: str
    bound: str
    limit: float
    at_least: bool
    standing: Standing
    figure: Figure
    stop: str = "previous"

    @property
    def rule(self) -> str:
        """The name of the alert rule it feeds."""
        return f"{self.kind}:{self.bound}:{self.figure.source}"


class WindowVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Everything found in a window, from its profile and later from its labels.

    Attributes
    ----------
    span_start : int
        Start of the earliest window merged into this one because it had too few rows alone.
    rows, needed_rows : int
        Rows judged, and rows it would have taken to find the smallest change that matters.
    dropped_share : float
        Share of the rows that the observer never saw; above 5 % the window has a `gap`.
    baseline, baseline_words : str
        What it was compared with: training, production or phase; and in words.
    comparison : str
        `BASELINE`, or `CONSECUTIVE` for the window before, which is drawn only.
    skew : bool
        It has alarmed since the first window of the version: training and serving differ, nothing has drifted.
    schema : tuple of str
        Columns that are missing, new or of another type, in words; alarming ones first.
    schema_broken : bool
        Whether one of them is missing or of another type.
    causes : tuple of Cause
        Drifted features, and those that moved the answer most; greatest impact first.
    lines : tuple of FeatureLine
        Every feature, of very many those that moved most.
    estimated : dict
        Metric to figure, from the scores alone.
    measured : dict
        Latency and error rate.
    bounds : tuple of BoundState
        Objectives and guardrails.
    unsure : tuple of str
        Why what was estimated is not to be relied on: shares of rows in regions that the reference did not know.
    contributions : Contributions or None
        Whether inputs still go with the answer.
    gaps, slices, inside
        From labels: estimates against what came true, where the model does worst, and what changed where inputs are as before.
    concept : Concept or None
        What detectors on the label stream say; None while no label has come.
    missing : dict
        The features with missing values, and which share of the rows that is; the most first.
    """

    deployment: str
    variant: str
    version: str
    window_start: int
    window_length: int
    span_start: int
    revision: int
    state: WindowState
    rows: int
    needed_rows: int
    dropped_share: float
    agreement: float | None = None
    baseline: str = "training"
    baseline_words: str = ""
    comparison: str = "BASELINE"
    skew: bool = False
    schema: tuple[str, ...] = ()
    schema_broken: bool = False
    causes: tuple[Cause, ...] = ()
    lines: tuple[FeatureLine, ...] = ()
    estimated: dict[str, Figure] = {}
    measured: dict[str, Figure] = {}
    bounds: tuple[BoundState, ...] = ()
    judged: int = 0
    unsure: tuple[str, ...] = ()
    contributions: Contributions | None = None
    gaps: tuple[Gap, ...] = ()
    slices: tuple[Slice, ...] = ()
    inside: Inside | None = None
    concept: Concept | None = None
    missing: dict[str, float] = {}

    @property
    def key(self) -> WindowKey:
        """Which window it is about."""
        return WindowKey(Stream(self.deployment, self.variant, self.version), self.window_start, self.window_length)

    @property
    def gap(self) -> bool:
        """Whether so much was dropped that the window may mislead."""
        return self.dropped_share > GAP_SHARE


class Severity(StrEnum):
    """How urgent an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def level(self) -> int:
        """The severity as a number: 1, 2, 3."""
        return list(Severity).index(self) + 1


class AlertState(StrEnum):
    """Where an alert stands. A pending alert that is not confirmed goes back to ok; resolved and ok are ends."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong with a version in production, from the first alarm window to the end.

    Attributes
    ----------
    rule : str
        `drift`, `objective:…`, `guardrail:…`, `alert:…`, `no_data`, `intake` and so on. At most one alert of a deployment,
        version and rule is open.
    since, latest : int
        Start of the first alarm window, and of the newest window that was looked at.
    sent : int or None
        When people were last told.
    project : str
        Whose it is; empty for the whole installation.
    source : str
        The data that the version was trained on: deployments that alarm on the same feature of it have one cause.
    parent : str
        The alert about that data, which speaks for this one; empty if it speaks for itself.
    channels : tuple of str
        Who is told, if the rule says so.
    told : tuple of str
        Features that people have heard of.
    """

    id: str
    deployment: str
    version: str
    rule: str
    state: AlertState
    severity: Severity
    since: int
    latest: int
    summary: str
    causes: tuple[Cause, ...] = ()
    opened: int
    fired: int | None = None
    ended: int | None = None
    sent: int | None = None
    acknowledged_by: str = ""
    project: str = ""
    source: str = ""
    parent: str = ""
    channels: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it still needs somebody."""
        return self.state in (AlertState.PENDING, AlertState.FIRING)

    @property
    def kind(self) -> str:
        """What kind of rule it is of: the first word of the rule.

        >>> [rule.partition(":")[0].partition(" ")[0] for rule in ("objective:roc_auc:realised", "source flights")]
        ['objective', 'source']
        """
        return self.rule.partition(":")[0].partition(" ")[0]


class AlertLine(msgspec.Struct, frozen=True):
    """An open alert without its causes; `fired` is None while it is pending, `parent` is the alert that speaks for it."""

    id: str
    deployment: str
    version: str
    rule: str
    severity: Severity
    summary: str
    fired: int | None
    acknowledged_by: str
    project: str
    parent: str


class Outcome(StrEnum):
    """What a window says about one alert rule; unknown neither confirms nor clears."""

    ALARM = "alarm"
    CLEAR = "clear"
    UNKNOWN = "unknown"


def stand(bound: Objective | Guardrail | OwnBound, figure: Figure, *, trusted: bool = True) -> BoundState:
    """Hold a figure against an objective or a guardrail: missed only if its whole interval lies beyond the limit.

    A figure that is not trusted is kept to be shown, and leaves the standing unknown.

    >>> stand(Objective("roc_auc", at_least=0.64), Figure(value=0.62, low=0.60, high=0.65)).standing.value
    'unsure'
    """
    met = bound.met(figure.value)
    nearest = figure.high if bound.at_least is not None else figure.low
    if met is None or not trusted:
        standing = Standing.UNKNOWN
    elif met:
        standing = Standing.MET
    else:
        standing = Standing.UNSURE if nearest is None or bound.met(nearest) else Standing.MISSED
    return BoundState(
        kind="guardrail" if isinstance(bound, Guardrail) else "alert" if isinstance(bound, OwnBound) else "objective",
        bound=bound.id,
        limit=bound.limit,
        at_least=bound.at_least is not None,
        standing=standing,
        figure=figure,
        stop=bound.stop if isinstance(bound, Guardrail) else "previous",
    )


def finite(value: float | None) -> float | None:
    """Return the value as a plain float, or None if it is missing or not finite."""
    return None if value is None or not math.isfinite(value) else float(value)
