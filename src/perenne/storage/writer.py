"""How changes reach the database: whatever waits is run, each change in its own savepoint, and committed as one group.

Whoever holds the turn may use the connection. A caller that waits for its change anyway takes a free turn itself, which saves
two switches of thread (most of the cost of a small change); if others are at it, changes queue up for the writer thread,
which commits them together. Changes that need not be alone go beside it where the database allows that.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from perenne.core.errors import Unavailable
from perenne.storage.backend import WRITERS, Backend, Fate
from perenne.storage.statistics import WRITES
from perenne.storage.transaction import Transaction, trouble

T = TypeVar("T")

MAX_GROUP = 256
MAX_GATHER_S, GATHER_STEP_S = 0.002, 0.00005
"""How long a group waits for more, and how often it looks."""

RIDE_OUT_S = 5.0
"""How long changes are tried again when the database went away in the middle, before their callers hear of it."""

log = logging.getLogger(__name__)


class _Change:
    __slots__ = ("alone", "durable", "future", "loose", "result", "transaction", "work")

    def __init__(self, work: Callable[[Transaction], Any], durable: bool, alone: bool, loose: bool) -> None:
        self.work = work
        self.durable = durable
        self.alone = alone
        self.loose = loose
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.transaction: Transaction | None = None


class _Passing(Exception):
    """Leaves a group that is to be run again; its cause is what happened."""


class _Careful(Exception):
    """Leaves a group that was run without savepoints, in which a change failed: it is run again with them."""


class _Line:
    """One connection and the groups that are committed on it, one after the other."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._connection: Connection | None = None

    def commit(self, group: list[_Change]) -> None:
        """Run and commit a group; every future in it is done afterwards."""
        group = [change for change in group if change.future.set_running_or_notify_cancel()]
        started = time.perf_counter()
        try:
            kept = self._persist(group)
            WRITES.count(len(group), time.perf_counter() - started)
            for change in kept:
                _acknowledge(change)
        except BaseException as error:  # a commit that failed must reach every waiting caller
            self.let_go()
            for change in group:
                if not change.future.done():
                    change.future.set_exception(trouble(error) or error)

    def let_go(self) -> None:
        """Close the connection, which undoes whatever it had not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _persist(self, group: list[_Change]) -> list[_Change]:
        """Apply a group, again and again for a while if what stops it may pass; return the changes that are kept."""
        deadline = time.monotonic() + RIDE_OUT_S
        pause, careful = 0.005, self._backend.cheap_savepoints
        while left := [change for change in group if not change.future.done()]:
            try:
                return self._apply(left, careful)
            except _Careful:
                self._undo()
                careful = True
            except Exception as error:
                cause = error.__cause__ if isinstance(error, _Passing) and error.__cause__ is not None else error
                if not self._backend.passing(cause) or time.monotonic() > deadline:
                    raise cause from None
                self.let_go()
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(0.5, 2 * pause)
        return []

    def _undo(self) -> None:
        raw: Any = self._connect().connection.driver_connection
        raw.execute("ROLLBACK")

    def _apply(self, group: list[_Change], careful: bool) -> list[_Change]:
        connection = self._connect()
        raw: Any = connection.connection.driver_connection
        if len(group) == 1 and group[0].loose and self._backend.concurrent:
            self._backend.go_loose(raw, durable=group[0].durable)
            return group if self._attempt(group[0], connection) else []
        token = self._backend.begin(
            raw, durable=any(change.durable for change in group), alone=any(change.alone for change in group)
        )
        if len(group) == 1:
            kept = group if self._attempt(group[0], connection) else []
        elif careful:
            kept = [change for change in group if self._apply_in_savepoint(change, connection, raw)]
        else:
            kept = [change for change in group if self._attempt(change, connection, hopeful=True)]
        if not kept:
            raw.execute("ROLLBACK")
            return kept
        try:
            self._backend.commit(raw)
        except Exception as error:
            self.let_go()
            fate = self._backend.fate(token, error)
            if fate is Fate.UNKNOWN:
                raise _unknown() from error
            if fate is Fate.LOST:
                raise
        return kept

    def _attempt(self, change: _Change, connection: Connection, *, hopeful: bool = False) -> bool:
        """Run one change; tell whether it is to be kept. A hopeful one that fails sends its group back instead."""
        try:
            change.transaction = Transaction(connection)
            change.result = change.work(change.transaction)
        except BaseException as error:  # whatever the change raises belongs to its caller
            if self._backend.passing(error):
                raise _Passing from error
            if hopeful:
                raise _Careful from error
            change.future.set_exception(trouble(error) or error)
            return False
        return True

    def _apply_in_savepoint(self, change: _Change, connection: Connection, raw: Any) -> bool:
        raw.execute("SAVEPOINT change_")
        kept = self._attempt(change, connection)
        if not kept:
            raw.execute("ROLLBACK TO change_")
        raw.execute("RELEASE change_")
        return kept

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._backend.writing.connect()
        return self._connection


class GroupWriter:
    """Runs changes in the order in which they come, on one connection; beside it those that need not be alone.

    Parameters
    ----------
    backend : Backend
        The database.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._queue: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._local = threading.local()
        self._waiting = 0
        self._crowd = 1
        self._pace = 0.0
        self._thread: threading.Thread | None = None
        self._line = _Line(backend)
        self._beside: queue.LifoQueue[_Line] = queue.LifoQueue()
        for _ in range(WRITERS if backend.concurrent else 0):
            self._beside.put(_Line(backend))

    def submit(self, work: Callable[[Transaction], T], durable: bool, alone: bool, loose: bool) -> "Future[T]":
        """Queue a change and return the future of its committed result.

        Raises
        ------
        Unavailable
            If the writer is closed, or the caller is itself a change.
        """
        self._refuse_nested()
        change = _Change(work, durable, alone, loose)
        with self._lock:
            if self._closed:
                raise Unavailable("the database is closed", code="database.closed", hint="open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="perenne-writer", daemon=True)
                self._thread.start()
            self._waiting += 1
            self._queue.put(change)
        return change.future

    def run(self, work: Callable[[Transaction], T], durable: bool, alone: bool, loose: bool) -> T:
        """Run a change and return its committed result; in the calling thread if nothing else waits.

        Raises
        ------
        Unavailable
            As in `submit`, or if the change cannot be committed.
        """
        self._refuse_nested()
        if not alone and self._backend.concurrent and not self._closed:
            beside: T = self._run_beside(_Change(work, durable, alone, loose))
            return beside
        if self._crowd < 2 and self._turn.acquire(blocking=False):
            try:
                if not self._waiting and not self._closed:
                    change = _Change(work, durable, alone, loose)
                    self._commit(self._line, [change])
                    result: T = change.future.result()
                    return result
            finally:
                self._turn.release()
        return self.submit(work, durable, alone, loose).result()

    def close(self) -> None:
        """Finish what is queued, end the thread and give the connection back."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()
        with self._turn:
            self._line.let_go()
        beside = [self._beside.get() for _ in range(WRITERS if self._backend.concurrent else 0)]
        for line in beside:
            line.let_go()
            self._beside.put(line)

    def _refuse_nested(self) -> None:
        if getattr(self._local, "at_work", False):
            raise Unavailable(
                "a change may not open another transaction", code="database.nested", hint="pass its `tx` on instead"
            )

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            self._gather()
            group, last = [first], False
            with self._turn:
                while len(group) < MAX_GROUP and not self._queue.empty():
                    change = self._queue.get()
                    if change is None:
                        last = True
                        break
                    group.append(change)
                started = time.monotonic()
                self._commit(self._line, group)
                self._crowd, self._pace = len(group), time.monotonic() - started
                with self._lock:
                    self._waiting -= len(group)
            if last:
                return

    def _gather(self) -> None:
        """Give as many as came last time a moment to come again, at most a tenth of what their commit took."""
        until = time.monotonic() + min(MAX_GATHER_S, self._pace / 10)
        while self._queue.qsize() + 1 < self._crowd and time.monotonic() < until:
            time.sleep(GATHER_STEP_S)

    def _run_beside(self, change: _Change) -> Any:
        line = self._beside.get()
        try:
            self._commit(line, [change])
        finally:
            self._beside.put(line)
        return change.future.result()

    def _commit(self, line: _Line, group: list[_Change]) -> None:
        """Run and commit a group. Only for whoever holds the line."""
        self._local.at_work = True
        try:
            line.commit(group)
        finally:
            self._local.at_work = False


def _acknowledge(change: _Change) -> None:
    assert change.transaction is not None
    try:
        change.transaction.run_after_commit()
    except Exception:  # the change is kept: what follows it can neither undo it nor stop the writer
        log.exception("what waited for a commit failed")
    finally:
        change.future.set_result(change.result)


def _unknown() -> Unavailable:
    return Unavailable(
        "the database went away while a change was committed; it is not known whether it was kept",
        code="database.unknown",
        hint="look before you do it again",
    )
