"""The spool: what a run's process says, in a file of its own, until whoever keeps runs has it.

The rule: when a call that logs returns, its record is in the file, written by one call of the operating system. A process that is
killed at any moment loses nothing it returned from; the file is brought to the disk once a second, so a power cut loses at most
the last second. A record is its length and CRC-32, four bytes each, and its body; the file ends where they no longer fit.

Beside `RUN.TOKEN.spool` there are `RUN.TOKEN.sent`, how far it was delivered, and the folder `RUN.TOKEN`, copies of files to
send. The process that writes holds a lock on the file, which ends with the process: a spool that can be locked is an orphan, and
whoever finds it delivers it. Delivering twice changes nothing, so the mark may lag behind.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from perenne.core.ids import new_id
from perenne.tracking.client import records
from perenne.tracking.client.records import Begin, Close, End, Record

log = logging.getLogger("perenne.client")

MAGIC = b"PRNSPL1\n"
MAX_RECORD = 16 << 20
COMPACT = 16 << 20
"""A spool that was delivered whole is cut back to its first record when it is larger than this."""
WAITING = 1_000_000
"""Records kept in memory at most while the disk takes none."""
_HEAD = struct.Struct("<II")
_MARK = struct.Struct("<QI")


class Piece(NamedTuple):
    """Some records of a spool, and where the next one begins."""

    records: list[Record]
    end: int


class Spool:
    """An open spool, locked for this process.

    Parameters
    ----------
    path : Path
        Its file.
    handle : int
        The open and locked file.

    Attributes
    ----------
    begin : Begin
        Its first record.
    is_closed : bool
        Whether a process that died had said its last; known of adopted spools.
    dropped : int
        Records that neither disk nor memory had room for.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.folder = path.with_suffix("")
        self.is_closed = False
        self.dropped = 0
        self.full = False
        self._handle = handle
        self._lock = threading.Lock()
        self._overflow: list[bytes] = []
        self._files = 0
        begin, self._first = self._read_begin()
        self.begin = begin
        self._size = os.fstat(handle).st_size
        self._synced = 0
        self._sent = self._read_mark()

    @classmethod
    def create(cls, folder: Path, begin: Begin) -> "Spool":
        """Make the spool of a run: locked before anybody can find it. Raises OSError if it cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{begin.run}.{new_id()[-8:]}"
        making, path = folder / f"{stem}.making", folder / f"{stem}.spool"
        handle = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _try_lock(handle)
            _write_whole(handle, MAGIC + frame(records.encode(begin)))
            making.rename(path)
            return cls(path, handle)
        except BaseException:
            os.close(handle)
            making.unlink(missing_ok=True)
            raise

    @classmethod
    def adopt(cls, path: Path) -> "Spool | None":
        """Open a spool that no living process holds; None if one does, it is gone, or it is damaged at its beginning."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            if _try_lock(handle) and path.exists():
                spool = cls(path, handle)
                spool._cut_torn()
                return spool
        except ValueError:
            pass
        os.close(handle)
        return None

    def append(self, body: bytes) -> None:
        """Write one record. On a full disk it waits in memory, and nothing is raised."""
        if len(body) > MAX_RECORD:
            raise ValueError(f"a record of {len(body):,} bytes")
        data = frame(body)
        with self._lock:
            if self._overflow or not self._write(data):
                if len(self._overflow) < WAITING:
                    self._overflow.append(body)
                else:
                    self.dropped += 1

    def _write(self, data: bytes) -> bool:
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
                raise
            written = 0
        if written == len(data):
            self._size += written
            return True
        os.ftruncate(self._handle, self._size)  # half a record would hide those after it
        self.full = True
        return False

    def keep_file(self, source: Path) -> str:
        """Copy a file into the spool's folder and return the name it has there. Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        name = self._next_file()
        try:
            shutil.copyfile(source, self.folder / name)
        except OSError:
            (self.folder / name).unlink(missing_ok=True)
            raise
        return name

    def keep_bytes(self, data: bytes) -> str:
        """Write bytes as a file of the spool's folder and return its name. Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        name = self._next_file()
        try:
            (self.folder / name).write_bytes(data)
        except OSError:
            (self.folder / name).unlink(missing_ok=True)
            raise
        return name

    def _next_file(self) -> str:
        with self._lock:
            self._files += 1
            return f"{self._files:06d}-{new_id()[-6:]}"

    def pending(self, most: int) -> Piece:
        """Read the next records that were not delivered, at most so many; those in memory come after those in the file."""
        found, offset = [], self._sent
        for body, end in _frames(self._handle, offset):
            found.append(records.decode(body))
            offset = end
            if len(found) >= most:
                break
        return Piece(found, offset)

    def mark(self, offset: int, *, compact: bool = True) -> None:
        """Note that everything before an offset was delivered; a large spool may then be cut back."""
        self._write_mark(offset)
        self._sent = offset
        with self._lock:
            if offset == self._size:
                if self._overflow:
                    self._drain()
                elif compact and offset > COMPACT:
                    self._write_mark(self._first)
                    self._sent = self._size = self._first
                    os.ftruncate(self._handle, self._first)

    def take_waiting(self) -> list[Record]:
        """Return the records that wait in memory, when all in the file are delivered; `drop_waiting` says they are too."""
        with self._lock:
            return [records.decode(body) for body in self._overflow] if self._sent == self._size else []

    def drop_waiting(self, count: int) -> None:
        """Forget the first so many of those that wait in memory."""
        with self._lock:
            del self._overflow[:count]

    def _drain(self) -> None:
        """Move what waits in memory into the file, as far as the disk has room again."""
        for place, body in enumerate(self._overflow):
            if not self._write(frame(body)):
                del self._overflow[:place]
                return
        self._overflow.clear()
        self.full = False

    @property
    def is_delivered(self) -> bool:
        """Whether nothing waits."""
        with self._lock:
            return not self._overflow and self._sent >= self._size

    def sync(self) -> None:
        """Bring to the disk what was written since the last time."""
        if self._size != self._synced:
            size = self._size
            with contextlib.suppress(OSError):
                os.fsync(self._handle)
                self._synced = size

    def remove(self) -> None:
        """Delete the spool: everything was delivered."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in (self.path.with_suffix(".sent"), self.path):
            path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)

    def _read_begin(self) -> tuple[Begin, int]:
        if os.pread(self._handle, len(MAGIC), 0) != MAGIC:
            raise ValueError(f"{self.path.name} is no spool")
        for body, end in _frames(self._handle, len(MAGIC)):
            record = records.decode(body)
            if isinstance(record, Begin):
                return record, end
            break
        raise ValueError(f"{self.path.name} does not begin with a run")

    def _cut_torn(self) -> None:
        """Cut away what a killed process left half written, and see whether it had said its last."""
        end = self._first
        for body, following in _frames(self._handle, self._first):
            end = following
            self.is_closed = isinstance(records.decode(body), End | Close)
        if end < self._size:
            log.warning("%s: its last %d bytes are no whole record and are left out", self.path.name, self._size - end)
            os.ftruncate(self._handle, end)
            self._size = end

    def _read_mark(self) -> int:
        try:
            data = self.path.with_suffix(".sent").read_bytes()
            offset, check = _MARK.unpack(data)
        except (OSError, struct.error):
            return len(MAGIC)
        fits = check == zlib.crc32(data[:8]) and offset <= os.fstat(self._handle).st_size
        return int(offset) if fits else len(MAGIC)

    def _write_mark(self, offset: int) -> None:
        data = struct.pack("<Q", offset)
        with contextlib.suppress(OSError):  # then more is delivered again, which changes nothing
            self.path.with_suffix(".sent").write_bytes(data + struct.pack("<I", zlib.crc32(data)))


def frame(body: bytes) -> bytes:
    """Put length and checksum before a record."""
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def orphans(folder: Path) -> list[Spool]:
    """Take the spools of a folder that no living process holds, oldest first; whoever gets them closes or removes them."""
    adopted = [Spool.adopt(path) for path in sorted(folder.glob("*.spool"), key=_age)]
    return [spool for spool in adopted if spool is not None]


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def is_held(spools: Collection[Spool]) -> bool:
    """Tell whether a run has further spools than these, of which at least one is known: then a living process goes on with it."""
    known = {spool.path for spool in spools}
    first = next(iter(spools))
    return any(path not in known for path in first.path.parent.glob(f"{first.begin.run}.*.spool"))


def _frames(handle: int, offset: int) -> Iterator[tuple[bytes, int]]:
    """Read records from an offset on, as body and offset of the next; the first that is not whole ends it."""
    chunk, start = b"", offset
    while True:
        at = offset - start
        head = chunk[at : at + _HEAD.size]
        size, check = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        if len(chunk) < at + _HEAD.size + size or not head:
            if size > MAX_RECORD:
                return
            more = os.pread(handle, max(1 << 18, _HEAD.size + size), offset)
            if len(more) <= len(chunk) - at:
                return
            chunk, start = more, offset
            continue
        body = chunk[at + _HEAD.size : at + _HEAD.size + size]
        if not size or zlib.crc32(body) != check:
            return
        offset += _HEAD.size + size
        yield body, offset


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_whole(handle: int, data: bytes) -> None:
    if os.write(handle, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
