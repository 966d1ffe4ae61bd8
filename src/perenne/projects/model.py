"""The words of a project: objectives, guardrails, windows of time, people and plans."""

from datetime import UTC, date, datetime
from enum import StrEnum

import msgspec

from perenne.core.clock import DAY, SECOND, format_time
from perenne.core.errors import Invalid

OPERATIONAL_METRICS = {
    "latency_p50_ms": "lower",
    "latency_p99_ms": "lower",
    "error_rate": "lower",
    "availability": "higher",
    "throughput_rps": "higher",
    "model_age_days": "lower",
}
"""Metrics that a running deployment has, and which of their directions is the better one."""


class Bound(msgspec.Struct, frozen=True):
    """A metric and the value it must reach or stay under, overall or in every group of a column.

    Attributes
    ----------
    metric : str
        A name of `perenne.stats.metrics`, a fairness name of `perenne.stats.fairness`, or an operational metric.
    at_least, at_most : float, optional
        The limit; exactly one of the two.
    by : str, optional
        A column: the bound holds for every one of its groups.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise Invalid(
                f"{type(self).__name__}({self.metric!r}) needs exactly one of at_least and at_most",
                code="project.bound",
                hint=f'for example {type(self).__name__}("roc_auc", at_least=0.7)',
            )

    @property
    def limit(self) -> float:
        """The value to reach or to stay under."""
        return float(self.at_least if self.at_least is not None else self.at_most)  # type: ignore[arg-type]

    @property
    def id(self) -> str:
        """A short name, unique among a project's bounds of one kind.

        >>> Objective("roc_auc", at_least=0.6, by="carrier").id
        'roc_auc by carrier'
        """
        return self.metric if self.by is None else f"{self.metric} by {self.by}"

    @property
    def operational(self) -> bool:
        """Whether the metric is one of the running service and not of its answers."""
        return self.metric in OPERATIONAL_METRICS

    def met(self, value: float | None) -> bool | None:
        """Tell whether a value keeps the bound; None if there is no value.

        >>> Objective("rmse", at_most=3.0).met(2.5), Objective("rmse", at_most=3.0).met(None)
        (True, None)
        """
        if value is None or value != value:
            return None
        return value >= self.limit if self.at_least is not None else value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least is not None else "≤"
        return f"{self.id} {sign} {self.limit:g}"


class Objective(Bound, frozen=True):
    """What the model must reach: it drives the review gate, the alert, the trigger and the rollback alike."""


STOPS = ("previous", "constant", "person", "alert")
COMPARED = ("holdout", "challenger", "canary")

EFFECTS = ("override_rate", "decided_share", "largest_share", "top_share", "answer_entropy", "answer_gini")
LIST_EFFECTS = ("coverage_", "entropy_", "gini_", "distinct_")
"""What a model does to the world it is used in, known only of one in production; of lists of items, with the list's name."""


class Guardrail(Bound, frozen=True):
    """What must not get worse while the objective is pursued; in production a breach stops the model.

    Attributes
    ----------
    stop : str
        Who answers after a breach: the `previous` version (or the constant, if there is none), the `constant`, a `person` who
        works through a queue, or, with `alert`, the model as before, and people are told.
    against : str
        With `holdout`, `challenger` or `canary` the bound is on how much the model's callers differ in an outcome from those.
    later : bool
        Whether it is about an outcome, or about groups that come with labels only; a `Project` knows.

    >>> Guardrail("refund", at_most=0.01, against="holdout", stop="alert").id
    'refund against holdout'
    """

    stop: str = "previous"
    against: str = ""
    later: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("stop", STOPS), ("against", ("", *COMPARED))):
            if getattr(self, name) not in known:
                raise Invalid(
                    f"Guardrail({self.metric!r}, {name}={getattr(self, name)!r}) is not known",
                    code="project.bound",
                    hint=f"{name} is one of: {', '.join(filter(None, known))}",
                )

    @property
    def id(self) -> str:
        """A short name, unique among a project's guardrails."""
        return super().id + (f" against {self.against}" if self.against else "")

    @property
    def operational(self) -> bool:
        """Whether it can be known of a model in production only."""
        return (
            super().operational
            or self.later
            or bool(self.against)
            or self.metric in EFFECTS
            or self.metric.startswith(LIST_EFFECTS)
        )


