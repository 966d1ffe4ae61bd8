"""Checkpoints of the observer: rows, windows and the account of both become visible together, whenever it is killed.

Files are written under hidden names and listed; then the account in the shared map is switched, which is the moment from which
they count; then they get their names. A life of the observer that finds the list of the one before finishes the renaming if the
account was switched, and removes the files if not. So no row is in the log twice, none is lost without being counted, and a
window holds the rows that are in the log.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.serving.counters import Account, Ledger
from perenne.storage.files import sweep, sync_folder, write_atomically


class Staged(NamedTuple):
    """A file that is whole and on the disk: its hidden name, and the one it is to get."""

    hidden: Path
    final: Path


class _Listed(msgspec.Struct, frozen=True):
    """Which checkpoint, and its files: hidden and final name of each."""

    sequence: int
    files: list[tuple[str, str]]


class Checkpoints:
    """Makes checkpoints.

    Parameters
    ----------
    folder : Path
        Where the list lies while a checkpoint is made.
    server : str
        Whose observer this is; the same for each of its lives.
    ledger : Ledger
        The account.

    Attributes
    ----------
    open : list of Staged
        Files that count and may not have their names yet.
    """

    def __init__(self, folder: Path, server: str, ledger: Ledger) -> None:
        self._path = folder / f".checkpoint-{server}"
        self._ledger = ledger
        self.open: list[Staged] = []

    def recover(self) -> Account:
        """Finish what the life before committed and remove what it did not; return the account."""
        account = self._ledger.read()
        sweep(self._path.parent)
        try:
            listed = json.decode(self._path.read_bytes(), _Listed, what=self._path.name)
        except (OSError, PerenneError):
            return account
        files = [Staged(Path(hidden), Path(final)) for hidden, final in listed.files]
        if listed.sequence <= account.sequence:
            self.open = files
        else:
            discard(files)
        return account

    def commit(self, files: list[Staged], account: Account) -> None:
        """Make files and account count. Raises OSError if they cannot be listed; then nothing has changed."""
        if files:
            listed = _Listed(account.sequence, [(str(file.hidden), str(file.final)) for file in files])
            write_atomically(self._path, json.encode(listed))
        self._ledger.commit(account)
        self.open = files or self.open

    def settle(self) -> None:
        """Give the files that count their names. Raises OSError if the disk refuses; to be tried again."""
        if not self.open:
            return
        for file in self.open:
            with contextlib.suppress(FileNotFoundError):  # it has its name already
                os.replace(file.hidden, file.final)
        for folder in {file.final.parent for file in self.open}:
            sync_folder(folder)
        self.open = []
        self._path.unlink(missing_ok=True)


def write_durably(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file and wait until it is on the disk; one that the disk refuses is removed."""
    try:
        with path.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder below another one and wait until its name, and those of what had to be made on the way, are on the disk."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    while folder != root and folder != folder.parent:
        folder = folder.parent
        sync_folder(folder)


def discard(files: list[Staged]) -> None:
    """Remove files that do not count."""
    for file in files:
        with contextlib.suppress(OSError):
            file.hidden.unlink(missing_ok=True)
