"""Recording anew what has changed in the workspace."""

import os
from collections.abc import Sequence
from pathlib import Path

from perenne.core.errors import NotFound
from perenne.data.versions.building import Built, look
from perenne.data.versions.hashing import Progress, said
from perenne.data.versions.locking import Waiting, check_stages
from perenne.data.versions.presence import missing_of
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
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.scanning import Tree, scan
from perenne.data.versions.status import is_as_recorded
from perenne.data.versions.targets import find_targets


def commit(
    repository: Repository,
    words: Sequence[str | Path] = (),
    *,
    progress: Progress | None = None,
    waiting: Waiting | None = None,
) -> list[Recorded]:
    """Record the present version of what ``.dvc`` files track; return what was other than recorded, or not in the cache.

    What stages make is recorded by running them.

    Raises
    ------
    NotFound
        A word means nothing, or an output that was named is not in the workspace.
    Invalid
        An output holds something that cannot be kept.
    """
    targets = find_targets(repository, words, recursive=True)
    outputs = list(dict.fromkeys(target.output for target in targets if target.output.stage is None))
    check_stages(repository.temporary, [], [os.fspath(output.path) for output in outputs])
    found: list[tuple[Output, Built]] = []
    for output in outputs:
        if not os.path.lexists(output.path):
            if words:
                raise NotFound(
                    f"output '{repository.shown(output.path)}' does not exist",
                    code="data.no_file",
                    hint="`perenne data checkout` brings it back",
                )
            continue
        with said(f"{repository.shown(output.path)} cannot be kept"):
            built = _built(repository, output, progress)
        if built is not None:
            found.append((output, built))
    if not found:
        return []
    with repository.lock(waiting), said("nothing was recorded"):
        recorded = [_record(repository, output, built) for output, built in found]
    repository.forget()
    link_again(repository, [output.file for output, _ in found])
    return recorded


def _built(repository: Repository, output: Output, progress: Progress | None) -> Built | None:
    """Return the version that lies in the workspace, its objects kept; None if it is the recorded one and they are there."""
    path, entry = os.fspath(output.path), output.entry
    if entry.is_legacy and is_as_recorded(repository, output) and not missing_of(repository, entry):
        return None
    tree = scan(path, repository.ignoring(path)) if os.path.isdir(path) else None
    known = _known(repository, path, tree)
    if known is not None and known == entry.digest and not missing_of(repository, entry):
        return None
    if not entry.cache:
        built = look(path, repository.ignoring(path), repository.state, progress)
        return None if built.digest == entry.digest else built
    return store(repository, path, progress, tree)


def _known(repository: Repository, path: str, tree: Tree | None) -> str | None:
    """Return the version of what looks as it did when somebody last found out."""
    if tree is None:
        return repository.state.file(path, os.stat(path))
    whole = repository.state.whole(tree)
    return None if whole is None else whole.digest


def _record(repository: Repository, output: Output, built: Built) -> Recorded:
    keep_beside(repository, built)
    if output.entry.cache:
        ignore_in_git(repository, os.fspath(output.path))
    write_down(repository, output.file, written(output.file, [(output.index, entry_with(output.entry, built))]))
    path = os.fspath(output.path)
    repository.state.remember_link(path, built.digest)
    links, left_out = (built.tree.links, tuple(built.tree.left_out)) if built.tree else (0, ())
    shown, file = repository.shown(path), repository.shown(output.file)
    return Recorded(shown, file, built.digest, output.entry.digest, built.size, built.count, links, left_out)
