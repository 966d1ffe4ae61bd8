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
        With every value as a named `sqlalchemy.bindparam`, or a text with `:name`.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...]]] = {}

    def run(self, tx: Transaction, parameters: Mapping[str, Any]) -> Any:
        """Run it and return the driver's cursor."""
        text, names = self._text(tx)
        return tx.driver.execute(text, _values(names, parameters))

    def run_many(self, tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each set of parameters."""
        text, names = self._text(tx)
        values = [_values(names, row) for row in rows]
        if values:
            tx.driver.cursor().executemany(text, values)

    def _text(self, tx: Transaction) -> tuple[str, tuple[str, ...]]:
        dialect = tx.connection.dialect
        known = self._compiled.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            known = self._compiled[dialect.name] = (str(compiled), tuple(compiled.positiontup or ()))
        return known


def _values(names: tuple[str, ...], parameters: Mapping[str, Any]) -> Any:
    return [parameters[name] for name in names] if names else parameters
