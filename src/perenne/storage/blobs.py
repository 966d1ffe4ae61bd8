"""Blobs: bytes that have one owner and are named by an id of their own, written as they arrive and never held in memory.

Objects are named by their content and may be anybody's; to name them, every byte is hashed before anything is answered, and
whoever deletes one must ask everybody. What clients upload by path is large, changes hands with its path and has one owner: a
row. So it lies beside the objects, below `artifacts/`, and a row that is committed makes it visible
(docs/decisions/0042-artifacts-are-blobs-of-their-own.md).
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from perenne.core.errors import Invalid
from perenne.core.ids import new_id
from perenne.storage.blob_errors import blob_key, full, missing, refusals
from perenne.storage.buckets import SCHEMES, split_url
from perenne.storage.files import sweep, sync_folder, temporary_file

CHUNK = 256 << 10
"""Bytes that are read or written at a time."""

FOLDER = "artifacts"


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
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def reserve(self, size: int) -> None:
        """Make sure that there is room for so many bytes before any of them is sent. Raises Full."""
        free = os.fstatvfs(self._handle)
        if size > free.f_bavail * free.f_frsize:
            raise full()

    def write(self, parts: Sequence[bytes]) -> None:
        """Write what arrived. Raises Full or Unavailable."""
        with refusals():
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(self._handle, view) :]
                self.size += len(part)

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


class Blobs(Protocol):
    """Keeps blobs by their ids. What cannot be done for the moment raises Unavailable, Full if there is no room."""

    def receive(self) -> AbstractContextManager[Incoming]:
        """Give a blob to write to; it is gone at the end unless it was kept."""
        ...

    def keep(self, incoming: Incoming) -> None:
        """Make what was written a blob; once it returns it survives a crash."""
        ...

    def join(self, ids: Sequence[str], incoming: Incoming) -> None:
        """Append blobs, in order, to one that is being written."""
        ...

    def locate(self, identity: str) -> Path | None:
        """Return the file that holds a blob on this machine; None if it lies elsewhere. Raises NotFound."""
        ...

    def read(self, identity: str, start: int, end: int) -> Iterator[bytes]:
        """Go through the bytes from `start` up to, not including, `end`. Raises NotFound."""
        ...

    def sign(self, identity: str, seconds: int) -> str | None:
        """Return a URL at which anybody may read a blob for so long; None if the store cannot do that."""
        ...

    def delete(self, identity: str) -> None:
        """Remove a blob; nothing happens if it is not there."""
        ...

    def ids(self) -> Iterator[str]:
        """Go through the ids of all blobs."""
        ...


def open_blobs(url: str) -> Blobs:
    """Open the blobs beside the objects at a URL, which `open_objects` takes as well."""
    parts = split_url(url)
    if parts.scheme in SCHEMES:
        from perenne.storage.cloud_blobs import CloudBlobs

        return CloudBlobs(f"{url.rstrip('/')}/{FOLDER}")
    if parts.scheme != "file":
        raise Invalid(f"objects URL begins with {parts.scheme[:20]!r}", code="objects.url", hint="file:///srv/objects, s3://…")
    return FileBlobs(Path(unquote(parts.path)) / FOLDER)


class FileBlobs:
    """Blobs in a folder: `2J/01M8…2J`, written beside and renamed into place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prepared = False

    @contextmanager
    def receive(self) -> Iterator[Incoming]:
        """Give a blob to write to; it is gone at the end unless it was kept."""
        with contextlib.ExitStack() as stack:
            with refusals():
                if not self._prepared:
                    self._prepare()
                incoming = Incoming(stack.enter_context(temporary_file(self.root / "incoming")))
            stack.callback(incoming.close)
            yield incoming

    def keep(self, incoming: Incoming) -> None:
        """Make what was written a blob; once it returns it survives a crash."""
        incoming.sync()
        with refusals():
            target = self._path(incoming.id)
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                sync_folder(self.root)
            incoming.path.replace(target)
            sync_folder(target.parent)

    def join(self, ids: Sequence[str], incoming: Incoming) -> None:
        """Append blobs, in order, to one that is being written."""
        for identity in ids:
            incoming.add_file(self.locate(identity))

    def locate(self, identity: str) -> Path:
        """Return the file that holds a blob. Raises NotFound."""
        path = self._path(identity)
        if not path.is_file():
            raise missing(identity)
        return path

    def read(self, identity: str, start: int, end: int) -> Iterator[bytes]:
        """Go through the bytes of a range."""
        with refusals(), self.locate(identity).open("rb", buffering=0) as stream:
            stream.seek(start)
            while start < end and (chunk := stream.read(min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk

    def sign(self, identity: str, seconds: int) -> None:
        """Return None: a folder gives no URLs."""

    def delete(self, identity: str) -> None:
        """Remove a blob."""
        with refusals():
            self._path(identity).unlink(missing_ok=True)

    def ids(self) -> Iterator[str]:
        """Go through the ids of all blobs."""
        for path in self.root.glob("??/*"):
            if path.name[-2:] == path.parent.name:
                yield path.name

    def _path(self, identity: str) -> Path:
        return self.root / blob_key(identity)

    def _prepare(self) -> None:
        """Make the folders, once, and remove what killed processes left."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        sync_folder(self.root.parent)
        self._prepared = True
