"""A remote that is a folder, on this machine or mounted: files are written under another name and renamed.

What was put is made visible in groups: the disk is asked once to keep all of a group, then its files get their names. So a power
cut leaves no name without its bytes, at a small part of the price of asking for each file.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from threading import Lock
from typing import Any

from perenne.core.errors import PerenneError
from perenne.data.versions.remotes.copying import copy_hashed
from perenne.data.versions.remotes.port import Found, Traits
from perenne.data.versions.remotes.refusals import damaged_source, not_there, refused, unusable

ARRIVING = ".perenne-arriving"
"""The folder below the remote's top in which files lie that are not whole yet."""

GROUP = 2_000
"""So many files are made visible together."""

_LEFT_BEHIND_S = 2 * 86_400


class LocalRemote:
    """A folder.

    Parameters
    ----------
    root : str
        Its absolute path; made when something is put there.
    shared : bool
        Whether its group writes here too: folders and files are opened to it.
    lasting : bool
        Whether the disk is asked to keep what was put before it is visible.
    """

    def __init__(self, root: str, *, shared: bool = False, lasting: bool = True) -> None:
        self.root = root
        self.shown = root
        self.traits = Traits(settles=True, jobs=min(4, os.cpu_count() or 1))
        self._shared = shared
        self._lasting = lasting
        self._lock = Lock()
        self._folders: set[str] = set()
        self._waiting: list[tuple[str, str]] = []
        self._failed: PerenneError | None = None
        self._arriving = ""
        self._numbers = count()

    def about(self, path: str, version: str | None = None) -> Found | None:
        """Return what is at a path; see the port."""
        place = f"{self.root}/{path}"
        try:
            status = os.stat(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refusal(error) from None
        return Found(path=path, size=status.st_size, modified=status.st_mtime) if os.path.isfile(place) else None

    def listing(self, prefix: str) -> Iterator[Found]:
        """Go through every file below a folder."""
        pending = [prefix.strip("/")]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(f"{self.root}/{folder}") as entries:
                    inside = [(entry.name, entry.is_dir()) for entry in entries]
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise self._refusal(error) from None
            for name, is_folder in inside:
                path = f"{folder}/{name}" if folder else name
                if not is_folder:
                    yield Found(path=path)
                elif path != ARRIVING:
                    pending.append(path)

    def get(self, path: str, target: str, version: str | None = None) -> str:
        """Copy a file out."""
        source = f"{self.root}/{path}"
        try:
            return copy_hashed(source, target)[0]
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if error.filename == target:
                raise
            raise not_there(self.shown, path) from None
        except OSError as error:
            if error.filename == source:
                raise self._refusal(error) from None
            raise

    def put(self, source: str, path: str, digest: str | None = None) -> Found:
        """Copy a file in; it is visible after `settle`."""
        place = f"{self.root}/{path}"
        self._make(os.path.dirname(place))
        temporary = self._temporary()
        try:
            found, size = copy_hashed(source, temporary, 0o664 if self._shared else 0o666)
            if digest is not None and found != digest:
                raise damaged_source(digest, found)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            if isinstance(error, OSError) and error.filename != source:
                raise self._refusal(error) from None
            raise
        with self._lock:
            self._waiting.append((temporary, place))
            full = len(self._waiting) >= GROUP
        if full:
            self.settle()
        return Found(path=path, size=size)

    def move(self, path: str, to: str) -> None:
        """Rename a file."""
        self._make(os.path.dirname(f"{self.root}/{to}"))
        try:
            os.rename(f"{self.root}/{path}", f"{self.root}/{to}")
        except (FileNotFoundError, NotADirectoryError):
            raise not_there(self.shown, path) from None
        except OSError as error:
            raise self._refusal(error) from None

    def delete(self, path: str) -> None:
        """Remove a file."""
        try:
            os.unlink(f"{self.root}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._refusal(error) from None

    def settle(self) -> None:
        """Ask the disk to keep what was put, and give the files their names; once it could not, it never says that it could."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if self._failed is None and waiting:
            try:
                self._name(waiting)
            except OSError as error:
                self._failed = self._refusal(error)
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Remove what was put and not settled."""
        if self._arriving:
            import shutil

            shutil.rmtree(self._arriving, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self._arriving))
            self._arriving = ""

    def _name(self, waiting: list[tuple[str, str]]) -> None:
        if self._lasting:
            sync_disk(self.root)
        for temporary, place in waiting:
            os.rename(temporary, place)
        if self._lasting:
            sync_disk(self.root)

    def _temporary(self) -> str:
        if not self._arriving:
            with self._lock:
                self._arriving = self._arriving or self._make_arriving()
        return f"{self._arriving}/{next(self._numbers)}"

    def _make_arriving(self) -> str:
        above = f"{self.root}/{ARRIVING}"
        self._make(above)
        _sweep(above)
        made = f"{above}/{os.getpid()}-{os.urandom(4).hex()}"
        try:
            os.mkdir(made)
            return made
        except OSError as error:
            raise self._refusal(error) from None

    def _make(self, folder: str) -> None:
        if folder in self._folders:
            return
        try:
            if not os.path.isdir(folder):
                os.makedirs(folder, exist_ok=True)
                if self._shared:
                    os.chmod(folder, 0o2775)  # noqa: S103 - that is what shared means
        except OSError as error:
            raise self._refusal(error) from None
        self._folders.add(folder)

    def _refusal(self, error: OSError) -> PerenneError:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return refused(self.shown, error.strerror or "permission denied", "may you write to this folder?")
        return unusable(self.shown, error.strerror or str(error), "is there room on its disk? is it mounted?")


def _sweep(folder: str) -> None:
    """Remove what a push that was killed left behind."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if time.time() - entry.stat().st_mtime > _LEFT_BEHIND_S:
                import shutil

                shutil.rmtree(entry.path, ignore_errors=True)


def sync_disk(path: str) -> None:
    """Ask the disk that a path lies on to keep everything written so far."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call = _syncfs()
        if call is None:
            os.sync()
        elif call(handle):
            raise OSError(errno.EIO, "the disk does not keep what was written")
    finally:
        os.close(handle)


@lru_cache(maxsize=1)
def _syncfs() -> Any:
    """Return the system's call for one file system, None where there is none."""
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
