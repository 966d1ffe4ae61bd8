"""Tracking no longer: the metafile goes, and the line in ``.gitignore``; the data stays unless asked otherwise."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perenne.core.errors import Conflict, NotFound
from perenne.data.versions.building import build_file, files_of, hash_tree
from perenne.data.versions.hashing import said
from perenne.data.versions.locking import Waiting, check_stages
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.scanning import scan
from perenne.data.versions.writing import replace
from perenne.formats.dvc.ignores import without_line


class Removed(msgspec.Struct, frozen=True):
    """What is tracked no longer.

    Attributes
    ----------
    file : str
        The metafile that went.
    paths : tuple of str
        What it tracked.
    deleted : bool
        Whether these went too.
    """

    file: str
    paths: tuple[str, ...]
    deleted: bool


def remove(
    repository: Repository,
    words: Sequence[str | Path],
    *,
    outs: bool = False,
    force: bool = False,
    waiting: Waiting | None = None,
) -> list[Removed]:
    """Track no longer what ``.dvc`` files name.

    Parameters
    ----------
    repository : Repository
        Where.
    words : sequence of str or Path
        Metafiles, or what they track.
    outs : bool
        Delete the data in the workspace too.
    force : bool
        Also where it changed and is nowhere else.

    Raises
    ------
    NotFound
        A word is no metafile.
    Conflict
        Data that would be deleted is nowhere else.
    """
    files = list(dict.fromkeys(_file(repository, os.fspath(word)) for word in words))
    tracked = {file: repository.outputs_of(file) for file in files}
    check_stages(repository.temporary, [], [os.fspath(output.path) for outputs in tracked.values() for output in outputs])
    if outs and not force:
        for outputs in tracked.values():
            for output in outputs:
                _check_loss(repository, output)
    with repository.lock(waiting), said("it cannot be removed"):
        removed = [_remove(repository, file, outputs, outs=outs) for file, outputs in tracked.items()]
    repository.forget()
    return removed


def _file(repository: Repository, word: str) -> Path:
    path = os.path.abspath(word)
    for output in repository.outputs():
        if output.stage is None and path in (os.fspath(output.file), os.fspath(output.path)):
            return output.file
        if output.stage is not None and (output.stage == word or path == os.fspath(output.path)):
            raise Conflict(
                f"{word!r} belongs to stage '{output.stage}' of {repository.shown(output.file)}",
                code="data.stage_output",
                hint="take the stage out of dvc.yaml, or `perenne dvc remove` does it",
            )
    if path.endswith(".dvc") and os.path.isfile(path):
        return Path(path)
    raise NotFound(f"{word!r} is no metafile and nothing tracks it", code="data.not_tracked", hint="name the `.dvc` file")


def _check_loss(repository: Repository, output: Output) -> None:
    """Refuse to delete what is nowhere else."""
    path = os.fspath(output.path)
    if not os.path.lexists(path):
        return
    state, cache = repository.state_of(output.entry), repository.cache_of(output.entry)
    if os.path.isdir(path):
        tree = scan(path, repository.ignoring(path))
        hash_tree(tree, state)
        digests = set(files_of(tree).values())
    else:
        digests = {build_file(path, state).digest}
    if output.entry.digest is None or cache.missing(digests):
        raise Conflict(
            f"{repository.shown(path)} changed since it was recorded, and would be lost",
            code="data.would_lose",
            hint="`perenne data commit` records it; `--force` deletes it",
        )


def _remove(repository: Repository, file: Path, outputs: Sequence[Output], *, outs: bool) -> Removed:
    paths = [os.fspath(output.path) for output in outputs]
    for path in paths:
        show_to_git(repository, path)
        repository.state.forget_link(path)
        if outs:
            delete(path)
    os.unlink(file)  # last: who is killed before can say it again
    return Removed(repository.shown(file), tuple(repository.shown(path) for path in paths), outs)


def show_to_git(repository: Repository, path: str) -> None:
    """Take the line of an output out of ``.gitignore``; a file that is left empty goes."""
    file = Path(os.path.dirname(path), ".gitignore")
    if repository.git is None or not file.is_file():
        return
    rest = without_line(file.read_bytes(), os.path.basename(path))
    if not rest.strip():
        file.unlink()
    else:
        replace(file, rest, repository.temporary)


def delete(path: str) -> None:
    """Delete a file, link or folder; one that is not there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
