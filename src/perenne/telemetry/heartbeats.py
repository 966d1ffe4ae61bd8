"""Signs of life: every lasting process of an installation keeps a small file that says who it is, where, and when it was well.

`perenne doctor` and `perenne debug bundle` read them. The file goes when the process ends; one that is left behind tells of a
process that was killed.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import TracebackType

import msgspec

import perenne
from perenne.core.clock import SECOND, SystemClock
from perenne.telemetry.process import is_running, start_time

log = logging.getLogger("perenne.heartbeats")

FOLDER = "processes"
EVERY_SECONDS = 5.0
SILENT_SECONDS = 30.0

Detail = Mapping[str, str | int | float | bool | None]


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A process's sign of life.

    Attributes
    ----------
    kind, name : str
        `control-plane`, `trainer`, `model-server`, `worker`; and which one, such as the deployment.
    pid, host, version : int, str, str
        The process, its machine, and which perenne it runs.
    started : float or None
        When it started, in seconds since 1970.
    beat : int
        When it last was well, in microseconds since 1970.
    address : str
        The URL it answers on; empty if on none.
    detail : mapping
        What else it says, such as the processes below it.
    """

    kind: str
    name: str
    pid: int
    host: str
    version: str
    started: float | None
    beat: int
    address: str = ""
    detail: dict[str, str | int | float | bool | None] = {}


class State(StrEnum):
    """How the process of a sign stands: `unknown` on another machine that has long been silent."""

    ALIVE = "alive"
    SILENT = "silent"
    GONE = "gone"
    UNKNOWN = "unknown"


class Heartbeat:
    """Keeps the sign of life of this process, in a thread; use as a context manager.

    Parameters
    ----------
    home : Path
        The folder of the installation's state.
    kind, name, address : str
        See `Sign`.
    detail : callable, optional
        Called for each beat; if it fails or hangs, there is no beat, which is the point.
    every : float
        Seconds between beats.
    """

    def __init__(
        self,
        home: Path,
        kind: str,
        name: str = "",
        address: str = "",
        detail: Callable[[], Detail] | None = None,
        every: float = EVERY_SECONDS,
    ) -> None:
        pid = os.getpid()
        self._path = home / FOLDER / f"{kind}-{name + '-' if name else ''}{pid}.json"
        self._sign = Sign(
            kind=kind, name=name, pid=pid, host=socket.gethostname(), version=perenne.__version__, started=start_time(pid),
            beat=0, address=address,
        )  # fmt: skip
        self._detail = detail
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="perenne-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            clear_gone(self._path.parent.parent)
            self.beat()
        except OSError as error:  # a model server works from a folder it may only read
            log.warning("no sign of life can be kept: %s", error)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Say that the process is well now."""
        detail = dict(self._detail()) if self._detail is not None else {}
        sign = msgspec.structs.replace(self._sign, beat=SystemClock().now(), detail=detail)
        beside = self._path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(sign))
        beside.replace(self._path)

    def _repeat(self) -> None:
        while not self._stop.wait(self._every):
            with contextlib.suppress(Exception):  # no beat: whoever looks sees it
                self.beat()


def signs(home: Path) -> list[Sign]:
    """Read the signs of an installation, by kind and name; a file that is none is passed over."""
    found = []
    for path in sorted((home / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            found.append(msgspec.json.decode(path.read_bytes(), type=Sign))
    return found


def state_of(sign: Sign, now: int | None = None) -> State:
    """Tell how the process of a sign stands."""
    now = SystemClock().now() if now is None else now
    silent = now - sign.beat > SILENT_SECONDS * SECOND
    if sign.host != socket.gethostname():
        return State.UNKNOWN if silent else State.ALIVE
    if not is_running(sign.pid, sign.started):
        return State.GONE
    return State.SILENT if silent else State.ALIVE


def clear_gone(home: Path) -> int:
    """Remove the signs of processes of this machine that are gone, and return how many there were."""
    gone = [sign for sign in signs(home) if state_of(sign) is State.GONE]
    for sign in gone:
        for path in (home / FOLDER).glob(f"{sign.kind}-*{sign.pid}.json"):
            path.unlink(missing_ok=True)
    return len(gone)
