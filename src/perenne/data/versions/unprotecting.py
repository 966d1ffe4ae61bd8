"""Making files of the workspace one's own: what is linked to the cache becomes a copy that may be written to."""

import os
from collections.abc import Sequence
from pathlib import Path

from perenne.core.errors import NotFound
from perenne.data.versions.copying import copy_file
from perenne.data.versions.hashing import said
from perenne.data.versions.linking import WRITABLE
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import find_targets
from perenne.data.versions.writing import workroom


def unprotect(repository: Repository, words: Sequence[str | Path]) -> list[tuple[str, int]]:
    """Replace links by copies; return what was named, and how many files of it were links or read-only.

    Raises
    ------
    NotFound
        A word means nothing, or is not in the workspace.
    """
    found = []
    with workroom(repository.temporary) as room:
        numbers = iter(range(1 << 60))
        for target in find_targets(repository, words):
            place = os.fspath(target.output.path) + (f"/{target.inner}" if target.inner else "")
            if not os.path.lexists(place):
                raise NotFound(
                    f"{repository.shown(place)} is not in the workspace",
                    code="data.no_file",
                    hint="`perenne data checkout` brings it back",
                )
            with said(f"{repository.shown(place)} cannot be unprotected"):
                count = sum(_own(path, f"{room}/{next(numbers)}") for path in _files(place))
            found.append((repository.shown(place), count))
    return found


def _files(place: str) -> list[str]:
    if not os.path.isdir(place):
        return [place]
    return [f"{folder}/{name}" for folder, _, names in os.walk(place) for name in names]


def _own(path: str, made: str) -> bool:
    """Make a copy of a file that is linked; tell whether anything had to be done."""
    about = os.lstat(path)
    if os.path.islink(path) or about.st_nlink > 1:
        copy_file(path, made, WRITABLE | os.stat(path).st_mode & 0o100)
        os.rename(made, path)
        return True
    if not about.st_mode & 0o200:
        os.chmod(path, about.st_mode & 0o777 | 0o200)
        return True
    return False
