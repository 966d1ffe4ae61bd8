"""md5 of files, and keeping them as objects in the same pass.

Small files are read whole, several threads at once; large ones in pieces, while one thread hashes a piece another writes the one
before. Every object is written under another name, and gets its own when all of its bytes are there.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import md5

from perenne.core.errors import PerenneError
from perenne.data.versions.cache import MODE, Cache
from perenne.data.versions.copying import SMALL, copy_file, write_all

FIRST = 1 << 17
PIECE = 8 << 20
TOGETHER = 64
"""So many files are worth a thread of their own."""

Progress = Callable[[int], None]
"""Hears how many files are done, now and then."""


def read_small(handle: int) -> bytes | None:
    """Read a file that is smaller than `SMALL`; None if it is larger."""
    data = os.read(handle, FIRST)
    while more := os.read(handle, SMALL):
        data += more
        if len(data) >= SMALL:
            return None
    return data


def digest_of(path: str) -> bytes:
    """Return the md5 of a file, 16 bytes."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = read_small(handle)
        if data is not None:
            return md5(data, usedforsecurity=False).digest()
        os.lseek(handle, 0, os.SEEK_SET)
        found = md5(usedforsecurity=False)
        piece = memoryview(bytearray(SMALL))
        while size := os.readv(handle, [piece]):
            found.update(piece[:size])
        return found.digest()
    finally:
        os.close(handle)


def digests_of(paths: Sequence[str], hashed: Callable[[str], bytes], progress: Progress | None = None) -> list[bytes]:
    """Return the md5s of many files; `hashed` is mostly `digest_of`."""
    return in_threads(paths, lambda part, done: [_told(hashed(path), done) for path in part], progress)


def _told(digest: bytes, done: Callable[[], None]) -> bytes:
    done()
    return digest


