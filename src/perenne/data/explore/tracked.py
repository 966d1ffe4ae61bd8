"""The files that the repository of this installation tracks in DVC's formats, and the versions that Git remembers of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from perenne.core.errors import PerenneError
from perenne.data.versions.git import Commit, Git
from perenne.data.versions.repository import Output, Repository, find_repository, open_repository, outputs_of
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.metafiles import read_metafile

SHOWN = 200
VERSIONS = 20
USES = 5


class Use(msgspec.Struct, frozen=True):
    """Something that lineage says was made of a version: its kind and id."""

    kind: str
    id: str


class TrackedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a file was at a commit: who wrote it there, when (microseconds since 1970) and why.

    `commit` is empty for what is recorded in the folder and in no commit yet.
    """

    commit: str
    author: str
    at: int | None
    subject: str
    digest: str
    size: int | None
    files: int | None
    uses: tuple[Use, ...] = ()


class TrackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder under versions: where it lies, what tracks it, and its versions, newest first."""

    path: str
    metafile: str
    stage: str
    versions: tuple[TrackedVersion, ...]


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository tracks; `root` is empty if there is none, and `trouble` says why nothing can be told."""

    root: str
    files: tuple[TrackedFile, ...] = ()
    total: int = 0
    trouble: str = ""


def tracked_files(start: Path) -> Tracked:
    """Tell what the repository that a folder lies in tracks; a commit is looked into only where it touched a metafile."""
    root = find_repository(start)
    if root is None:
        return Tracked(root="")
    try:
        repository = open_repository(root)
        outputs = sorted(repository.outputs(), key=lambda output: output.path)
        files = tuple(_tracked(repository, output) for output in outputs[:SHOWN])
    except PerenneError as error:
        return Tracked(root=root.name, trouble=error.message)
    return Tracked(root=root.name, files=files, total=len(outputs))


def with_uses(found: Tracked, uses: Mapping[str, Sequence[Use]]) -> Tracked:
    """Add to every version what was made of it, by its md5."""
    replace = msgspec.structs.replace
    files = tuple(
        replace(
            file, versions=tuple(replace(version, uses=tuple(uses.get(version.digest, ()))[:USES]) for version in file.versions)
        )
        for file in found.files
    )
    return replace(found, files=files)


def _tracked(repository: Repository, output: Output) -> TrackedFile:
    metafile = _relative(repository.root, output.file)
    now = _version(output.entry, None)
    past = _past(repository.git, output) if repository.git is not None and output.stage is None else ()
    here = () if past and past[0].digest == now.digest else (now,)
    return TrackedFile(
        path=_relative(repository.root, output.path), metafile=metafile, stage=output.stage or "", versions=(*here, *past)
    )


def _past(git: Git, output: Output) -> tuple[TrackedVersion, ...]:
    """Return the versions that commits recorded, newest first; neighbouring equal ones count as the older one."""
    path = output.file.relative_to(git.root).as_posix()
    if not git.tracked([str(output.file)]):
        return ()
    commits = git.commits(f"-{VERSIONS}", "--", path)
    texts = git.read(f"{commit.id}:{path}" for commit in commits)
    found: list[TrackedVersion] = []
    for commit in reversed(commits):
        text = texts.get(f"{commit.id}:{path}")
        entry = _entry_at(output, text) if text is not None else None
        if entry is not None and (not found or found[-1].digest != (entry.digest or "")):
            found.append(_version(entry, commit))
    return tuple(reversed(found))


def _entry_at(output: Output, text: bytes) -> Entry | None:
    try:
        meta = read_metafile(text, output.file.name)
    except PerenneError:
        return None
    return next((other.entry for other in outputs_of(output.file, meta) if other.path == output.path), None)


def _version(entry: Entry, commit: Commit | None) -> TrackedVersion:
    return TrackedVersion(
        commit=commit.id if commit else "",
        author=commit.author if commit else "",
        at=commit.time * 1_000_000 if commit else None,
        subject=commit.subject if commit else "",
        digest=entry.digest or "",
        size=entry.size,
        files=entry.nfiles,
    )


def _relative(root: Path, path: Path) -> str:
    return str(PurePosixPath(path.relative_to(root))) if path.is_relative_to(root) else str(path)
