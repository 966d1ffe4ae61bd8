"""The words of a schema: what holds for a table, for a column, between columns, and what an environment lacks."""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from perenne.data.model import Severity

Bound: TypeAlias = float | str
"""A number, or an instant as text such as `2013-01-01`."""


class Metric(StrEnum):
    """How two distributions are held against each other.

    `linf` is the largest difference of a share, 0 to 1, for texts and booleans; `js` the Jensen-Shannon distance, 0 to 0.83.
    """

    LINF = "linf"
    JS = "js"


class Distance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a column may be from the same one of a baseline."""

    metric: Metric
    threshold: float


class TableRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What holds for the whole table.

    Attributes
    ----------
    rows_min, rows_max : int
        How many rows there are.
    rows_change : float
        By which share of the baseline's rows their number may differ.
    key : tuple of str
        The columns that name a row: none missing, no row twice.
    time : str
        The column that says when a row was known.
    freshness : str
        How old the newest row may be, such as ``26h``.
    severity : mapping
        What a broken rule of the table is, by the name of its check: `rows_min`, `new_column`, `reordered`…
    """

    rows_min: int = 1
    rows_max: int | None = None
    rows_change: float | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    freshness: str | None = None
    severity: dict[str, Severity] = {}


class ColumnRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What holds for a column; a missing value breaks only `nullable` and `null_max`.

    Attributes
    ----------
    type : str
        int64, float64, bool, string or timestamp.
    nullable, null_max : bool, float
        Whether values may be missing, and at most which share.
    min, max : float or str
        The range of numbers, or of times, both ends in it.
    nan : bool
        Whether a value may be not-a-number: if not, it breaks `min` and `max`. It counts as missing in any case.
    domain : tuple
        The texts, or whole numbers, there may be.
    regex, min_length, max_length : str, int
        What a text must match as a whole, and its fewest and most characters.
    unique : bool
        Whether no value may repeat.
    ascending : bool
        Whether no value may be less than the one in the row before.
    drift, skew : Distance
        How far it may be from an earlier version, and from what the model was trained on.
    severity : Severity or mapping
        What a broken rule on values is: of all, or by the name of the check.
    """

    type: str
    nullable: bool = True
    null_max: float | None = None
    min: Bound | None = None
    max: Bound | None = None
    nan: bool = False
    domain: tuple[str | int, ...] | None = None
    regex: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    unique: bool = False
    ascending: bool = False
    drift: Distance | None = None
    skew: Distance | None = None
    severity: Severity | dict[str, Severity] = Severity.WARNING

    def severity_of(self, check: str) -> Severity:
        """Return what breaking one of the rules is."""
        if isinstance(self.severity, dict):
            return self.severity.get(check, Severity.WARNING)
        return self.severity


class RowRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A condition in SQL that every row keeps; where it is neither true nor false, because a value is missing, it is kept."""

    sql: str
    severity: Severity = Severity.ERROR


class RowCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A function of the project, as `module:function`: it takes an Arrow table and tells of each row whether it is fine."""

    function: str
    severity: Severity = Severity.ERROR


class Environment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where rows may look otherwise: at serving time the label is not there yet."""

    absent: tuple[str, ...] = ()


class Schema(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rules of a table and of its columns, in the columns' order; `rules` between columns and `checks` have names."""

    table: TableRules
    columns: dict[str, ColumnRules]
    rules: dict[str, RowRule] = {}
    checks: dict[str, RowCheck] = {}
    environments: dict[str, Environment] = {}

    def within(self, environment: str) -> "Schema":
        """Return the schema of an environment. Raises KeyError."""
        absent = self.environments[environment].absent
        columns = {name: rules for name, rules in self.columns.items() if name not in absent}
        key = tuple(name for name in self.table.key if name in columns)
        time = self.table.time if self.table.time in columns else None
        table = msgspec.structs.replace(self.table, key=key, time=time)
        return msgspec.structs.replace(self, table=table, columns=columns)
