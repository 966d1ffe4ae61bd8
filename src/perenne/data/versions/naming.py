"""Which recorded version a file is: what lineage says of rows that were read from it."""

import os
from contextlib import suppress
from pathlib import Path

from perenne.core.errors import PerenneError
from perenne.data.versions.building import build_file
from perenne.data.versions.repository import Output, Repository, find_repository
from perenne.data.versions.targets import owner_of


def version_of(path: Path) -> str | None:
    """Return the name of the version that a file is: ``<md5>@<path>``, and ``#<commit>`` if Git has it.

    None if no repository tracks the file, or it is other than recorded. Nothing that is wrong with a repository is an error here.
    """
    place = os.path.abspath(path)
    root = find_repository(Path(os.path.dirname(place)))
    if root is None:
        return None
    with suppress(PerenneError, OSError), Repository(root) as repository:
        target = owner_of(repository, place)
        if target is None or target.output.entry.digest is None:
            return None
        digest = build_file(place, repository.state_of(target.output.entry)).digest
        if digest == _recorded(repository, target.output, target.inner):
            return f"{digest}@{repository.relative(place)}{_commit(repository, target.output)}"
    return None


def _recorded(repository: Repository, output: Output, inner: str) -> str | None:
    if not inner:
        return output.entry.digest
    files = repository.cache_of(output.entry).manifest(str(output.entry.digest))
    return next((file.md5 for file in files if file.relpath == inner), None)


def _commit(repository: Repository, output: Output) -> str:
    """Return the present commit, if it has the metafile as it is."""
    git = repository.git
    file = output.file if output.stage is None else output.file.with_name("dvc.lock")
    if git is None or not git.references():
        return ""
    name = f"HEAD:{os.path.relpath(file, git.root)}"
    return f"#{git.resolve('HEAD')}" if git.read([name]).get(name) == file.read_bytes() else ""
