"""What lies in a folder: one look at each directory, and no object per file beyond its name and three integers.

As in DVC, a link to a file counts as the file, and a link to a folder is left out; here it is said. What cannot be kept (broken
links, sockets, devices) is refused by name.
"""

import os
import time
from array import array
from hashlib import blake2b
from pathlib import Path

from perenne.core.errors import Invalid, NotFound
from perenne.data.versions.ignoring import BUILT_IN, FILE, Ignoring

TICK = 20_000_000
"""Nanoseconds within which two changes of a file may leave the same time on it."""
SECOND = 1_000_000_000
FACTS = 3
"""Integers for each file: time of change in ns; twice the size, and one more if its owner may run it; inode."""


class Folder:
    """One directory of a tree.

    Attributes
    ----------
    path : str
        From the top of the tree, with ``/`` between; empty for the top.
    names : list of str
        Its files, in the order in which the file system gives them.
    facts : array of int
        `FACTS` for each file.
    digests : bytes
        16 bytes for each file; zeros where nobody knows yet.
    stored : bytes or None
        The digests as they are remembered, if names and facts are so too.
    is_empty : bool
        Whether it holds neither file nor folder.
    links : int
        How many of its files are symbolic links.
    left_out : tuple of str
        Links in it that lead to folders.
    """

    __slots__ = ("digests", "facts", "is_empty", "left_out", "links", "names", "path", "stored")

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: list[str] = []
        self.facts: array[int] = array("q")
        self.digests = b""
        self.stored: bytes | None = None
        self.is_empty = False
        self.links = 0
        self.left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(fact >> 1 for fact in self.facts[1::FACTS])


class Tree:
    """A directory with everything below it, as it was at one time.

    Attributes
    ----------
    root : str
        Where it lies, absolute.
    folders : list of Folder
        Those that hold files, and empty ones.
    time : int
        Nanoseconds when the look began; a file changed just before may change again and look the same.
    stored : set of str
        The folders that are remembered.
    """

    __slots__ = ("folders", "root", "stored", "time")

    def __init__(self, root: str, folders: list[Folder], time_: int) -> None:
        self.root = root
        self.folders = folders
        self.time = time_
        self.stored: set[str] = set()

    @property
    def count(self) -> int:
        """How many files there are."""
        return sum(len(folder.names) for folder in self.folders)

    @property
    def links(self) -> int:
        """How many files are symbolic links: their targets' content counts as theirs."""
        return sum(folder.links for folder in self.folders)

    @property
    def left_out(self) -> list[str]:
        """The links that lead to folders."""
        return [f"{folder.path}/{name}" if folder.path else name for folder in self.folders for name in folder.left_out]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(folder.size for folder in self.folders)

    def signature(self) -> bytes:
        """Return 16 bytes that differ when names, times, sizes or inodes do."""
        found = blake2b(digest_size=16)
        for folder in self.folders:
            names = "\0".join([folder.path, *folder.names])
            found.update(names.encode(errors="surrogateescape") + b"\0\0")
            found.update(folder.facts)
        return found.digest()

    def is_settled(self) -> bool:
        """Tell whether no file is so young that a later change could look the same."""
        return not any(is_racy(fact, self.time) for folder in self.folders for fact in folder.facts[::FACTS])

    def executables(self) -> list[str]:
        """Return the files that their owner may run."""
        return sorted(
            f"{folder.path}/{name}" if folder.path else name
            for folder in self.folders
            for name, fact in zip(folder.names, folder.facts[1::FACTS], strict=True)
            if fact & 1
        )

    def empty_folders(self) -> list[str]:
        """Return the folders without anything in them."""
        return sorted(folder.path for folder in self.folders if folder.is_empty and folder.path)


def is_racy(changed: int, looked: int) -> bool:
    """Tell whether a file changed so shortly before somebody looked that it may change again and keep its time.

    A time of whole seconds may come from a file system that keeps no more.

    >>> is_racy(1_000_500_000_000, 1_000_510_000_000), is_racy(1_000_500_000_000, 1_002_000_000_000)
    (True, False)
    """
    return changed > looked - (TICK if changed % SECOND else 2 * SECOND + TICK)


