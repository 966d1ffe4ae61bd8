"""The version of a file or folder: its digest, with as little reading as can be, and its objects kept on the way if asked."""

import os
import stat
import time
from hashlib import blake2b, md5

import msgspec

from perenne.core.errors import NotFound
from perenne.data.versions.cache import Cache
from perenne.data.versions.hashing import Progress, Storer, digests_of
from perenne.data.versions.ignoring import Ignoring
from perenne.data.versions.scanning import Folder, Tree, check_names, scan
from perenne.data.versions.state import UNKNOWN, State, Whole


class Built(msgspec.Struct, frozen=True):
    """What a path holds.

    Attributes
    ----------
    digest : str
        md5, of a folder that of its manifest with ``.dir``.
    size : int
        Bytes; of a folder those of all files.
    count : int or None
        Files of a folder; None for a file.
    isexec : bool
        Whether a file's owner may run it.
    tree : Tree or None
        The folder, every file with its digest.
    """

    digest: str
    size: int
    count: int | None = None
    isexec: bool = False
    tree: Tree | None = None


def build_file(path: str, state: State) -> Built:
    """Return the version of a file."""
    looked = time.time_ns()
    about = os.stat(path)
    digest = state.file(path, about)
    if digest is None:
        digest = state.hashed(path).hex()
        state.remember_file(path, about, digest, looked)
    return Built(digest, about.st_size, isexec=bool(about.st_mode & stat.S_IXUSR))


def store_file(path: str, state: State, storer: Storer) -> Built:
    """Return the version of a file, its object kept."""
    looked = time.time_ns()
    about = os.stat(path)
    digest = state.file(path, about)
    if digest is None or not storer.has(digest):
        digest = _stored(path, digest, about, storer)
        state.remember_file(path, about, digest, looked)
    return Built(digest, about.st_size, isexec=bool(about.st_mode & stat.S_IXUSR))


def _stored(path: str, known: str | None, about: os.stat_result, storer: Storer) -> str:
    """Keep a file; one whose digest is known, and which does not change meanwhile, is copied without hashing it again."""
    if known is not None and storer.copy(path, known, about):
        return known
    return storer.store(path).hex()


def hash_tree(tree: Tree, state: State, progress: Progress | None = None) -> None:
    """Give the files of a folder their digests."""
    check_names(tree)
    if state.fill(tree):
        _fill_in(tree, digests_of(_paths(tree, UNKNOWN), state.hashed, progress))


def build_tree(tree: Tree, state: State, progress: Progress | None = None) -> Whole:
    """Return the version of a folder, and give its files their digests."""
    hash_tree(tree, state, progress)
    return _finished(tree, state, None)


def tree_is(tree: Tree, state: State, recorded: str, progress: Progress | None = None) -> bool:
    """Tell whether a folder is of a version; that it is another is found out without making its manifest, if it can be."""
    if (whole := state.whole(tree)) is not None:
        return whole.digest == recorded
    hash_tree(tree, state, progress)
    expected = state.mark_for(recorded)
    if expected is not None and mark_of(tree) != expected:
        state.remember(tree, None)
        return False
    return _finished(tree, state, None).digest == recorded


def store_tree(tree: Tree, state: State, storer: Storer, progress: Progress | None = None) -> Whole:
    """Return the version of a folder, its objects kept: the files' first, the manifest last."""
    check_names(tree)
    if state.fill(tree):
        _fill_in(tree, storer.store_many(_paths(tree, UNKNOWN), progress))
    _store_missing(tree, storer, progress)
    return _finished(tree, state, storer)


def _store_missing(tree: Tree, storer: Storer, progress: Progress | None) -> None:
    """Keep those files whose digests were known while their objects are not there."""
    missing = [
        (folder, number) for folder in tree.folders for number, digest in enumerate(digests(folder)) if not storer.has(digest)
    ]
    places = [f"{tree.root}/{relative(folder, folder.names[number])}" for folder, number in missing]
    for (folder, number), digest in zip(missing, storer.store_many(places, progress), strict=True):
        at = number * 16
        folder.digests = folder.digests[:at] + digest + folder.digests[at + 16 :]


