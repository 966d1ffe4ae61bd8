"""What data must keep: a small YAML file that people read, edit and review; inferred from a profile, with slack.

::

    table: {rows_min: 1000, key: [id], time: ts}
    columns:
      age: {type: int64, null_max: 0.05, min: 0, max: 132}
      state: {type: string, null_max: 0.05, domain: [MA, NY], severity: error}

A broken rule on values is a warning, or what its column's `severity` says; a missing or retyped column, a column that is empty
now, a missing or repeated key and a row from the future are always errors.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.data.model import MAX_TOP, ColumnProfile, DataProfile, Severity

_RANGE_SLACK = 0.1
_NULL_SLACK = 0.05
_FEWEST_ROWS = 0.01
_LONGEST_LEVEL = 100


class TableRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What holds for the whole table: enough rows, a key that is there and names one row each, a time that is there."""

    rows_min: int = 1
    key: tuple[str, ...] = ()
    time: str | None = None


class ColumnRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What holds for a column; a missing value breaks only `nullable` and `null_max`.

    Attributes
    ----------
    type : str
        int64, float64, bool, string or timestamp.
    nullable, null_max : bool, float
        Whether values may be missing, and at most which share.
    min, max : float
        The range of numbers, both ends in it.
    domain : tuple of str
        The texts there may be.
    regex, max_length : str, int
        What a text must match as a whole, and its most characters.
    unique : bool
        Whether no value may repeat.
    ascending : bool
        Whether no value may be less than the one in the row before.
    severity : Severity
        What a broken rule on values is.
    """

    type: str
    nullable: bool = True
    null_max: float | None = None
    min: float | None = None
    max: float | None = None
    domain: tuple[str, ...] | None = None
    regex: str | None = None
    max_length: int | None = None
    unique: bool = False
    ascending: bool = False
    severity: Severity = Severity.WARNING


class Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a table and of its columns, in the columns' order."""

    table: TableRules
    columns: dict[str, ColumnRules]


def infer_schema(profile: DataProfile, *, key: str | Sequence[str] | None = None, time: str | None = None) -> Schema:
    """State what the profiled data keeps, with slack: that data itself always passes.

    Parameters
    ----------
    key : str or sequence of str, optional
        The columns that name a row.
    time : str, optional
        The column that says when a row was known.
    """
    keys = (key,) if isinstance(key, str) else tuple(key or ())
    required = {*keys, time}
    rules = {column.name: _column_rules(column, profile.rows, column.name in required) for column in profile.columns}
    return Schema(table=TableRules(rows_min=max(1, int(profile.rows * _FEWEST_ROWS)), key=keys, time=time), columns=rules)


def _column_rules(column: ColumnProfile, rows: int, required: bool) -> ColumnRules:
    numbers = column.numbers
    bounded = numbers is not None and not numbers.infinite
    low, high = _range(numbers.min, numbers.max) if numbers is not None and bounded else (None, None)
    missing = column.nulls / max(rows, 1)
    return ColumnRules(
        type=column.type,
        nullable=not (required and column.nulls == 0),
        null_max=None if column.count == 0 or (required and column.nulls == 0) else min(1.0, _ceil(1.5 * missing + _NULL_SLACK)),
        min=low,
        max=high,
        domain=_domain(column),
        ascending=column.times is not None and column.times.ascending and required,
    )


def _range(low: float, high: float) -> tuple[float, float]:
    """Widen a range by a tenth on both sides, to round numbers; one that does not cross zero stays on its side."""
    slack = _RANGE_SLACK * (high - low) or _RANGE_SLACK * abs(high) or 1.0
    wide_low = 0.0 if low >= 0 > low - slack else -_ceil(slack - low)
    wide_high = 0.0 if high <= 0 < high + slack else _ceil(high + slack)
    return min(wide_low, low), max(wide_high, high)


def _ceil(value: float) -> float:
    """Round up to two significant digits.

    >>> _ceil(1316.2), _ceil(0.1234), _ceil(-1316.2)
    (1400.0, 0.13, -1300.0)
    """
    if value == 0 or not math.isfinite(value):
        return value
    digits = 1 - math.floor(math.log10(abs(value)))
    return float(round(math.ceil(round(value * 10.0**digits, 6)) / 10.0**digits, max(digits, 0))) if abs(digits) < 300 else value


def _domain(column: ColumnProfile) -> tuple[str, ...] | None:
    """Return the levels of a column of texts that has few and repeats them."""
    text = column.text
    if text is None or column.distinct > min(MAX_TOP, column.count // 2) or text.max_length > _LONGEST_LEVEL:
        return None
    return tuple(sorted(item.value for item in column.top))


class _Line(dict[str, Any]):
    """A mapping that stands on one line of a YAML file."""


def write_schema(schema: Schema) -> str:
    """Write a schema as YAML, one line for each column."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(_Line, lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", line, flow_style=True))
    columns = {name: _line(rules) for name, rules in schema.columns.items()}
    plain = {"table": _line(schema.table), "columns": columns}
    text: str = yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=math.inf)
    if text.replace("\n", "").isprintable():
        return text
    # The library writes line ends of other alphabets as they are, and does not read them so.
    escaped: str = yaml.dump(plain, Dumper=Dumper, sort_keys=False, width=math.inf)
    return escaped


def _line(rules: TableRules | ColumnRules) -> _Line:
    plain = msgspec.to_builtins(rules)
    return _Line(
        {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in plain.items()}
    )


def read_schema(text: str, name: str = "schema") -> Schema:
    r"""Read a schema from YAML.

    Raises
    ------
    Invalid
        If it is no YAML, has an unknown key or a rule that makes no sense; the message names the place.

    >>> read_schema("table: {rows_min: 3}\ncolumns: {x: {type: int64, min: 0}}").columns["x"].min
    0.0
    """
    import yaml

    try:
        schema = msgspec.convert(yaml.safe_load(text), Schema)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise Invalid(f"{name}: {error}", code="data.schema", hint="`perenne data schema` writes one to start from") from None
    for column, rules in schema.columns.items():
        _check_rules(column, rules, name)
    for column in (*schema.table.key, *([schema.table.time] if schema.table.time else ())):
        if column not in schema.columns:
            raise Invalid(
                f"{name}: table names column {column!r}, which is not among the columns",
                code="data.schema",
                hint="add it to the columns, or take the rule away",
            )
    return schema


_TYPES = ("int64", "float64", "bool", "string", "timestamp")


def _check_rules(column: str, rules: ColumnRules, name: str) -> None:
    problem = ""
    if rules.type not in _TYPES:
        problem = f"type {rules.type!r} is none of {', '.join(_TYPES)}"
    elif rules.type not in _TYPES[:2] and (rules.min, rules.max) != (None, None):
        problem = f"min and max are for numbers, and it is {rules.type}"
    elif rules.type != "string" and (rules.domain, rules.regex, rules.max_length) != (None, None, None):
        problem = f"domain, regex and max_length are for strings, and it is {rules.type}"
    elif rules.regex is not None:
        try:
            re.compile(rules.regex)
        except re.error as error:
            problem = f"regex {rules.regex!r}: {error}"
    if problem:
        raise Invalid(
            f"{name}: column {column!r}: {problem}", code="data.schema", hint="`perenne data schema SOURCE` writes one that fits"
        )
