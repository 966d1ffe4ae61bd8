"""Whether Git ignores a path, decided without Git where its rules are simple: names, as DVC and most people write them.

Wherever a pattern, an exception, a setting or a file elsewhere could matter, Git itself is asked.
"""

import os
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_TOGETHER = 10
_NAME = re.compile(r"/?(?:[^\\/*?\[\]!#\s]|\\[\\\[\]!*#? ]|(?<!^) (?! *$))+/?")
_ELSEWHERE = ("GIT_CONFIG", "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")
_SETTINGS = re.compile(rb"excludesfile|\[\s*include", re.IGNORECASE)


class GitIgnoring:
    """Tells what Git ignores, folder by folder, from the top of a repository down; use as a context manager.

    Parameters
    ----------
    root : Path, optional
        The work tree of Git; without one nothing is ignored.
    top : str
        The folder that is looked through first.
    """

    def __init__(self, root: Path | None, top: str) -> None:
        self._root = root
        self._git: subprocess.Popen[bytes] | None = None
        self._simple = root is not None and os.fspath(root) == top and _nothing_elsewhere(top)
        self._names: dict[str, set[str]] = {}

    def __enter__(self) -> "GitIgnoring":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._git is not None:
            self._git.communicate()

    def kept(self, folder: str, paths: list[str]) -> list[str]:
        """Return those of the paths in a folder, directories with ``/`` behind, that Git does not ignore."""
        if self._root is None or not paths:
            return paths
        if self._simple:
            names = self._rules(folder)
            if self._simple:
                return [path for path in paths if not _is_named(path[len(folder) + 1 :], names)]
        return self._ask(paths)

    def _rules(self, folder: str) -> set[str]:
        """Return the names that a folder ignores: ``/name`` here, ``name`` here and below; those above hold too."""
        if folder in self._names:
            return self._names[folder]
        above = self._names.get(os.path.dirname(folder), set())
        names = {name for name in above if not name.startswith("/")}
        try:
            with open(f"{folder}/.gitignore", encoding="utf-8", errors="surrogateescape") as stream:
                lines = [line.rstrip("\n") for line in stream]
        except (FileNotFoundError, NotADirectoryError):
            lines = []
        for line in lines:
            if not line or line.startswith("#"):
                continue
            if not _NAME.fullmatch(line):
                self._simple = False
            names.add(re.sub(r"\\(.)", r"\1", line))
        self._names[folder] = names
        return names

    def _ask(self, paths: list[str]) -> list[str]:
        if self._git is None:
            assert self._root is not None
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


def _is_named(name: str, names: set[str]) -> bool:
    bare = name.rstrip("/")
    spelled = {bare, f"/{bare}"}
    if name.endswith("/"):
        spelled |= {f"{bare}/", f"/{bare}/"}
    return not spelled.isdisjoint(names)


def _nothing_elsewhere(top: str) -> bool:
    """Tell whether only `.gitignore` files say what is ignored: no list of the user's, none of this clone's."""
    home = os.path.expanduser("~")
    settings = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    if not os.path.isdir(f"{top}/.git") or any(name.startswith(_ELSEWHERE) for name in os.environ):
        return False
    for file in (f"{top}/.git/config", f"{home}/.gitconfig", f"{settings}/git/config", "/etc/gitconfig"):
        if _SETTINGS.search(_read(file)):
            return False
    lines = _read(f"{top}/.git/info/exclude").splitlines() + _read(f"{settings}/git/ignore").splitlines()
    return not any(line.strip() and not line.startswith(b"#") for line in lines)


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def _start(root: Path) -> "subprocess.Popen[bytes]":
    import subprocess

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
