"""A Ray cluster as executor: Ray brings calls to nodes and notices their death; what is durable stays in our database.

A call is bytes in, bytes out: a function by name and plain arguments. Nothing but the name of this module's `_serve` is pickled.
Ray never repeats a call (`max_retries=0`): whoever hands calls out knows what may be repeated.

While a call goes on, its worker leaves notes in the cluster's table of keys: that it has begun, if its time is limited, and what
it reports. A thread here looks after them.
"""

import functools
import itertools
import logging
import os
import queue
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from perenne.compute.calls import (
    Answer,
    Call,
    WorkerDied,
    call_of,
    carry_out,
    encoded,
    exception_of,
    reporting_to,
    took_too_long,
    was_cancelled,
)
from perenne.compute.ray_connection import connection, load
from perenne.core.errors import PerenneError, Unavailable
from perenne.core.ids import new_id
from perenne.telemetry import logs

T = TypeVar("T")

LOOK_TIMED, LOOK_REPORTS, LOOK_SLOTS = 0.1, 0.5, 5.0
END_S = 10.0
COUNT_BYTES = 4
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_NAMESPACE = b"perenne"
_BEGUN = b"begun"

log = logging.getLogger(__name__)


class _Work(Future[Any]):
    """The future of a call on the cluster: cancelling it kills the worker if the call goes on."""

    def __init__(self, name: bytes, timeout: float | None, on_report: Callable[[Any], None] | None) -> None:
        super().__init__()
        self.name = name
        self.timeout = timeout
        self.on_report = on_report
        self.reference: Any = None
        self.begun: float | None = None
        self.late = False
        self.ended = False

    @property
    def pause(self) -> float | None:
        """How often its notes are looked at; None for never."""
        return LOOK_TIMED if self.timeout is not None else LOOK_REPORTS if self.on_report is not None else None

    def cancel(self) -> bool:
        if self.done():
            return False
        self.ended = True
        self.stop()
        return True

    def stop(self) -> None:
        """Kill the worker, or take the call out of the queue."""
        if self.reference is not None:
            load().cancel(self.reference, force=True)

    def failure(self, error: BaseException) -> PerenneError:
        """Say why there is no answer."""
        from ray import exceptions

        if self.late and self.timeout is not None:
            return took_too_long(self.timeout)
        if self.ended:
            return was_cancelled()
        text = str(error).strip().partition("\n")[0]
        if isinstance(error, exceptions.RayTaskError | exceptions.RuntimeEnvSetupError):
            return Unavailable(
                f"a worker could not take the call: {str(error).strip().splitlines()[-1]}",
                code="compute.worker",
                hint="perenne and what the project imports must be installed on every node, in the same versions",
            )
        return WorkerDied(text, code="compute.died", hint="did it run out of memory, or crash in native code? is the node gone?")


