"""PostgreSQL: processes on several machines write to it. What SQLite gives by its one writer, an advisory lock gives here.

A change that looks before it writes takes that lock, so that it sees all that was committed before it and nothing happens beside
it; the lock is let go of by the commit. Changes whose statements are each atomic by themselves go side by side.
"""

import contextlib
import time
import weakref
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Invalid, Unavailable
from perenne.storage.backend import READERS, WAIT_S, WRITERS, Backend, Fate
from perenne.storage.transaction import Transaction, is_connection_lost, sqlstate_of

LOCK = int.from_bytes(b"perenne", "big")
"""The advisory lock of whoever must be alone; PostgreSQL keeps such locks apart by database."""

SCHEMA_LOCK = LOCK + 1

CONNECT_S = 5
IDLE_S = 60
"""How long a process may hold a transaction open without doing anything, before the server ends it: a process that was stopped
while it held the lock must not hold up all others."""

_TRY_AGAIN = ("40001", "40P01")


class Postgres(Backend):
    """A database of a PostgreSQL server, version 14 or newer."""

    concurrent = True
    cheap_savepoints = False
    hint = "does it run, and are name, user and password right? `perenne doctor` tells"

    @property
    def place(self) -> str:
        """The URL without its password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=True)

    def __init__(self, url: sa.URL) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise Invalid("PostgreSQL needs its driver", code="database.driver", hint="pip install 'perenne[postgres]'") from None
        self._durable: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
        super().__init__(url.set(drivername="postgresql+psycopg"))

    def prepare(self) -> None:
        """Do nothing: the database was made by whoever runs the server."""

    def is_made(self) -> bool:
        """Say yes: if the server knows of none, the first connection tells."""
        return True

    def begin(self, raw: Any, *, durable: bool, alone: bool) -> str | None:
        """Begin, wait for the lock if need be, and return the transaction's number, all in one round trip.

        How a commit waits for the disk belongs to the connection and is set as it changes. Only of a durable commit anybody asks
        later what became of it.
        """
        words = [*self._changed(raw, durable), "BEGIN"]
        if alone:
            number = ", pg_current_xact_id()::text" if durable else ""
            words.append(f"SELECT pg_advisory_xact_lock({LOCK}){number}")
        cursor = raw.execute("; ".join(words))
        if not alone or not durable:
            return None
        while cursor.nextset():
            pass
        return str(cursor.fetchone()[1])

    def go_loose(self, raw: Any, *, durable: bool) -> None:
        """Set how commits wait for the disk, if that has changed; the connection commits by itself."""
        for words in self._changed(raw, durable):
            raw.execute(words)

    def _changed(self, raw: Any, durable: bool) -> list[str]:
        if self._durable.get(raw, True) == durable:
            return []
        self._durable[raw] = durable
        return [f"SET synchronous_commit TO {'DEFAULT' if durable else 'off'}"]

    def commit(self, raw: Any) -> None:
        """Commit; PostgreSQL answers the COMMIT of a transaction in which a statement has failed with ROLLBACK, and no error."""
        answer = raw.execute("COMMIT").statusmessage
        if answer != "COMMIT":
            raise Unavailable("a statement of the change had failed", code="database.undone", hint="the first error tells why")

    def fate(self, token: Any, error: BaseException) -> Fate:
        """Ask the server by the transaction's number, as soon as it answers again."""
        if not is_connection_lost(error):
            return Fate.LOST
        if token is None:
            return Fate.UNKNOWN
        deadline = time.monotonic() + CONNECT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(sa.exc.DBAPIError), self.writing.connect() as connection:
                status = connection.exec_driver_sql(f"SELECT pg_xact_status('{int(token)}'::xid8)").scalar()
                if status in ("committed", "aborted"):
                    return Fate.KEPT if status == "committed" else Fate.LOST
            time.sleep(0.05)
        return Fate.UNKNOWN

    def passing(self, error: BaseException) -> bool:
        """Tell whether it was a deadlock, or the server went away."""
        return sqlstate_of(error) in _TRY_AGAIN or is_connection_lost(error)

    def migrating(self, connection: Connection, work: Callable[[], None]) -> None:
        """Run under a lock of its own: those who write go on until a table they need is changed."""
        connection.exec_driver_sql(f"BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
        try:
            work()
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        else:
            connection.exec_driver_sql("COMMIT")

    def check(self, tx: Transaction) -> str:
        """Look at what would make the database unfit: another encoding than UTF-8, or a copy that cannot be written."""
        encoding = tx.scalar(sa.text("SHOW server_encoding"))
        if encoding != "UTF8":
            return f"its encoding is {encoding}; make it with ENCODING 'UTF8'"
        return "it is a read-only copy" if tx.scalar(sa.text("SELECT pg_is_in_recovery()")) else "ok"

    def describe(self, tx: Transaction) -> str:
        """Name the version, the database and its size."""
        version = tx.scalar(sa.text("SHOW server_version")).split()[0]
        size = tx.scalar(sa.text("SELECT pg_database_size(current_database())")) / 2**20
        return f"PostgreSQL {version}, database {self.url.database}, {size:.1f} MiB"

    def mark(self, connection: Connection) -> str:
        """Ask for the first transaction that has not begun; those of other databases of the server count as well."""
        return str(connection.exec_driver_sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").scalar())

    def restarting_keys(self, tx: Transaction, tables: list[sa.Table]) -> None:
        """Set the sequence of each automatic key behind the highest one."""
        for table in tables:
            column = table.autoincrement_column
            if column is None:
                continue
            following = tx.scalar(sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1))
            sequence = tx.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
            tx.scalar(sa.select(sa.func.setval(sequence, following, False)))

    def _engine(self, *, read_only: bool) -> Engine:
        engine = sa.create_engine(
            self.url,
            poolclass=sa.pool.QueuePool,
            pool_size=READERS // 2 if read_only else 1,
            max_overflow=READERS // 2 if read_only else WRITERS,
            pool_pre_ping=read_only,
            isolation_level="REPEATABLE READ" if read_only else "AUTOCOMMIT",
            connect_args={
                "connect_timeout": CONNECT_S,
                "application_name": "perenne",
                "keepalives_idle": 30,
                "tcp_user_timeout": 30_000,
                "options": f"-c lock_timeout={int(WAIT_S)}s -c idle_in_transaction_session_timeout={IDLE_S}s"
                if not read_only
                else "",
            },
        )
        if read_only:

            @sa.event.listens_for(engine, "connect")
            def prepare(raw: Any, _: object) -> None:
                raw.read_only = True

        return engine
