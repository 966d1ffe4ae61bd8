"""A read-through cache: objects of a distant store, kept on a disk of this machine as they are read.

An object never changes, so nothing in the cache is ever out of date. It is one folder for all stores and all processes of a
person, checked when it is read, bounded in size; what was not used for longest goes first. It may be deleted at any time.
"""

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perenne.core.errors import Invalid, NotFound, PerenneError, Unavailable
from perenne.storage.file_objects import FileObjects
from perenne.storage.object_errors import object_key

if TYPE_CHECKING:
    from perenne.storage.objects import ObjectStore

GIB = 1 << 30
DEFAULT_GIB = 10.0


class Cache(msgspec.Struct, frozen=True):
    """Where the cache lies, and how many bytes it may hold."""

    folder: Path
    limit: int


def cache_of(environment: Mapping[str, str] = os.environ) -> Cache | None:
    """Return the cache that the environment names by `PERENNE_CACHE` and `PERENNE_CACHE_GIB`; None if it wants none.

    Raises
    ------
    Invalid
        If the size is no number above zero.

    >>> cache_of({"PERENNE_CACHE": "/tmp/c", "PERENNE_CACHE_GIB": "0.5"})
    Cache(folder=PosixPath('/tmp/c'), limit=536870912)
    >>> cache_of({"PERENNE_CACHE": ""}) is None
    True
    """
    named = environment.get("PERENNE_CACHE")
    if named == "":
        return None
    text = environment.get("PERENNE_CACHE_GIB", str(DEFAULT_GIB))
    try:
        limit = int(float(text) * GIB)
    except (ValueError, OverflowError):
        limit = 0
    if limit <= 0:
        raise Invalid(
            f"PERENNE_CACHE_GIB is {text[:40]!r}, which is no number above zero",
            code="config.cache",
            hint="PERENNE_CACHE= (empty) switches the cache off",
        )
    if named is not None:
        return Cache(Path(named).absolute(), limit)
    home = environment.get("XDG_CACHE_HOME") or (os.path.join(environment["HOME"], ".cache") if environment.get("HOME") else "")
    return Cache(Path(home) / "perenne" / "objects", limit) if os.path.isabs(home) else None


class CachedObjects:
    """An object store read through a cache.

    Parameters
    ----------
    origin : ObjectStore
        Where the objects are. It alone says what exists.
    cache : Cache
        The folder, made when it is first used, and its bound: kept within a tenth for each process that reads.
    """

    def __init__(self, origin: "ObjectStore", cache: Cache) -> None:
        self.origin = origin
        self._limit = cache.limit
        self._local = FileObjects(cache.folder, durable=False)
        # Drawn, so that many short-lived processes look at the size as often as one that reads as much.
        self._since_pruned = random.randrange(self._limit // 10 + 1)

    @property
    def url(self) -> str:
        """The URL under which another process opens the store itself."""
        return self.origin.url

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest."""
        return self.origin.put(data)

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return its digest."""
        return self.origin.put_file(path)

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked; from this machine if they are there."""
        try:
            data = self._local.get(digest)
        except (NotFound, Unavailable) as error:
            self._drop_damaged(digest, error)
        else:
            self._use(digest)
            return data
        data = self.origin.get(digest)
        self._keep(len(data), lambda: self._local.put(data))
        return data

    def fetch(self, digest: str, target: Path) -> None:
        """Write the object to a file, whole and checked or not at all."""
        try:
            self._local.fetch(digest, target)
        except (NotFound, Unavailable) as error:
            self._drop_damaged(digest, error)
        else:
            self._use(digest)
            return
        self.origin.fetch(digest, target)
        self._keep(target.stat().st_size, lambda: self._local.put_file(target))

    def exists(self, digest: str) -> bool:
        """Tell whether the object is in the store."""
        return self.origin.exists(digest)

    def delete(self, digest: str) -> None:
        """Remove the object, from this machine too."""
        with contextlib.suppress(Unavailable):
            self._local.delete(digest)
        self.origin.delete(digest)

    def digests(self) -> Iterator[str]:
        """Go through the names of all objects of the store."""
        return self.origin.digests()

    def _drop_damaged(self, digest: str, error: PerenneError) -> None:
        if error.code == "objects.damaged":
            with contextlib.suppress(Unavailable):
                self._local.delete(digest)

    def _use(self, digest: str) -> None:
        with contextlib.suppress(OSError):
            os.utime(self._local.root / object_key(digest))

    def _keep(self, size: int, put: Callable[[], object]) -> None:
        """Keep what was read; a cache that cannot be written is no reason to fail. The largest objects would empty it."""
        if size > self._limit // 4:
            return
        try:
            self._local.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            put()
        except (OSError, PerenneError):
            return
        self._since_pruned += size
        if self._since_pruned > self._limit // 10:
            self._since_pruned = 0
            self._prune()

    def _prune(self) -> None:
        """Delete what was not used for longest, down to nine tenths of the bound."""
        found = []
        for path in self._local.root.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):  # another process prunes too
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit * 9 // 10:
                return
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size
