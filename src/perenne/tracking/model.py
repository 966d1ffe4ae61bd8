"""A run and its provenance."""

import math
from enum import StrEnum

import msgspec

RUN_NAME = "mlflow.runName"
"""The tag that is the run's name."""

NOTE = "mlflow.note.content"
"""The tag that is the run's note, in Markdown."""

DATASET_CONTEXT = "mlflow.data.context"
"""The tag of an input that says what it was used for."""

FINGERPRINT, FOLDER, REPRODUCES = "perenne.fingerprint", "perenne.folder", "perenne.reproduces"
"""Tags of runs that programs start: what equal runs have in common, the folder in the repository, the run that is made again."""

_LONGEST_NUMBER = 40


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SCHEDULED = "scheduled"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


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


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which runs are compared. Times in microseconds.

    Attributes
    ----------
    id : int
        Its number; 0 is the experiment `Default`.
    name, project : str
        What it is called, and the project by which it is decided who may see it: its name when it was made.
    artifact_location : str
        Where the artifacts of its runs go.
    deleted : int or None
        When it was deleted, if it was; it and its runs can be restored.
    """

    id: int
    name: str
    project: str
    artifact_location: str
    created: int
    updated: int
    deleted: int | None = None
    tags: dict[str, str] = {}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One try. Times in microseconds.

    Attributes
    ----------
    id, number : str, int
        What it is called everywhere, and its number in the database.
    experiment, project : int, str
        Where it belongs.
    name, started_by, kind : str
        What people call it, who started it, and what it does, such as ``round``; empty for whatever clients log.
    state : RunState
        Where it stands.
    parameters, metrics, tags : dict
        By name: as text, the last value (None for what is no number), and as text.
    data : tuple of str
        The snapshots it used.
    provenance : Provenance
        What its result depends on.
    flow : str
        The pipeline run that does the work, or an empty text.
    outcome : str
        What came out, in one line.
    artifact_uri : str
        Where its artifacts lie.
    deleted : int or None
        When it was deleted, if it was; it can be restored.
    """

    id: str
    number: int
    experiment: int
    project: str
    name: str
    started_by: str
    kind: str
    state: RunState
    data: tuple[str, ...]
    provenance: Provenance
    flow: str
    outcome: str
    artifact_uri: str
    started: int
    ended: int | None
    deleted: int | None = None
    parameters: dict[str, str] = {}
    metrics: dict[str, float | None] = {}
    tags: dict[str, str] = {}


def number_in(text: str) -> float | None:
    """Return the number that a parameter's text is, None if it is none or no finite one.

    >>> number_in("0.05"), number_in("adam"), number_in("nan")
    (0.05, None, None)
    """
    if len(text) > _LONGEST_NUMBER or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class Metric(msgspec.Struct, frozen=True):
    """A point of a metric.

    Attributes
    ----------
    value : float
        A NaN is kept as such; an infinity as the largest number of its sign.
    time : int
        Milliseconds since 1970.
    model, dataset_name, dataset_digest : str
        Of which logged model, measured on which data; empty for none.
    """

    key: str
    value: float
    time: int
    step: int = 0
    model: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class Param(msgspec.Struct, frozen=True):
    """A parameter and its value."""

    key: str
    value: str


class Tag(msgspec.Struct, frozen=True):
    """A tag and its value."""

    key: str
    value: str


class UsedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that a client says a run used; `schema` and `profile` are texts of the client's own."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = {}

    @property
    def context(self) -> str:
        """What for, such as ``training``."""
        return self.tags.get(DATASET_CONTEXT, "")


class MadeModel(msgspec.Struct, frozen=True):
    """A logged model that a run made, and at which step."""

    id: str
    step: int = 0


class LoggedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run with all that was logged to it, without what its result depends on. Times in microseconds, those of points in ms.

    Attributes
    ----------
    metrics : tuple of Metric
        The last point of each: the greatest step, time and value.
    params, tags : tuple
        By name, in the order of their names.
    datasets, used_models, made_models : tuple
        Inputs and outputs.
    """

    id: str
    number: int
    experiment: int
    project: str
    name: str
    started_by: str
    kind: str
    state: RunState
    outcome: str
    artifact_uri: str
    started: int
    ended: int | None
    deleted: int | None
    metrics: tuple[Metric, ...] = ()
    params: tuple[Param, ...] = ()
    tags: tuple[Tag, ...] = ()
    datasets: tuple[UsedDataset, ...] = ()
    used_models: tuple[str, ...] = ()
    made_models: tuple[MadeModel, ...] = ()


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a client logged. Times in microseconds.

    Attributes
    ----------
    run : str
        The id of the run it came from, or an empty text.
    status : int
        1 while it is written, 2 when it is ready, 3 if writing it failed.
    metrics : tuple of (str, Metric)
        What was measured of it, each with the id of the run that did.
    """

    id: str
    number: int
    experiment: int
    run: str
    name: str
    type: str
    status: int
    status_message: str
    artifact_uri: str
    created: int
    updated: int
    deleted: int | None
    params: tuple[Param, ...] = ()
    tags: tuple[Tag, ...] = ()
    metrics: tuple[tuple[str, Metric], ...] = ()
