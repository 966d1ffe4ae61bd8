"""Folders by content: a tree is the sorted list of its files' paths, sizes and digests, itself an object."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
from perenne.core.paths import check_name, confined
from perenne.storage.objects import ObjectStore

AT_ONCE = 8
"""Files on their way at the same time: with a distant store, or a disk that is waited for, most of the time is waiting."""


class TreeFile(msgspec.Struct, frozen=True):
    """One file of a tree: path relative to the folder, with forward slashes; bytes; SHA-256."""

    path: str
    size: int
    digest: str


class Tree(msgspec.Struct, frozen=True):
    """A folder's files, sorted by path."""

    files: tuple[TreeFile, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


def put_tree(objects: ObjectStore, folder: Path) -> str:
    """Keep every file below a folder and return the tree's digest.

    Raises
    ------
    Invalid
        If it is no folder, or holds a symbolic link or something that is not a plain file.
    """
    if not folder.is_dir():
        raise Invalid(f"{folder.name} is not a folder", code="tree.folder", hint="name a folder")
    names = sorted(_plain_files(folder))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        digests = pool.map(lambda name: objects.put_file(folder / name), names)
        files = [TreeFile(name, (folder / name).stat().st_size, digest) for name, digest in zip(names, digests, strict=True)]
    return objects.put(json.canonical(Tree(tuple(files))))


def _plain_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Invalid(f"{name} is not a plain file", code="tree.file", hint="links and devices are not kept")
        if path.is_file():
            yield check_name(name)


def get_tree(objects: ObjectStore, digest: str) -> Tree:
    """Read the list of a tree's files.

    Raises
    ------
    Invalid
        If a path would leave the folder or stands there twice, or a digest is none.
    """
    tree = json.decode(objects.get(digest), Tree, what="tree")
    for file in tree.files:
        check_name(file.path)
        if not is_digest(file.digest):
            raise Invalid(
                "a digest of the tree is malformed",
                code="tree.digest",
                hint="the object is damaged: `perenne doctor --deep` reads every one",
            )
    if len({file.path for file in tree.files}) < len(tree.files):
        raise Invalid(
            "a path of the tree stands there twice",
            code="tree.path",
            hint="the object is damaged: `perenne doctor --deep` reads every one",
        )
    return tree


def fetch_tree(objects: ObjectStore, digest: str, folder: Path) -> None:
    """Write a tree's files below a folder, each checked."""
    files = [(file.digest, confined(folder, file.path)) for file in get_tree(objects, digest).files]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda file: objects.fetch(*file), files))
