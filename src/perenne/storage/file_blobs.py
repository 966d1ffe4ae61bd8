"""Blobs in a folder of this machine, or of a disk that several machines share."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from perenne.storage.blob_errors import blob_key, missing, refusals
from perenne.storage.files import sweep, sync_folder, temporary_file
from perenne.storage.incoming import CHUNK, Incoming


class FileBlobs:
    """Blobs in a folder: `2J/01M8…2J`, written beside and renamed into place."""

    signs = False

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
