"""What the rows of a source looked like when they first came, and how those of today differ: said, not cast."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pyarrow as pa

from perenne.data.model import Anomaly, ColumnType, Severity
from perenne.data.tables import datatype_of


def differences(columns: tuple[ColumnType, ...], table: pa.Table) -> Iterator[Anomaly]:
    """Tell how a table differs from what was written down: columns that are missing or new, and other types.

    Whole numbers where there were others before are no difference; nor is a column without any value.
    """
    now = {field.name: datatype_of(field.type) for field in table.schema}
    empty = {name for name in now if table.column(name).null_count == table.num_rows}
    return changes(columns, now, table.num_rows, empty)


def changes(columns: tuple[ColumnType, ...], now: Mapping[str, str], rows: int, empty: Collection[str] = ()) -> Iterator[Anomaly]:
    """Tell how columns, by their types now, differ from those that were written down; those without any value fit each type."""
    if not columns:
        return
    known = {column.name: column.type for column in columns}
    for name, kind in known.items():
        if name not in now:
            yield _anomaly(name, "missing_column", kind, rows)
        elif now[name] != kind and (kind, now[name]) != ("float64", "int64") and name not in empty:
            yield _anomaly(name, "type", f"{kind}, found {now[name]}", rows)
    for name in now:
        if name not in known:
            yield _anomaly(name, "new_column", "not there", rows)


def _anomaly(name: str, check: str, expected: str, rows: int) -> Anomaly:
    return Anomaly(f"{check}.{name}", name, check, expected, rows, 1.0, (), Severity.ERROR)


_TYPES: dict[str, Any] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
}


def as_before(table: pa.Table, columns: tuple[ColumnType, ...]) -> pa.Table:
    """Give columns the types and the order that they had, where that loses nothing: whole numbers, and no values at all."""
    known = [column for column in columns if column.name in table.column_names]
    for column in known:
        values, kind = table.column(column.name), _TYPES[column.type]
        place = table.column_names.index(column.name)
        if values.type != kind and values.null_count == len(values):
            table = table.set_column(place, column.name, pa.chunked_array([pa.nulls(len(values), kind)]))
        elif pa.types.is_integer(values.type) and column.type == "float64":
            table = table.set_column(place, column.name, values.cast(kind))
    named = [column.name for column in known]
    return table.select([*named, *(name for name in table.column_names if name not in named)])
