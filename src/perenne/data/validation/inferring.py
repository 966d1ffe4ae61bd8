"""Stating what profiled data keeps, with slack: that data itself always passes."""

import math
from collections.abc import Sequence

from perenne.data.model import MAX_TOP, ColumnProfile, DataProfile
from perenne.data.validation.rules import ColumnRules, Schema, TableRules

_RANGE_SLACK = 0.1
_NULL_SLACK = 0.05
_FEWEST_ROWS = 0.01
_LONGEST_LEVEL = 100


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
    rules = {column.name: column_rules(column, profile.rows, column.name in required) for column in profile.columns}
    return Schema(table=TableRules(rows_min=max(1, int(profile.rows * _FEWEST_ROWS)), key=keys, time=time), columns=rules)


def column_rules(column: ColumnProfile, rows: int, required: bool) -> ColumnRules:
    """State what one column keeps; a required one that misses nothing may miss nothing later."""
    numbers = column.numbers
    bounded = numbers is not None and not numbers.infinite and not column.personal
    low, high = widened(numbers.min, numbers.max) if numbers is not None and bounded else (None, None)
    missing = column.nulls / max(rows, 1)
    return ColumnRules(
        type=column.type,
        nullable=not (required and column.nulls == 0),
        null_max=None if column.count == 0 or (required and column.nulls == 0) else null_allowance(missing),
        min=low,
        max=high,
        nan=column.nans > 0,
        domain=_domain(column),
        ascending=column.times is not None and column.times.ascending and required,
    )


def null_allowance(missing: float) -> float:
    """Return the share of missing values to allow where a share is missing now."""
    return min(1.0, _ceil(1.5 * missing + _NULL_SLACK))


def widened(low: float, high: float) -> tuple[float, float]:
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
    """Return the levels of a column of texts that has few and repeats them, unless they would tell of people."""
    text = column.text
    if text is None or column.personal or column.masked:
        return None
    if column.distinct > min(MAX_TOP, column.count // 2) or text.max_length > _LONGEST_LEVEL:
        return None
    return tuple(sorted(item.value for item in column.top))
