"""Carrying out a checkout: what is in the way goes, files come, and what was found out about them is remembered."""

import os
import stat
import struct
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Sequence

import msgspec

from perenne.core.errors import Conflict, PerenneError
from perenne.data.versions.hashing import Progress, in_threads
from perenne.data.versions.linking import Placer, settle
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.scanning import FACTS, Folder, Tree
from perenne.data.versions.state import UNKNOWN


class Plan(msgspec.Struct):
    """What must become of an output's files. The path of the output itself, where it is a file, is the empty text.

    Attributes
    ----------
    path, recorded, output
        Where, which version, and of what.
    tree : Tree or None
        The folder as it is.
    now : dict of str to str
        Digests of the files there are; empty for what cannot be read.
    places : dict of str to str
        Digests of the files to come.
    removes : list of str
        Files to go.
    folders : list of str
        Folders to make, beside those of the files to come.
    lost, kept
        Files that are nowhere else, and the folder they are moved to.
    """

    path: str
    recorded: str
    output: Output
    tree: Tree | None = None
    now: dict[str, str] = {}
    places: dict[str, str] = {}
    removes: list[str] = []
    folders: list[str] = []
    executables: frozenset[str] = frozenset()
    empty: tuple[str, ...] = ()
    lost: list[str] = []
    kept: str | None = None
    added: int = 0
    deleted: int = 0
    changes: bool = False

    def relinks(self, files: dict[str, str]) -> None:
        """Place files anew that are what they should be."""
        self.places = self.places | files

    def at(self, path: str) -> str:
        """Return where a file lies."""
        return f"{self.path}/{path}" if path else self.path


def carry_out(repository: Repository, plan: Plan, placer: Placer, progress: Progress | None) -> None:
    """Do what is planned.

    Raises
    ------
    Unavailable
        Objects are damaged; what could be placed is.
    Conflict
        Something that is ignored lies where a file shall be.
    """
    if plan.kept is not None:
        _set_aside(plan, plan.kept)
    _remove(plan)
    for folder in sorted({path.rpartition("/")[0] for path in plan.places}):
        os.makedirs(plan.at(folder) if "" not in plan.places else os.path.dirname(plan.path), exist_ok=True)
    for path in plan.folders:
        os.makedirs(plan.at(path), exist_ok=True)
    _vouch(repository, plan, placer)
    facts, failures = _place(plan, placer, progress)
    _remember(repository, plan, facts, placer)
    if failures:
        first = failures[0]
        if len(failures) > 1:
            first.message += f"; and so are {len(failures) - 1} more"
        raise first


def _set_aside(plan: Plan, kept: str) -> None:
    """Move what is nowhere else out of the way."""
    base = os.path.basename(plan.path)
    for path in plan.lost:
        target = f"{kept}/{base}/{path}" if path else f"{kept}/{base}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(plan.at(path), target)


def _remove(plan: Plan) -> None:
    """Remove files, and the folders that become empty by it."""
    moved = set(plan.lost)
    emptied = set()
    for path in plan.removes:
        if path not in moved:
            os.unlink(plan.at(path))
        emptied.add(os.path.dirname(path))
    needed = {path.rpartition("/")[0] for path in plan.places} | set(plan.empty) if emptied else set()
    for folder in sorted(with_parents(emptied), reverse=True):
        if folder and folder not in needed:
            _remove_folder(plan.at(folder))
    if "" in plan.places and os.path.isdir(plan.path):
        _clear(plan)


def _clear(plan: Plan) -> None:
    """Remove the folders where a file shall be."""
    for place, _, _ in os.walk(plan.path, topdown=False):
        if not _remove_folder(place):
            raise Conflict(
                f"{place} holds files that are ignored, where a file shall be", code="data.in_the_way", hint="move them away"
            )


def with_parents(folders: Iterable[str]) -> set[str]:
    """Return folders and those that they lie in."""
    found = set()
    for folder in folders:
        while folder and folder not in found:
            found.add(folder)
            folder = os.path.dirname(folder)
    return found


def is_link(plan: Plan, folder: str) -> bool:
    """Tell whether a folder of an output is a link: what is put in there would land elsewhere."""
    return os.path.islink(plan.at(folder))


def _remove_folder(place: str) -> bool:
    try:
        os.rmdir(place)
    except OSError:  # something else is in it
        return False
    return True


