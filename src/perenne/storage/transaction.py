"""A transaction, as use cases see it, and what may go wrong when the database itself is in trouble."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from perenne.core.errors import Invalid, Unavailable

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


_LOST_CONNECTION = ("08", "57P01", "57P02", "57P03", "25P03", "25P04")
_SERVER_TROUBLE = ("08", "28", "3D", "53", "57", "58", "55P03", "25006", "25P0", "40", "42501", "F0", "XX")
"""Classes of PostgreSQL's codes (appendix A of its manual): connection, log-in, resources, operator, system, locks, read-only."""


class Transaction:
    """A unit of work on the database. Whoever opens it, commits it; use cases only take it as `tx`.

    Attributes
    ----------
    snapshot : bool
        Whether it only reads, and only what is committed.
    """

    __slots__ = ("_after_commit", "_driver", "connection", "snapshot")

    def __init__(self, connection: Connection, *, snapshot: bool = False) -> None:
        self.connection = connection
        self.snapshot = snapshot
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


def cause_of(error: BaseException) -> BaseException:
    """Return the driver's own error inside SQLAlchemy's."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error


def reason_of(error: BaseException) -> str:
    """Return the first line of what the driver says, without the statement and its parameters."""
    cause = cause_of(error)
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]


def trouble(error: BaseException) -> Unavailable | Invalid | None:
    """Tell whether an error means that the database cannot be used for now: disk full, read-only, damaged, gone, held by others.

    A value that no database column can hold is `Invalid`. A broken constraint or a wrong statement is no such trouble: None.
    """
    cause = cause_of(error)
    if (isinstance(cause, OverflowError) and "SQLite" in str(cause)) or _is_data_error(cause):
        return _unfit(error)
    if not (_is_sqlite_trouble(cause) or _is_server_trouble(cause)):
        return None
    lost = is_connection_lost(cause)  # what the driver says of that names addresses, which is nobody else's business
    failure = Unavailable(
        "the database cannot be reached" if lost else f"the database cannot be used: {reason_of(cause)}",
        code="database.unavailable",
        hint="is it running, its disk full or read-only, or does another program hold it? `perenne doctor` tells",
    )
    failure.__cause__ = error
    return failure


def _unfit(error: BaseException) -> Invalid:
    failure = Invalid(
        f"a value cannot be kept: {reason_of(error)}",
        code="database.value",
        hint="it is too large, or of a type that the column does not hold",
    )
    failure.__cause__ = error
    return failure


def _is_of_psycopg(cause: BaseException) -> bool:
    return any(kind.__module__.partition(".")[0] == "psycopg" for kind in type(cause).__mro__)


def _is_data_error(cause: BaseException) -> bool:
    return _is_of_psycopg(cause) and any(kind.__name__ == "DataError" for kind in type(cause).__mro__)


def _is_sqlite_trouble(cause: BaseException) -> bool:
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _TROUBLE


def _is_server_trouble(cause: BaseException) -> bool:
    return is_connection_lost(cause) or sqlstate_of(cause).startswith(_SERVER_TROUBLE)


def sqlstate_of(error: BaseException) -> str:
    """Return PostgreSQL's code of an error, or an empty text."""
    return getattr(cause_of(error), "sqlstate", None) or ""


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether the server of the database went away, or cannot be reached."""
    cause = cause_of(error)
    if not _is_of_psycopg(cause):
        return False
    code = sqlstate_of(cause)
    return code.startswith(_LOST_CONNECTION) if code else type(cause).__name__ in ("OperationalError", "ConnectionTimeout")
