"""The one connection that writes to SQLite: whatever waits is run, each change in its own savepoint, and committed as one group.

Whoever holds the turn may use the connection. A caller that waits for its change anyway takes a free turn itself, which saves
two switches of thread (most of the cost of a small change); if others are at it, changes queue up for the writer thread,
which commits them together.
"""

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Unavailable
from perenne.storage.statistics import WRITES
from perenne.storage.transaction import Transaction, trouble

T = TypeVar("T")

MAX_GROUP = 256

log = logging.getLogger(__name__)


class _Change:
    __slots__ = ("durable", "future", "result", "transaction", "work")

    def __init__(self, work: Callable[[Transaction], Any], durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.transaction: Transaction | None = None


class GroupWriter:
    """Runs changes on one connection, in the order in which they come.

    Parameters
    ----------
    engine : Engine
        The engine whose single connection may write.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._at_work: int | None = None
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._level = ""

    def submit(self, work: Callable[[Transaction], T], durable: bool) -> "Future[T]":
        """Queue a change and return the future of its committed result.

        Raises
        ------
        Unavailable
            If the writer is closed, or the caller is itself a change.
        """
        self._refuse_nested()
        change = _Change(work, durable)
        with self._lock:
            if self._closed:
                raise Unavailable("the database is closed", code="database.closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="perenne-writer", daemon=True)
                self._thread.start()
            self._waiting += 1
            self._queue.put(change)
        return change.future

    def run(self, work: Callable[[Transaction], T], durable: bool) -> T:
        """Run a change and return its committed result; in the calling thread if nothing else waits.

        Raises
        ------
        Unavailable
            As in `submit`, or if the change cannot be committed.
        """
        self._refuse_nested()
        if self._turn.acquire(blocking=False):
            try:
                if not self._waiting and not self._closed:
                    change = _Change(work, durable)
                    self._commit([change])
                    result: T = change.future.result()
                    return result
            finally:
                self._turn.release()
        return self.submit(work, durable).result()

    def close(self) -> None:
        """Finish what is queued, end the thread and give the connection back."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()
        with self._turn:
            self._let_go()

    def _refuse_nested(self) -> None:
        if self._at_work == threading.get_ident():
            raise Unavailable(
                "a change may not open another transaction", code="database.nested", hint="pass its `tx` on instead"
            )

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = [first], False
            with self._turn:
                while len(group) < MAX_GROUP and not self._queue.empty():
                    change = self._queue.get()
                    if change is None:
                        last = True
                        break
                    group.append(change)
                self._commit(group)
                with self._lock:
                    self._waiting -= len(group)
            if last:
                return

    def _commit(self, group: list[_Change]) -> None:
        """Run and commit a group; every future in it is done afterwards. Only for whoever holds the turn."""
        group = [change for change in group if change.future.set_running_or_notify_cancel()]
        self._at_work, started = threading.get_ident(), time.perf_counter()
        try:
            kept = self._apply(group)
            WRITES.count(len(group), time.perf_counter() - started)
            for change in kept:
                _acknowledge(change)
        except BaseException as error:  # a commit that failed must reach every waiting caller
            self._let_go()
            for change in group:
                if not change.future.done():
                    change.future.set_exception(trouble(error) or error)
        finally:
            self._at_work = None

    def _apply(self, group: list[_Change]) -> list[_Change]:
        """Run and commit the changes of a group, and return those that are kept."""
        if not group:
            return []
        connection = self._connect()
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        level = "FULL" if any(change.durable for change in group) else "NORMAL"
        if level != self._level:
            raw.execute(f"PRAGMA synchronous={level}")
            self._level = level
        raw.execute("BEGIN IMMEDIATE")
        if len(group) == 1:
            kept = group if _attempt(group[0], connection) else []
        else:
            kept = [change for change in group if _apply_in_savepoint(change, connection, raw)]
        raw.execute("COMMIT" if kept else "ROLLBACK")
        return kept

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(begins_itself=True)
            self._level = ""
        return self._connection

    def _let_go(self) -> None:
        """Close the connection, which undoes whatever it had not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _acknowledge(change: _Change) -> None:
    assert change.transaction is not None
    try:
        change.transaction.run_after_commit()
    except Exception:  # the change is kept: what follows it can neither undo it nor stop the writer
        log.exception("what waited for a commit failed")
    finally:
        change.future.set_result(change.result)


def _attempt(change: _Change, connection: Connection) -> bool:
    """Run one change; tell whether it is to be kept."""
    try:
        change.transaction = Transaction(connection)
        change.result = change.work(change.transaction)
    except BaseException as error:  # whatever the change raises belongs to its caller
        change.future.set_exception(trouble(error) or error)
        return False
    return True


def _apply_in_savepoint(change: _Change, connection: Connection, raw: sqlite3.Connection) -> bool:
    raw.execute("SAVEPOINT change_")
    kept = _attempt(change, connection)
    if not kept:
        raw.execute("ROLLBACK TO change_")
    raw.execute("RELEASE change_")
    return kept
