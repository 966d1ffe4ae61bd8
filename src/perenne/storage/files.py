"""Files that are there whole or not at all: written beside their place and renamed into it."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ABANDONED_S = 86_400
_BESIDE = ".incoming-"


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Give a file of its own in a folder, gone at the end unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=_BESIDE)
    os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left behind more than a day ago."""
    for path in folder.glob(f"{_BESIDE}*"):
        try:
            if path.stat().st_mtime < time.time() - ABANDONED_S:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by new bytes so that a reader, and a crash, sees the old ones or the new ones."""
    with temporary_file(path.parent) as temporary:
        temporary.write_bytes(data)
        sync_file(temporary)
        temporary.replace(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
