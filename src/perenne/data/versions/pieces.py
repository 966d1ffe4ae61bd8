"""Single files and folders, as those who make them need it: looked at, kept, put back, taken away, ignored by Git.

Several threads may use one object: each has a memory of files of its own.
"""

import os
import shutil
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.versions import layers
from perenne.data.versions.building import build_file, look, store_file, store_tree
from perenne.data.versions.copying import copy_file
from perenne.data.versions.hashing import Storer
from perenne.data.versions.linking import Placer
from perenne.data.versions.presence import missing_of
from perenne.data.versions.repository import Repository
from perenne.data.versions.scanning import scan
from perenne.data.versions.writing import workroom
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.ignores import with_line


class Piece(msgspec.Struct, frozen=True):
    """What lies at a path: its digest, its bytes, how many files a folder has, whether a file may be run."""

    digest: str
    size: int
    count: int | None = None
    isexec: bool = False

    def entry(self, path: str) -> Entry:
        """Return it as what a metafile says of it."""
        return Entry(path=path, digest=self.digest, size=self.size, nfiles=self.count, isexec=self.isexec)


class Pieces:
    """The files and folders of a repository.

    Parameters
    ----------
    repository : Repository
        Whose workspace and cache.
    """

    def __init__(self, repository: Repository) -> None:
        self._root = repository.root
        self._main = repository
        self._own = threading.local()
        self._opened: list[Repository] = []
        self._storers: list[Storer] = []
        self._lock = threading.Lock()
        self._ignored: set[str] = set()
        self._tracked: set[str] = set()
        self._asked: set[str] = set()

    @property
    def _repository(self) -> Repository:
        """The repository, opened for the thread that asks."""
        found: Repository | None = getattr(self._own, "repository", None)
        if found is None:
            found = self._own.repository = Repository(self._root)
            with self._lock:
                self._opened.append(found)
        return found

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            opened, self._opened = self._opened, []
            storers, self._storers = self._storers, []
            self._own = threading.local()
        for storer in storers:
            storer.__exit__(None, None, None)
        for repository in opened:
            repository.close()

    def look(self, path: str, recorded: Entry | None = None) -> Piece | None:
        """Return what lies at a path; None if nothing does. What is recorded of it tells how it is hashed."""
        repository = self._repository
        state = repository.state if recorded is None else repository.state_of(recorded)
        try:
            built = look(path, repository.ignoring(path), state) if os.path.isdir(path) else build_file(path, state)
        except (FileNotFoundError, NotADirectoryError, NotFound):
            return None
        return Piece(built.digest, built.size, built.count, built.isexec)

    def is_cached(self, entry: Entry) -> bool:
        """Tell whether all objects of a version are in the cache, and its manifest is whole."""
        try:
            return bool(entry.digest) and not missing_of(self._repository, entry)
        except (NotFound, Unavailable):
            return False

    def keep(self, path: str, *, link: bool = True) -> Piece:
        """Put what lies at a path into the cache; with `link` it becomes a link if links are set.

        Raises
        ------
        NotFound
            Nothing does.
        """
        repository = self._repository
        if not os.path.exists(path):
            raise NotFound(
                f"output '{os.path.relpath(path)}' does not exist", code="data.no_file", hint="did the command write it?"
            )
        storer = self._storer()
        if os.path.isdir(path):
            whole = store_tree(scan(path, repository.ignoring(path)), repository.state, storer)
            piece = Piece(whole.digest, whole.size, whole.count)
        else:
            built = store_file(path, repository.state, storer)
            piece = Piece(built.digest, built.size, None, built.isexec)
        if link and self._types()[0] in ("hardlink", "symlink"):
            self.put_back(path, piece.entry(os.path.basename(path)))
        return piece

    def _storer(self) -> Storer:
        """Return what keeps this thread's objects."""
        found: Storer | None = getattr(self._own, "storer", None)
        if found is None:
            found = self._own.storer = Storer(self._repository.cache).__enter__()
            with self._lock:
                self._storers.append(found)
        return found

    def put_back(self, path: str, entry: Entry, *, link: bool = True) -> None:
        """Put a version at a path, in place of whatever lies there; without `link` always as a copy.

        Raises
        ------
        NotFound, Unavailable
            An object is missing, or damaged.
        """
        repository = self._repository
        assert entry.digest is not None
        cache, state = repository.cache_of(entry), repository.state_of(entry)
        types = self._types() if link else ("copy",)
        files = [(path, entry.digest)]
        if entry.is_dir:
            files = [(f"{path}/{file.relpath}", file.md5) for file in cache.manifest(entry.digest)]
        with workroom(repository.temporary) as folder:
            placer, looked = Placer(cache, types, folder), time.time_ns()
            self.take_away(path)
            if entry.is_dir:
                os.makedirs(path)
            for parent in {os.path.dirname(place) for place, _ in files}:
                os.makedirs(parent, exist_ok=True)
            placed = [(place, placer.place(digest, place, executable=entry.isexec), digest) for place, digest in files]
        state.remember_files(placed, looked)

    def _types(self) -> tuple[str, ...]:
        return layers.link_types(self._main.config)

    def take_away(self, path: str) -> None:
        """Remove what lies at a path, if anything does."""
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def unprotect(self, path: str) -> None:
        """Make what lies at a path the workspace's own, to be written to: links become copies."""
        if not os.path.lexists(path):
            return
        names = [path]
        if os.path.isdir(path):
            names = [os.path.join(base, name) for base, _, found in os.walk(path) for name in found]
        with workroom(self._repository.temporary) as folder:
            for number, name in enumerate(names):
                about = os.stat(name)
                if os.path.islink(name) or about.st_nlink > 1:
                    made = f"{folder}/{number}"
                    copy_file(name, made, 0o644 | (about.st_mode & stat.S_IXUSR))
                    os.replace(made, name)
                elif not about.st_mode & stat.S_IWUSR:
                    os.chmod(name, about.st_mode | stat.S_IWUSR)

    def ask_git(self, paths: Iterable[str]) -> None:
        """Ask Git of many paths at once what it would be asked of each; what is asked of later is remembered too."""
        with self._lock:
            new = [path for path in paths if path not in self._asked]
            if self._main.git is not None and new:
                self._asked.update(new)
                self._tracked |= self._main.git.tracked(new)
                self._ignored |= self._main.git.ignored(new)

    def ignore(self, path: str) -> str | None:
        """Have Git ignore a path; return the `.gitignore` that was written, None if it does already.

        Raises
        ------
        Invalid
            Git tracks it.
        """
        if self._main.git is None:
            return None
        self.ask_git([path])
        if path in self._tracked:
            said = os.path.relpath(path)
            raise Invalid(
                f"output '{said}' is already tracked by SCM (e.g. Git).",
                code="data.tracked_by_git",
                hint=f"`git rm -r --cached '{said}'` and commit, then it can be kept in the cache",
            )
        if path in self._ignored:
            return None
        file = Path(os.path.dirname(path), ".gitignore")
        with self._lock:
            with file.open("a+b") as stream:
                stream.seek(0)
                old = stream.read()
                stream.write(with_line(old, os.path.basename(path))[len(old) :])
            self._ignored.add(path)
        return os.fspath(file)
