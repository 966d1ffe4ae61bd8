"""Bytes on their way into a store of blobs: a file beside it, until all of them have arrived."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from perenne.core.ids import new_id
from perenne.storage.blob_errors import full, refusals
from perenne.storage.writeback import begin_writeback

CHUNK = 256 << 10
"""Bytes that are read or written at a time."""

_AHEAD = 4 << 20
"""Of so many bytes at a time the writing to the disk begins while more arrive."""


class Incoming:
    """A blob that is being written: there once it is kept, and not before.

    Parameters
    ----------
    path : Path
        The file it is written to until then.
    """

    def __init__(self, path: Path) -> None:
        self.id = new_id()
        self.path = path
        self.size = 0
        self._begun = 0
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def reserve(self, size: int) -> None:
        """Make sure that there is room for so many bytes before any of them is sent. Raises Full."""
        free = os.fstatvfs(self._handle)
        if size > free.f_bavail * free.f_frsize:
            raise full()

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Write what arrived. Raises Full or Unavailable."""
        with refusals():
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(self._handle, view) :]
                self.size += len(part)
        if self.size - self._begun >= _AHEAD:
            begin_writeback(self._handle, self._begun, self.size - self._begun)
            self._begun = self.size

    def add_file(self, source: Path) -> None:
        """Append a file; the kernel copies it."""
        with refusals(), source.open("rb") as reading:
            left = os.fstat(reading.fileno()).st_size
            while left > 0 and (count := os.copy_file_range(reading.fileno(), self._handle, left)):
                self.size += count
                left -= count

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        with refusals():
            os.fsync(self._handle)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            os.close(self._handle)
