"""Changing metafiles: whole or not at all, and never when nothing changes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perenne.data.versions.locking import is_alive

ROOM = "perenne"
"""Folder of ``.dvc/tmp`` for what is half done, each thing under the number of its process."""


def replace(file: Path, data: bytes, temporary: Path) -> bool:
    """Write a file: to disk under another name, then renamed; False if it holds these bytes already.

    Parameters
    ----------
    file : Path
        The file.
    data : bytes
        What it shall hold.
    temporary : Path
        ``.dvc/tmp``, where it is written first.
    """
    try:
        if file.read_bytes() == data:
            return False
        mode = file.stat().st_mode & 0o777
    except FileNotFoundError:
        mode = None
    folder = temporary / ROOM
    folder.mkdir(parents=True, exist_ok=True)
    made = _written(folder, data, mode)
    try:
        os.rename(made, file)
    except OSError:  # on another disk
        os.unlink(made)
        made = _written(file.parent, data, mode)
        try:
            os.rename(made, file)
        except BaseException:
            os.unlink(made)
            raise
    _sync_folder(file.parent)
    return True


def _written(folder: Path, data: bytes, mode: int | None) -> str:
    made = f"{folder}/{os.getpid()}-{os.urandom(4).hex()}.perenne"
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if mode is not None:
                os.fchmod(handle, mode)
            os.fsync(handle)
    except BaseException:
        os.unlink(made)
        raise
    return made


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(temporary: Path) -> None:
    """Remove what dead processes left half done in ``.dvc/tmp``."""
    with suppress(FileNotFoundError):
        for left in (temporary / ROOM).iterdir():
            pid = left.name.partition("-")[0]
            if pid.isdigit() and not is_alive(int(pid)):
                empty(left)


@contextmanager
def workroom(temporary: Path) -> Iterator[str]:
    """Give a folder for files on their way into the workspace.

    Parameters
    ----------
    temporary : Path
        ``.dvc/tmp``.
    """
    sweep(temporary)
    above = temporary / ROOM
    folder = above / f"{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir(parents=True)
    try:
        yield os.fspath(folder)
    finally:
        empty(folder)


def empty(folder: Path) -> None:
    """Remove a folder of files, or a file."""
    with suppress(OSError):
        if not folder.is_dir():
            folder.unlink()
            return
        for file in list(folder.iterdir()):
            file.unlink(missing_ok=True)
        folder.rmdir()
