"""The one thread that writes to SQLite: whatever waits is run, each change in its own savepoint, and committed as one group."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Unavailable
from perenne.storage.database import ThreadGuard, Transaction

T = TypeVar("T")

MAX_GROUP = 256


class _Change:
    __slots__ = ("durable", "future", "result", "transaction", "work")

    def __init__(self, work: Callable[[Transaction], Any], durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.transaction: Transaction | None = None


class GroupWriter:
    """Runs queued changes on one connection.

    Parameters
    ----------
    engine : Engine
        The engine whose single connection may write.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._guard = ThreadGuard()
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[Transaction], T], durable: bool) -> "Future[T]":
        """Queue a change and return the future of its committed result.

        Raises
        ------
        Unavailable
            If the writer is closed, or a change tries to queue another and wait for it.
        """
        if self._guard.inside():
            raise Unavailable(
                "a change may not open another transaction", code="database.nested", hint="pass its `tx` on instead"
            )
        change = _Change(work, durable)
        with self._lock:
            if self._closed:
                raise Unavailable("the database is closed", code="database.closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="perenne-writer", daemon=True)
                self._thread.start()
            self._queue.put(change)
        return change.future

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        self._guard.enter()
        while (first := self._queue.get()) is not None:
            group, last = [first], False
            while len(group) < MAX_GROUP and not self._queue.empty():
                change = self._queue.get()
                if change is None:
                    last = True
                    break
                group.append(change)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Change]) -> None:
        try:
            with self._engine.connect() as connection:
                level = "FULL" if any(change.durable for change in group) else "NORMAL"
                connection.connection.cursor().execute(f"PRAGMA synchronous={level}")
                with connection.begin():
                    kept = [change for change in group if _apply(change, connection)]
        except BaseException as error:  # a failed commit must reach every waiting caller
            for change in group:
                if not change.future.done():
                    change.future.set_exception(error)
            return
        for change in kept:
            assert change.transaction is not None
            try:
                change.transaction.run_after_commit()
            finally:
                change.future.set_result(change.result)


def _apply(change: _Change, connection: Connection) -> bool:
    """Run one change in a savepoint of its own; tell whether it is to be kept."""
    connection.exec_driver_sql("SAVEPOINT change_")
    try:
        change.transaction = Transaction(connection)
        change.result = change.work(change.transaction)
    except BaseException as error:  # whatever the change raises belongs to its caller
        connection.exec_driver_sql("ROLLBACK TO change_")
        connection.exec_driver_sql("RELEASE change_")
        change.future.set_exception(error)
        return False
    connection.exec_driver_sql("RELEASE change_")
    return True
