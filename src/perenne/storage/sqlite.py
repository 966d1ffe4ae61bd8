"""SQLite: one file beside the project, one connection that writes, readers that see a snapshot of the write-ahead log."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Invalid, Unavailable
from perenne.storage.backend import READERS, WAIT_S, Backend, Fate
from perenne.storage.matching import add_functions
from perenne.storage.transaction import Transaction


class Sqlite(Backend):
    """A database in a file of this machine. A file system of the network will not do: its locks cannot be trusted."""

    concurrent = False
    cheap_savepoints = True
    hint = "is the disk full or read-only, or the file not a database? `perenne doctor` tells"

    def __init__(self, url: sa.URL) -> None:
        if url.database in (None, "", ":memory:"):
            raise Invalid("database URL names no file", code="database.url", hint="use sqlite:///path/to/perenne.db")
        self._level = ""
        super().__init__(url)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(str(self.url.database))

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self.path)

    def prepare(self) -> None:
        """Make an empty file that only its owner may read; SQLite gives its journal the same rights."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

    def is_made(self) -> bool:
        """Tell whether the file is there."""
        return self.path.exists()

    def begin(self, raw: Any, *, durable: bool, alone: bool) -> None:
        """Begin; whoever writes to SQLite is alone. The level of syncing belongs to the connection and is set as it changes."""
        level = "FULL" if durable else "NORMAL"
        if self._level != level:
            raw.execute(f"PRAGMA synchronous={level}")
            self._level = level
        raw.execute("BEGIN IMMEDIATE")

    def go_loose(self, raw: Any, *, durable: bool) -> None:
        """Do nothing: a group costs no round trip here, so that every change is in one."""

    def commit(self, raw: Any) -> None:
        """Commit."""
        raw.execute("COMMIT")

    def fate(self, token: Any, error: BaseException) -> Fate:
        """Say that it was undone: there is no server that could have committed it unheard."""
        return Fate.LOST

    def passing(self, error: BaseException) -> bool:
        """Say no: SQLite waits by itself for whoever writes."""
        return False

    def migrating(self, connection: Connection, work: Callable[[], None]) -> None:
        """Run under the write lock. Foreign keys are checked at the end: a table may be rebuilt without its rows' children."""
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            work()
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise Unavailable(
                    f"the new schema would break a reference of table {broken[0]}",
                    code="database.migration",
                    hint="nothing was changed; restore a backup, or ask for help with `perenne debug bundle`",
                )
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        else:
            connection.exec_driver_sql("COMMIT")
        finally:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")

    def check(self, tx: Transaction) -> str:
        """Run SQLite's own quick check."""
        return str(tx.scalar(sa.text("pragma quick_check")))

    def describe(self, tx: Transaction) -> str:
        """Name the version and the size of the file."""
        return f"SQLite {sqlite3.sqlite_version}, {self.path.stat().st_size / 2**20:.1f} MiB"

    def mark(self, connection: Connection) -> str:
        """Ask SQLite's counter of what other connections committed; this connection itself commits nothing."""
        return str(connection.exec_driver_sql("PRAGMA data_version").scalar())

    def restarting_keys(self, tx: Transaction, tables: list[sa.Table]) -> None:
        """Do nothing: the next key of SQLite is the highest one and one more."""

    def _engine(self, *, read_only: bool) -> Engine:
        engine = sa.create_engine(
            self.url,
            poolclass=sa.pool.QueuePool,
            pool_size=READERS // 2 if read_only else 1,
            max_overflow=READERS // 2 if read_only else 1,
            connect_args={
                "check_same_thread": False,
                "isolation_level": None,
                "timeout": WAIT_S,
                "cached_statements": 512,
            },
        )

        @sa.event.listens_for(engine, "connect")
        def prepare(raw: sqlite3.Connection, _: object) -> None:
            _use_wal(raw)
            raw.execute("PRAGMA synchronous=NORMAL")
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute("PRAGMA temp_store=MEMORY")
            raw.execute("PRAGMA wal_autocheckpoint=4000")
            add_functions(raw)
            if read_only:
                raw.execute("PRAGMA query_only=ON")
            else:
                self._level = "NORMAL"

        if read_only:

            @sa.event.listens_for(engine, "begin")
            def begin(connection: Connection) -> None:
                connection.exec_driver_sql("BEGIN")

        return engine


def _use_wal(raw: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; of several that do so to a new file at once, SQLite refuses some without a wait."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
