"""What is to be moved: outputs by remote, and the objects that they need, manifests first."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from perenne.core.errors import NotFound, PerenneError
from perenne.data.versions.cache import Cache
from perenne.data.versions.remotes.presence import LEGACY, OBJECTS
from perenne.data.versions.remotes.transfer import Failure, Shelf
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.targets import Target, find_targets
from perenne.formats.dvc.manifests import ManifestEntry

MD5 = ("md5", "md5-dos2unix")


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions are meant: those of the workspace if nothing is said.

    Attributes
    ----------
    words : tuple of str
        Outputs, metafiles, stages, paths inside outputs; all if empty. For other revisions than the workspace they do not count.
    branches, tags, commits : bool
        Also those of all local branches, tags, commits.
    revisions : tuple of str
        Those of these revisions in place of the workspace's.
    recursive : bool
        Whether a folder stands for what is tracked below it.
    """

    words: tuple[str, ...] = ()
    branches: bool = False
    tags: bool = False
    commits: bool = False
    revisions: tuple[str, ...] = ()
    recursive: bool = False

    @property
    def has_history(self) -> bool:
        """Whether it goes beyond the workspace."""
        return self.branches or self.tags or self.commits or bool(self.revisions)


def targets_of(repository: Repository, scope: Scope) -> list[Target]:
    """Return the outputs of a scope."""
    targets = find_targets(repository, scope.words, recursive=scope.recursive) if not scope.revisions else []
    if not scope.has_history:
        return targets
    from perenne.data.versions.revisions import all_commits, git_of, named_commits, outputs_at

    git = git_of(repository)
    wanted = [git.resolve(name) for name in scope.revisions]
    wanted += named_commits(git, branches=scope.branches, tags=scope.tags).values()
    wanted += all_commits(git) if scope.commits else []
    places = {os.path.abspath(word) for word in scope.words}
    older = [output for _, output in outputs_at(repository, dict.fromkeys(wanted)) if _is_meant(output, places)]
    return targets + [Target(output) for output in older]


def _is_meant(output: Output, places: set[str]) -> bool:
    return not places or os.fspath(output.path) in places or os.fspath(output.file) in places


def is_moved(target: Target, *, push: bool) -> bool:
    """Tell whether the objects of an output go to a remote, or come from one."""
    entry = target.output.entry
    if entry.digest is None or not entry.cache or entry.algorithm not in MD5:
        return False
    return not push or entry.push


def is_repo_import(repository: Repository, target: Target) -> bool:
    """Tell whether an output comes from another repository, which keeps its objects."""
    meta = repository.metafiles.get(target.output.file)
    return meta is not None and meta.is_repo_import


def by_remote(targets: Iterable[Target], asked: str | None) -> dict[str | None, list[Target]]:
    """Return the outputs by the remote they belong to.

    Parameters
    ----------
    targets : iterable of Target
        The outputs; one that names a remote of its own goes nowhere else.
    asked : str, optional
        The remote that a person named; None is the default one.
    """
    found: dict[str | None, list[Target]] = {}
    for target in targets:
        own = target.output.entry.remote
        if own and asked and own.lower() != asked.lower():
            continue
        found.setdefault(own or asked, []).append(target)
    return found


def shelves_of(repository: Repository, targets: Sequence[Target]) -> dict[Shelf, list[Target]]:
    """Return the outputs by where their objects lie: those of DVC 2.x apart."""
    found: dict[Shelf, list[Target]] = {}
    for target in targets:
        legacy = target.output.entry.is_legacy
        shelf = Shelf(repository.legacy, LEGACY) if legacy else Shelf(repository.cache, OBJECTS)
        found.setdefault(shelf, []).append(target)
    return found


class Needs(msgspec.Struct):
    """The objects that outputs need.

    Attributes
    ----------
    files : set of str
        Digests of single files, and of the files of directories.
    folders : dict
        Manifest -> digests of its files, of those directories that are meant whole.
    unknown : list of Failure
        Manifests that are not in the cache, or are damaged.
    """

    files: set[str]
    folders: dict[str, set[str]]
    unknown: list[Failure]


def needs_of(cache: Cache, targets: Iterable[Target], skip: set[str] | frozenset[str] = frozenset()) -> Needs:
    """Return what outputs need, by the manifests in the cache; those of `skip` are not opened."""
    needs = Needs(set(), {}, [])
    for target in targets:
        digest = target.output.entry.digest
        assert digest is not None
        if not digest.endswith(".dir"):
            needs.files.add(digest)
        elif digest not in skip:
            try:
                _add_folder(needs, digest, cache.manifest(digest), target.inner)
            except PerenneError as error:
                needs.unknown.append(Failure(digest, error.code, error.message))
    return needs


def _add_folder(needs: Needs, digest: str, entries: Sequence[ManifestEntry], inner: str) -> None:
    if not inner:
        needs.folders[digest] = {entry.md5 for entry in entries}
        needs.files |= needs.folders[digest]
        return
    needs.files |= part_of(entries, inner)


def part_of(entries: Sequence[ManifestEntry], inner: str) -> set[str]:
    """Return the digests of a file or folder inside a directory.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    found = {entry.md5 for entry in entries if entry.relpath == inner or entry.relpath.startswith(f"{inner}/")}
    if not found:
        raise NotFound(
            f"{inner!r} is not in this directory", code="data.not_tracked", hint="`perenne data status` shows what is tracked"
        )
    return found


def names_of(repository: Repository, targets: Iterable[Target], digests: set[str]) -> dict[str, str]:
    """Return for each digest a path that people know it by, as far as the manifests are here."""
    found: dict[str, str] = {}
    for target in targets:
        entry, path = target.output.entry, repository.relative(target.output.path)
        if entry.digest in digests:
            found.setdefault(entry.digest, path)
        if entry.digest is None or not entry.digest.endswith(".dir"):
            continue
        try:
            inside = repository.cache_of(entry).manifest(entry.digest)
        except PerenneError:
            continue
        for file in inside:
            if file.md5 in digests:
                found.setdefault(file.md5, f"{path}/{file.relpath}")
    return found


def complete_folder(repository: Repository) -> Path:
    """Return where is remembered what remotes have whole."""
    return repository.temporary / "perenne" / "complete"
