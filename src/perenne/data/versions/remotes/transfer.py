"""Objects moved between the cache and a remote, each proved by its md5 on the way; what has arrived is never sent again."""

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import msgspec

from perenne.core.errors import NotFound, PerenneError, Unavailable
from perenne.data.versions.cache import MODE, Cache
from perenne.data.versions.remotes.port import Remote
from perenne.data.versions.remotes.presence import LEGACY, OBJECTS, path_of
from perenne.data.versions.remotes.refusals import is_passing
from perenne.data.versions.remotes.workers import Crew

PAUSES = (0.5, 2.0, 6.0)
"""Seconds before trying again what failed by the network's fault; the clients of clouds have tried several times by then."""

_TOGETHER = 64

SEND, BRING, ASK, MANIFESTS, PLACE = "send", "bring", "ask", "manifests", "place"


class Progress(msgspec.Struct, frozen=True):
    """How far it is: what is being done, how many of how many, and bytes so far."""

    what: str
    done: int
    total: int
    bytes: int = 0


Hear = Callable[[Progress], None]


class Failure(msgspec.Struct, frozen=True):
    """An object that could not be moved, and why."""

    digest: str
    code: str
    reason: str


class Moved(msgspec.Struct):
    """What a transfer did.

    Attributes
    ----------
    arrived : set of str
        Digests of what was moved.
    bytes : int
        How much that was.
    failures : list of Failure
        What could not be, one by one.
    error : PerenneError or None
        What ended it before its end; what is neither in `arrived` nor in `failures` was not tried.
    """

    arrived: set[str]
    bytes: int
    failures: list[Failure]
    error: BaseException | None = None


class Shelf(msgspec.Struct, frozen=True):
    """A kind of objects: where they lie in the cache, and where in a remote."""

    cache: Cache
    place: str = OBJECTS


def upload(
    shelf: Shelf, remote: Remote, digests: Iterable[str], *, jobs: int, hear: Hear | None = None, what: str = SEND
) -> Moved:
    """Send objects; when this returns without an error, what arrived is there for good.

    One that is missing from the cache, or damaged there, is among the failures; a damaged one is set aside.
    """

    def send(digest: str) -> int:
        source = shelf.cache.place(digest)
        try:
            as_is = shelf.place == LEGACY and _is_legacy(source, digest)
            sent = remote.put(source, path_of(digest, shelf.place), None if as_is else digest[:32])
        except FileNotFoundError:
            raise NotFound(
                "it is not in the cache", code="data.object_missing", hint="push it again from a copy that is whole"
            ) from None
        except PerenneError as error:
            if error.code == "data.object_damaged":
                shelf.cache.quarantine(digest)
            raise
        return sent.size or 0

    moved = _move(digests, send, jobs, what, hear)
    try:
        remote.settle()
    except PerenneError as error:
        return Moved(set(), 0, moved.failures, moved.error or error)
    return moved


def download(
    shelf: Shelf, remote: Remote, digests: Iterable[str], *, jobs: int, hear: Hear | None = None, what: str = BRING
) -> Moved:
    """Bring objects into the cache; one whose bytes are not those of its name is among the failures and is not kept."""
    numbers = itertools.count()

    def bring(digest: str) -> int:
        folder = shelf.cache.make_folder(digest[:2])
        temporary = f"{folder}/.tmp-{os.getpid()}-{next(numbers)}"
        try:
            found = remote.get(path_of(digest, shelf.place), temporary)
            if found != digest[:32] and not (shelf.place == LEGACY and _is_legacy(temporary, digest)):
                raise wrong_bytes(remote.shown, found)
            size = os.stat(temporary).st_size
            os.chmod(temporary, MODE)
            os.rename(temporary, shelf.cache.place(digest))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return size

    return _move(digests, bring, jobs, what, hear)


def _is_legacy(path: str, digest: str) -> bool:
    """Tell whether a file's bytes have this hash of DVC 2.x, which did not count how lines end."""
    from perenne.data.versions.legacy import legacy_digest_of

    return legacy_digest_of(path).hex() == digest[:32]


def wrong_bytes(shown: str, found: str) -> PerenneError:
    """Say that what arrived is not what was asked for."""
    return Unavailable(
        f"what {shown} has has the md5 {found}; it was not kept",
        code="data.remote_damaged",
        hint="push it again from a copy that is whole",
    )


def _move(digests: Iterable[str], one: Callable[[str], int], jobs: int, what: str, hear: Hear | None) -> Moved:
    asked = sorted(digests)
    tally = _Tally(what, len(asked), hear)
    groups = [asked[start : start + _TOGETHER] for start in range(0, len(asked), _TOGETHER)]
    if len(groups) < jobs * 2:
        groups = [[digest] for digest in asked]

    def work(group: Sequence[str]) -> None:
        done: list[str] = []
        size = 0
        try:
            for digest in group:
                if crew.stopped.is_set():
                    return
                try:
                    size += _patiently(one, digest, crew)
                    done.append(digest)
                except PerenneError as error:
                    if not _concerns_one(error):
                        raise
                    tally.fail(digest, error)
        finally:
            tally.add(done, size)

    crew = Crew(jobs, work)
    try:
        crew.run(groups)
    except (PerenneError, OSError) as error:
        tally.moved.error = error
    return tally.moved


def _concerns_one(error: PerenneError) -> bool:
    return isinstance(error, NotFound) or error.code in ("data.object_damaged", "data.remote_damaged")


def _patiently(one: Callable[[str], int], digest: str, crew: "Crew[Sequence[str]]") -> int:
    for pause in PAUSES:
        try:
            return one(digest)
        except PerenneError as error:
            if not is_passing(error):
                raise
            if crew.stopped.wait(pause * (0.5 + time.monotonic() % 0.5)):  # not all at the same moment
                raise
    return one(digest)


class _Tally:
    """What has been done, told now and then."""

    def __init__(self, what: str, total: int, hear: Hear | None) -> None:
        self.moved = Moved(set(), 0, [])
        self._what, self._total, self._hear = what, total, hear
        self._lock = Lock()
        self._told = 0.0
        self._tell()

    def add(self, digests: Sequence[str], size: int) -> None:
        with self._lock:
            self.moved.arrived.update(digests)
            self.moved.bytes += size
            self._tell()

    def fail(self, digest: str, error: PerenneError) -> None:
        with self._lock:
            self.moved.failures.append(Failure(digest, error.code, error.message))

    def _tell(self) -> None:
        if self._hear is None:
            return
        done, now = len(self.moved.arrived), time.monotonic()
        if done in (0, self._total) or now - self._told > 0.1:
            self._told = now
            self._hear(Progress(self._what, done, self._total, self.moved.bytes))
