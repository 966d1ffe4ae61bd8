"""The port through which work is handed out, and its adapters within this process."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, Protocol, TypeGuard, TypeVar

T = TypeVar("T")


class Executor(Protocol):
    """Carries out calls. Every adapter passes `perenne.testing.ExecutorContract`.

    Attributes
    ----------
    slots : int
        How many calls go on at once.
    shares_memory : bool
        Whether calls see the objects of this process. If not, it is a `DistantExecutor`.
    """

    slots: int
    shares_memory: ClassVar[bool]

    def submit(self, fn: Callable[..., T], *args: Any, resources: Mapping[str, float] | None = None) -> "Future[T]":
        """Hand out a call. `resources` (cpu, memory, gpu…) is what it needs; ignored where there is nothing to choose."""
        ...

    def close(self) -> None:
        """Let go of threads and processes; calls that go on are ended, or waited for where they cannot be."""
        ...


class DistantExecutor(Executor, Protocol):
    """Carries out calls in other processes, which can be killed.

    The function goes by name, arguments and results as plain values: what MessagePack can hold.

    Attributes
    ----------
    shares_files : bool
        Whether those processes see the files of this machine under the same paths.
    """

    shares_files: ClassVar[bool]

    def submit(
        self,
        fn: Callable[..., T],
        *args: Any,
        resources: Mapping[str, float] | None = None,
        timeout: float | None = None,
        on_report: Callable[[Any], None] | None = None,
    ) -> "Future[T]":
        """Hand out a call; cancelling its future ends it even in the middle.

        Parameters
        ----------
        fn : callable
            A function at the top level of a module that the other process can import.
        timeout : float, optional
            Seconds from its beginning after which the process is killed and the future gets `WorkTimeout`.
        on_report : callable, optional
            Gets what the function passes to `perenne.compute.report`, in another thread.

        Raises
        ------
        Invalid
            If the function cannot be found by its name.
        Unavailable
            If the executor is closed.
        """
        ...


def is_distant(executor: Executor) -> TypeGuard[DistantExecutor]:
    """Tell whether an executor's calls go to other processes."""
    return not executor.shares_memory


class InlineExecutor:
    """Carries out each call at once, in the thread that hands it out.

    >>> InlineExecutor().submit(max, 3, 7).result()
    7
    """

    shares_memory: ClassVar[bool] = True

    def __init__(self) -> None:
        self.slots = 1

    def submit(self, fn: Callable[..., T], *args: Any, resources: Mapping[str, float] | None = None) -> "Future[T]":
        """Call the function; the future that comes back is done. What is no `Exception`, such as an interrupt, is raised."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


class ThreadExecutor:
    """Carries out calls in threads of this process.

    Parameters
    ----------
    slots : int, optional
        How many threads; as many as there are processors if not given.
    """

    shares_memory: ClassVar[bool] = True

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix="perenne-step")

    def submit(self, fn: Callable[..., T], *args: Any, resources: Mapping[str, float] | None = None) -> "Future[T]":
        """Hand the call to a thread."""
        return self._pool.submit(fn, *args)

    def close(self) -> None:
        """Wait for the calls that go on; a thread cannot be ended from outside."""
        self._pool.shutdown(wait=True, cancel_futures=True)
