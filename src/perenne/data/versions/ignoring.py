"""What DVC passes over: its own folder and Git's, what `.dvcignore` names, and folders that hold a repository of their own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perenne.formats.dvc.ignores import Ignore

FILE = ".dvcignore"
BUILT_IN = frozenset({".dvc", ".git", ".hg"})
"""Folders; ``.git`` as a file too."""


class Ignoring:
    """The rules that hold in one folder: those of the folders above, and its own.

    Parameters
    ----------
    root : str
        The repository's top folder.
    folder : str
        The folder, absolute.
    rules : Ignore, optional
        What the files above say; None if they say nothing.
    """

    def __init__(self, root: str, folder: str, rules: "Ignore | None" = None) -> None:
        self.root = root
        self.folder = folder
        self.rules = _with_own(root, folder, rules)

    @classmethod
    def within(cls, root: Path | str, folder: Path | str | None = None) -> "Ignoring":
        """Return the rules of a folder of a repository, its top folder if not given."""
        top = os.fspath(root)
        found = cls(top, top)
        inner = os.path.relpath(top if folder is None else folder, top)
        for part in [] if inner == "." else inner.split("/"):
            found = found.below(f"{found.folder}/{part}")
        return found

    def below(self, folder: str) -> "Ignoring":
        """Return the rules of a folder in this one."""
        return Ignoring(self.root, folder, self.rules)

    def ignores(self, path: str, *, is_folder: bool = False) -> bool:
        """Tell whether a path in this folder is passed over."""
        name = path[path.rfind("/") + 1 :]
        if name in BUILT_IN and (is_folder or name == ".git"):
            return True
        if is_folder and os.path.isdir(f"{path}/.dvc"):
            return True
        return self.rules is not None and self.rules.ignores(path[len(self.root) + 1 :], is_folder)


def _with_own(root: str, folder: str, rules: "Ignore | None") -> "Ignore | None":
    """Put the rules of a folder's own file, if it has one that says something, behind those above."""
    try:
        with open(f"{folder}/{FILE}", encoding="utf-8") as stream:
            lines = stream.readlines()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return rules
    if not any((stripped := line.strip()) and not stripped.startswith("#") for line in lines):
        return rules
    from perenne.formats.dvc.ignores import Ignore

    base = folder[len(root) + 1 :]
    if rules is not None and rules.ignores(f"{base}/{FILE}"):
        return rules
    own = Ignore.parse(lines, base, f"{base}/{FILE}" if base else FILE)
    return own if rules is None else rules.nested(own)
