"""Objects by content: whatever is put gets the SHA-256 of its bytes as name, and is checked against it when it is read."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.core.hashing import digest_bytes, digest_file, is_digest

ABANDONED_S = 86_400


class ObjectStore(Protocol):
    """Keeps bytes by their digest. Every adapter passes `perenne.testing.ObjectStoreContract`."""

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest; once it returns they survive a crash."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return its digest."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked. Raises NotFound, or Unavailable if they are damaged."""
        ...

    def fetch(self, digest: str, target: Path) -> None:
        """Write the object to a file, whole and checked or not at all."""
        ...

    def exists(self, digest: str) -> bool:
        """Tell whether the object is there; its bytes are not read."""
        ...

    def delete(self, digest: str) -> None:
        """Remove the object; nothing happens if it is not there."""
        ...

    def digests(self) -> Iterator[str]:
        """Go through the names of all objects."""
        ...


class FileObjects:
    """An object store in a folder of this machine: `ab/cdef…`, written beside and renamed into place.

    Parameters
    ----------
    root : Path
        The folder; it is made with the first object.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._swept = False

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest."""
        digest = digest_bytes(data)
        if not self._keeps(digest, len(data)):
            with _refusals(), self._incoming() as temporary:
                temporary.write_bytes(data)
                self._settle(temporary, digest)
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return its digest."""
        digest = digest_file(path)
        if not self._keeps(digest, path.stat().st_size):
            with path.open("rb") as source, _refusals(), self._incoming() as temporary:
                with temporary.open("wb") as target:
                    shutil.copyfileobj(source, target)
                if digest_file(temporary) != digest:
                    raise Unavailable(
                        f"{path.name} changed while it was read",
                        code="objects.changed",
                        hint="try again when nothing writes to it",
                    )
                self._settle(temporary, digest)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked against their digest."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise _missing(digest) from None
        except OSError as error:
            raise _unavailable(error) from error
        if digest_bytes(data) != digest:
            raise _damaged(digest)
        return data

    def fetch(self, digest: str, target: Path) -> None:
        """Write the object to a file, whole and checked or not at all."""
        source = self._path(digest)
        if not source.is_file():
            raise _missing(digest)
        with _refusals(), _temporary(target.parent) as copy:
            shutil.copyfile(source, copy)
            if digest_file(copy) != digest:
                raise _damaged(digest)
            copy.replace(target)

    def exists(self, digest: str) -> bool:
        """Tell whether the object is there."""
        return self._path(digest).is_file()

    def delete(self, digest: str) -> None:
        """Remove the object."""
        self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """Go through the names of all objects."""
        for path in self.root.glob("??/*"):
            if is_digest(path.parent.name + path.name):
                yield path.parent.name + path.name

    def _path(self, digest: str) -> Path:
        if not is_digest(digest):
            raise Invalid(f"{digest[:100]!r} is not a digest", code="objects.digest")
        return self.root / digest[:2] / digest[2:]

    def _keeps(self, digest: str, size: int) -> bool:
        """Tell whether the object is there with all its bytes; one cut short by a broken disk is put again."""
        try:
            return self._path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        folder = self.root / "incoming"
        if not self._swept:
            self._swept = True
            _sweep(folder)
        with _temporary(folder) as path:
            yield path

    def _settle(self, temporary: Path, digest: str) -> None:
        sync_file(temporary)
        temporary.chmod(0o444)
        target = self._path(digest)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            sync_folder(self.root)
            sync_folder(self.root.parent)
        temporary.replace(target)
        sync_folder(target.parent)


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """Give a file of its own in a folder, gone at the end unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".incoming-")
    os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left behind more than a day ago."""
    for path in folder.glob(".incoming-*"):
        try:
            if path.stat().st_mtime < time.time() - ABANDONED_S:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the disk refuses into an error that says so."""
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by new bytes so that a reader, and a crash, sees the old ones or the new ones."""
    with _temporary(path.parent) as temporary:
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


def open_objects(url: str) -> ObjectStore:
    """Open the object store at a URL.

    Raises
    ------
    Invalid
        If no adapter speaks the scheme.

    >>> open_objects("file:///tmp/objects").root
    PosixPath('/tmp/objects')
    """
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise Invalid(
            f"objects URL {url[:100]!r} is not file:///path",
            code="objects.url",
            hint="S3 and others come with a later release",
        )
    return FileObjects(Path(unquote(parts.path)))


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(
        f"the object store cannot be used: {error.strerror}",
        code="objects.unavailable",
        hint="is the disk full or read-only? `perenne doctor` tells",
    )


def _missing(digest: str) -> NotFound:
    return NotFound(
        f"object {digest[:12]}… is not in the store",
        code="objects.not_found",
        hint="was the store moved or pruned? `perenne doctor` checks",
    )


def _damaged(digest: str) -> Unavailable:
    return Unavailable(
        f"object {digest[:12]}… is damaged",
        code="objects.damaged",
        hint="restore it from a backup, or delete it and run again",
    )
