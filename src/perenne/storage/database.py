"""The metadata database: one place to open it, one kind of transaction to read it, one way to change it.

A change is a function of a transaction. `Database.write` runs it, commits it, and only then returns its result, so that nothing
is acknowledged before it is kept. On SQLite one connection writes and commits whatever is waiting as one group
(`perenne.storage.writer`).
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Invalid, Unavailable
from perenne.storage import migrations
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction
from perenne.storage.writer import GroupWriter

__all__ = ["Database", "JsonColumn", "Transaction", "metadata", "read_struct"]

T = TypeVar("T")

BUSY_TIMEOUT_S = 60.0
READERS = 16
"""Connections that may read at once."""


class Database:
    """An open metadata database.

    Use as a context manager, or call `close`. Safe to use from several threads; several processes may open the same one, each
    for itself: a process that was forked off opens its own.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        if self.url.get_backend_name() != "sqlite":
            raise Invalid(
                f"database URL starts with {self.url.drivername!r}",
                code="database.url",
                hint="use sqlite:///path/to/perenne.db; PostgreSQL comes with a later release",
            )
        if self.url.database in (None, "", ":memory:"):
            raise Invalid("database URL names no file", code="database.url", hint="use sqlite:///path/to/perenne.db")
        self._reader = _sqlite_engine(self.url, read_only=True)
        self._writing = _sqlite_engine(self.url, read_only=False)
        self._writer = GroupWriter(self._writing)

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database, made or brought to the present schema if need be.

        Raises
        ------
        Unavailable
            If it cannot be opened or its schema is newer than this program.
        """
        database = cls(url)
        path = Path(str(database.url.database))
        try:
            _make_file(path)
            migrations.upgrade(database._writing)
        except (OSError, sqlite3.Error, sa.exc.DBAPIError) as error:
            database.close()
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise Unavailable(
                f"the database at {path} cannot be opened: {reason}",
                code="database.unavailable",
                hint="is the disk full or read-only, or the file not a database? `perenne doctor` tells",
            ) from error
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read one consistent snapshot."""
        try:
            connection = self._reader.connect()
        except sa.exc.TimeoutError as error:
            raise Unavailable("too many readers at once", code="database.busy", hint="try again in a moment") from error
        with connection, connection.begin():
            yield Transaction(connection)

    def submit(self, work: Callable[[Transaction], T], *, durable: bool = True) -> "Future[T]":
        """Queue a change; the future has its result once it is committed.

        Parameters
        ----------
        work : callable
            Gets the transaction. If it raises, its own changes are undone and no others.
        durable : bool
            Whether the commit must survive a power cut (`synchronous=FULL`) and not only a killed process.
        """
        return self._writer.submit(work, durable)

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run a change, wait until it is committed and return its result; see `submit`.

        Raises
        ------
        Unavailable
            If it could not be committed: the disk is full or read-only, or another process holds the database.
        """
        return self._writer.run(work, durable)

    def close(self) -> None:
        """Commit what is queued and let go of every connection."""
        self._writer.close()
        self._writing.dispose()
        self._reader.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _make_file(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its journal the same rights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _sqlite_engine(url: sa.URL, *, read_only: bool) -> Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        pool_size=READERS // 2 if read_only else 1,
        max_overflow=READERS // 2 if read_only else 0,
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT_S,
            "cached_statements": 512,
        },
    )
    start = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _: object) -> None:
        _use_wal(raw)
        raw.execute("PRAGMA synchronous=NORMAL")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA temp_store=MEMORY")
        raw.execute("PRAGMA wal_autocheckpoint=4000")
        if read_only:
            raw.execute("PRAGMA query_only=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("begins_itself"):
            connection.exec_driver_sql(start)

    return engine


def _use_wal(raw: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; of several that do so to a new file at once, SQLite refuses some without a wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
