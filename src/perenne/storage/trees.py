"""Folders by content: a tree is the sorted list of its files' paths, sizes and digests, itself an object."""

from pathlib import Path, PurePosixPath

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
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
        If the folder holds a symbolic link or something that is not a plain file.
    """
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Invalid(
                f"{path.relative_to(folder)} is not a plain file",
                code="tree.file",
                hint="links and devices are not kept",
            )
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            files.append(TreeFile(name, path.stat().st_size, objects.put_file(path)))
    return objects.put(json.canonical(Tree(tuple(files))))


def get_tree(objects: ObjectStore, digest: str) -> Tree:
    """Read the list of a tree's files.

    Raises
    ------
    Invalid
        If a path would leave the folder, or a digest is none.
    """
    tree = json.decode(objects.get(digest), Tree, what="tree")
    for file in tree.files:
        parts = PurePosixPath(file.path).parts
        if not parts or file.path.startswith("/") or ".." in parts or "\\" in file.path or "\0" in file.path:
            raise Invalid("a path of the tree leaves its folder", code="tree.path")
        if not is_digest(file.digest):
            raise Invalid("a digest of the tree is malformed", code="tree.digest")
    return tree


def fetch_tree(objects: ObjectStore, digest: str, folder: Path) -> None:
    """Write a tree's files below a folder, each checked."""
    for file in get_tree(objects, digest).files:
        objects.fetch(file.digest, folder / file.path)
