"""What the data domain speaks of: snapshots, the part a column plays, anomalies."""

from enum import StrEnum

import msgspec

from perenne.core.errors import Invalid
from perenne.stats.columns import Field, FieldKind


class ColumnType(msgspec.Struct, frozen=True):
    """A column of a snapshot; `type` is int64, float64, bool, string or timestamp."""

    name: str
    type: str


class Snapshot(msgspec.Struct, frozen=True):
    """Rows as they were, kept for good.

    Attributes
    ----------
    id : str
        The digest of its Parquet file: equal rows have the same id.
    dataset : str
        What the rows are called.
    rows, bytes : int
        How many, and the size of the file.
    columns : tuple of ColumnType
        Names and types, written down when the rows came in.
    source : str
        Where the rows were read from.
    start, end : int, optional
        The window of time they were taken for, `[start, end)` in microseconds since 1970.
    created : int
        When it was first taken.
    """

    id: str
    dataset: str
    rows: int
    bytes: int
    columns: tuple[ColumnType, ...]
    source: str
    start: int | None
    end: int | None
    created: int


class Kind(StrEnum):
    """What a column holds; the first three can be fed to a model."""

    NUMBER = "number"
    CATEGORY = "category"
    TIME = "time"
    TEXT = "text"


class Role(StrEnum):
    """The part a column plays."""

    FEATURE = "feature"
    TARGET = "target"
    TIME = "time"
    KEY = "key"
    IGNORED = "ignored"


class FieldGuess(msgspec.Struct, frozen=True):
    """What a column seems to be, the part it should play, and why."""

    name: str
    kind: Kind
    role: Role
    datatype: str
    reason: str

    @property
    def field(self) -> Field:
        """The column as a model's input. Raises Invalid for free text."""
        if self.kind is Kind.TEXT:
            raise Invalid(f"column {self.name!r} is free text", code="data.text", hint="leave it out, or make features of it")
        return Field(self.name, FieldKind(self.kind), self.datatype)


class Severity(StrEnum):
    """What an anomaly does: an error stops the pipeline, a warning is recorded and shown."""

    ERROR = "error"
    WARNING = "warning"


class Sample(msgspec.Struct, frozen=True):
    """A row that breaks a rule, counted from 1, and its value as text."""

    row: int
    value: str | None


class Anomaly(msgspec.Struct, frozen=True):
    """A rule that the data breaks.

    Attributes
    ----------
    id : str
        The same for the same rule and column in any run.
    column : str
        The column, or an empty text for the table as a whole.
    check : str
        The name of the rule.
    expected : str
        What the rule asks for.
    count, fraction : int, float
        How many rows break it, and their share of all rows.
    sample_rows : tuple of Sample
        The first five.
    severity : Severity
        Whether it stops the pipeline.
    """

    id: str
    column: str
    check: str
    expected: str
    count: int
    fraction: float
    sample_rows: tuple[Sample, ...]
    severity: Severity

    def __str__(self) -> str:
        where = f"column {self.column!r}: " if self.column else ""
        seen = f", as in row {self.sample_rows[0].row}: {self.sample_rows[0].value}" if self.sample_rows else ""
        return f"{where}{self.check}, expected {self.expected}; {self.count:,} rows ({self.fraction:.1%}){seen}"
