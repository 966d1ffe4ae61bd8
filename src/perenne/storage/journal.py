"""A journal: records in one file, each written by one call of the operating system, so that whoever is killed loses none.

A record is its length and CRC-32, four bytes each, and its body; the file ends where they no longer fit. Whoever writes holds a
lock on the file, which ends with the process; whoever reads keeps the position up to which it has read elsewhere. A file that
nobody writes to any more, and that was read to its end, goes.
"""

import contextlib
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from perenne.core.errors import Unavailable
from perenne.core.ids import new_id

SUFFIX = ".journal"
MAX_RECORD = 64 << 20
TURN = 64 << 20
"""A journal this long is closed, and another begun."""
_HEAD = struct.Struct("<II")


class Journal:
    """Journals of one folder that this process writes, one after another.

    Parameters
    ----------
    folder : Path
        Where they are.
    kind : str
        What is in them; the beginning of their names.
    most : int
        Bytes that may lie in the folder; more is refused.
    """

    def __init__(self, folder: Path, kind: str, *, most: int = 4 << 30) -> None:
        self._folder = folder
        self._kind = kind
        self._most = most
        self._handle = -1
        self._size = self._written = self._synced = self._looked = 0
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    def append(self, body: bytes, *, durably: bool = False) -> None:
        """Write a record; durably means that it survives a power cut too, for which many callers share one wait.

        Raises
        ------
        Unavailable
            If there is no room for it.
        """
        if len(body) > MAX_RECORD:
            raise ValueError(f"a record of {len(body):,} bytes")
        with self._lock:
            self._write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
            mine, handle = self._written, self._handle
        if durably:
            self._sync(mine, handle)

    def _write(self, data: bytes) -> None:
        if self._handle < 0 or self._size > TURN:
            self._turn()
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            raise _no_room(error) from error
        if written != len(data):
            os.ftruncate(self._handle, self._size)  # half a record would hide those after it
            raise _no_room(None)
        self._size += written
        self._written += written

    def _turn(self) -> None:
        """Begin a file: locked before anybody can find it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if sum(path.stat().st_size for path in journals(self._folder, self._kind)) > self._most:
            raise _no_room(None)
        stem = f"{self._kind}-{new_id()}"
        making = self._folder / f".{stem}"
        handle = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        making.rename(self._folder / f"{stem}{SUFFIX}")
        with self._syncing:
            if self._handle >= 0:
                os.fsync(self._handle)
                os.close(self._handle)
            self._synced = self._written
            self._handle, self._size = handle, 0
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _sync(self, mine: int, handle: int) -> None:
        with self._syncing:
            if self._synced < mine:
                reached = self._written
                os.fsync(handle if handle == self._handle else self._handle)
                self._synced = reached

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1


def journals(folder: Path, kind: str) -> list[Path]:
    """Return the journals of a folder, oldest first."""
    return sorted(folder.glob(f"{kind}-*{SUFFIX}"))


def records(path: Path, position: int, most: int = 32 << 20) -> Iterator[tuple[bytes, int]]:
    """Read whole records from a position on, as body and position of the next; at most so many bytes, but one record at least."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        stream.seek(position)
        end = position + most
        while position < end and len(head := stream.read(_HEAD.size)) == _HEAD.size:
            size, check = _HEAD.unpack(head)
            if size > MAX_RECORD or len(body := stream.read(size)) < size or zlib.crc32(body) != check:
                return
            position += _HEAD.size + size
            yield body, position


def is_over(path: Path) -> bool:
    """Tell whether nobody writes to a journal any more."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _no_room(error: OSError | None) -> Unavailable:
    said = str(error)[:200] if error else "too much waits already"
    return Unavailable("what was sent cannot be kept now", code="journal.full", hint=f"try again later ({said})")
