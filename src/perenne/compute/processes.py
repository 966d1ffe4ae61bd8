"""Child processes that carry out calls one at a time, and can be killed in the middle of one.

Children are started afresh, not forked: `python -m perenne.compute.worker`. The function goes by its name, arguments and results
as MessagePack, so nothing is ever unpickled.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, BinaryIO, ClassVar, TypeVar

import msgspec

from perenne.compute.calls import Answer, Call, WorkerDied, call_of, exception_of, took_too_long, was_cancelled
from perenne.compute.worker import receive, send
from perenne.core.errors import PerenneError, Unavailable

T = TypeVar("T")


class _Child:
    """A worker process and the pipes to it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perenne.compute.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the terminal is for the parent to handle
            env={**os.environ, **environment, "PYTHONPATH": paths},
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._requests: BinaryIO = self.process.stdin  # type: ignore[assignment]
        self._answers: BinaryIO = self.process.stdout  # type: ignore[assignment]

    def call(self, call: Call, on_report: Callable[[Any], None] | None) -> Answer | None:
        """Send a call and wait for its answer; None if the process ended before."""
        try:
            send(self._requests, msgspec.msgpack.encode(call))
        except (BrokenPipeError, ValueError):
            return None
        while (data := receive(self._answers)) is not None:
            answer = msgspec.msgpack.decode(data, type=Answer)
            if answer.final:
                return answer
            if on_report is not None:
                on_report(answer.report)
        return None

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()

    def end(self) -> int:
        """End the process, close the pipes and return its exit status."""
        self.process.kill()
        status = self.process.wait()
        self._answers.close()
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        return status


class _Work(Future[Any]):
    """The future of a call in a child process: cancelling it kills the process if the call goes on."""

    def __init__(self, call: Call, timeout: float | None, on_report: Callable[[Any], None] | None) -> None:
        super().__init__()
        self.call = call
        self.timeout = timeout
        self.on_report = on_report
        self.child: _Child | None = None
        self.cancelled_while_running = False

    def cancel(self) -> bool:
        if super().cancel():
            return True
        if self.done():
            return False
        # Told first and looked at second; `_carry_out` does the reverse, so that a child still starting cannot miss it.
        self.cancelled_while_running = True
        child = self.child
        if child is not None:
            child.kill()
        return True


class ProcessExecutor:
    """Carries out calls in child processes, each kept for the next call.

    Parameters
    ----------
    slots : int, optional
        How many processes at most; as many as there are processors if not given.
    environment : mapping, optional
        Further environment variables of the children.
    """

    shares_memory: ClassVar[bool] = False
    shares_files: ClassVar[bool] = True

    def __init__(self, slots: int | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.slots = slots or os.cpu_count() or 1
        self._environment = dict(environment or {})
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._open: set[_Work] = set()
        self._closed = False

    def submit(
        self,
        fn: Callable[..., T],
        *args: Any,
        resources: Mapping[str, float] | None = None,
        timeout: float | None = None,
        on_report: Callable[[Any], None] | None = None,
    ) -> "Future[T]":
        """Hand a call to a child process; see `DistantExecutor`."""
        work = _Work(call_of(fn, args), timeout, on_report)
        with self._lock:
            if self._closed:
                raise Unavailable("the executor is closed", code="compute.closed", hint="open another executor")
            self._open.add(work)
            if len(self._open) > len(self._threads) < self.slots:
                self._threads.append(threading.Thread(target=self._run, name="perenne-child", daemon=True))
                self._threads[-1].start()
        self._queue.put(work)
        return work

    def close(self) -> None:
        """Kill what goes on, and end the processes."""
        with self._lock:
            self._closed = True
            threads, going_on = list(self._threads), list(self._open)
        for work in going_on:
            work.cancel()
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _run(self) -> None:
        """Look after one child: hand it calls, and start another one where it died."""
        child: _Child | None = None
        while (work := self._queue.get()) is not None:
            if work.set_running_or_notify_cancel():
                child = child if child is not None and child.process.poll() is None else _Child(self._environment)
                if not self._carry_out(work, child):
                    child = None
            with self._lock:
                self._open.discard(work)
        if child is not None:
            child.end()

    def _carry_out(self, work: _Work, child: _Child) -> bool:
        """Get a call's answer; tell whether the child can take another one."""
        work.child = child
        if work.cancelled_while_running:
            work.set_exception(_death(work, False, 0))
            return True
        late = threading.Event()
        timer = None
        if work.timeout is not None:
            timer = threading.Timer(work.timeout, _end_late, (child, late))
            timer.daemon = True
            timer.start()
        try:
            answer = child.call(work.call, work.on_report)
        finally:
            if timer is not None:
                timer.cancel()
        if answer is None:
            work.set_exception(_death(work, late.is_set(), child.end()))
        elif answer.raised is not None:
            work.set_exception(exception_of(answer.raised))
        else:
            work.set_result(answer.value)
        return answer is not None


def _end_late(child: _Child, late: threading.Event) -> None:
    late.set()
    child.kill()


def _death(work: _Work, late: bool, status: int) -> PerenneError:
    if late and work.timeout is not None:
        return took_too_long(work.timeout)
    if work.cancelled_while_running:
        return was_cancelled()
    return WorkerDied(
        f"the process ended with status {status}", code="compute.died", hint="did it run out of memory, or crash in native code?"
    )
