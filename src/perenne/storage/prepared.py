"""Statements for hot paths: compiled once for a database, then run on its driver, which costs a tenth of going through Core.

What is given up: column types that translate values (`JsonColumn`), and rows with names. The statement is still written in
Core, so that one text serves every database.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from perenne.storage.transaction import Transaction


class Prepared:
    """A statement that is compiled when it is first run.

    Parameters
    ----------
    statement : Executable
        With every changing value as a named `sqlalchemy.bindparam`.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def run(self, tx: Transaction, parameters: Mapping[str, Any]) -> Any:
        """Run it and return the driver's cursor."""
        text, names, fixed = self._text(tx)
        cursor = _driver(tx).cursor()
        cursor.execute(text, _values(names, {**fixed, **parameters}))
        return cursor

    def run_many(self, tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each set of parameters."""
        text, names, fixed = self._text(tx)
        _driver(tx).cursor().executemany(text, [_values(names, {**fixed, **row}) for row in rows])

    def _text(self, tx: Transaction) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        dialect = tx.connection.dialect
        if dialect.name not in self._compiled:
            compiled: Any = self._statement.compile(dialect=dialect)
            names = tuple(compiled.positiontup or ())
            fixed = {name: value for name, value in compiled.params.items() if value is not None}
            self._compiled[dialect.name] = (str(compiled), names, fixed)
        return self._compiled[dialect.name]


def _driver(tx: Transaction) -> Any:
    return tx.connection.connection.driver_connection


def _values(names: tuple[str, ...], parameters: Mapping[str, Any]) -> Any:
    return tuple([parameters[name] for name in names]) if names else parameters
