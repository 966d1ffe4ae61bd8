"""A repository as it is in the workspace, or was at a revision of Git: its dvc.yaml files and whatever else can be read of it."""

import os
import posixpath
from functools import cached_property
from pathlib import Path
from typing import Any

from perenne import data
from perenne.core.errors import Invalid
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.locks import LockedStage, read_lock
from perenne.formats.dvc.metafiles import read_metafile
from perenne.formats.dvc.pipelines import Pipeline, read_pipeline
from perenne.protocols.dvc.stages import LOCK, PIPELINE, Stages

WORKSPACE = "workspace"


class PipelineAt:
    """A dvc.yaml at a revision: the folder it lies in from the repository's top, what it says, and its dvc.lock."""

    def __init__(self, folder: str, pipeline: Pipeline, locked: dict[str, LockedStage]) -> None:
        self.folder = folder
        self.pipeline = pipeline
        self.locked = locked

    def place(self, path: str, wdir: str = "") -> str:
        """Return a path of the file from the repository's top."""
        return posixpath.normpath(posixpath.join(self.folder, wdir, path))


class Revision:
    """The repository at a revision, or in the workspace.

    Parameters
    ----------
    name : str
        A revision of Git, or `workspace`.
    """

    def __init__(self, repository: "data.versions.Repository", name: str) -> None:
        self.repository = repository
        self.name = name

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, named from the repository's top; None if there is none, or it is not at hand."""
        kept = self._in_workspace(path) if self.name == WORKSPACE else self._in_git(path)
        return kept if kept is not None else self._in_cache(path)

    def files_below(self, path: str) -> list[str]:
        """Return the files below a folder, by name; none if it is no folder, or only the cache has it and not its manifest."""
        if self.name == WORKSPACE and os.path.isdir(place := os.path.join(self.repository.root, path)):
            found = [os.path.join(base, name) for base, _, names in os.walk(place) for name in names]
            return sorted(os.path.relpath(file, self.repository.root) for file in found)
        entry = self._tracked.get(path)
        if entry is not None and entry.is_dir and entry.digest and self.repository.cache_of(entry).has(entry.digest):
            return [f"{path}/{file.relpath}" for file in self.repository.cache_of(entry).manifest(entry.digest)]
        return [] if self.name == WORKSPACE else sorted(file for file in self._tree if file.startswith(f"{path}/"))

    @cached_property
    def pipelines(self) -> list[PipelineAt]:
        """Every dvc.yaml, in the order of folders."""
        if self.name == WORKSPACE:
            files = Stages(self.repository).files.values()
            return [PipelineAt(self._relative(file.folder), file.pipeline, file.locked()) for file in files]
        names = sorted(path for path in self._tree if posixpath.basename(path) == PIPELINE)
        return [self._pipeline(path) for path in names]

    def _relative(self, folder: str) -> str:
        inner = os.path.relpath(folder, self.repository.root)
        return "" if inner == "." else inner

    def _pipeline(self, path: str) -> PipelineAt:
        folder, content = posixpath.dirname(path), self._in_git(path)
        options = self.repository.config.get("parsing")
        said = f"{path} at {self.name}"
        pipeline = read_pipeline(content or b"", said, lambda name: self._in_git(posixpath.join(folder, name)), options)
        lock = self._in_git(posixpath.join(folder, LOCK))
        return PipelineAt(folder, pipeline, read_lock(lock, said).stages if lock else {})

    def _in_workspace(self, path: str) -> bytes | None:
        try:
            return Path(self.repository.root, path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def _in_git(self, path: str) -> bytes | None:
        name = f"{self._commit}:{self._above}{posixpath.normpath(path)}"
        return self._git.read([name]).get(name) if posixpath.normpath(path) in self._tree else None

    def _in_cache(self, path: str) -> bytes | None:
        for place, entry in self._tracked.items():
            if entry.digest and (place == path or (entry.is_dir and path.startswith(f"{place}/"))):
                return self._object(entry, path[len(place) + 1 :])
        return None

    def _object(self, entry: Entry, inner: str) -> bytes | None:
        cache = self.repository.cache_of(entry)
        assert entry.digest is not None
        digest: str | None = entry.digest
        if entry.is_dir:
            if not cache.has(entry.digest):
                return None
            digest = next((file.md5 for file in cache.manifest(entry.digest) if file.relpath == inner), None)
        return cache.read(digest) if digest and cache.has(digest) else None

    @cached_property
    def _tracked(self) -> dict[str, Entry]:
        """What is tracked, by path."""
        found: dict[str, Entry] = {}
        for at in self.pipelines:
            for name, stage in at.locked.items():
                wdir = at.pipeline.stages[name].wdir if name in at.pipeline.stages else ""
                found.update({at.place(entry.path, wdir): entry for entry in stage.outs})
        if self.name == WORKSPACE:
            return found
        for path in self._tree:
            if path.endswith(".dvc") and posixpath.basename(path) != ".dvc":
                meta = read_metafile(self._in_git(path) or b"", f"{path} at {self.name}")
                folder = posixpath.join(posixpath.dirname(path), meta.wdir or "")
                found.update({posixpath.normpath(posixpath.join(folder, entry.path)): entry for entry in meta.outs})
        return found

    @property
    def _git(self) -> Any:
        if self.repository.git is None:
            raise Invalid("this repository is not in Git, so there are no revisions", code="dvc.no_git", hint="name no revision")
        return self.repository.git

    @cached_property
    def _commit(self) -> str:
        return str(self._git.resolve(self.name))

    @cached_property
    def _above(self) -> str:
        """The repository's folder in the work tree of Git, with a slash behind."""
        inner = os.path.relpath(self.repository.root, self._git.root)
        return "" if inner == "." else f"{inner}/"

    @cached_property
    def _tree(self) -> set[str]:
        above = self._above
        return {file.path[len(above) :] for file in self._git.tree(self._commit) if file.path.startswith(above)}


def has_commits(repository: "data.versions.Repository") -> bool:
    """Tell whether there is anything in Git to compare with."""
    if repository.git is None:
        return False
    return bool(repository.git.run("rev-parse", "--verify", "--quiet", "HEAD", good=(0, 1, 128)).strip())
