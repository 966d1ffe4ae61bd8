"""A run and its provenance."""

from enum import StrEnum
from typing import Any

import msgspec


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to make a run's result again.

    Attributes
    ----------
    commit, branch : str
        Of the project's Git repository; empty without one.
    patch : str
        Digest of the uncommitted changes as a patch, empty if there are none.
    untracked : dict
        Digest of each file that Git does not know, by path; large files are left out and named in `left_out`.
    left_out : tuple of str
        Untracked files that were too large or look like secrets.
    source : dict
        Digest of each Python file of the project, also without Git.
    command : str
        What was typed.
    python, system, hardware : str
        Versions, operating system, processor and cores.
    environment : str
        Digest of the list of installed packages, one `name==version` a line.
    seed : int
        What random generators were started from.
    """

    commit: str = ""
    branch: str = ""
    patch: str = ""
    untracked: dict[str, str] = {}
    left_out: tuple[str, ...] = ()
    source: dict[str, str] = {}
    command: str = ""
    python: str = ""
    system: str = ""
    hardware: str = ""
    environment: str = ""
    seed: int = 0

    @property
    def dirty(self) -> bool:
        """Whether the code differed from the commit."""
        return bool(self.patch or self.untracked)


class Run(msgspec.Struct, frozen=True):
    """One try. `parameters` and `metrics` are by name; `data` lists the snapshots used; `outcome` is one line."""

    id: str
    project: str
    kind: str
    state: RunState
    parameters: dict[str, Any]
    metrics: dict[str, float | None]
    data: tuple[str, ...]
    provenance: Provenance
    flow: str
    outcome: str
    started: int
    ended: int | None


FINGERPRINT, FOLDER, REPRODUCES = "perenne.fingerprint", "perenne.folder", "perenne.reproduces"
"""Tags of runs that programs start: what equal runs have in common, the folder in the repository, the run that is made again."""
