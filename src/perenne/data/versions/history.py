"""The versions of an output across Git's history: which commit recorded which content."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.versions.git import Commit
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.revisions import git_of, outputs_at
from perenne.formats.dvc.entries import Entry


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a path, and the commit that recorded it.

    Attributes
    ----------
    commit : str
        Its id.
    author, time, subject
        Who recorded it, when (seconds), and why.
    digest : str or None
        What the path held; None where it was tracked no longer.
    size, files : int or None
        Bytes, and files of a folder.
    here : bool
        Whether the object is in the cache: of a folder its manifest.
    """

    commit: str
    author: str
    time: int
    subject: str
    digest: str | None
    size: int | None
    files: int | None
    here: bool


def find_versions(repository: Repository, path: Path | str, *, limit: int | None = None) -> list[Version]:
    """Return the versions of an output, or of something in a tracked folder, the newest first.

    Raises
    ------
    NotFound
        No commit has ever tracked it.
    Invalid
        There is no Git, and so no history.
    """
    place = os.path.abspath(path)
    git = git_of(repository)
    if not git.references():
        raise NotFound("Git has no commit yet", code="data.no_history", hint="`git commit` the metafile first")
    commits = git.commits("--full-history", "--", *_metafiles(repository, place))
    held = {commit.id: _held(repository, place, outputs) for commit, outputs in _by_commit(repository, commits)}
    found = []
    after: tuple[str | None, ...] = ()
    for commit in reversed(commits):
        entry = held.get(commit.id)
        digest = None if entry is None else entry.digest
        if (digest,) != after and (digest or after):
            found.append(_version(repository, commit, entry))
            after = (digest,)
    if not found:
        shown = repository.shown(place)
        raise NotFound(f"no commit of this branch tracks {shown}", code="data.no_history", hint="look at the spelling")
    return found[::-1][:limit]


def _metafiles(repository: Repository, place: str) -> Iterator[str]:
    """Return what may have tracked a path: its own metafile, those of the folders above, and pipelines."""
    top = os.fspath(repository.root)
    if not place.startswith(f"{top}/"):
        raise Invalid(f"{place} is outside of the repository", code="data.outside", hint="name something inside of it")
    yield from (":(glob)**/dvc.lock", ":(glob)**/*.dvc") if any(_has_name(output) for output in repository.outputs()) else ()
    at = place
    while at != top:
        yield f":(literal,top){_from_git(repository, f'{at}.dvc')}"
        at = os.path.dirname(at)
        yield f":(literal,top){_from_git(repository, f'{at}/dvc.lock')}"


def _has_name(output: Output) -> bool:
    """Tell whether somebody chose the name of a metafile, so that it does not say what it tracks."""
    return output.stage is None and output.file.name != f"{output.path.name}.dvc"


def _from_git(repository: Repository, path: str) -> str:
    return os.path.relpath(path, git_of(repository).root)


def _by_commit(repository: Repository, commits: list[Commit]) -> Iterator[tuple[Commit, list[Output]]]:
    known = {commit.id: commit for commit in commits}
    outputs: dict[str, list[Output]] = {commit.id: [] for commit in commits}
    for commit, output in outputs_at(repository, list(known)):
        outputs[commit].append(output)
    for commit, found in outputs.items():
        yield known[commit], found


def _held(repository: Repository, place: str, outputs: list[Output]) -> Entry | None:
    """Return what a path held at a commit: what is recorded of it, or the file of the folder that it lies in."""
    for output in outputs:
        above = os.fspath(output.path)
        if above == place:
            return output.entry
        if place.startswith(f"{above}/") and output.entry.is_dir and output.entry.digest is not None:
            return _inner(repository, output.entry, place[len(above) + 1 :])
    return None


def _inner(repository: Repository, entry: Entry, inner: str) -> Entry | None:
    try:
        files = repository.cache_of(entry).manifest(str(entry.digest))
    except (NotFound, Unavailable):
        return None
    digest = next((file.md5 for file in files if file.relpath == inner), None)
    return None if digest is None else Entry(path=inner, digest=digest, algorithm=entry.algorithm)


def _version(repository: Repository, commit: Commit, entry: Entry | None) -> Version:
    digest = None if entry is None else entry.digest
    here = (
        entry is not None and digest is not None and entry.algorithm.startswith("md5") and repository.cache_of(entry).has(digest)
    )
    return Version(
        commit=commit.id,
        author=commit.author,
        time=commit.time,
        subject=commit.subject,
        digest=digest,
        size=None if entry is None else entry.size,
        files=None if entry is None else entry.nfiles,
        here=here,
    )