def _finished(tree: Tree, state: State, storer: Storer | None) -> Whole:
    mark = mark_of(tree)
    digest = None if storer is not None else state.marked(mark)
    if digest is None:
        manifest = manifest_of(tree)
        digest = md5(manifest, usedforsecurity=False).hexdigest() + ".dir" if storer is None else storer.store_manifest(manifest)
        state.remember_mark(mark, digest)
    whole = Whole(digest, tree.size, tree.count)
    state.remember(tree, whole)
    return whole


def _paths(tree: Tree, wanted: bytes) -> list[str]:
    """Return the files whose digest is the one wanted: the unknown one."""
    found = []
    for folder in tree.folders:
        if wanted in folder.digests:
            base = f"{tree.root}/{folder.path}" if folder.path else tree.root
            kept = folder.digests
            found += [
                f"{base}/{name}" for number, name in enumerate(folder.names) if kept[number * 16 : number * 16 + 16] == wanted
            ]
    return found


def _fill_in(tree: Tree, found: list[bytes]) -> None:
    """Put the digests in the places of those that were unknown, in order."""
    answers = iter(found)
    for folder in tree.folders:
        if UNKNOWN in folder.digests:
            kept = folder.digests
            pieces = [kept[at : at + 16] for at in range(0, len(kept), 16)]
            folder.digests = b"".join([next(answers) if piece == UNKNOWN else piece for piece in pieces])


def relative(folder: Folder, name: str) -> str:
    """Return the path of a file from the top of its tree."""
    return f"{folder.path}/{name}" if folder.path else name


def digests(folder: Folder) -> list[str]:
    """Return the digests of a directory's files, in hex."""
    text = folder.digests.hex()
    return [text[at : at + 32] for at in range(0, len(text), 32)]


def files_of(tree: Tree) -> dict[str, str]:
    """Return the files of a tree: path -> digest."""
    found: dict[str, str] = {}
    for folder in tree.folders:
        base = f"{folder.path}/" if folder.path else ""
        found.update(zip([base + name for name in folder.names], digests(folder), strict=True))
    return found


def manifest_of(tree: Tree) -> bytes:
    """Return the manifest of a tree, as `formats.dvc.manifests` would write it."""
    return manifest_bytes(sorted(files_of(tree).items()))


def manifest_bytes(files: list[tuple[str, str]]) -> bytes:
    """Return the manifest of sorted paths with their digests.

    >>> manifest_bytes([("ü", "0" * 32)])
    b'[{"md5": "00000000000000000000000000000000", "relpath": "\\\\u00fc"}]'
    """
    from json.encoder import encode_basestring_ascii

    lines = [f'{{"md5": "{digest}", "relpath": {encode_basestring_ascii(path)}}}' for path, digest in files]
    return f"[{', '.join(lines)}]".encode()


def mark_of(tree: Tree) -> bytes:
    """Return 16 bytes that stand for names and digests, whatever the order in which a directory gives them."""
    mark = blake2b(digest_size=16)
    for folder in sorted((folder for folder in tree.folders if folder.names), key=lambda folder: folder.path):
        order = sorted(zip(folder.names, range(0, len(folder.digests), 16), strict=True))
        mark.update("\0".join([folder.path, *[name for name, _ in order]]).encode() + b"\0\0")
        mark.update(b"".join([folder.digests[at : at + 16] for _, at in order]))
    return mark.digest()


def look(path: str, ignoring: Ignoring, state: State, progress: Progress | None = None) -> Built:
    """Return the version of what lies at a path.

    Raises
    ------
    NotFound
        Nothing does.
    """
    if os.path.isdir(path):
        tree = scan(path, ignoring)
        whole = state.whole(tree) or build_tree(tree, state, progress)
        return Built(whole.digest, whole.size, whole.count, tree=tree)
    if not os.path.lexists(path):
        raise NotFound(f"{path} does not exist", code="data.no_file", hint="is the name right?")
    return build_file(path, state)


def known_in(cache: Cache, count: int) -> set[str] | None:
    """Return what a cache has, where so many questions come that listing it is cheaper."""
    return cache.listing() if count > 200 else None
