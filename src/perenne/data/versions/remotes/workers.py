"""Work done by several threads, so much at once; the first trouble that concerns all of it ends it."""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Crew(Generic[Item]):
    """Threads that take items from one queue.

    Parameters
    ----------
    jobs : int
        How many threads.
    work : callable
        Does one item. What it raises ends the work of all, and is raised by `run`.
    """

    def __init__(self, jobs: int, work: Callable[[Item], None]) -> None:
        self._jobs = max(1, jobs)
        self._work = work
        self._queue: deque[Item] = deque()
        self._error: BaseException | None = None
        self._lock = Lock()
        self.stopped = Event()

    def run(self, items: Iterable[Item]) -> None:
        """Do every item; returns when all threads are done."""
        self._queue.extend(items)
        threads = [Thread(target=self._take, daemon=True) for _ in range(min(self._jobs, len(self._queue)) - 1)]
        for thread in threads:
            thread.start()
        try:
            self._take()
            for thread in threads:
                thread.join()
        except BaseException:  # an interrupt comes to this thread alone
            self.stopped.set()
            for thread in threads:
                thread.join()
            raise
        if self._error is not None:
            raise self._error

    def _take(self) -> None:
        while not self.stopped.is_set():
            try:
                item = self._queue.popleft()
            except IndexError:
                return
            try:
                self._work(item)
            except Exception as error:
                with self._lock:
                    self._error = self._error or error
                self.stopped.set()
                return
