"""The metadata database: one place to open it, one kind of transaction to read it, one way to change it.

A change is a function of a transaction. `Database.write` runs it, commits it, and only then returns its result, so that nothing
is acknowledged before it is kept. On SQLite one thread owns the only connection that writes and commits whatever is waiting as
one group (`perenne.storage.writer`).
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Invalid, Unavailable

T = TypeVar("T")
S = TypeVar("S")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BUSY_TIMEOUT_MS = 60_000


class JsonColumn(sa.types.TypeDecorator[Any]):
    """A text column that holds a Struct, or any type msgspec can read, as JSON.

    Parameters
    ----------
    kind : type
        What the text is read into.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def process_bind_param(self, value: Any, dialect: object) -> str | None:
        """Write the value as JSON; None stays NULL."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: object) -> Any:
        """Read the JSON into the column's type."""
        return None if value is None else self._decoder.decode(value)


class Transaction:
    """A unit of work on the database. Whoever opens it, commits it; use cases only take it as `tx`."""

    __slots__ = ("_after_commit", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after_commit: list[Callable[[], None]] = []

    def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        """Run one statement, or one for each of several sets of parameters."""
        return self.connection.execute(statement, parameters)

    def scalar(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        return self.connection.execute(statement, parameters).scalar()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call a function once the change is kept; it is dropped if the change is not."""
        self._after_commit.append(callback)

    def run_after_commit(self) -> None:
        """Call what waits for the commit; only whoever commits may do so."""
        for callback in self._after_commit:
            callback()


class Database:
    """An open metadata database.

    Use as a context manager, or call `close`. Safe to use from several threads; several processes may open the same one.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        if self.url.get_backend_name() != "sqlite":
            raise Invalid(
                f"database URL starts with {self.url.drivername!r}",
                code="database.url",
                hint="use sqlite:///path/to/perenne.db; PostgreSQL comes with a later release",
            )
        from perenne.storage.writer import GroupWriter

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
        from perenne.storage import migrations

        path = sa.make_url(url).database
        if path and path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        database = cls(url)
        try:
            migrations.upgrade(database._writing)
        except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
            database.close()
            raise Unavailable(
                f"the database at {path} cannot be opened: {error.args[0]}",
                code="database.unavailable",
                hint="is the disk full or read-only, or the file in use by an older release? `perenne doctor` tells",
            ) from error
        return database

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read one consistent snapshot."""
        with self._reader.connect() as connection, connection.begin():
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
        """Run a change, wait until it is committed and return its result; see `submit`."""
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


def _sqlite_engine(url: sa.URL, *, read_only: bool) -> Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        pool_size=8 if read_only else 1,
        max_overflow=8 if read_only else 0,
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT_MS / 1_000,
            "cached_statements": 512,
        },
    )
    start = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _: object) -> None:
        raw.execute("PRAGMA journal_mode=WAL")
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


def read_struct(kind: Callable[..., S], row: "sa.Row[Any]") -> S:
    """Make a Struct of a row whose columns stand in the order of the Struct's fields."""
    return kind(*row)


class ThreadGuard:
    """Remembers one thread, to tell a call that comes from inside it."""

    def __init__(self) -> None:
        self._ident: int | None = None

    def enter(self) -> None:
        """Remember the calling thread."""
        self._ident = threading.get_ident()

    def leave(self) -> None:
        """Forget it."""
        self._ident = None

    def inside(self) -> bool:
        """Tell whether the caller is the remembered thread."""
        return threading.get_ident() == self._ident
