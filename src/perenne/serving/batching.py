"""Micro-batches: the requests read in one turn of the event loop share one call of the model.

No timer: a lone request waits for nobody, and batches grow exactly when the worker is busy. What would hold the loop for longer
than a millisecond is predicted in one thread beside it, where a batch grows while the one before runs.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from perenne.core.errors import PerenneError, Unavailable
from perenne.inference import Prediction
from perenne.serving.loading import LoadedVersion
from perenne.stats.columns import Columns

INLINE_US = 1_000.0
THREAD_US = 50_000.0
QUEUE_ROWS = 200_000


class DeadlinePassed(PerenneError):
    """The answer would come too late."""

    status = 504


class Batched(NamedTuple):
    """A request's own answers, and how many rows were predicted together."""

    prediction: Prediction
    rows: int


class _Waiting:
    __slots__ = ("columns", "deadline", "future", "loaded", "rows")

    def __init__(
        self, loaded: LoadedVersion, columns: Columns, rows: int, deadline: float, future: "asyncio.Future[Batched]"
    ) -> None:
        self.loaded = loaded
        self.columns = columns
        self.rows = rows
        self.deadline = deadline
        self.future = future


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
        self._quick: deque[_Waiting] = deque()
        self._slow: deque[_Waiting] = deque()
        self._running: list[_Waiting] = []
        self._scheduled = False
        self._thread = ThreadPoolExecutor(1, "perenne-predict")
        self.rows = 0
        self.batches = 0

    def submit(self, loaded: LoadedVersion, columns: Columns, rows: int, deadline: float) -> "asyncio.Future[Batched]":
        """Queue rows; the future gets their answers.

        Parameters
        ----------
        deadline : float
            In the loop's time; a request that is still waiting then gets `DeadlinePassed`.

        Raises
        ------
        Unavailable
            If too many rows wait.
        """
        if self.rows and self.rows + rows > self._limit:
            raise Unavailable("too many rows wait to be predicted", code="TEMPORARILY_UNAVAILABLE", hint="try again in a second")
        future: asyncio.Future[Batched] = self._loop.create_future()
        inline = not loaded.predictor.waits and loaded.cost_us(rows) <= INLINE_US
        queue = self._quick if inline else self._slow
        queue.append(_Waiting(loaded, columns, rows, deadline, future))
        self.rows += rows
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        return future

    def expire(self) -> None:
        """Answer those whose time is up; called a few times a second."""
        now = self._loop.time()
        for waiting in (*self._slow, *self._running):
            if waiting.deadline < now and not waiting.future.done():
                waiting.future.set_exception(_late())

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _turn(self) -> None:
        self._scheduled = False
        if self._quick:
            group = self._take(self._quick, INLINE_US)
            if group:
                self._finish(group, predict_together(group))
        if self._slow and not self._running:
            self._running = self._take(self._slow, THREAD_US)
            if self._running:
                self._loop.run_in_executor(self._thread, predict_together, self._running).add_done_callback(self._finished)
        if self._quick and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _take(self, queue: "deque[_Waiting]", budget_us: float) -> list[_Waiting]:
        """Take the first request and those after it that go to the same version, as long as they fit in the budget."""
        group: list[_Waiting] = []
        rows, now = 0, self._loop.time()
        while queue:
            head = queue[0]
            if head.future.done() or head.deadline < now:
                self._settle(queue.popleft(), _late())
                continue
            if group and (head.loaded is not group[0].loaded or head.loaded.cost_us(rows + head.rows) > budget_us):
                break
            group.append(queue.popleft())
            rows += head.rows
        return group

    def _finished(self, done: "asyncio.Future[list[Batched | BaseException]]") -> None:
        group, self._running = self._running, []
        self._finish(group, done.result())
        if not self._scheduled:
            self._turn()

    def _finish(self, group: list[_Waiting], outcomes: "list[Batched | BaseException]") -> None:
        self.batches += 1
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
    loaded, names = group[0].loaded, group[0].columns
    total = sum(waiting.rows for waiting in group)
    try:
        together = loaded.predict({name: np.concatenate([waiting.columns[name] for waiting in group]) for name in names})
    except Exception:
        return [_predict_alone(waiting) for waiting in group]
    answers: list[Batched | BaseException] = []
    start = 0
    for waiting in group:
        answers.append(Batched(together.take(slice(start, start + waiting.rows)), total))
        start += waiting.rows
    return answers


def _predict_alone(waiting: _Waiting) -> Batched | BaseException:
    try:
        return Batched(waiting.loaded.predict(waiting.columns), waiting.rows)
    except Exception as error:
        return error


def _late() -> DeadlinePassed:
    return DeadlinePassed("the answer was not ready in time", code="DEADLINE_EXCEEDED")
