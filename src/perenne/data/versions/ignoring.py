"""What DVC ignores: its own folder and Git's, what `.dvcignore` names, and folders that hold a repository of their own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perenne.formats.dvc.ignores import Ignore

FILE = ".dvcignore"
BUILT_IN = frozenset({".dvc", ".git", ".hg"})
"""Folders; ``.git`` as a file too."""


class Ignoring:
    """The rules that hold in one folder: those above and its own.

    Parameters
    ----------
    folder : str
        The folder.
    rules : tuple of Ignore
        One for each `.dvcignore` with patterns, the outermost first.
    """

    def __init__(self, folder: str, rules: "tuple[Ignore, ...]" = ()) -> None:
        self.folder = folder
        self.rules = rules

    @classmethod
    def of(cls, root: Path) -> "Ignoring":
        """Return the rules of the top folder of a repository."""
        return cls(os.fspath(root), _own(os.fspath(root)))

    @classmethod
    def within(cls, root: Path, folder: str) -> "Ignoring":
        """Return the rules of a folder of a repository, which its own `.dvcignore` adds to."""
        top = os.fspath(root)
        found = cls.of(root)
        inner = os.path.relpath(folder, top)
        for part in [] if inner == "." else inner.split("/"):
            top = f"{top}/{part}"
            found = found.below(top)
        return found

    def below(self, folder: str) -> "Ignoring":
        """Return the rules of a folder in this one."""
        own = _own(folder)
        return Ignoring(folder, self.rules + own)

    def ignores(self, path: str, *, is_folder: bool = False) -> bool:
        """Tell whether a path in this folder is passed over."""
        name = path[path.rfind("/") + 1 :]
        if name in BUILT_IN and (is_folder or name == ".git"):
            return True
        if is_folder and os.path.isdir(f"{path}/.dvc"):
            return True
        if not self.rules:
            return False
        verdicts = [verdict for rule in self.rules if (verdict := rule.verdict(path, is_folder)) is not None]
        return bool(verdicts and verdicts[-1])


def _own(folder: str) -> "tuple[Ignore, ...]":
    try:
        with open(f"{folder}/{FILE}", encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    if not any(line and not line.startswith("#") for line in lines):
        return ()
    from perenne.formats.dvc.ignores import Ignore

    return (Ignore.parse(lines, folder),)
