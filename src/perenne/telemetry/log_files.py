"""A log file several processes write at once, turned over when it is large: `name`, `name.1`, `name.2` …, the oldest goes."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
KEPT = 3


class LogFile:
    """Appends whole lines.

    Each line is one `write` at the end of the file, so lines of several processes do not mix. Whoever finds the file full renames
    it, under a lock on the file itself, and everybody follows the name.

    Parameters
    ----------
    path : Path
        The newest file; older ones lie beside it.
    max_bytes : int
        How large it may become.
    kept : int
        How many older ones are kept.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._handle: int | None = None
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Append a line, its line break included."""
        with self._lock:
            handle = self._current()
            if os.fstat(handle).st_size + len(line) > self._max_bytes:
                handle = self._turn_over(handle)
            os.write(handle, line)

    def close(self) -> None:
        """Let go of the file; a later line opens it again."""
        with self._lock:
            self._let_go()

    def _current(self) -> int:
        """Return the file that has the name now: somebody else may have turned it over."""
        if self._handle is not None and _same(self._handle, self.path):
            return self._handle
        self._let_go()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        return self._handle

    def _turn_over(self, handle: int) -> int:
        with _locked(handle):
            if _same(handle, self.path):
                for number in range(self._kept - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        self._older(number).replace(self._older(number + 1))
                self.path.replace(self._older(1))
        return self._current()

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _let_go(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def newest_lines(path: Path, count: int, max_bytes: int = 1024 * 1024) -> list[bytes]:
    """Return the last lines of a log file, oldest first; none if there is no such file."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - max_bytes))
            lines = stream.read().splitlines()
    except OSError:
        return []
    return lines[1 if size > max_bytes else 0 :][-count:]


def _same(handle: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(handle)
    return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)


@contextlib.contextmanager
def _locked(handle: int) -> Iterator[None]:
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
