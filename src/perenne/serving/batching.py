"""Micro-batches: the requests read in one turn of the event loop share one call of the model.

No timer: a lone request waits for nobody, and batches grow exactly when the worker is busy. What would hold the loop for longer
than a millisecond, or has a time-out, is predicted in a thread beside it, where a batch grows while the one before runs. Each
version has a thread of its own: one that is slow, or never returns, keeps no other from answering.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

import numpy as np

from perenne.core.errors import PerenneError, Unavailable
from perenne.inference import Prediction
from perenne.serving.counters import BATCH_EDGES
from perenne.serving.loading import LoadedVersion
from perenne.serving.options import QUEUE_ROWS
from perenne.stats.columns import Columns, NumberTable

INLINE_US = 1_000.0
THREAD_US = 50_000.0
IDLE_TURNS = 50


class DeadlinePassed(PerenneError):
    """The answer would come too late."""

    status = 504


class Batched(NamedTuple):
    """A request's own answers, and how many rows were predicted together.

    Attributes
    ----------
    queue_us, took_us : int
        Microseconds it waited, and those of the call that answered it.
    leads : bool
        Whether it was the first of those predicted together.
    """

    prediction: Prediction
    rows: int
    queue_us: int = 0
    took_us: int = 0
    leads: bool = True


class _Waiting:
    __slots__ = ("columns", "deadline", "future", "loaded", "rows", "since")

    def __init__(
        self, loaded: LoadedVersion, columns: Columns, rows: int, deadline: float, future: "asyncio.Future[Batched]"
    ) -> None:
        self.loaded = loaded
        self.columns = columns
        self.rows = rows
        self.deadline = deadline
        self.future = future
        self.since = time.perf_counter_ns()


class _Lane:
    """The requests that one version predicts in a thread; a daemon's, so that one that never returns lets the process end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue: deque[_Waiting] = deque()
        self.running: list[_Waiting] = []
        self.idle = 0
        self._loop = loop
        self._work: SimpleQueue[tuple[list[_Waiting], Callable[[list[Batched | BaseException]], None]] | None] = SimpleQueue()
        Thread(target=self._run, name="perenne-predict", daemon=True).start()

    @property
    def stuck(self) -> bool:
        """Tell whether nobody waits any more for what runs."""
        return bool(self.running) and all(waiting.future.done() for waiting in self.running)

    def predict(self, group: list[_Waiting], done: "Callable[[list[Batched | BaseException]], None]") -> None:
        """Predict beside the loop, then call back in it."""
        self.running = group
        self._work.put((group, done))

    def close(self) -> None:
        """Let the thread end once it has nothing to do."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            group, done = work
            try:
                outcomes = predict_together(group)
            except BaseException:
                outcomes = [RuntimeError("the model ended its thread") for _ in group]
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(done, outcomes)


class Batcher:
    """Collects requests and predicts them together.

    Parameters
    ----------
    queue_rows : int
        How many rows may wait; one request is always taken if nobody waits.
    """

    def __init__(self, queue_rows: int = QUEUE_ROWS) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = queue_rows
        self._quick: dict[LoadedVersion, deque[_Waiting]] = {}
        self._lanes: dict[LoadedVersion, _Lane] = {}
        self._scheduled = False
        self.rows = 0
        self.batches = 0
        self.sizes = [0] * (len(BATCH_EDGES) + 1)

    def submit(
        self, loaded: LoadedVersion, columns: Columns, rows: int, deadline: float, *, beside: bool = False
    ) -> "asyncio.Future[Batched]":
        """Queue rows; the future gets their answers.

        Parameters
        ----------
        deadline : float
            In the loop's time; a request that is still waiting then gets `DeadlinePassed`.
        beside : bool
            Whether it must not hold the loop, however little it should cost.

        Raises
        ------
        Unavailable
            If too many rows wait.
        DeadlinePassed
            If the version is busy with requests that nobody waits for any more.
        """
        if self.rows and self.rows + rows > self._limit:
            raise Unavailable("too many rows wait to be predicted", code="TEMPORARILY_UNAVAILABLE", hint="try again in a second")
        future: asyncio.Future[Batched] = self._loop.create_future()
        if not (beside or loaded.predictor.waits) and loaded.cost_us(rows) <= INLINE_US:
            queue = self._quick.get(loaded) or self._quick.setdefault(loaded, deque())
        else:
            lane = self._lane(loaded)
            if lane.stuck:
                raise _late()
            queue = lane.queue
        queue.append(_Waiting(loaded, columns, rows, deadline, future))
        self.rows += rows
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        return future

    def expire(self) -> None:
        """Answer those whose time is up; called a few times a second."""
        now = self._loop.time()
        for loaded, lane in list(self._lanes.items()):
            lane.idle = 0 if lane.queue or lane.running else lane.idle + 1
            if lane.idle > IDLE_TURNS:  # its version may have left long ago
                self._lanes.pop(loaded).close()
            for waiting in (*lane.queue, *lane.running):
                if waiting.deadline < now and not waiting.future.done():
                    waiting.future.set_exception(_late())
            while lane.queue and lane.queue[0].future.done():  # behind one that does not return, nobody else would take them out
                self.rows -= lane.queue.popleft().rows

    def close(self) -> None:
        """Let go of the threads."""
        for lane in self._lanes.values():
            lane.close()

    def _lane(self, loaded: LoadedVersion) -> _Lane:
        return self._lanes.get(loaded) or self._lanes.setdefault(loaded, _Lane(self._loop))

    def _turn(self) -> None:
        self._scheduled = False
        for loaded, queue in list(self._quick.items()):
            group = self._take(queue, INLINE_US)
            if group:
                self._finish(group, predict_together(group))
            if not queue:
                del self._quick[loaded]
        for lane in self._lanes.values():
            if lane.queue and not lane.running:
                self._start(lane)
        if self._quick and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _take(self, queue: "deque[_Waiting]", budget_us: float) -> list[_Waiting]:
        """Take the first request and those after it, as long as they fit in the budget."""
        group: list[_Waiting] = []
        rows, now = 0, self._loop.time()
        while queue:
            head = queue[0]
            if head.future.done() or head.deadline < now:
                self._settle(queue.popleft(), _late())
                continue
            if group and head.loaded.cost_us(rows + head.rows) > budget_us:
                break
            group.append(queue.popleft())
            rows += head.rows
        return group

    def _start(self, lane: _Lane) -> None:
        group = self._take(lane.queue, THREAD_US)
        if group:
            lane.predict(group, lambda outcomes: self._finished(lane, outcomes))

    def _finished(self, lane: _Lane, outcomes: "list[Batched | BaseException]") -> None:
        group, lane.running = lane.running, []
        self._finish(group, outcomes)
        if lane.queue:
            self._start(lane)

    def _finish(self, group: list[_Waiting], outcomes: "list[Batched | BaseException]") -> None:
        self.batches += 1
        self.sizes[min((sum(waiting.rows for waiting in group) - 1).bit_length(), len(BATCH_EDGES))] += 1
        for waiting, outcome in zip(group, outcomes, strict=True):
            self._settle(waiting, outcome)

    def _settle(self, waiting: _Waiting, outcome: "Batched | BaseException") -> None:
        self.rows -= waiting.rows
        if waiting.future.done():
            return
        if isinstance(outcome, BaseException):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome)


def predict_together(group: Sequence[_Waiting]) -> list[Batched | BaseException]:
    """Predict requests of one version in one call; if it fails, each alone, so that one cannot fail its neighbours."""
    if len(group) == 1:
        return [_predict_alone(group[0])]
    total = sum(waiting.rows for waiting in group)
    began = time.perf_counter_ns()
    try:
        together = group[0].loaded.predict(_joined([waiting.columns for waiting in group]))
    except Exception:
        return [_predict_alone(waiting) for waiting in group]
    took = (time.perf_counter_ns() - began) // 1_000
    answers: list[Batched | BaseException] = []
    start = 0
    for waiting in group:
        own = together.take(slice(start, start + waiting.rows))
        answers.append(Batched(own, total, (began - waiting.since) // 1_000, took, not start))
        start += waiting.rows
    return answers


def _joined(tables: list[Columns]) -> Columns:
    """Put the rows of several requests together."""
    first = tables[0]
    if isinstance(first, NumberTable):
        matrices = [table.matrix for table in tables if isinstance(table, NumberTable) and table.fields is first.fields]
        if len(matrices) == len(tables):
            return NumberTable(first.fields, np.concatenate(matrices))
    return {name: np.concatenate([table[name] for table in tables]) for name in first}


def _predict_alone(waiting: _Waiting) -> Batched | BaseException:
    began = time.perf_counter_ns()
    try:
        prediction = waiting.loaded.predict(waiting.columns)
        took = (time.perf_counter_ns() - began) // 1_000
        return Batched(prediction, waiting.rows, (began - waiting.since) // 1_000, took)
    except Exception as error:
        return error


def _late() -> DeadlinePassed:
    return DeadlinePassed("the answer was not ready in time", code="DEADLINE_EXCEEDED")
