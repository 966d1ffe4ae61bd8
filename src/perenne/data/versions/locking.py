"""One writer at a time, DVC included: BSD locks on ``.dvc/tmp/lock``, and what DVC notes of its running stages."""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perenne.core.errors import Unavailable

WAIT = 0.1
Waiting = Callable[[int], None]
"""Hears the process id of who holds the lock; 0 if nobody knows."""


@contextmanager
def locked(folder: Path, waiting: Waiting | None = None, patience: float | None = None) -> Iterator[None]:
    """Hold the lock of a repository, as DVC does.

    Parameters
    ----------
    folder : Path
        ``.dvc/tmp``.
    waiting : callable, optional
        Told once if somebody else holds it.
    patience : float, optional
        Seconds to wait; without end if not given.

    Raises
    ------
    Unavailable
        It was held for all that time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _take(handle, waiting, patience)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f" {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, waiting: Waiting | None, patience: float | None) -> None:
    """Take the lock; a blocking `flock` would do, but then nobody could give up."""
    began, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(handle)
        if patience is not None and time.monotonic() - began >= patience:
            raise Unavailable(
                f"another process{f' ({holder})' if holder else ''} works on this repository",
                code="data.locked",
                hint="try again when it is done",
            )
        if waiting is not None and not told:
            waiting(holder)
            told = True
        time.sleep(WAIT)


def _holder(handle: int) -> int:
    text = os.pread(handle, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def check_stages(folder: Path, reads: Iterable[str], writes: Iterable[str]) -> None:
    """Refuse to touch what a running stage of DVC's works on.

    Parameters
    ----------
    folder : Path
        ``.dvc/tmp``.
    reads, writes : iterable of str
        Absolute paths that are about to be read and written.

    Raises
    ------
    Unavailable
        A living process has said that it writes one of them, or reads one that would be written.
    """
    import json

    try:
        noted = json.loads((folder / "rwlock").read_bytes() or b"{}")
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        return  # DVC itself leaves broken ones behind; whoever is dead holds nothing
    reading, writing = list(reads), list(writes)
    for path, info in _noted(noted, "write"):
        _refuse_overlap(path, info, reading + writing)
    for path, info in _noted(noted, "read"):
        _refuse_overlap(path, info, writing)


def _noted(noted: Any, mode: str) -> Iterator[tuple[str, dict[str, Any]]]:
    held = noted.get(mode) if isinstance(noted, dict) else None
    for path, infos in held.items() if isinstance(held, dict) else ():
        for info in infos if isinstance(infos, list) else [infos]:
            if isinstance(info, dict) and isinstance(info.get("pid"), int):
                yield path, info


def _refuse_overlap(path: str, info: dict[str, Any], asked: Iterable[str]) -> None:
    if info["pid"] == os.getpid() or not is_alive(info["pid"]):
        return
    for mine in asked:
        if mine == path or mine.startswith(f"{path}/") or path.startswith(f"{mine}/"):
            raise Unavailable(
                f"{mine} is in use by process {info['pid']}: {str(info.get('cmd', ''))[:100]}",
                code="data.locked",
                hint="try again when it is done",
            )


def is_alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid > 0
