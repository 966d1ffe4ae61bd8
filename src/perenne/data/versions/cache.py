"""Objects named by the md5 of their bytes, in DVC's tree of files: ``<root>/<2>/<30>``, mode 0444.

An object that lies at its name is whole: it is written under another name and renamed. That its bytes are still those of its
name is proved whenever it is read; one that proves wrong is set aside, never used and never deleted.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import md5
from pathlib import Path

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.versions.locking import is_alive
from perenne.formats.dvc.manifests import ManifestEntry, read_manifest

MODE = 0o444
"""Of an object: DVC reads it as "verified"."""

FEW = 200
"""So many objects are looked for one by one; for more the directories are listed."""

_HEX = frozenset("0123456789abcdef")
_HOST = os.uname().nodename
_MASK = os.umask(0o077)
os.umask(_MASK)
_MASKED = bool(_MASK & MODE)
"""Whether this process takes away, from what it makes, rights that objects have."""


class Cache:
    """A tree of objects; it need not exist yet.

    Parameters
    ----------
    root : Path
        The folder that holds the 256 folders.
    aside : Path, optional
        Where damaged objects go, on the same disk; ``damaged`` beside the tree if not given.
    shared : bool
        Whether a group writes here (DVC's ``cache.shared = group``): folders are opened to it.
    """

    def __init__(self, root: Path, aside: Path | None = None, *, shared: bool = False) -> None:
        self.root = root
        self.aside = aside or root.parent / "damaged"
        self.shared = shared
        self._root = os.fspath(root)
        self._folders: set[str] = set()

    def path(self, digest: str) -> Path:
        """Return where an object lies, or would lie."""
        return Path(self.place(digest))

    def place(self, digest: str) -> str:
        """Return the same as a text, which is quicker."""
        if not is_name(digest):
            raise Invalid(f"{digest[:60]!r} is not an md5", code="data.bad_digest", hint="an md5 has 32 hexadecimal digits")
        return f"{self._root}/{digest[:2]}/{digest[2:]}"

    def has(self, digest: str) -> bool:
        """Tell whether an object is here."""
        return os.path.exists(self.place(digest))

    def listing(self) -> set[str]:
        """Return the digests of all objects."""
        found: set[str] = set()
        for folder in self.folders():
            found.update(self.listing_of(folder))
        return found

    def folders(self) -> list[str]:
        """Return the names of the folders there are, two digits each."""
        try:
            return sorted(name for name in os.listdir(self._root) if len(name) == 2 and _HEX.issuperset(name))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def listing_of(self, folder: str) -> list[str]:
        """Return the digests of the objects in one folder; files that are none are passed over."""
        try:
            names = os.listdir(f"{self._root}/{folder}")
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [folder + name for name in names if len(name) == 30 or is_name(folder + name)]

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Return those of the digests whose objects are not here."""
        wanted = set(digests)
        if len(wanted) <= FEW:
            return {digest for digest in wanted if not self.has(digest)}
        return wanted - self.listing()

    def add_bytes(self, data: bytes, suffix: str = "") -> str:
        """Keep an object and return its digest; `suffix` is ``.dir`` for a manifest."""
        digest = md5(data, usedforsecurity=False).hexdigest() + suffix
        place = self.place(digest)
        if os.path.exists(place):
            return digest
        self.make_folder(digest[:2])
        folder = self.begin()
        try:
            with open(f"{folder}/object", "xb") as stream:
                stream.write(data)
            os.chmod(f"{folder}/object", MODE)
            self.take(f"{folder}/object", digest)
        finally:
            self.end(folder)
        return digest

    def begin(self) -> str:
        """Make a folder for objects that are being written, on the same disk; what dead processes left is removed."""
        above = self.aside.with_name("tmp")
        for left in above.iterdir() if above.is_dir() else ():
            if _is_left(left.name):
                _remove(left)
        folder = above / f"{_HOST}-{os.getpid()}-{os.urandom(4).hex()}"
        folder.mkdir(parents=True)
        return os.fspath(folder)

    def end(self, folder: str) -> None:
        """Remove a folder of `begin` with what is left in it."""
        _remove(Path(folder))
        with suppress(OSError):  # others write too
            os.rmdir(os.path.dirname(folder))

    def take(self, temporary: str, digest: str) -> None:
        """Give an object that was written whole its name."""
        self.make_folder(digest[:2])
        if _MASKED:
            os.chmod(temporary, MODE)
        os.rename(temporary, f"{self._root}/{digest[:2]}/{digest[2:]}")

    def make_folder(self, folder: str) -> str:
        """Make the folder of the digests that begin so, unless it is there, and return its path."""
        path = f"{self._root}/{folder}"
        if folder not in self._folders:
            if not os.path.isdir(path):
                os.makedirs(path, exist_ok=True)
                if self.shared:
                    os.chmod(path, 0o2775)  # noqa: S103 - that is what shared means
            self._folders.add(folder)
        return path

    def read(self, digest: str) -> bytes:
        """Return the bytes of an object, proved to be those of its name.

        Raises
        ------
        NotFound
            It is not here.
        Unavailable
            It is damaged, and has been set aside.
        """
        try:
            with open(self.place(digest), "rb") as stream:
                data = stream.read()
        except FileNotFoundError:
            raise missing_object(digest) from None
        if md5(data, usedforsecurity=False).hexdigest() != digest[:32]:
            self.quarantine(digest)
            raise damaged_object(digest)
        return data

    def manifest(self, digest: str) -> tuple[ManifestEntry, ...]:
        """Return what the directory of this digest holds; errors as for `read`."""
        return _manifest(self, digest)

    def quarantine(self, digest: str) -> Path | None:
        """Move a damaged object out of the way, and return where to; None where it cannot be moved, or is gone."""
        target = self.aside / f"{digest}-{os.getpid()}"
        number = 0
        while target.exists():
            number += 1
            target = self.aside / f"{digest}-{os.getpid()}-{number}"
        try:
            self.aside.mkdir(parents=True, exist_ok=True)
            os.rename(self.place(digest), target)
        except OSError:
            return None
        return target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cache) and self._root == other._root

    def __hash__(self) -> int:
        return hash(self._root)