def scan(root: Path | str, ignoring: Ignoring | None = None) -> Tree:
    """Look at everything below a directory.

    Parameters
    ----------
    root : Path or str
        The directory.
    ignoring : Ignoring, optional
        The rules that hold in the directory's parent; nothing but the built-in ones if not given.

    Raises
    ------
    NotFound
        There is no such directory.
    Invalid
        It holds something that cannot be kept: a broken link, a socket or device, a `.dvcignore`.
    """
    top = os.fspath(root)
    began = time.time_ns()
    folders: list[Folder] = []
    rules = None if ignoring is None or ignoring.rules is None else ignoring
    pending = [("", top)]
    while pending:
        path, place = pending.pop()
        inner = _look(Folder(path), place, rules, folders)
        pending += [(f"{path}/{name}" if path else name, f"{place}/{name}") for name in inner]
    return Tree(top, folders, began)


def _look(folder: Folder, place: str, ignoring: Ignoring | None, folders: list[Folder]) -> list[str]:
    """Take down the files of one directory and return the directories in it."""
    inner: list[str] = []
    facts: list[int] = []
    names = folder.names
    handle = _open_folder(place)
    try:
        with os.scandir(handle) as entries:  # by a handle: the kernel walks no path for each file
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    about = entry.stat()
                    names.append(entry.name)
                    facts += (about.st_mtime_ns, about.st_size * 2 + (about.st_mode >> 6 & 1), about.st_ino)
                elif entry.is_dir(follow_symlinks=False):
                    inner.append(entry.name)
                elif entry.is_dir():
                    folder.left_out += (entry.name,)
                elif entry.is_file():
                    about = entry.stat()
                    folder.links += 1
                    names.append(entry.name)
                    facts += (about.st_mtime_ns, about.st_size * 2 + (about.st_mode >> 6 & 1), about.st_ino)
                else:
                    raise unkeepable(f"{place}/{entry.name}")
    finally:
        os.close(handle)
    if folder.path and ".dvc" in inner:
        return []  # a repository of its own
    folder.facts = array("q", facts)
    if FILE in names:
        raise Invalid(
            f"{place}/{FILE} lies in a folder that is tracked as a whole",
            code="data.ignore_inside",
            hint="put its lines into the `.dvcignore` of a folder above",
        )
    folder.is_empty = not names and not inner and not folder.left_out
    inner = [name for name in inner if name not in BUILT_IN]
    if ".git" in names or ignoring is not None:
        inner = _leave_out(folder, place, ignoring, inner)
    if names or folder.is_empty or folder.left_out:
        folders.append(folder)
    return inner


def _open_folder(place: str) -> int:
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no folder {place}", code="data.no_file", hint="is the name right?") from None


def _leave_out(folder: Folder, place: str, ignoring: Ignoring | None, inner: list[str]) -> list[str]:
    """Take out of a folder what is ignored."""
    rules = ignoring or Ignoring(place, place)
    kept = [number for number, name in enumerate(folder.names) if not rules.ignores(f"{place}/{name}")]
    if len(kept) < len(folder.names):
        folder.facts = array("q", [fact for number in kept for fact in folder.facts[number * FACTS : (number + 1) * FACTS]])
        folder.names = [folder.names[number] for number in kept]
    return [name for name in inner if not rules.ignores(f"{place}/{name}", is_folder=True)]


def unkeepable(place: str) -> Invalid:
    """Say why something in a directory cannot be kept."""
    if os.path.islink(place):
        said, hint = f"the link {place} leads nowhere: [Errno 2] No such file or directory: {os.readlink(place)!r}", "mend it"
    else:
        said, hint = f"{place} is no file: a socket, pipe or device cannot be kept", "remove it"
    return Invalid(said, code="data.unkeepable", hint=f"{hint}, or ignore it in `.dvcignore`")


def check_names(tree: Tree) -> None:
    """Refuse names that no manifest can hold.

    Raises
    ------
    Invalid
        A name is not UTF-8.
    """
    for folder in tree.folders:
        try:
            "\0".join([folder.path, *folder.names]).encode()
        except UnicodeEncodeError:
            raise Invalid(
                f"a name in {os.fsencode(f'{tree.root}/{folder.path}')!r} is not UTF-8, and no manifest can hold it",
                code="data.bad_name",
                hint="rename it",
            ) from None
