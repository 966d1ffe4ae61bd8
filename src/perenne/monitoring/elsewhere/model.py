"""What is watched that others serve: where its rows are, what their columns are, and how far they have been counted."""

import hashlib

import msgspec

from perenne.core.clock import DAY, HOUR, MINUTE
from perenne.core.errors import Invalid
from perenne.stats.columns import Field, Task

LEARNING_DAYS = 7
KEPT = 30 * DAY
LATE = DAY


class Roles(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which column of a table is what.

    Attributes
    ----------
    time, prediction : str
        When a row was answered, and what was answered.
    score : tuple of str
        The score of the positive class, or one column for each class; empty if there are none.
    label, identity : str
        What turned out to be right, and what names a row; empty if there is no such column.
    features : tuple of str
        The inputs; all other columns if none is named.
    """

    time: str = "time"
    prediction: str = "prediction"
    score: tuple[str, ...] = ()
    label: str = ""
    identity: str = ""
    features: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that are no inputs."""
        return tuple(name for name in (self.time, self.prediction, *self.score, self.label, self.identity) if name)


class Signature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model served elsewhere takes and answers, as far as is known; `reference` names the rows it is held against."""

    task: Task | None = None
    classes: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    reference: str = ""


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that others serve.

    Attributes
    ----------
    version : str
        What is watched, `name@number` as ours are called.
    uri, sealed, query : str
        Where rows are read from: without and with its secret; empty if they are sent.
    kserve : str
        `namespace/inferenceservice` whose events are its rows; None if there is none.
    every, window, late : int
        Microseconds from reading to reading, of a window, and by how much rows may come late.
    state : dict
        What tells where reading goes on.
    revision : int
        Grows with every reading: of several readers one wins.
    newest : int
        Time of the newest row.
    rows, repeated, skipped : int
        Rows counted; rows that had come before; rows without a time, from the future, or too old.
    """

    name: str
    project: str
    version: str
    uri: str = ""
    sealed: str = ""
    query: str = ""
    kserve: str | None = None
    roles: Roles = Roles()
    signature: Signature = Signature()
    every: int = HOUR
    window: int = DAY
    late: int = LATE
    paused: bool = False
    removed: bool = False
    state: dict[str, str] = {}
    revision: int = 0
    newest: int = 0
    rows: int = 0
    repeated: int = 0
    skipped: int = 0
    checked: int | None = None
    problem: str = ""
    created: int = 0
    created_by: str = ""

    @property
    def reads(self) -> bool:
        """Whether rows are fetched, not sent."""
        return bool(self.uri)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that were counted together.

    Attributes
    ----------
    rows_object, keys_object : str
        Digests of the rows, and of the keys by which they are known again.
    first, last : int
        Their earliest and latest time.
    counted : bool
        Whether they are in the windows; not before there is a reference.
    logged : bool
        Whether they are in the row log.
    """

    deployment: str
    sequence: int
    rows_object: str
    keys_object: str
    rows: int
    first: int
    last: int
    kept: int
    counted: bool = False
    logged: bool = False


def calendar(name: str, every: int) -> str:
    """Return when a deployment's rows are read, as cron has it: spread over the span by its name, so that not all come at once.

    Raises
    ------
    Invalid
        If the span is no even part of an hour, of a day, or a day.

    >>> calendar("churn", HOUR), calendar("fraud", HOUR), calendar("churn", 15 * MINUTE)
    ('33 * * * *', '19 * * * *', '3,18,33,48 * * * *')
    """
    place = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    if every and HOUR % every == 0 and every % MINUTE == 0:
        step = every // MINUTE
        return ",".join(str(minute) for minute in range(place % step, 60, step)) + " * * * *"
    if every and DAY % every == 0 and every % HOUR == 0:
        step = every // HOUR
        hours = ",".join(str(hour) for hour in range(place // 60 % step, 24, step))
        return f"{place % 60} {hours} * * *"
    raise Invalid(
        "rows are read at an even part of an hour or a day", code="monitor.every", hint="such as --every 15m, 1h, 6h or 1d"
    )
