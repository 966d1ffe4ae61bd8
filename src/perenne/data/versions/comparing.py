"""What differs between two states of what is tracked: a revision, what the metafiles say, the workspace.

A state is every tracked path from the repository's top, folders with a slash behind them, and its digest.
"""

import os
from collections.abc import Iterable, Mapping

import msgspec

from perenne.core.errors import NotFound, Unavailable
from perenne.data.versions.building import build_file, files_of, hash_tree, manifest_bytes
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.revisions import git_of, outputs_at
from perenne.data.versions.scanning import scan
from perenne.formats.dvc.manifests import manifest_digest


class Tracked(msgspec.Struct):
    """A state of what is tracked.

    Attributes
    ----------
    digests : dict
        Path -> digest; a folder ends with a slash.
    unknown : set of str
        Folders whose content nobody here knows, because their manifest is not in the cache.
    legacy : set of str
        Paths that DVC 2.x hashed.
    """

    digests: dict[str, str] = {}
    unknown: set[str] = set()
    legacy: set[str] = set()


class Differences(msgspec.Struct):
    """What differs, by path; of a path that another took its content from, both."""

    added: list[str] = []
    deleted: list[str] = []
    modified: list[str] = []
    renamed: list[tuple[str, str]] = []
    unchanged: list[str] = []


def recorded_state(repository: Repository, outputs: Iterable[Output], *, granular: bool = True) -> Tracked:
    """Return the state that metafiles record; with `granular` the files of folders too."""
    state = Tracked({}, set(), set())
    for output in outputs:
        entry, path = output.entry, repository.relative(output.path)
        if entry.digest is None or not entry.cache or path.startswith("../"):
            continue
        if entry.is_legacy:
            state.legacy.add(path)
        if not entry.is_dir:
            state.digests[path] = entry.digest
            continue
        state.digests[f"{path}/"] = entry.digest
        if granular:
            try:
                files = repository.cache_of(entry).manifest(entry.digest)
            except (NotFound, Unavailable):
                state.unknown.add(f"{path}/")
                continue
            state.digests |= {f"{path}/{file.relpath}": file.md5 for file in files}
    return state


def state_at(repository: Repository, revision: str, *, granular: bool = True) -> Tracked:
    """Return the state of a revision.

    Raises
    ------
    NotFound
        Git knows no such revision.
    """
    commit = git_of(repository).resolve(revision)
    return recorded_state(repository, [output for _, output in outputs_at(repository, [commit])], granular=granular)


def workspace_state(repository: Repository, outputs: Iterable[Output], *, granular: bool = True) -> Tracked:
    """Return the state of the workspace: of what is tracked, what lies there now."""
    state = Tracked({}, set(), set())
    for output in outputs:
        entry, path = output.entry, os.fspath(output.path)
        name = repository.relative(path)
        if not entry.cache or name.startswith("../") or not os.path.exists(path):
            continue
        hashes = repository.state_of(entry)
        if not os.path.isdir(path):
            state.digests[name] = build_file(path, hashes).digest
            continue
        tree = scan(path, repository.ignoring(path))
        hash_tree(tree, hashes)
        files = files_of(tree)
        state.digests[f"{name}/"] = manifest_digest(manifest_bytes(sorted(files.items())))
        if granular:
            state.digests |= {f"{name}/{inner}": digest for inner, digest in files.items()}
    return state


def differences(old: Tracked, new: Tracked, *, renames: bool = True) -> Differences:
    """Return what differs between two states; what lies in a folder of unknown content is not judged.

    >>> differences(Tracked({"a": "1", "b": "2"}), Tracked({"a": "3", "c": "2"}))
    Differences(added=[], deleted=[], modified=['a'], renamed=[('b', 'c')], unchanged=[])
    """
    unknown = tuple(old.unknown | new.unknown)
    found = Differences([], [], [], [], [])
    for path in sorted(old.digests.keys() | new.digests.keys()):
        if path.startswith(unknown) and path not in unknown:
            continue
        before, after = old.digests.get(path), new.digests.get(path)
        into = found.unchanged if before == after else found.modified
        (found.added if before is None else found.deleted if after is None else into).append(path)
    return _with_renames(found, old.digests, new.digests) if renames else found


def _with_renames(found: Differences, old: Mapping[str, str], new: Mapping[str, str]) -> Differences:
    """Match what was added with what was deleted of the same content, the first with the first."""
    gone: dict[str, list[str]] = {}
    for path in reversed(found.deleted):
        gone.setdefault(old[path], []).append(path)
    added = []
    for path in found.added:
        sources = gone.get(new[path])
        if sources:
            found.renamed.append((sources.pop(), path))
        else:
            added.append(path)
    left = {path for paths in gone.values() for path in paths}
    return msgspec.structs.replace(found, added=added, deleted=[path for path in found.deleted if path in left])


def not_in_cache(repository: Repository, state: Tracked) -> list[str]:
    """Return the paths whose objects are not in the cache."""
    missing = repository.cache.missing(set(state.digests.values()))
    return [
        path
        for path, digest in sorted(state.digests.items())
        if digest in missing and not (path in state.legacy and repository.legacy.has(digest))
    ]


def below(state: Tracked, places: Iterable[str]) -> Tracked:
    """Return the part of a state that lies at some paths or below them; all of it for no paths."""
    wanted = list(places)
    if not wanted:
        return state
    kept = {
        path: digest
        for path, digest in state.digests.items()
        if any(path.rstrip("/") == place or path.startswith(f"{place}/") for place in wanted)
    }
    return msgspec.structs.replace(state, digests=kept)
