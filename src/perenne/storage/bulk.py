"""Putting many rows into a table at once: the driver's statement for many on SQLite, arrays in one statement on PostgreSQL."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.storage.transaction import Transaction

_ARRAYS = ((sa.Boolean, "bool"), (sa.Integer, "int8"), (sa.Float, "float8"), (sa.LargeBinary, "bytea"), (sa.Text, "text"))


class BulkInsert:
    """An insert of many rows, written once for each kind of database.

    Parameters
    ----------
    table : Table
        Where to.
    columns : sequence of str
        Which values a row has, in this order, as the driver takes them: `JsonColumn` is not applied.
    conflict : str
        What follows ``ON CONFLICT``, if anything; no two rows of one call may then be in conflict with each other.
    """

    def __init__(self, table: sa.Table, columns: Sequence[str], conflict: str = "") -> None:
        names = ", ".join(columns)
        tail = f" ON CONFLICT {conflict}" if conflict else ""
        kinds = [_array(table.c[name]) for name in columns]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        self._writers = [list if kind in ("text", "bytea") else _spelled for kind in kinds]
        self._rows = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))}){tail}"
        # WHERE TRUE: or the parser of either would take ON for the condition of a join
        self._columns = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) WHERE TRUE{tail}"

    def run(self, tx: Transaction, rows: Sequence[Sequence[Any]]) -> int:
        """Put the rows in; return how many were put in or changed."""
        if not rows:
            return 0
        if tx.connection.dialect.name == "postgresql":
            columns = zip(*rows, strict=True)
            arrays = [write(column) for write, column in zip(self._writers, columns, strict=True)]
            return int(tx.driver.execute(self._columns, arrays).rowcount)
        if len(rows) == 1:
            return int(tx.driver.execute(self._rows, rows[0]).rowcount)
        return int(tx.driver.cursor().executemany(self._rows, rows).rowcount)


def _spelled(numbers: Iterable[int | float | bool | None]) -> str:
    """Write numbers as PostgreSQL spells an array: a fifth of what the driver takes for one number after the other."""
    return f"{{{','.join(['null' if number is None else str(number) for number in numbers])}}}"


def _array(column: "sa.Column[Any]") -> str:
    kept = column.type.impl if isinstance(column.type, sa.types.TypeDecorator) else column.type
    return next(name for kind, name in _ARRAYS if isinstance(kept, kind))
