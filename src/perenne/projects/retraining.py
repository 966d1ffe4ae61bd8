"""What a project says of retraining: what opens an episode, the test a challenger has to pass, and the limits it stays within."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

import msgspec

from perenne.core.clock import DAY, HOUR, parse_duration
from perenne.core.errors import Invalid
from perenne.projects.blackouts import Blackout, blackout_end


class Drift(msgspec.Struct, frozen=True, tag="drift", omit_defaults=True):
    """Retrain when inputs or predictions have drifted.

    Attributes
    ----------
    for_windows, of : int
        In how many of the newest windows it must have been found; once the alert fires, if nothing is said.
    features : tuple of str
        Only if one of these has drifted; any if none is named.
    """

    for_windows: int = 1
    of: int = 0
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.for_windows < 1 or (self.of and self.of < self.for_windows):
            raise Invalid(
                f"drift(for_windows={self.for_windows}, of={self.of}) can never hold",
                code="project.trigger",
                hint="so many of the newest windows: pn.drift(for_windows=3, of=5)",
            )

    @property
    def windows(self) -> int:
        """How many of the newest windows are looked at."""
        return self.of or self.for_windows


class Missed(msgspec.Struct, frozen=True, tag="missed", omit_defaults=True):
    """Retrain when an objective is missed in production, by its interval; an empty metric means any."""

    metric: str = ""


class Concept(msgspec.Struct, frozen=True, tag="concept", omit_defaults=True):
    """Retrain when what answers are true has changed: labels, or the gap between estimate and labels, say so.

    Attributes
    ----------
    detector : str
        Only if this one said it, such as `cusum`, `adwin` or `gap`; any if empty.
    """

    detector: str = ""


class NewData(msgspec.Struct, frozen=True, tag="new_data", omit_defaults=True):
    """Retrain when enough data is new: labelled rows since the champion answers, or versions of a data set that arrived.

    Attributes
    ----------
    rows : int
        Rows whose label has come.
    versions : int
        Snapshots that sources brought since the last episode; one of `rows` and `versions`.
    dataset : str
        Only those of this data set.
    """

    rows: int = 0
    versions: int = 0
    dataset: str = ""

    def __post_init__(self) -> None:
        if (self.rows > 0) == (self.versions > 0) or min(self.rows, self.versions) < 0:
            raise Invalid(
                f"new_data(rows={self.rows}, versions={self.versions}) needs one of rows and versions",
                code="project.trigger",
                hint="pn.new_data(rows=50_000), or pn.new_data(versions=1)",
            )


class Cron(msgspec.Struct, frozen=True, tag="cron", omit_defaults=True):
    """Retrain by the calendar: minute, hour, day of month, month, day of week, by the clock of a time zone."""

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        from perenne.core.calendar import parse_cron, zone_of

        parse_cron(self.expression)
        zone_of(self.zone)


class Manual(msgspec.Struct, frozen=True, tag="manual", omit_defaults=True):
    """Retrain because a person asked."""

    reason: str = ""


Single: TypeAlias = Drift | Missed | Concept | NewData | Cron | Manual


class AllOf(msgspec.Struct, frozen=True, tag="all_of", omit_defaults=True):
    """Retrain only when several things have come together, in any order, within a time.

    Attributes
    ----------
    triggers : tuple of Trigger
        What must have come.
    within : int
        Microseconds from the first to the last of them.
    """

    triggers: tuple[Single, ...]
    within: int = 7 * DAY

    def __post_init__(self) -> None:
        if len(set(self.triggers)) < 2 or len(set(self.triggers)) != len(self.triggers) or self.within <= 0:
            raise Invalid(
                "all_of needs two or more triggers, each once, and a time",
                code="project.trigger",
                hint='pn.all_of(pn.drift(), pn.new_data(rows=1_000), within="7d")',
            )


Trigger: TypeAlias = Single | AllOf


def all_of(*triggers: Single, within: str | int = 7 * DAY) -> AllOf:
    """Say that several triggers must have come within a time.

    >>> len(all_of(Drift(), NewData(rows=1_000), within="3d").triggers)
    2
    """
    return AllOf(tuple(triggers), parse_duration(within) if isinstance(within, str) else within)


class Mode(StrEnum):
    """How a challenger is held against the champion; `by_trigger`: fresh after drift, superior after anything else."""

    BY_TRIGGER = "by_trigger"
    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"
    FRESH = "fresh"


class Promotion(msgspec.Struct, frozen=True):
    """The test that a challenger has to pass against the champion, on the same rows, one-sided and paired.

    Attributes
    ----------
    alpha : float
        How often a model that is no better (or, for non-inferiority, too much worse) may pass by chance.
    metric : str
        What is compared; the first objective's metric if empty.
    mode : Mode
        Better; not worse by the margin or more; or `fresh`: not worse on the older rows and better on the newest.
    min_effect : float
        A difference that is smaller is not worth a change; rows that could not show it well enough leave the verdict unknown.
    margin : float
        By how much it may be worse and still count as not inferior, in units of the metric.
    """

    alpha: float = 0.05
    metric: str = ""
    mode: Mode = Mode.SUPERIOR
    min_effect: float = 0.0
    margin: float = 0.01

    def __post_init__(self) -> None:
        wrong = "alpha" if not 0 < self.alpha < 0.5 else "min_effect" if self.min_effect < 0 else ""
        if not wrong and self.margin <= 0:
            wrong = "margin"
        if wrong:
            raise Invalid(
                f"{self.mode}({wrong}={getattr(self, wrong)}) cannot be",
                code=f"project.{wrong}",
                hint="alpha lies between 0 and 0.5, min_effect is no less than 0, margin more: pn.superior(alpha=0.05)",
            )


def superior(alpha: float = 0.05, metric: str = "", min_effect: float = 0.0) -> Promotion:
    """Promote a challenger that is better than the champion on the same rows.

    >>> superior(alpha=0.01).mode.value
    'superior'
    """
    return Promotion(alpha, metric, Mode.SUPERIOR, min_effect)


def non_inferior(margin: float, alpha: float = 0.05, metric: str = "") -> Promotion:
    """Promote a challenger that is not worse by a margin: only where a fresher model is itself the aim.

    >>> non_inferior(margin=0.005).margin
    0.005
    """
    return Promotion(alpha, metric, Mode.NON_INFERIOR, margin=margin)


def fresh(margin: float = 0.01, alpha: float = 0.05, metric: str = "", min_effect: float = 0.0) -> Promotion:
    """Promote a challenger that is not worse on the rows from before the change and better on those from after it.

    >>> fresh().mode.value
    'fresh'
    """
    return Promotion(alpha, metric, Mode.FRESH, min_effect, margin)


_NUMBERS = {
    "shadow_rows": 0,
    "runs_per_month": 0,
    "cpu_hours_per_month": 0,
    "money_per_month": 0,
    "cpu_hour_costs": 0,
    "minimum_labels": 1,
    "slice_margin": 0,
    "false_promotions_per_year": 0,
}
"""Settings that are numbers, and the least that each may be."""

_DURATIONS = frozenset(
    ("approval_time", "cooldown", "debounce", "history", "holdout", "label_delay", "shadow", "canary_time", "trial_time", "soak")
)


class RetrainPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When to retrain, and what has to happen before the challenger answers people. Durations are microseconds.

    Attributes
    ----------
    on : tuple of Trigger
        What opens an episode: any one of them.
    promote : Promotion
        The test the challenger has to pass.
    approve_by : str
        Who must approve, or an empty text if the evidence alone decides.
    approval_time : int
        How long an approval may be waited for before the episode expires.
    cooldown : int
        Rest after an episode; it doubles with each rejection in a row, up to eight times.
    debounce : int
        How long further triggers are gathered before training starts.
    skip_unneeded : bool
        Whether drift that labels or the inputs' weight show to be harmless ends the episode before anything is trained.
    history : int
        How much of the past is trained on; 0 for all there is.
    holdout : int
        The newest stretch of data, never trained on, on which both models are judged.
    label_delay : int
        How old a row must be before its label is taken as known.
    minimum_labels : int
        On fewer labelled rows nothing is decided.
    cluster : str
        What makes rows alike that belong together: `day`, or a column; they are drawn together when chance is judged.
    slices : tuple of str
        Columns: in every group of each the challenger must not be worse by `slice_margin`.
    slice_margin : float
        In units of the metric.
    false_promotions_per_year : float
        How many models that are no better may be promoted in a year by chance; 0 leaves every test its own alpha.
    shadow, shadow_rows : int
        How long, and for how many rows, a challenger answers unseen beside the champion.
    canary : float
        After the shadow, the share of callers it answers for before it is promoted; 0 for none.
    canary_time : int
        For how long; 0 for as long as the shadow.
    prove_live : bool
        Whether labels must show it to be better while it answers beside the champion; else they must only not show the contrary.
    trial_time : int
        How long shadow and canary may wait for rows or proof, each, before the episode expires.
    soak : int
        How long a promoted version is watched before it is settled.
    runs_per_month, cpu_hours_per_month, money_per_month, cpu_hour_costs
        The budget of 30 days: more of one of them raises an alert and trains nothing; 0 hours or money: no limit.
    blackout : tuple of Blackout
        When nothing is trained and nobody is promoted.
    """

    on: tuple[Trigger, ...] = (Drift(),)
    promote: Promotion = Promotion(mode=Mode.BY_TRIGGER)
    approve_by: str = ""
    approval_time: int = 30 * DAY
    cooldown: int = DAY
    debounce: int = 0
    skip_unneeded: bool = True
    history: int = 0
    holdout: int = 14 * DAY
    label_delay: int = DAY
    minimum_labels: int = 30
    cluster: str = ""
    slices: tuple[str, ...] = ()
    slice_margin: float = 0.02
    false_promotions_per_year: float = 0.0
    shadow: int = HOUR
    shadow_rows: int = 200
    canary: float = 0.0
    canary_time: int = 0
    prove_live: bool = False
    trial_time: int = 30 * DAY
    soak: int = DAY
    runs_per_month: int = 30
    cpu_hours_per_month: float = 0.0
    money_per_month: float = 0.0
    cpu_hour_costs: float = 0.0
    blackout: tuple[Blackout, ...] = ()

    @classmethod
    def of(cls, **values: object) -> "RetrainPolicy":
        """Make a policy, with durations as texts such as ``"1d"``.

        Raises
        ------
        Invalid
            If a name is unknown, a duration is none, or a number cannot be.
        """
        unknown = set(values) - set(cls.__struct_fields__)
        if unknown:
            known = ", ".join(cls.__struct_fields__)
            raise Invalid(
                f"project.retrain has no setting {sorted(unknown)[0]!r}", code="project.retrain", hint=f"it has {known}"
            )
        read = {name: _read(name, value) for name, value in values.items()}
        try:
            policy = msgspec.convert(msgspec.to_builtins(read), cls)
        except msgspec.ValidationError as error:
            raise Invalid(f"project.retrain: {error}", code="project.retrain", hint="`docs/automation.md` shows each") from None
        if policy.money_per_month and not policy.cpu_hour_costs:
            raise _wrong("money_per_month", policy.money_per_month, "say what an hour of CPU costs: cpu_hour_costs=0.05")
        return policy

    def closed_until(self, now: int) -> int | None:
        """Return when the blackouts that hold at an instant are over; None if none holds."""
        return blackout_end(self.blackout, now) if self.blackout else None

    def rule(self, triggers: Iterable[Trigger]) -> Promotion:
        """Return the test of an episode, by what opened it and what joined.

        >>> RetrainPolicy().rule([Drift()]).mode.value, RetrainPolicy().rule([Drift(), Manual()]).mode.value
        ('fresh', 'superior')
        """
        if self.promote.mode is not Mode.BY_TRIGGER:
            return self.promote
        single = [one for trigger in triggers for one in (trigger.triggers if isinstance(trigger, AllOf) else (trigger,))]
        drifted = bool(single) and all(isinstance(one, Drift | Concept) for one in single)
        return msgspec.structs.replace(self.promote, mode=Mode.FRESH if drifted else Mode.SUPERIOR)


def _read(name: str, value: object) -> object:
    """Read a setting as a person writes it."""
    if name in _DURATIONS and isinstance(value, str):
        return parse_duration(value)
    if name == "canary" and not (isinstance(value, int | float) and 0 <= value < 1):
        raise _wrong(name, value, "a share below 1, such as 0.1")
    if name in _NUMBERS and not (isinstance(value, int | float) and value >= _NUMBERS[name]):
        raise _wrong(name, value, f"a number that is no less than {_NUMBERS[name]}")
    if name in ("on", "slices", "blackout"):
        return tuple(value) if isinstance(value, list | tuple) else (value,)
    return value


def _wrong(name: str, value: object, hint: str) -> Invalid:
    return Invalid(f"project.retrain: {name} is {value!r}", code="project.retrain", hint=hint)
