"""Where a repository's metafiles are: ``.dvc`` files and ``dvc.yaml``; outputs and ignored folders are not entered."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perenne.data.versions.gitignoring import GitIgnoring
from perenne.data.versions.ignoring import Ignoring

PIPELINE, LOCK = "dvc.yaml", "dvc.lock"


def is_metafile(name: str) -> bool:
    """Tell whether a file's name is that of a metafile.

    >>> [is_metafile(name) for name in ("a.csv.dvc", "dvc.yaml", ".dvc", "Dvcfile")]
    [True, True, False, False]
    """
    return (name.endswith(".dvc") and name != ".dvc") or name == PIPELINE


def walk(root: Path, git: Path | None, read: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """Find the metafiles of a repository.

    Parameters
    ----------
    root : Path
        Its top folder.
    git : Path, optional
        The work tree of Git that it lies in; what Git ignores is passed over.
    read : callable
        Reads a metafile and returns the paths it tracks; these folders are not entered.
    """
    tracked: set[str] = set()
    with GitIgnoring(git, os.fspath(root)) as asking:
        pending = [(os.fspath(root), Ignoring.within(root))]
        while pending:
            folder, ignoring = pending.pop()
            files, folders = _look(folder, ignoring)
            for path in asking.kept(folder, [f"{folder}/{name}" for name in sorted(files)]):
                yield path
                tracked.update(read(path))
            inner = [f"{path}/" for name in folders if (path := f"{folder}/{name}") not in tracked]
            pending += [(path[:-1], ignoring.below(path[:-1])) for path in reversed(asking.kept(folder, sorted(inner)))]


def _look(folder: str, ignoring: Ignoring) -> tuple[list[str], list[str]]:
    """Return the metafiles and the folders of one folder."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not ignoring.ignores(entry.path, is_folder=True):
                        folders.append(entry.name)
                elif is_metafile(entry.name) and not ignoring.ignores(entry.path) and entry.is_file():
                    files.append(entry.name)
    except (PermissionError, FileNotFoundError):
        return [], []
    return files, folders
