"""The metadata database: one place to open it, one kind of transaction to read it, one way to change it.

A change is a function of a transaction. `Database.write` runs it, commits it, and only then returns its result, so that nothing
is acknowledged before it is kept. One connection writes and commits whatever is waiting as one group (`perenne.storage.writer`);
what differs between SQLite and PostgreSQL is in `perenne.storage.sqlite` and `perenne.storage.postgres`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa

from perenne.core.errors import Invalid, Unavailable
from perenne.storage import migrations
from perenne.storage.backend import Backend
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction, reason_of, trouble
from perenne.storage.writer import GroupWriter

__all__ = ["Database", "JsonColumn", "Transaction", "metadata", "read_struct"]

T = TypeVar("T")

_FORMS = "use sqlite:///path/to/perenne.db or postgresql://user@host/database"


class Database:
    """An open metadata database.

    Use as a context manager, or call `close`. Safe to use from several threads; several processes may open the same one, each
    for itself: a process that was forked off opens its own.
    """

    def __init__(self, url: str) -> None:
        self.backend = _backend(url)
        self._writer = GroupWriter(self.backend)

    @property
    def url(self) -> sa.URL:
        """Where it is."""
        return self.backend.url

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database, made or brought to the present schema if need be.

        Raises
        ------
        Unavailable
            If it cannot be opened or its schema is newer than this program.
        """
        database = cls(url)
        try:
            database.backend.prepare()
            migrations.upgrade(database.backend)
        except (OSError, sqlite3.Error, sa.exc.DBAPIError) as error:
            database.close()
            raise Unavailable(
                f"the database at {database.backend.place} cannot be opened: {reason_of(error)}",
                code="database.unavailable",
                hint=database.backend.hint,
            ) from error
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read one consistent snapshot."""
        try:
            with self.backend.reading.connect() as connection, connection.begin():
                yield Transaction(connection, snapshot=True)
        except sa.exc.TimeoutError as error:
            raise Unavailable("too many readers at once", code="database.busy", hint="try again in a moment") from error
        except sa.exc.DBAPIError as error:
            raise trouble(error) or error from None

    def submit(
        self, work: Callable[[Transaction], T], *, durable: bool = True, alone: bool = True, loose: bool = False
    ) -> "Future[T]":
        """Queue a change; the future has its result once it is committed.

        Parameters
        ----------
        work : callable
            Gets the transaction. If it raises, its own changes are undone and no others. It may be run again, when the first
            time was undone as a whole: it does nothing outside the transaction.
        durable : bool
            Whether the commit must survive a power cut (`synchronous=FULL`) and not only a killed process.
        alone : bool
            Whether nothing may be changed between what the change reads and what it writes. False is for hot paths whose
            statements are each atomic by themselves: PostgreSQL commits those side by side.
        loose : bool
            Whether it does no harm if each statement is committed by itself, and if the change is kept twice; there is at most
            one that matters. PostgreSQL then needs neither BEGIN nor COMMIT, two of three round trips.
        """
        return self._writer.submit(work, durable, alone, loose)

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True, alone: bool = True, loose: bool = False) -> T:
        """Run a change, wait until it is committed and return its result; see `submit`.

        Raises
        ------
        Unavailable
            If it could not be committed: the disk is full or read-only, or another process holds the database.
        """
        return self._writer.run(work, durable, alone, loose)

    def close(self) -> None:
        """Commit what is queued and let go of every connection."""
        self._writer.close()
        self.backend.close()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _backend(text: str) -> Backend:
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise Invalid("the database URL cannot be read", code="database.url", hint=_FORMS) from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        from perenne.storage.sqlite import Sqlite

        return Sqlite(url)
    if kind in ("postgresql", "postgres"):
        from perenne.storage.postgres import Postgres

        return Postgres(url)
    raise Invalid(f"database URL starts with {url.drivername[:40]!r}", code="database.url", hint=_FORMS)
