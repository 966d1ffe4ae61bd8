"""Objects in a folder of this machine, or of a disk that several machines share."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perenne.core.hashing import digest_bytes, digest_file, is_digest
from perenne.storage.files import sweep, sync_file, sync_folder, temporary_file
from perenne.storage.object_errors import changed, damaged, disk_refusals, disk_trouble, missing, object_key

_CHUNK = 1 << 20


class FileObjects:
    """An object store in a folder: `ab/cdef…`, written beside and renamed into place.

    Parameters
    ----------
    root : Path
        The folder; it is made with the first object.
    durable : bool
        Whether an object must survive a power cut once it is put. What can be fetched again need not.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self._durable = durable
        self._prepared = False

    @property
    def url(self) -> str:
        """The URL under which another process opens this store."""
        return self.root.absolute().as_uri()

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest."""
        digest = digest_bytes(data)
        if not self._keeps(digest, len(data)):
            with disk_refusals(), self._incoming() as temporary:
                temporary.write_bytes(data)
                self._settle(temporary, digest)
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return its digest."""
        size = path.stat().st_size
        if size <= _CHUNK:
            return self.put(path.read_bytes())
        digest = digest_file(path)
        if not self._keeps(digest, size):
            with disk_refusals(), self._incoming() as temporary:
                if _copy(path, temporary) != digest:
                    raise changed(path.name)
                self._settle(temporary, digest)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked against their digest."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise missing(digest) from None
        except OSError as error:
            raise disk_trouble(error) from error
        if digest_bytes(data) != digest:
            raise damaged(digest)
        return data

    def fetch(self, digest: str, target: Path) -> None:
        """Write the object to a file, whole and checked or not at all."""
        source = self._path(digest)
        if not source.is_file():
            raise missing(digest)
        with disk_refusals(), temporary_file(target.parent) as copy:
            if _copy(source, copy) != digest:
                raise damaged(digest)
            copy.replace(target)

    def exists(self, digest: str) -> bool:
        """Tell whether the object is there."""
        return self._path(digest).is_file()

    def delete(self, digest: str) -> None:
        """Remove the object."""
        with disk_refusals():
            self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """Go through the names of all objects."""
        for path in self.root.glob("??/*"):
            if is_digest(path.parent.name + path.name):
                yield path.parent.name + path.name

    def _path(self, digest: str) -> Path:
        return self.root / object_key(digest)

    def _keeps(self, digest: str, size: int) -> bool:
        """Tell whether the object is there with all its bytes; one cut short by a broken disk is put again."""
        try:
            return self._path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        folder = self.root / "incoming"
        if not self._prepared:
            self._prepare(folder)
        with temporary_file(folder) as path:
            yield path

    def _prepare(self, folder: Path) -> None:
        """Make the folders, once, and remove what killed processes left."""
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        if self._durable:
            sync_folder(self.root.parent)
        self._prepared = True

    def _settle(self, temporary: Path, digest: str) -> None:
        if self._durable:
            sync_file(temporary)
        temporary.chmod(0o444)
        target = self._path(digest)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            if self._durable:
                sync_folder(self.root)
        temporary.replace(target)
        if self._durable:
            sync_folder(target.parent)


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the digest of what was copied."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with source.open("rb", buffering=0) as reading, target.open("wb") as writing:
        while size := reading.readinto(buffer):
            digest.update(view[:size])
            writing.write(view[:size])
    return digest.hexdigest()
