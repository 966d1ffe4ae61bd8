"""What Git is asked: by its command line, in batches, and only where it is needed."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from perenne.core.errors import Invalid, NotFound, Unavailable

_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class TreeFile(msgspec.Struct, frozen=True):
    """A file of a revision: its path from the root of the work tree, and the id of its content."""

    path: str
    blob: str
    mode: str


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit: who, when (seconds), and the first line of why."""

    id: str
    author: str
    time: int
    subject: str


class Git:
    """A work tree.

    Parameters
    ----------
    root : Path
        Its top folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def find(start: Path) -> "Git | None":
        """Return the work tree that a folder lies in; None if it lies in none."""
        place = os.fspath(start)
        while True:
            if os.path.exists(f"{place}/.git"):
                return Git(Path(place))
            above = os.path.dirname(place)
            if above == place:
                return None
            place = above

    @cached_property
    def directory(self) -> Path:
        """The folder that holds Git's own files."""
        if (self.root / ".git").is_dir():
            return self.root / ".git"
        return Path(self.run("rev-parse", "--absolute-git-dir").decode().strip())

    def run(self, *arguments: str, given: bytes | None = None, good: Sequence[int] = (0,)) -> bytes:
        """Run a command of Git and return what it prints.

        Raises
        ------
        Unavailable
            Git is not installed, or ended with another code than the good ones.
        """
        import subprocess

        command = ["git", "-C", os.fspath(self.root), *arguments]
        try:
            done = subprocess.run(command, input=given or b"", capture_output=True, env=os.environ | _QUIET, check=False)
        except FileNotFoundError:
            raise Unavailable("git is not installed", code="data.git_missing", hint="install git, or set core.no_scm") from None
        if done.returncode not in good:
            said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
            raise Unavailable(
                f"git {arguments[0]}: {said or f'exit code {done.returncode}'}",
                code="data.git_failed",
                hint="is this a Git repository, and is the name right?",
            )
        return done.stdout

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """Return those of the paths that ``.gitignore`` and the like name; folders end with a slash."""
        asked = list(paths)
        if not asked:
            return set()
        given = b"\0".join(os.fsencode(path) for path in asked)
        answer = self.run("check-ignore", "--no-index", "--stdin", "-z", given=given, good=(0, 1))
        return {os.fsdecode(path) for path in answer.split(b"\0") if path}

    def tracked(self, paths: Iterable[str]) -> set[str]:
        """Return those of the paths that Git tracks, or below which it tracks a file."""
        asked = list(paths)
        if not asked:
            return set()
        literal = [f":(top,literal){os.path.relpath(path, self.root)}" for path in asked]
        listed = self.run("ls-files", "-z", "--full-name", "--", *literal).split(b"\0")
        names = {os.fsdecode(name) for name in listed if name}
        return {path for path in asked if _covers(os.path.relpath(path, self.root), names)}

    def resolve(self, revision: str) -> str:
        """Return the id of the commit that a name, tag or expression stands for.

        Raises
        ------
        NotFound
            There is none.
        """
        answer = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", good=(0, 1, 128))
        if not answer.strip():
            raise NotFound(f"Git knows no revision {revision!r}", code="data.no_revision", hint="`git log` lists them")
        return answer.decode().strip()

    def tree(self, revision: str, *paths: str) -> list[TreeFile]:
        """Return every file of a revision, or those below the paths, from the root of the work tree."""
        lines = self.run("ls-tree", "-r", "-z", "--full-tree", revision, "--", *paths).split(b"\0")
        found = []
        for line in filter(None, lines):
            about, _, path = line.partition(b"\t")
            mode, kind, blob = about.decode().split(" ")
            if kind == "blob":
                found.append(TreeFile(os.fsdecode(path), blob, mode))
        return found

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of many blobs, by their ids or ``<revision>:<path>``; what there is none of is left out."""
        asked = list(dict.fromkeys(blobs))
        if not asked:
            return {}
        if any("\n" in name for name in asked):
            raise Invalid(
                "a path with a newline cannot be asked of Git",
                code="data.bad_name",
                hint="is this a Git repository, and is the name right?",
            )
        answer = self.run("cat-file", "--batch", given="".join(f"{name}\n" for name in asked).encode(errors="surrogateescape"))
        return dict(_batch(asked, answer))

    def commits(self, *arguments: str) -> list[Commit]:
        """Return the commits that ``git log`` lists, newest first."""
        text = self.run("log", "--format=%H%x00%an%x00%ct%x00%s", *arguments).decode(errors="replace")
        rows = [line.split("\0") for line in text.splitlines()]
        return [Commit(id=row[0], author=row[1], time=int(row[2]), subject=row[3]) for row in rows if len(row) == 4]

    def references(self) -> dict[str, str]:
        """Return branches, tags and remote branches with their commits."""
        lines = self.run("for-each-ref", "--format=%(refname)%00%(objectname)%00%(*objectname)").decode().splitlines()
        rows = [line.split("\0") for line in lines]
        return {name: peeled or direct for name, direct, peeled in rows}

    def add(self, paths: Iterable[str]) -> None:
        """Stage files (`git add`)."""
        asked = list(paths)
        if asked:
            self.run("add", "--", *asked)


def _covers(path: str, names: set[str]) -> bool:
    return path in names or any(name.startswith(f"{path}/") for name in names) or (path == "." and bool(names))


def _batch(asked: list[str], answer: bytes) -> Iterator[tuple[str, bytes]]:
    """Take apart what ``cat-file --batch`` answers: a line of head, the bytes and a newline for each."""
    at = 0
    for name in asked:
        end = answer.index(b"\n", at)
        head = answer[at:end].split(b" ")
        at = end + 1
        if head[-1] in (b"missing", b"ambiguous"):
            continue
        size = int(head[-1])
        yield name, answer[at : at + size]
        at += size + 1
