"""The port of remotes: a tree of files by path, whatever keeps it."""

from collections.abc import Iterator
from typing import Protocol

import msgspec


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a remote, as the remote tells it.

    Attributes
    ----------
    path : str
        From the remote's top, ``/`` between the parts.
    size : int or None
        Bytes.
    etag, version : str or None
        What names this content, and this version of it, where the remote gives such names; an etag without quotes.
    modified : float or None
        Seconds since 1970.
    """

    path: str
    size: int | None = None
    etag: str | None = None
    version: str | None = None
    modified: float | None = None


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a remote can and cannot do.

    Attributes
    ----------
    lists, writes : bool
        Whether it can list what it has; whether anything can be put there.
    settles : bool
        Whether what was put becomes visible only when `settle` is called.
    jobs : int
        How many transfers at once suit it.
    """

    lists: bool = True
    writes: bool = True
    settles: bool = False
    jobs: int = 16


class Remote(Protocol):
    """A tree of files by path. Its methods may be called from several threads.

    Attributes
    ----------
    shown : str
        Its address, fit to be shown: without user, password or token.
    traits : Traits
        What it can do.
    """

    shown: str
    traits: Traits

    def about(self, path: str, version: str | None = None) -> Found | None:
        """Return what is at a path, None if nothing is; a folder is nothing."""

    def listing(self, prefix: str) -> Iterator[Found]:
        """Go through every file below a folder, in no order; ``""`` is the top. A folder that is not there holds nothing.

        Names of what is not whole yet are left out.
        """

    def get(self, path: str, target: str, version: str | None = None) -> str:
        """Write a file's bytes to a new local file, and return the md5 of what was written.

        Raises
        ------
        NotFound
            There is no such file; nothing was written.
        Unavailable
            It does not come; what is written so far is no use.
        """

    def put(self, source: str, path: str, digest: str | None = None) -> Found:
        """Send a local file: whole, or not at all.

        Parameters
        ----------
        digest : str, optional
            The md5 that its bytes must have.

        Raises
        ------
        Unavailable
            ``data.object_damaged``: the bytes have another md5, nothing is visible at the path; else the remote does not take it.
        """

    def move(self, path: str, to: str) -> None:
        """Give a file another path, over whatever is there.

        Raises
        ------
        NotFound
            There is no such file.
        """

    def delete(self, path: str) -> None:
        """Remove a file; one that is not there is no error."""

    def settle(self) -> None:
        """Make what was put so far visible and lasting; what a power cut must not take is safe when this returns."""

    def close(self) -> None:
        """Let go of connections; what was put and not settled may be gone."""
