"""Bringing from remotes what stages miss: earlier results of the run-cache, and objects."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from perenne import data
from perenne.core.errors import PerenneError
from perenne.formats.dvc.entries import Entry
from perenne.protocols.dvc.stages import Stage


class Pulling:
    """Asks the remotes of a repository; what cannot be had is said, and done without.

    Parameters
    ----------
    say : callable
        Hears what could not be brought.
    """

    def __init__(self, repository: "data.versions.Repository", say: Callable[[str], None]) -> None:
        self._repository = repository
        self._say = say

    def bring_run_cache(self) -> None:
        """Bring what others have run."""
        self._fetch([], "Failed to pull run cache", run_cache=True)

    def bring(self, stage: Stage, entries: Iterable[Entry]) -> None:
        """Bring the objects of some outputs of a stage."""
        file, name = Path(stage.file), stage.name or None
        outputs = [data.versions.Output(file, index, name, entry, _place(stage, entry)) for index, entry in enumerate(entries)]
        self._say(f"Pulling data for stage: '{stage.said(os.getcwd())}'")
        self._fetch(outputs, f"Unable to pull data for stage: '{stage.said(os.getcwd())}'")

    def _fetch(self, outputs: "list[data.versions.Output]", failure: str, *, run_cache: bool = False) -> None:
        targets = [data.versions.targets.Target(output) for output in outputs]
        try:
            report = data.versions.fetching.fetch_targets(self._repository, targets, run_cache=run_cache)
        except PerenneError as error:
            self._say(f"WARNING: {failure}: {error.message}")
            return
        if report.error:
            self._say(f"WARNING: {failure}: {report.error}")
        elif report.missing:
            self._say(f"WARNING: {failure}: {len(report.missing)} objects are in no remote")


def _place(stage: Stage, entry: Entry) -> Path:
    return Path(os.path.normpath(os.path.join(stage.wdir, entry.path)))
