"""What a project says of how its deployments are watched; everything has a default, so that a project may say nothing."""

from collections.abc import Collection
from datetime import date
from enum import StrEnum

import msgspec

from perenne.core.calendar import zone_of
from perenne.core.clock import DAY, HOUR, parse_duration
from perenne.core.days import UNITS, grain_of
from perenne.core.errors import Invalid
from perenne.projects.alerting import Alert, check_alerts
from perenne.projects.outcomes import Outcome, checked_outcomes
from perenne.projects.performing import Performance
from perenne.projects.statistics import Statistics, read_statistics
from perenne.stats.names import Chosen

MAX_SEGMENTS = 4
MAX_GROUPS = 32
CLUSTERS = (8, 32)


class BaselineKind(StrEnum):
    """What windows are compared with.

    `training`: the reference of the version. `production`: its first seven clean days in production, then fixed. `phase`: the
    same hour of the week, or day of the week, in the weeks before.
    """

    TRAINING = "training"
    PRODUCTION = "production"
    PHASE = "phase"


class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long the counts of windows are kept, in microseconds; texts such as ``"30d"`` are read.

    Attributes
    ----------
    hours : int
        Windows shorter than half a day; before they go they are added to their day.
    days : int
        Days and weeks.
    sums : int
        After this the sums beside the counts of short windows go; they are three fifths of the bytes.
    """

    hours: int = 30 * DAY
    days: int = 1_095 * DAY
    sums: int = 7 * DAY

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str):
                value = parse_duration(value)
                msgspec.structs.force_setattr(self, name, value)
            if not isinstance(value, int) or value < 0:
                raise _wrong(f"Retention({name}={value!r}) is no length of time", 'write Retention(hours="30d", days="1095d")')


class Monitoring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a project's deployments are watched.

    Attributes
    ----------
    minimum_rows : int
        A window with fewer rows is judged together with those before it.
    alerts : tuple of Alert
        Rules beside those that objectives and guardrails give by themselves.
    baseline : str
        What windows are compared with: training, production or phase.
    zone : str
        The time zone of days, weeks and hours of the day.
    windows : str
        hour, day or week: windows by the calendar of the zone; empty for those of the fixed length `Project(window=…)`.
    draw : str
        "hour": hours are compared as well, to be drawn; they never raise an alert.
    every_rows : int
        Windows are judged together until they have so many rows, however long that takes; 0 for each by itself.
    holidays : tuple of str
        Days such as ``"2026-12-25"`` that are like Sundays.
    segments : tuple of str
        Input columns whose groups are watched each by itself.
    groups : int
        So many groups of a segment column at most, by how frequent they are; the rest is one more.
    clusters : int
        8 to 32: rows are watched by which of so many centres of the reference is nearest, and how far; 0 for not at all.
    lists : tuple of str
        Outputs, or input columns, that hold lists of recommended items.
    together : bool
        Whether the combination of a row's inputs is watched too, as `@together`: two inputs may each stay as they were and no
        longer go together.
    keep : Retention
        How long windows are kept.
    outcomes : tuple of Outcome
        What comes of answers and is posted later; guardrails may bound it.
    sensitive : tuple of str
        Attributes that come with labels only, by which groups are compared; of them sums are kept and no rows.
    moves : tuple of str
        Input columns that the model's own answers move: their drift is a feedback loop.
    statistics : dict
        By which statistic a feature is judged, and beyond which limit, instead of by the drift rule: names of docs/statistics.md,
        or those of Evidently, NannyML, Snowflake or TensorFlow Data Validation; `"*"` stands for every input not named.
    performance : Performance
        What answers are worth, and by which key labels may come.

    >>> Monitoring(baseline="phase", windows="day", zone="Europe/Berlin", segments=["plan"]).segments
    ('plan',)
    >>> str(Monitoring(statistics={"amount": "jensenshannon(0.15)"}).choices["amount"])
    'js_distance(0.15)'
    """

    minimum_rows: int = 200
    alerts: tuple[Alert, ...] = ()
    baseline: BaselineKind = BaselineKind.TRAINING
    zone: str = "UTC"
    windows: str = ""
    draw: str = ""
    every_rows: int = 0
    holidays: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    groups: int = 8
    clusters: int = 0
    lists: tuple[str, ...] = ()
    together: bool = True
    keep: Retention = Retention()
    outcomes: tuple[Outcome, ...] = ()
    sensitive: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    statistics: Statistics = {}
    performance: Performance = Performance()

    def __post_init__(self) -> None:
        if self.minimum_rows < 1:
            raise _wrong(
                f"Monitoring(minimum_rows={self.minimum_rows}) is below 1",
                "a few hundred rows tell a change from chance: minimum_rows=200",
            )
        msgspec.structs.force_setattr(self, "alerts", tuple(self.alerts))
        check_alerts(self.alerts)
        msgspec.structs.force_setattr(self, "statistics", read_statistics(self.statistics))
        self._read_words()
        self._check_windows()
        self._check_parts()

    def _read_words(self) -> None:
        msgspec.structs.force_setattr(self, "baseline", BaselineKind(_chosen("baseline", self.baseline, list(BaselineKind))))
        msgspec.structs.force_setattr(self, "outcomes", checked_outcomes(self.outcomes))
        for name in ("holidays", "segments", "lists", "sensitive", "moves"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(item, str) and item for item in value):
                raise _wrong(f"Monitoring({name}={value!r}) is no list of names", f'write Monitoring({name}=["…"])')
            msgspec.structs.force_setattr(self, name, tuple(value))
        for day in self.holidays:
            try:
                date.fromisoformat(day)
            except ValueError:
                raise _wrong(f"Monitoring(holidays=…): {day!r} is no date", "write it as 2026-12-25") from None

    @property
    def choices(self) -> dict[str, Chosen]:
        """The statistics by feature."""
        return {name: choice for name, choice in self.statistics.items() if isinstance(choice, Chosen)}

    def _check_windows(self) -> None:
        zone_of(self.zone)
        _chosen("windows", self.windows, ["", *UNITS])
        _chosen("draw", self.draw, ["", "hour"])
        if self.draw and self.windows not in ("day", "week"):
            raise _wrong('Monitoring(draw="hour") needs longer windows to judge by', 'write windows="day" beside it')
        if self.every_rows and (self.every_rows < 1 or self.windows):
            raise _wrong(
                f"Monitoring(every_rows={self.every_rows}) is below 1, or stands beside windows={self.windows!r}",
                "windows end by the calendar or by their rows",
            )

    def _check_parts(self) -> None:
        if len(self.segments) > MAX_SEGMENTS or len(set(self.segments)) < len(self.segments):
            raise _wrong(f"Monitoring(segments=…) names {len(self.segments)} columns", f"at most {MAX_SEGMENTS}, each once")
        if not 1 <= self.groups <= MAX_GROUPS:
            raise _wrong(f"Monitoring(groups={self.groups}) is not 1 to {MAX_GROUPS}", "every group has a profile of its own")
        if self.clusters and not CLUSTERS[0] <= self.clusters <= CLUSTERS[1]:
            raise _wrong(f"Monitoring(clusters={self.clusters}) is not 8 to 32", "fewer say little, more are noise")

    @property
    def length(self) -> int:
        """How long a window by the calendar usually is, in microseconds; 0 for windows of a fixed length."""
        return UNITS[self.windows] if self.windows else 0

    @property
    def grain(self) -> int:
        """The length of the windows in which observers count what is judged by the calendar; 0 for a fixed length."""
        return min(grain_of(self.zone), HOUR) if self.windows else 0


def _chosen(name: str, value: str, known: Collection[str]) -> str:
    if value not in known:
        words = ", ".join(word for word in known if word)
        raise _wrong(f"Monitoring({name}={value!r}) is not known", f"it is one of: {words}")
    return value


def _wrong(message: str, hint: str) -> Invalid:
    return Invalid(message, code="project.monitoring", hint=hint)
