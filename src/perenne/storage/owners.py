"""Who owns claimed work, whether that process still lives, and the thread that prolongs leases."""

import functools
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from perenne.core.clock import SECOND
from perenne.core.hashing import key_of
from perenne.core.ids import new_id

log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=1)
def _host_of(pid: int) -> str:
    """Name this machine since its last start, and the numbering of processes (containers have their own)."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return key_of(socket.gethostname(), boot, space)[:12]


def owner_token() -> str:
    """Return a name for one claimer in this process: host, process number and start, and what tells it from others.

    The last part begins with the machine's name, for people.
    """
    pid = os.getpid()
    return f"{_host_of(pid)}|{pid}|{_started(pid)}|{socket.gethostname().replace('|', '-')}/{new_id()}"


def shown_owner(owner: str) -> str:
    """Return an owner as people read it: machine and process number.

    >>> shown_owner("a1b2c3|417|99823|box7/01ARZ3NDEKTSV4RRFFQ69G5FAV")
    'box7/417'
    """
    _, _, rest = owner.partition("|")
    pid, _, rest = rest.partition("|")
    return f"{rest.rpartition('|')[2].partition('/')[0]}/{pid}" if rest else owner


def is_dead(owner: str) -> bool:
    """Tell whether an owner's process is known to be gone; of another host nothing is known."""
    host, pid, started, _ = owner.split("|") if owner.count("|") == 3 else ("", "0", "", "")
    if host != _host_of(os.getpid()):
        return False
    return not _exists(int(pid)) or _started(int(pid)) != started


def _exists(pid: int) -> bool:
    if os.name == "nt":  # there os.kill(pid, 0) would send an interrupt
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    return _after_name(pid, 0)


def _started(pid: int) -> str:
    return _after_name(pid, 19)


def _after_name(pid: int, place: int) -> str:
    """Return a field of /proc/PID/stat by its place after the program's name; empty where there is no such file."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[place] if len(fields) > place else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


class LeaseKeeper:
    """Calls a function every third of a lease, in a thread of its own, from the first `start` on.

    Parameters
    ----------
    renew : callable
        Prolongs the leases. If it fails it is called again next time; a lease that runs out is then another's to take.
    lease : int
        Microseconds.
    """

    def __init__(self, renew: Callable[[], None], lease: int) -> None:
        self._renew = renew
        self._interval = lease / 3 / SECOND
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless begun already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="perenne-leases", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._renew()
            except Exception:  # the next try may come in time
                log.exception("leases could not be prolonged")
