"""Tracking files and folders: objects first, then the metafiles of all targets, so that a refusal leaves nothing behind."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.versions.building import Built, files_of, manifest_bytes
from perenne.data.versions.hashing import Progress, Storer, said
from perenne.data.versions.locking import Waiting, check_stages
from perenne.data.versions.recording import (
    Recorded,
    entry_with,
    ignore_in_git,
    keep_beside,
    link_again,
    store,
    write_down,
    written,
)
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import Target, owner_of
from perenne.data.versions.walking import LOCK, is_metafile
from perenne.formats.dvc.entries import Entry


class _Plan(msgspec.Struct):
    """What becomes of a target."""

    path: str
    file: Path
    target: Target | None
    built: Built | None = None
    links: int = 0
    left_out: tuple[str, ...] = ()


def add(
    repository: Repository,
    paths: Sequence[Path | str],
    *,
    file: Path | None = None,
    progress: Progress | None = None,
    waiting: Waiting | None = None,
) -> list[Recorded]:
    """Track files and folders, or record anew what of a tracked folder is named.

    Parameters
    ----------
    repository : Repository
        Where.
    paths : sequence of Path or str
        Files and folders inside it.
    file : Path, optional
        The metafile of the only target; beside the target, with ``.dvc`` behind its name, if not given.
    progress, waiting : callable, optional
        Told how many files are done, and who holds the lock.

    Raises
    ------
    NotFound
        A path does not exist.
    Conflict
        Git tracks it, or it overlaps with something that is tracked.
    Invalid
        It cannot be tracked: a metafile, outside of the repository, a broken link inside it.
    """
    plans = [_planned(repository, os.path.abspath(path), file) for path in dict.fromkeys(str(path) for path in paths)]
    _check_overlaps(plans)
    _check_git(repository, plans)
    check_stages(repository.temporary, [], [plan.path for plan in plans])
    for plan in plans:
        with said(f"{repository.shown(plan.path)} cannot be kept"):
            plan.built = _built(repository, plan, progress)
            plan.links = (plan.built.tree.links if plan.built.tree else 0) + os.path.islink(plan.path)
            plan.left_out = tuple(plan.built.tree.left_out) if plan.built.tree else ()
    with repository.lock(waiting), said("nothing was recorded"):
        found = [_record(repository, plan) for plan in plans]
    repository.forget()
    link_again(repository, [plan.file for plan in plans])
    return found


def _planned(repository: Repository, path: str, file: Path | None) -> _Plan:
    shown = repository.shown(path)
    _check_place(repository, path, shown)
    target = owner_of(repository, path)
    if target is not None:
        _check_owner(repository, target, shown)
        return _Plan(path, target.output.file, target)
    for output in repository.outputs():
        if os.fspath(output.path).startswith(f"{path}/"):
            raise Conflict(
                f"{shown} cannot be added: {repository.shown(output.path)} in it is tracked by {repository.shown(output.file)}",
                code="data.overlap",
                hint=f"`perenne data remove {repository.shown(output.file)}` first",
            )
    place = Path(os.path.abspath(file)) if file is not None else Path(f"{path}.dvc")
    if file is not None and place.exists():
        raise Conflict(f"{repository.shown(place)} exists", code="data.metafile_exists", hint="choose another name")
    return _Plan(path, place, None)


def _check_place(repository: Repository, path: str, shown: str) -> None:
    if not os.path.lexists(path):
        raise NotFound(f"output {shown!r} does not exist", code="data.no_file", hint="look at the spelling")
    if not path.startswith(f"{repository.root}/"):
        raise Invalid(
            f"{shown} is outside of the repository {repository.root}",
            code="data.outside",
            hint="name something else, inside of the repository",
        )
    name = os.path.basename(path)
    if is_metafile(name) or name == LOCK:
        raise Invalid(f"DVC file {shown!r} cannot be an output.", code="data.is_metafile", hint="Git keeps metafiles")
    if path == f"{repository.root}/.dvc" or path.startswith(f"{repository.dvc}/"):
        raise Invalid(
            f"{shown} belongs to the repository itself",
            code="data.is_internal",
            hint="name something else, inside of the repository",
        )
    if (
        os.path.realpath(os.path.dirname(path))
        != os.path.realpath(repository.root) + os.path.dirname(path)[len(str(repository.root)) :]
    ):
        raise Invalid(f"{shown} lies behind a symbolic link", code="data.behind_link", hint="name it by the folder it lies in")
    if repository.ignoring(path).ignores(path, is_folder=os.path.isdir(path)):
        raise Invalid(
            f"{shown} is ignored by a `.dvcignore`", code="data.ignored", hint="`perenne data check-ignore` tells which line"
        )


def _check_owner(repository: Repository, target: Target, shown: str) -> None:
    output = target.output
    if output.stage is not None:
        raise Conflict(
            f"cannot update {shown!r}: it is an output of stage '{output.stage}' in {repository.shown(output.file)}",
            code="data.stage_output",
            hint="run the pipeline, or `perenne data commit` what was made by hand",
        )
    if target.inner and not output.entry.is_dir:
        raise Conflict(
            f"{shown} lies in {repository.shown(output.path)}, which is tracked as a file",
            code="data.overlap",
            hint="name something else, inside of the repository",
        )


def _check_overlaps(plans: Sequence[_Plan]) -> None:
    places = sorted(plan.path for plan in plans)
    for before, after in pairwise(places):
        if after.startswith(f"{before}/"):
            raise Conflict(
                f"{after} lies in {before}: add one of them",
                code="data.overlap",
                hint="name something else, inside of the repository",
            )


def _check_git(repository: Repository, plans: Sequence[_Plan]) -> None:
    new = [plan.path for plan in plans if plan.target is None]
    if repository.git is None or not new:
        return
    for path in sorted(repository.git.tracked(new)):
        raise Conflict(
            f"{repository.shown(path)} is already tracked by SCM (e.g. Git)",
            code="data.tracked_by_git",
            hint=f"`git rm -r --cached {repository.shown(path)}`, then add it again",
        )


def _built(repository: Repository, plan: _Plan, progress: Progress | None) -> Built:
    built = store(repository, plan.path, progress)
    if plan.target is None or not plan.target.inner:
        return built
    return _put_in(repository, plan.target, built)


def _put_in(repository: Repository, target: Target, built: Built) -> Built:
    """Return the recorded folder with one file or folder of it as it is now."""
    entry = target.output.entry
    assert entry.digest is not None
    files = {file.relpath: file.md5 for file in repository.cache_of(entry).manifest(entry.digest)}
    inner = f"{target.inner}/"
    kept = {path: digest for path, digest in files.items() if path != target.inner and not path.startswith(inner)}
    if built.tree is None:
        kept[target.inner] = built.digest
    else:
        kept |= {inner + path: digest for path, digest in files_of(built.tree).items()}
    with Storer(repository.cache) as storer:
        digest = storer.store_manifest(manifest_bytes(sorted(kept.items())))
    return Built(digest, _size_of(repository, kept), len(kept), built.isexec, built.tree)


def _size_of(repository: Repository, files: dict[str, str]) -> int:
    """Return the bytes of a folder's files, by their objects; one whose object is not here counts as nothing."""
    total = 0
    for digest in files.values():
        try:
            total += os.path.getsize(repository.cache.place(digest))
        except FileNotFoundError:
            continue
    return total


def _record(repository: Repository, plan: _Plan) -> Recorded:
    assert plan.built is not None
    old, index = (plan.target.output.entry, plan.target.output.index) if plan.target else (_new_entry(plan), 0)
    entry = entry_with(old, plan.built)
    path = os.fspath(plan.target.output.path) if plan.target else plan.path
    ignored = ignore_in_git(repository, path) if entry.cache else None
    keep_beside(repository, plan.built, plan.target)
    changed = write_down(repository, plan.file, written(plan.file, [(index, entry)]))
    _stage(repository, [plan.file, *([ignored] if ignored else [])], changed)
    repository.state.remember_link(path, plan.built.digest)
    return Recorded(
        repository.shown(path),
        repository.shown(plan.file),
        plan.built.digest,
        old.digest,
        plan.built.size,
        plan.built.count,
        plan.links,
        plan.left_out,
    )


def _new_entry(plan: _Plan) -> Entry:
    return Entry(path=os.path.relpath(plan.path, plan.file.parent))


def _stage(repository: Repository, files: Sequence[Path], changed: bool) -> None:
    from perenne.data.versions.layers import switched

    if changed and repository.git is not None and switched(repository.config, "core", "autostage"):
        repository.git.add(os.fspath(file) for file in files)