def _place(plan: Plan, placer: Placer, progress: Progress | None) -> tuple[dict[str, bytes], list[PerenneError]]:
    """Bring the files, in several threads; return the facts of those that came, `FACTS` integers each, and what failed."""
    failures: list[PerenneError] = []
    places, executables, base = plan.places, plan.executables, f"{plan.path}/"
    pack = struct.Struct(f"{FACTS}q").pack

    def work(paths: Sequence[str], done: Callable[[], None]) -> list[bytes]:
        found = []
        for path in paths:
            try:
                about = placer.place(places[path], base + path if path else plan.path, executable=path in executables)
            except PerenneError as error:
                failures.append(error)
                found.append(b"")
            else:
                found.append(pack(about.st_mtime_ns, about.st_size * 2 + (about.st_mode >> 6 & 1), about.st_ino))
            done()
        return found

    paths = list(places)
    facts = in_threads(paths, work, progress)
    return {path: known for path, known in zip(paths, facts, strict=True) if known}, failures


def _vouch(repository: Repository, plan: Plan, placer: Placer) -> None:
    """Spare large objects the proof that were proved since they last changed."""
    cache = repository.cache_of(plan.output.entry)
    for digest in set(plan.places.values()) if len(plan.places) < 1000 else ():
        try:
            about = os.stat(cache.place(digest))
        except FileNotFoundError:
            continue
        if about.st_size >= 1 << 20 and repository.state.file(cache.place(digest), about) == digest:
            placer.vouched[digest] = True


def _remember(repository: Repository, plan: Plan, facts: dict[str, bytes], placer: Placer) -> None:
    """Keep what is known now, so that the next look reads nothing; wait until nothing can change unseen."""
    state = repository.state_of(plan.output.entry)
    cache = repository.cache_of(plan.output.entry)
    looked = settle(max(int.from_bytes(known[:8], sys.byteorder) for known in facts.values())) if facts else time.time_ns()
    proved = [(cache.place(digest), os.stat(cache.place(digest)), digest) for digest, proof in placer.vouched.items() if proof]
    repository.state.remember_files([item for item in proved if item[1].st_size >= 1 << 20], looked)
    if plan.recorded.endswith(".dir"):
        tree = _tree_after(plan, facts, looked)
        tree.stored = state.folders_of(tree)
        state.remember(tree, None)
    elif "" in facts:
        state.remember_file(plan.path, os.stat(plan.path), plan.recorded, looked)
    repository.state.remember_link(plan.path, plan.recorded)


def _tree_after(plan: Plan, facts: dict[str, bytes], looked: int) -> Tree:
    """Return the folder as it is now, without looking at it again."""
    folders = {folder.path: _kept(folder, plan) for folder in plan.tree.folders} if plan.tree is not None else {}
    found: dict[str, list[str]] = {}
    for path in facts:
        above, _, name = path.rpartition("/")
        if above in found:
            found[above].append(name)
        else:
            found[above] = [name]
    for above, names in found.items():
        base = f"{above}/" if above else ""
        folder = folders.setdefault(above, Folder(above))
        more = array("q")
        more.frombytes(b"".join([facts[base + name] for name in names]))
        folder.names = folder.names + names
        folder.facts = folder.facts + more
        folder.digests = folder.digests + bytes.fromhex("".join([plan.places[base + name] for name in names]))
    return Tree(plan.path, list(folders.values()), looked)


def _kept(folder: Folder, plan: Plan) -> Folder:
    """Return a folder without the files that went or came anew."""
    base = f"{folder.path}/" if folder.path else ""
    stays = [number for number, name in enumerate(folder.names) if base + name not in plan.places and base + name in plan.now]
    gone = set(plan.removes)
    stays = [number for number in stays if base + folder.names[number] not in gone]
    if len(stays) == len(folder.names):
        return folder
    kept = Folder(folder.path)
    kept.names = [folder.names[number] for number in stays]
    kept.facts = array("q", [fact for number in stays for fact in folder.facts[number * FACTS : (number + 1) * FACTS]])
    digests = folder.digests or UNKNOWN * len(folder.names)
    kept.digests = b"".join([digests[number * 16 : (number + 1) * 16] for number in stays])
    return kept


def is_linked(place: str, target: str, types: Sequence[str]) -> bool:
    """Tell whether a file is of the first type of link, or may be: a reflink looks like a copy."""
    try:
        about, wanted = os.lstat(place), os.stat(target)
    except FileNotFoundError:
        return True
    if types[0] == "symlink":
        return stat.S_ISLNK(about.st_mode) and os.readlink(place) == os.path.abspath(target)
    if types[0] == "hardlink":
        return (about.st_dev, about.st_ino) == (wanted.st_dev, wanted.st_ino) or not wanted.st_size
    return stat.S_ISREG(about.st_mode) and (about.st_dev, about.st_ino) != (wanted.st_dev, wanted.st_ino)