@lru_cache(maxsize=8)
def _manifest(cache: Cache, digest: str) -> tuple[ManifestEntry, ...]:
    return read_manifest(cache.read(digest), digest)


def _is_left(name: str) -> bool:
    """Tell whether a folder of unfinished objects belongs to a process of this machine that is gone."""
    host, pid, _ = name.rsplit("-", 2) if name.count("-") >= 2 else ("", "", "")
    return host == _HOST and pid.isdigit() and not is_alive(int(pid))


def _remove(folder: Path) -> None:
    for file in list(folder.iterdir()) if folder.is_dir() else ():
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def is_name(digest: str) -> bool:
    """Tell whether a text is the name of an object: an md5 in hex, of a directory with ``.dir`` behind.

    >>> is_name("d751713988987e9331980363e24189ce.dir"), is_name("../../../../etc/passwd")
    (True, False)
    """
    bare = digest[:32]
    return len(bare) == 32 and _HEX.issuperset(bare) and digest[32:] in ("", ".dir")


def missing_object(digest: str) -> NotFound:
    """Say that an object is not in the cache."""
    return NotFound(
        f"the object {digest} is not in the cache", code="data.object_missing", hint="`perenne data pull` brings it from a remote"
    )


def damaged_object(digest: str) -> Unavailable:
    """Say that an object's bytes are not those of its name."""
    return Unavailable(
        f"the object {digest} is damaged: its bytes have another md5; it was set aside and nothing was restored from it",
        code="data.object_damaged",
        hint="`perenne data pull` brings a whole one from a remote, `perenne data commit` one from the workspace",
    )
