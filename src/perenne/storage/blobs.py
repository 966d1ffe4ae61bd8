"""Blobs: bytes that have one owner and are named by an id of their own, written as they arrive and never held in memory.

Objects are named by their content and may be anybody's; to name them, every byte is hashed before anything is answered, and
whoever deletes one must ask everybody. What clients upload by path is large, changes hands with its path and has one owner: a
row. So it lies beside the objects, below `artifacts/`, and a row that is committed makes it visible
(docs/decisions/0042-artifacts-are-blobs-of-their-own.md).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.storage.buckets import SCHEMES, split_url
from perenne.storage.cloud_blobs import CloudBlobs
from perenne.storage.file_blobs import FileBlobs
from perenne.storage.incoming import CHUNK, Incoming

__all__ = ["CHUNK", "Blobs", "CloudBlobs", "FileBlobs", "Incoming", "open_blobs", "owned"]

FOLDER = "artifacts"


class Blobs(Protocol):
    """Keeps blobs by their ids. Every adapter passes `perenne.testing.BlobsContract`.

    What cannot be done for the moment raises Unavailable, Full if there is no room.

    Attributes
    ----------
    signs : bool
        Whether `sign` gives URLs.
    """

    signs: bool

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


@contextmanager
def owned(blobs: Blobs, incoming: Incoming) -> Iterator[None]:
    """Delete a blob that was kept if what is to own it is refused; if it is not known whether it was, it stays."""
    try:
        yield
    except (Conflict, Denied, Invalid, NotFound):
        blobs.delete(incoming.id)
        raise


def open_blobs(url: str) -> Blobs:
    """Open the blobs beside the objects at a URL, which `open_objects` takes as well."""
    parts = split_url(url)
    if parts.scheme in SCHEMES:
        return CloudBlobs(f"{url.rstrip('/')}/{FOLDER}")
    if parts.scheme != "file":
        raise Invalid(f"objects URL begins with {parts.scheme[:20]!r}", code="objects.url", hint="file:///srv/objects, s3://…")
    return FileBlobs(Path(unquote(parts.path)) / FOLDER)
