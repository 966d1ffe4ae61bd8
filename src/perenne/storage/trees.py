"""Folders by content: a tree is the sorted list of its files' paths, sizes and digests, itself an object."""

from pathlib import Path

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
from perenne.core.paths import check_name, confined
from perenne.storage.objects import ObjectStore


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
        raise Invalid(f"{folder.name} is not a folder", code="tree.folder")
    files = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Invalid(f"{name} is not a plain file", code="tree.file", hint="links and devices are not kept")
        if path.is_file():
            files.append(TreeFile(check_name(name), path.stat().st_size, objects.put_file(path)))
    return objects.put(json.canonical(Tree(tuple(sorted(files, key=lambda file: file.path)))))


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
            raise Invalid("a digest of the tree is malformed", code="tree.digest")
    if len({file.path for file in tree.files}) < len(tree.files):
        raise Invalid("a path of the tree stands there twice", code="tree.path")
    return tree


def fetch_tree(objects: ObjectStore, digest: str, folder: Path) -> None:
    """Write a tree's files below a folder, each checked."""
    for file in get_tree(objects, digest).files:
        objects.fetch(file.digest, confined(folder, file.path))
