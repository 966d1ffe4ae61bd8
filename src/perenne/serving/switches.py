"""Which versions are switched off until they are switched on again: for all workers of a server, as long as that server lives.

A file that only its processes have, with a number that grows with each change. What it says is not kept anywhere: a deployment is
changed by `perenne deploy`, this takes a version, or the whole server, out of service for a while.
"""

import fcntl
import os
import tempfile
from typing import NamedTuple

import msgspec

EVERYTHING = "*"
_MOST = 64 * 1024


class Off(NamedTuple):
    """What is switched off, and the number of the change that made it so."""

    change: int
    versions: frozenset[str]

    def covers(self, version: str) -> bool:
        """Tell whether a version is switched off."""
        return version in self.versions or EVERYTHING in self.versions


NOTHING = Off(0, frozenset())


class Switches:
    """The file.

    Parameters
    ----------
    handle : int
        Its descriptor; see `create`.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle

    @classmethod
    def create(cls) -> "Switches":
        """Make a file that only this process and those it hands the descriptor to can see."""
        with tempfile.TemporaryFile(prefix="perenne-switches-") as stream:
            return cls(os.dup(stream.fileno()))

    def read(self) -> Off:
        """Return what is switched off."""
        data = os.pread(self.handle, _MOST, 0)
        if not data:
            return NOTHING
        change, versions = msgspec.json.decode(data.rstrip(b"\0"), type=tuple[int, list[str]])
        return Off(change, frozenset(versions))

    def switch(self, *, off: bool, version: str = EVERYTHING, loaded: tuple[str, ...] = ()) -> Off:
        """Switch a version off or on, or all of them.

        Parameters
        ----------
        loaded : tuple of str
            The versions there are: one of them may be switched on while everything is off.
        """
        fcntl.lockf(self.handle, fcntl.LOCK_EX)
        try:
            before = self.read()
            versions = set(before.versions)
            if off:
                versions.add(version)
            elif version == EVERYTHING:
                versions.clear()
            else:
                versions = (set(loaded) if EVERYTHING in versions else versions) - {version}
            after = Off(before.change + 1, frozenset(versions))
            os.pwrite(self.handle, msgspec.json.encode((after.change, sorted(versions))).ljust(_MOST, b"\0"), 0)
            return after
        finally:
            fcntl.lockf(self.handle, fcntl.LOCK_UN)