class Labels(msgspec.Struct, frozen=True):
    """The labels that stand beside the rows of a data set: what is known in a label set when a round begins.

    Attributes
    ----------
    label_set : str
        Its name.
    column : str
        What the label is called; the model's target.
    sources : tuple of str
        Which kinds of sayer count: person, import, rule, model; all if none is named.
    """

    label_set: str
    column: str = "label"
    sources: tuple[str, ...] = ()


class Sql(msgspec.Struct, frozen=True):
    """Rows of a database: `sqlite:PATH`, `duckdb:PATH` or `postgresql://…`, and one select.

    A password belongs in the environment, for many read `project.py`: `$NAME` in the address is taken from there.
    """

    uri: str
    query: str


class Window(msgspec.Struct, frozen=True):
    """A stretch of time `[start, end)`, in microseconds since 1970, UTC.

    >>> str(Window(0, DAY))
    '1970-01-01T00:00:00.000Z to 1970-01-02T00:00:00.000Z'
    """

    start: int
    end: int

    @property
    def start_at(self) -> datetime:
        """The start as a naive datetime in UTC, as databases and data frames like it."""
        return datetime.fromtimestamp(self.start / SECOND, UTC).replace(tzinfo=None)

    @property
    def end_at(self) -> datetime:
        """The end as a naive datetime in UTC."""
        return datetime.fromtimestamp(self.end / SECOND, UTC).replace(tzinfo=None)

    @property
    def length(self) -> int:
        """Microseconds from start to end."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{format_time(self.start)} to {format_time(self.end)}"


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody who takes part, and what they do there."""

    name: str
    role: str = ""


class Proof(StrEnum):
    """What proves that a milestone was reached: the first record in the audit trail that tells of it."""

    VERSION = "version"
    APPROVED = "approved"
    DEPLOYED = "deployed"
    RETRAINED = "retrained"


class Milestone(msgspec.Struct, frozen=True, omit_defaults=True):
    """A date of the plan, what is to be there by then, and what proves it: the name of a `Proof`, or nothing.

    A date that is none and an unknown proof are kept as they are, for plans are read again long after they were written.
    """

    due: str
    title: str
    evidence: str = ""

    @property
    def ends(self) -> int | None:
        """The first instant after the day it is due, in microseconds; None if `due` is no date.

        >>> Milestone("1970-01-01", "in service").ends == DAY
        True
        """
        try:
            day = date.fromisoformat(self.due)
        except ValueError:
            return None
        return (day.toordinal() - date(1970, 1, 1).toordinal() + 1) * DAY


class Reached(msgspec.Struct, frozen=True):
    """That something was reached: when, what did it, who, and the number of the audit record that says so."""

    time: int
    thing: str
    by: str
    record: int


class PlanState(StrEnum):
    """How a milestone stands; `unproven`: it names nothing that could prove it, or no date."""

    DONE = "done"
    LATE = "late"
    OPEN = "open"
    OVERDUE = "overdue"
    UNPROVEN = "unproven"


def judge_milestone(milestone: Milestone, reached: Reached | None, now: int) -> PlanState:
    """Hold a milestone against what happened, never against what anybody says.

    >>> judge_milestone(Milestone("1970-01-01", "in service", "deployed"), None, 2 * DAY).value
    'overdue'
    """
    ends = milestone.ends
    if milestone.evidence not in set(Proof) or ends is None:
        return PlanState.UNPROVEN
    if reached is not None:
        return PlanState.DONE if reached.time < ends else PlanState.LATE
    return PlanState.OPEN if now < ends else PlanState.OVERDUE