class RayExecutor:
    """Carries out calls on a Ray cluster.

    Parameters
    ----------
    address : str
        ``local`` starts a cluster of this machine alone, which ends with the executor; HOST:PORT joins one that runs, and to
        which this machine belongs.
    slots : int, optional
        How many calls are handed out at once. If not given, as many as the cluster has processors, looked at again and again;
        with a cluster that grows on demand give the number it may grow to.
    environment : mapping, optional
        Further environment variables of the workers.
    """

    shares_memory: ClassVar[bool] = False
    shares_files: ClassVar[bool] = False

    def __init__(self, address: str = "local", *, slots: int | None = None, environment: Mapping[str, str] | None = None) -> None:
        connection.open(address, slots)
        self._ray = load()
        self._fixed = slots is not None
        self.slots = slots or self._processors()
        self._environment = {**_paths(), **_threads(), **(environment or {})}
        self._functions: dict[tuple[tuple[str, float], ...], Any] = {}
        self._prefix = f"{new_id()}/".encode()
        self._numbers = itertools.count()
        self._open: dict[bytes, _Work] = {}
        self._lock = threading.Lock()
        self._arrived: queue.SimpleQueue[tuple[_Work, Answer] | None] = queue.SimpleQueue()
        self._closed = False
        self._watcher = threading.Thread(target=self._watch, name="perenne-ray", daemon=True)
        self._watcher.start()

    def submit(
        self,
        fn: Callable[..., T],
        *args: Any,
        resources: Mapping[str, float] | None = None,
        timeout: float | None = None,
        on_report: Callable[[Any], None] | None = None,
    ) -> "Future[T]":
        """Hand a call to the cluster; see `DistantExecutor`.

        Parameters
        ----------
        resources : mapping, optional
            ``cpu`` (1 if not given), ``gpu``, ``memory`` in bytes, and the cluster's own by name. A call that asks for more
            than any node has waits until such a node comes.
        """
        call = msgspec.msgpack.encode(call_of(fn, args))
        work = _Work(self._prefix + str(next(self._numbers)).encode(), timeout, on_report)
        work.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise Unavailable("the executor is closed", code="compute.closed", hint="open another executor")
            self._open[work.name] = work
        work.reference = self._function(resources).remote(call, work.name, timeout is not None)
        if work.pause is not None:
            self._arrived.put(None)
        work.reference.future().add_done_callback(functools.partial(self._answered, work))
        return work

    def close(self) -> None:
        """End what goes on, and the connection with the last executor that uses it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            going_on = list(self._open.values())
        for work in going_on:
            work.cancel()
        wait(going_on, timeout=END_S)
        for work in going_on:
            self._settle(work, error=was_cancelled())
        self._arrived.put(None)
        self._watcher.join()
        for key in _kv()._internal_kv_list(self._prefix, namespace=_NAMESPACE):
            _kv()._internal_kv_del(key, namespace=_NAMESPACE)
        connection.close()

    def _processors(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _function(self, resources: Mapping[str, float] | None) -> Any:
        """Return the remote function that asks for some resources."""
        wanted = tuple(sorted((resources or {}).items()))
        known = self._functions.get(wanted)
        if known is None:
            options = {**_options(dict(wanted)), "max_retries": 0, "name": "perenne"}
            known = self._ray.remote(_serve).options(**options, runtime_env={"env_vars": self._environment})
            self._functions[wanted] = known
        return known

    def _answered(self, work: _Work, future: "Future[bytes]") -> None:
        """Take an answer in; called in a thread of Ray's, which must not wait for Ray."""
        error = future.exception()
        if error is not None:
            self._settle(work, error=work.failure(error))
            return
        data = future.result()
        answer = msgspec.msgpack.decode(memoryview(data)[COUNT_BYTES:], type=Answer)
        if int.from_bytes(data[:COUNT_BYTES], "big"):
            self._arrived.put((work, answer))
        else:
            self._finish(work, answer)

    def _finish(self, work: _Work, answer: Answer) -> None:
        if answer.raised is not None:
            self._settle(work, error=exception_of(answer.raised))
        else:
            self._settle(work, value=answer.value)

    def _settle(self, work: _Work, *, value: Any = None, error: BaseException | None = None) -> None:
        """Settle a call, once."""
        with self._lock:
            if self._open.pop(work.name, None) is None:
                return
        if error is not None:
            work.set_exception(error)
        else:
            work.set_result(value)

    # --- notes of the workers ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at the notes of calls that go on, and settle those that left reports."""
        looked = counted = 0.0
        while not self._closed or self._open:
            with self._lock:
                pauses = [work.pause for work in self._open.values() if work.pause is not None]
            try:
                arrived = self._arrived.get(timeout=min(pauses, default=None))
            except queue.Empty:
                arrived = None
            try:
                if arrived is not None or (pauses and time.monotonic() - looked >= min(pauses)):
                    self._look()
                    looked = time.monotonic()
                if not self._fixed and pauses and time.monotonic() - counted >= LOOK_SLOTS:
                    self.slots, counted = self._processors(), time.monotonic()
            except Exception:  # a note that is late does no harm; the call's own end is told otherwise
                log.exception("the notes of calls on the Ray cluster cannot be read")
            if arrived is not None:
                self._finish(*arrived)

    def _look(self) -> None:
        for key in sorted(_kv()._internal_kv_list(self._prefix, namespace=_NAMESPACE)):
            said = _kv()._internal_kv_get(key, namespace=_NAMESPACE)
            _kv()._internal_kv_del(key, namespace=_NAMESPACE)
            name, _, kind = key.rpartition(b"/")
            work = self._open.get(name)
            if work is not None and kind == _BEGUN:
                work.begun = time.monotonic()
            elif work is not None and work.on_report is not None and said is not None:
                work.on_report(msgspec.msgpack.decode(said))
        with self._lock:
            begun = [work for work in self._open.values() if work.begun is not None and not work.late]
        for work in begun:
            if work.timeout is not None and work.begun is not None and time.monotonic() - work.begun >= work.timeout:
                work.late = True
                work.stop()


def _kv() -> Any:
    from ray.experimental import internal_kv

    return internal_kv


def _options(resources: dict[str, float]) -> dict[str, Any]:
    """Return resources as Ray names them."""
    options: dict[str, Any] = {"num_cpus": resources.pop("cpu", 1), "num_gpus": resources.pop("gpu", 0)}
    if "memory" in resources:
        options["memory"] = int(resources.pop("memory"))
    return {**options, "resources": resources}


def _paths() -> dict[str, str]:
    """Let workers find what this process finds beside installed packages, where a node has the same folders."""
    installed = {Path(path) for name, path in sysconfig.get_paths().items() if name in {"stdlib", "platstdlib"}}
    found = []
    for path in filter(os.path.isdir, sys.path):
        place = Path(path)
        if not ({"site-packages", "dist-packages", "lib-dynload"} & set(place.parts) or place in installed):
            found.append(str(place.absolute()))
    return {"PYTHONPATH": os.pathsep.join([*found, "${PYTHONPATH}"])} if found else {}


def _threads() -> dict[str, str]:
    """Let libraries use as many threads as here: sums may differ in their last bits otherwise."""
    return {name: os.environ[name] for name in THREADS if name in os.environ}


@functools.cache
def _settle_in() -> None:
    """Log like every process of perenne; what is printed goes to standard error, as in a child process."""
    os.dup2(2, 1)
    logs.configure("perenne-step", level="warning")


def _serve(call: bytes, name: bytes, timed: bool) -> bytes:
    """Carry out a call in a worker; the answer comes behind the number of its reports."""
    _settle_in()
    number = 0

    def leave(kind: bytes, note: bytes) -> None:
        _kv()._internal_kv_put(name + b"/" + kind, note, namespace=_NAMESPACE)

    def tell(said: Any) -> None:
        nonlocal number
        leave(b"%08d" % number, msgspec.msgpack.encode(said))
        number += 1

    if timed:
        leave(_BEGUN, b"")
    with reporting_to(tell):
        answer = encoded(carry_out(msgspec.msgpack.decode(call, type=Call)))
    return number.to_bytes(COUNT_BYTES, "big") + answer
