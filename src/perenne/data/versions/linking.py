"""Putting an object into the workspace: by reflink, hard link, symbolic link or copy, the first that works where both lie.

What is copied is hashed on the way; bytes whose md5 is not the object's name never get the file's name.
"""

import errno
import os
import time
from collections.abc import Sequence
from hashlib import md5

from perenne.core.errors import PerenneError, Unavailable
from perenne.data.versions.cache import MODE, Cache, damaged_object, missing_object
from perenne.data.versions.copying import NOT_HERE, clone, copy_file, copy_range, write_all
from perenne.data.versions.hashing import copy_hashed, digest_of, read_small

WRITABLE = 0o666


class Placer:
    """Puts objects of a cache into the workspace.

    Parameters
    ----------
    cache : Cache
        Where from.
    types : sequence of str
        Types of links, what is tried first first.
    folder : str
        Where files are made before they get their names; on the workspace's disk.
    vouched : callable
        Tells of a large object whether it was proved since it last changed.
    """

    def __init__(self, cache: Cache, types: Sequence[str], folder: str) -> None:
        self._cache = cache
        self._types = tuple(types)
        self._folder = folder
        self._numbers = iter(range(1 << 60))
        self.vouched: dict[str, bool] = {}

    def place(self, digest: str, target: str, *, executable: bool = False) -> os.stat_result:
        """Put an object at a path, over whatever file lies there; return how the new file looks.

        Raises
        ------
        NotFound, Unavailable
            The object is missing, or damaged.
        """
        for kind in self._types:
            found = self._make(kind, digest, executable)
            if found is not None:
                self._name(found[0], target)
                return found[1]
            if kind == "reflink":  # not on these disks: no other file need try
                self._types = tuple(other for other in self._types if other != kind)
        raise Unavailable(
            f"{target} cannot be made: no type of link of cache.type works here",
            code="data.no_link_type",
            hint="add `copy` to it: `perenne data config cache.type hardlink,copy`",
        )

    def _name(self, made: str, target: str) -> None:
        try:
            os.rename(made, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            near = f"{os.path.dirname(target)}/.{os.path.basename(made)}-{os.getpid()}.perenne"
            try:
                copy_file(made, near, os.stat(made).st_mode & 0o777)
                os.rename(near, target)
            except BaseException:
                if os.path.lexists(near):
                    os.unlink(near)
                raise
            os.unlink(made)

    def _make(self, kind: str, digest: str, executable: bool) -> tuple[str, os.stat_result] | None:
        """Make a file of an object and return how it looks; None where this type of link does not work."""
        made = f"{self._folder}/{next(self._numbers)}"
        if kind in ("hardlink", "symlink"):
            return self._link(kind, digest, made)
        mode = WRITABLE | 0o100 if executable else WRITABLE
        try:
            given = os.open(self._cache.place(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise missing_object(digest) from None
        try:
            if kind == "reflink":
                return self._clone(given, digest, made, mode)
            data = read_small(given)
            if data is None:
                return self._copy_large(given, digest, made, mode)
        finally:
            os.close(given)
        if md5(data, usedforsecurity=False).hexdigest() != digest:
            raise self._damaged(digest)
        out = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(out, data)
            return made, os.fstat(out)
        finally:
            os.close(out)

    def _link(self, kind: str, digest: str, made: str) -> tuple[str, os.stat_result] | None:
        place = self._cache.place(digest)
        self._prove(digest)
        if kind == "symlink":
            os.symlink(os.path.abspath(place), made)
            return made, os.stat(made)
        if os.path.getsize(place) == 0:  # as DVC does: many empty files would run into the limit of links
            os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, WRITABLE))
            return made, os.stat(made)
        try:
            os.link(place, made)
        except OSError as error:
            if error.errno in NOT_HERE:
                return None
            raise
        return made, os.stat(made)

    def _damaged(self, digest: str) -> PerenneError:
        self._cache.quarantine(digest)
        return damaged_object(digest)

    def _prove(self, digest: str) -> None:
        """Hash an object that is about to be linked; linked files are not read otherwise."""
        place = self._cache.place(digest)
        if self.vouched.get(digest):
            return
        try:
            found = digest_of(place).hex()
        except FileNotFoundError:
            raise missing_object(digest) from None
        if found != digest:
            raise self._damaged(digest)
        if os.stat(place).st_mode & 0o777 != MODE:
            os.chmod(place, MODE)
        self.vouched[digest] = True

    def _clone(self, given: int, digest: str, made: str, mode: int) -> tuple[str, os.stat_result] | None:
        out = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if clone(given, out):
                self._prove(digest)
                return made, os.fstat(out)
        finally:
            os.close(out)
        os.unlink(made)
        return None

    def _copy_large(self, given: int, digest: str, made: str, mode: int) -> tuple[str, os.stat_result]:
        """Copy an object; what was proved since it last changed is copied inside the kernel."""
        os.lseek(given, 0, os.SEEK_SET)
        out = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if self.vouched.get(digest):
                copy_range(given, out)
            elif copy_hashed(given, out).hex() != digest:
                os.unlink(made)
                raise self._damaged(digest)
            self.vouched[digest] = True
            return made, os.fstat(out)
        finally:
            os.close(out)


def settle(newest: int) -> int:
    """Wait until no file changed at this time or before could change again unseen; return the time."""
    while (now := time.time_ns()) - newest <= 20_000_000:
        time.sleep((20_500_000 - max(now - newest, 0)) / 1e9)
    return now
