"""What has changed since it was recorded: one answer for each output."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perenne.data.versions.building import build_file, tree_is
from perenne.data.versions.hashing import Progress
from perenne.data.versions.presence import missing_of
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.scanning import scan
from perenne.data.versions.targets import find_targets

UNCHANGED, MODIFIED, DELETED, NEW, NOT_IN_CACHE = "unchanged", "modified", "deleted", "new", "not in cache"
"""As DVC says it; `new` is what was never recorded."""


class OutputStatus(msgspec.Struct, frozen=True):
    """How an output stands.

    Attributes
    ----------
    output : Output
        The output.
    state : str
        ``unchanged``, ``modified``, ``deleted``, ``new`` or ``not in cache``.
    missing : int
        How many of its objects are not in the cache.
    """

    output: Output
    state: str
    missing: int = 0


def find_status(repository: Repository, words: Sequence[str | Path] = (), progress: Progress | None = None) -> list[OutputStatus]:
    """Compare the workspace with what is recorded.

    Raises
    ------
    NotFound
        A word means nothing that is tracked.
    Invalid
        A folder holds something that cannot be kept.
    """
    outputs = list(dict.fromkeys(target.output for target in find_targets(repository, words, recursive=True)))
    return [status_of(repository, output, progress) for output in outputs]


def status_of(repository: Repository, output: Output, progress: Progress | None = None) -> OutputStatus:
    """Compare one output with what is recorded of it."""
    state = workspace_state(repository, output, progress)
    if not output.entry.cache or output.entry.digest is None:
        return OutputStatus(output, state)
    missing = missing_of(repository, output.entry)
    if state in (UNCHANGED, DELETED) and missing:
        return OutputStatus(output, NOT_IN_CACHE if state == UNCHANGED else state, len(missing))
    return OutputStatus(output, state, len(missing))


def workspace_state(repository: Repository, output: Output, progress: Progress | None = None) -> str:
    """Tell how the workspace differs from what is recorded, whatever the cache has."""
    path = os.fspath(output.path)
    if not os.path.lexists(path):
        return DELETED
    if output.entry.digest is None:
        return NEW
    return UNCHANGED if is_as_recorded(repository, output, progress) else MODIFIED


def is_as_recorded(repository: Repository, output: Output, progress: Progress | None = None) -> bool:
    """Tell whether what lies at an output's path is the version that is recorded."""
    path, recorded = os.fspath(output.path), output.entry.digest or ""
    state = repository.state_of(output.entry)
    is_folder = os.path.isdir(path)
    if is_folder != recorded.endswith(".dir"):
        return False
    if not is_folder:
        return build_file(path, state).digest == recorded
    return tree_is(scan(path, repository.ignoring(path)), state, recorded, progress)
