"""A transaction, as use cases see it, and what may go wrong when the database itself is in trouble."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from perenne.core.errors import Unavailable

_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


class Transaction:
    """A unit of work on the database. Whoever opens it, commits it; use cases only take it as `tx`."""

    __slots__ = ("_after_commit", "_driver", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver: Any = None
        self._after_commit: list[Callable[[], None]] = []

    def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        """Run one statement, or one for each of several sets of parameters."""
        return self.connection.execute(statement, parameters)

    def scalar(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        return self.connection.execute(statement, parameters).scalar()

    @property
    def driver(self) -> Any:
        """The driver's own connection, for `perenne.storage.prepared`."""
        if self._driver is None:
            self._driver = self.connection.connection.driver_connection
        return self._driver

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call a function once the change is kept; it is dropped if the change is not. It may read, but not write."""
        self._after_commit.append(callback)

    def run_after_commit(self) -> None:
        """Call what waits for the commit; only whoever commits may do so."""
        for callback in self._after_commit:
            callback()


def trouble(error: BaseException) -> Unavailable | None:
    """Tell whether an error means that the database cannot be used for now: disk full, read-only, damaged, held by others.

    A broken constraint or a wrong statement is no such trouble: None.
    """
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None or code & 0xFF not in _TROUBLE:
        return None
    failure = Unavailable(
        f"the database cannot be used: {cause}",
        code="database.unavailable",
        hint="is the disk full or read-only, or does another program hold the file? `perenne doctor` tells",
    )
    failure.__cause__ = error
    return failure