def in_threads(
    paths: Sequence[str], work: Callable[[Sequence[str], Callable[[], None]], list[bytes]], progress: Progress | None = None
) -> list[bytes]:
    """Share files among threads; answers come in the order of the files, if there are any. The first failure ends all of them."""
    workers = min(max(2, os.cpu_count() or 2), 8, -(-len(paths) // TOGETHER))
    counter = Counter(progress)
    if workers < 2:
        return work(paths, counter.add)
    import threading

    answers: list[list[bytes]] = [[] for _ in range(workers)]
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            answers[number] = work(paths[number::workers], counter.add)
        except BaseException as error:
            failures.append(error)
            counter.stop()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(1, workers)]
    for thread in threads:
        thread.start()
    try:
        run(0)
    finally:
        for thread in threads:
            thread.join()
    if failures:
        raise next((error for error in failures if not isinstance(error, Stopped)), failures[0])
    if not any(answers):
        return []
    found = [b""] * len(paths)
    for number, part in enumerate(answers):
        found[number::workers] = part
    return found


class Stopped(Exception):
    """Another thread failed."""


class Counter:
    """Counts what is done, for a person who watches, and stops everybody when one fails."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0
        self._stopped = False

    def add(self) -> None:
        """Count one more."""
        self._done += 1
        if not self._done & 255:
            if self._stopped:
                raise Stopped
            if self._progress is not None:
                self._progress(self._done)

    def stop(self) -> None:
        """Let the others end."""
        self._stopped = True


class Storer:
    """Keeps files as objects of a cache.

    Use as a context manager: what an earlier process left unfinished goes, and so does what this one leaves.

    Parameters
    ----------
    cache : Cache
        Where to.
    known : set of str, optional
        Digests of objects that are there; asked for one by one if not given.

    Attributes
    ----------
    proved : list of str
        Digests of large objects that were hashed as they were written.
    """

    def __init__(self, cache: Cache, known: set[str] | None = None) -> None:
        self._cache = cache
        self._known = known
        self._folder = ""
        self._numbers = iter(range(1 << 60))
        self.proved: list[str] = []

    def __enter__(self) -> "Storer":
        self._folder = self._cache.begin()
        return self

    def __exit__(self, *exception: object) -> None:
        self._cache.end(self._folder)

    def has(self, digest: str) -> bool:
        """Tell whether an object is there."""
        return digest in self._known if self._known is not None else self._cache.has(digest)

    def store(self, path: str) -> bytes:
        """Keep a file; return its md5."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = read_small(handle)
            if data is None:
                os.lseek(handle, 0, os.SEEK_SET)
                return self._store_large(handle)
        finally:
            os.close(handle)
        found = md5(data, usedforsecurity=False)
        digest = found.hexdigest()
        if digest not in self._known if self._known is not None else not self._cache.has(digest):
            self._write(data, digest)
        return found.digest()

    def store_bytes(self, data: bytes, digest: str) -> None:
        """Keep bytes under their digest."""
        if not self.has(digest):
            self._write(data, digest)

    def _write(self, data: bytes, digest: str) -> None:
        temporary = f"{self._folder}/{next(self._numbers)}"
        out = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            if os.write(out, data) < len(data):
                os.lseek(out, 0, os.SEEK_SET)
                write_all(out, data)
        finally:
            os.close(out)
        self._take(temporary, digest)

    def _take(self, temporary: str, digest: str) -> None:
        self._cache.take(temporary, digest)
        if self._known is not None:
            self._known.add(digest)

    def store_manifest(self, data: bytes) -> str:
        """Keep a manifest; return its digest."""
        digest = md5(data, usedforsecurity=False).hexdigest() + ".dir"
        self.store_bytes(data, digest)
        return digest

    def copy(self, path: str, digest: str, about: os.stat_result) -> bool:
        """Keep a file whose digest is known without reading it here; False if it is other than it was known to be."""
        temporary = self.temporary()
        copy_file(path, temporary, MODE)
        after = os.stat(path)
        if (after.st_mtime_ns, after.st_size, after.st_ino) != (about.st_mtime_ns, about.st_size, about.st_ino):
            os.unlink(temporary)
            return False
        self._take(temporary, digest)
        return True

    def temporary(self) -> str:
        """Return a name for an object that is being written."""
        return f"{self._folder}/{next(self._numbers)}"

    def _store_large(self, handle: int) -> bytes:
        temporary = self.temporary()
        out = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            found = copy_hashed(handle, out)
        finally:
            os.close(out)
        if self.has(found.hex()):
            os.unlink(temporary)
        else:
            self._take(temporary, found.hex())
            self.proved.append(found.hex())
        return found

    def store_many(self, paths: Sequence[str], progress: Progress | None = None) -> list[bytes]:
        """Keep many files; return their md5s."""
        return in_threads(paths, lambda part, done: [_told(self.store(path), done) for path in part], progress)


def copy_hashed(source: int, target: int) -> bytes:
    """Copy the rest of a file and return the md5 of what was copied; one thread hashes while another writes."""
    import threading
    from queue import Queue

    pieces: Queue[memoryview | None] = Queue(maxsize=1)
    failures: list[OSError] = []

    def write() -> None:
        while (piece := pieces.get()) is not None:
            try:
                if not failures:
                    write_all(target, piece)
            except OSError as error:
                failures.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    found = md5(usedforsecurity=False)
    buffers = [bytearray(PIECE) for _ in range(3)]
    try:
        number = 0
        while not failures and (size := os.readv(source, [buffers[number % 3]])):
            piece = memoryview(buffers[number % 3])[:size]
            pieces.put(piece)
            found.update(piece)
            number += 1
    finally:
        pieces.put(None)
        writer.join()
    if failures:
        raise failures[0]
    return found.digest()


@contextmanager
def said(what: str) -> Iterator[None]:
    """Turn what the system refuses into an error of ours that names the file."""
    try:
        yield
    except OSError as error:
        raise refused(error, what) from error


def refused(error: OSError, what: str) -> PerenneError:
    """Return the error of ours for one of the system's."""
    import errno

    from perenne.core.errors import Denied, NotFound, Unavailable

    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    text = f"{what}: {error.strerror or error}{f' ({place})' if place else ''}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return Unavailable(text, code="data.disk_full", hint="make room and try again: nothing was changed")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Denied(text, code="data.not_writable", hint="look at the owner and the modes of the folder")
        case errno.ENOENT:
            return NotFound(text, code="data.no_file", hint="is the disk there, and may it be read?")
        case _:
            return Unavailable(text, code="data.system", hint="is the disk there, and may it be read?")
