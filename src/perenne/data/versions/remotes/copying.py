"""Files copied with their md5 taken beside the copy, on another core where it pays."""

import os
from collections.abc import Iterator
from hashlib import md5
from queue import Queue
from threading import Thread
from typing import Any

SMALL = 1 << 16
"""Files of fewer bytes are read at once; a larger buffer would be taken from the system anew for each."""

BLOCK = 4 << 20
_AHEAD = 2


def copy_hashed(source: str, target: str, mode: int = 0o666) -> tuple[str, int]:
    """Copy a file to one that is not there yet and return the md5 of what was written, and how much that was.

    Raises
    ------
    OSError
        As for opening, reading and writing; what was written so far stays.
    """
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(read, SMALL)
        write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if len(data) < SMALL:
                write_all(write, data)
                return md5(data, usedforsecurity=False).hexdigest(), len(data)
            os.lseek(read, 0, os.SEEK_SET)
            return _copy_large(read, write), os.fstat(write).st_size
        finally:
            os.close(write)
    finally:
        os.close(read)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write every byte; the system may take a part at a time."""
    done = os.write(handle, data)
    while done < len(data):
        done += os.write(handle, memoryview(data)[done:])


def _copy_large(read: int, write: int) -> str:
    hashing = Hashing()
    try:
        while data := os.read(read, BLOCK):
            hashing.add(data)
            write_all(write, data)
    except BaseException:
        hashing.end()
        raise
    return hashing.end()


class Hashing:
    """An md5 that another thread takes, few blocks behind: hashing gives the interpreter free."""

    def __init__(self) -> None:
        self._hash = md5(usedforsecurity=False)
        self._blocks: Queue[Any] = Queue(_AHEAD)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, data: Any) -> None:
        """Hash a block; it must not change afterwards."""
        self._blocks.put(data)

    def end(self) -> str:
        """Return the md5 of all blocks in hex."""
        self._blocks.put(None)
        self._thread.join()
        return self._hash.hexdigest()

    def _run(self) -> None:
        while (data := self._blocks.get()) is not None:
            self._hash.update(data)


def hash_file(path: str) -> str:
    """Return the md5 of a file's bytes in hex."""
    found = md5(usedforsecurity=False)
    for block in blocks(path):
        found.update(block)
    return found.hexdigest()


def blocks(path: str, size: int = BLOCK) -> Iterator[bytes]:
    """Go through a file's bytes."""
    with open(path, "rb", buffering=0) as stream:
        while data := stream.read(size):
            yield data
