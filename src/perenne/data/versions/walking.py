"""Where a repository's metafiles are: ``.dvc`` files and ``dvc.yaml``; outputs and ignored folders are not entered."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from perenne.data.versions.ignoring import Ignoring

PIPELINE, LOCK = "dvc.yaml", "dvc.lock"
_TOGETHER = 10


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
    with _Asking(git) as asking:
        pending = [(os.fspath(root), Ignoring.within(root))]
        while pending:
            folder, ignoring = pending.pop()
            files, folders = _look(folder, ignoring)
            for path in asking.kept([f"{folder}/{name}" for name in sorted(files)]):
                yield path
                tracked.update(read(path))
            inner = [f"{path}/" for name in folders if (path := f"{folder}/{name}") not in tracked]
            pending += [(path[:-1], ignoring.below(path[:-1])) for path in reversed(asking.kept(sorted(inner)))]


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


class _Asking:
    """A process of Git that is asked whether it ignores paths, started at the first question."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._git: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Asking":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._git is not None:
            self._git.communicate()

    def kept(self, paths: list[str]) -> list[str]:
        """Return those of the paths that Git does not ignore."""
        if self._root is None or not paths:
            return paths
        if self._git is None:
            try:
                self._git = _start(self._root)
            except FileNotFoundError:
                self._root = None
                return paths
        assert self._git.stdin is not None
        assert self._git.stdout is not None
        kept = []
        for start in range(0, len(paths), _TOGETHER):  # a pipe holds so many questions: neither waits for the other
            asked = paths[start : start + _TOGETHER]
            self._git.stdin.write(b"".join(os.fsencode(path) + b"\0" for path in asked))
            self._git.stdin.flush()
            kept += [path for path in asked if not _says_ignored(self._git.stdout)]
        return kept


def _start(root: Path) -> subprocess.Popen[bytes]:
    command = ["git", "-C", os.fspath(root), "check-ignore", "--no-index", "--stdin", "-z", "--verbose", "--non-matching"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _says_ignored(answers: IO[bytes]) -> bool:
    """Read one answer: file of the rule, its line, the rule and the path; a rule with ``!`` keeps."""
    source, _, rule, _ = (_field(answers) for _ in range(4))
    return bool(source) and not rule.startswith(b"!")


def _field(stream: IO[bytes]) -> bytes:
    found = bytearray()
    while (byte := stream.read(1)) not in (b"\0", b""):
        found += byte
    return bytes(found)
