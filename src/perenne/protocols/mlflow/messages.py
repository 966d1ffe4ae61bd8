"""The messages of the protocol that several of its groups speak of (specification, section 4)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from perenne.protocols.mlflow.decoding import Message, ProtoEnum
from perenne.protocols.mlflow.wire import unfit

if TYPE_CHECKING:
    from perenne import tracking

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Number: TypeAlias = float | str
"""A double as it is answered: what is not a number is written as the text `NaN`."""

MILLISECOND = 1_000
"""Times are microseconds inside and milliseconds in the protocol."""

_LATEST = (2**63 - 1) // MILLISECOND


class ViewType(ProtoEnum):
    """Which of the living and the deleted are shown."""

    ACTIVE_ONLY = ("ACTIVE_ONLY", 1)
    DELETED_ONLY = ("DELETED_ONLY", 2)
    ALL = ("ALL", 3)


class RunStatus(ProtoEnum):
    """Where a run stands."""

    RUNNING = ("RUNNING", 1)
    SCHEDULED = ("SCHEDULED", 2)
    FINISHED = ("FINISHED", 3)
    FAILED = ("FAILED", 4)
    KILLED = ("KILLED", 5)


class Pair(Message):
    """A tag or a parameter; those of runs, experiments, inputs and models all look like this."""

    key: str = ""
    value: str = ""


class Metric(Message):
    """A metric as it is logged."""

    key: str = ""
    value: float | UnsetType = UNSET
    timestamp: Int64 | UnsetType = UNSET
    step: Int64 = 0
    dataset_name: str = ""
    dataset_digest: str = ""
    model_id: str = ""
    run_id: str = ""


class Dataset(Message):
    """What was read: its name, its fingerprint, where it comes from."""

    name: str = ""
    digest: str = ""
    source_type: str = ""
    source: str = ""
    schema: str | UnsetType = UNSET
    profile: str | UnsetType = UNSET


class DatasetInput(Message):
    """A dataset that a run read, with tags of its use."""

    tags: list[Pair] | UnsetType = UNSET
    dataset: Dataset | UnsetType = UNSET


class ModelInput(Message):
    """A model that a run used."""

    model_id: str = ""


class ModelOutput(Message):
    """A model that a run made, and at which step."""

    model_id: str = ""
    step: Int64 = 0


class FileInfo(Message):
    """A file or folder among artifacts."""

    path: str
    is_dir: bool
    file_size: int | UnsetType = UNSET


class Point(msgspec.Struct):
    """A metric as it is answered."""

    key: str
    value: Number
    timestamp: int
    step: int = 0
    dataset_name: str | UnsetType = UNSET
    dataset_digest: str | UnsetType = UNSET
    model_id: str | UnsetType = UNSET
    run_id: str | UnsetType = UNSET


class RunInfo(msgspec.Struct):
    """What a run is."""

    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | UnsetType
    artifact_uri: str
    lifecycle_stage: str
    run_id: str


class RunData(msgspec.Struct):
    """What a run logged: of each metric the latest."""

    metrics: Any = UNSET
    params: Any = UNSET
    tags: Any = UNSET


class RunInputs(msgspec.Struct):
    """What a run read."""

    dataset_inputs: list[DatasetInput] | UnsetType = UNSET
    model_inputs: list[ModelInput] | UnsetType = UNSET


class RunOutputs(msgspec.Struct):
    """What a run made."""

    model_outputs: list[ModelOutput] | UnsetType = UNSET


class Run(msgspec.Struct):
    """A run."""

    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs | UnsetType = UNSET


class Experiment(msgspec.Struct):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[Pair] | UnsetType = UNSET
    workspace: str = "default"


def number(value: float) -> Number:
    """Return a double as it is answered.

    >>> number(0.5), number(float("nan"))
    (0.5, 'NaN')
    """
    return value if value == value else "NaN"


def some(items: Sequence[Any]) -> Any:
    """Return a list, or nothing in place of an empty one: lists without items are not written."""
    return items or UNSET


def stage(deleted: int | None) -> str:
    """Return the life-cycle stage of what was deleted, or not."""
    return "active" if deleted is None else "deleted"


def pairs(values: "dict[str, str]") -> list[Pair]:
    """Return texts by name as they are answered."""
    return [Pair(key, value) for key, value in values.items()]


def point(metric: "tracking.Metric") -> Point:
    """Return a metric as it is answered; whose data or model it is of stands there only if there is one."""
    return Point(
        metric.key,
        number(metric.value),
        metric.time,
        metric.step,
        metric.dataset_name or UNSET,
        metric.dataset_digest or UNSET,
        metric.model or UNSET,
    )


def run_info(run: "tracking.LoggedRun") -> RunInfo:
    """Return what a run is."""
    return RunInfo(
        run.id,
        str(run.experiment),
        run.name,
        run.started_by,
        run.state.name,
        run.started // MILLISECOND,
        UNSET if run.ended is None else run.ended // MILLISECOND,
        run.artifact_uri,
        stage(run.deleted),
        run.id,
    )


def run_of(run: "tracking.LoggedRun") -> Run:
    """Return a run with all that was logged to it."""
    inputs = RunInputs(
        some([_dataset_input(used) for used in run.datasets]), some([ModelInput(model) for model in run.used_models])
    )
    outputs = RunOutputs(some([ModelOutput(made.id, made.step) for made in run.made_models]))
    data = RunData(some([point(metric) for metric in run.metrics]), some(run.params), some(run.tags))
    return Run(run_info(run), data, inputs, outputs)


def _dataset_input(used: "tracking.UsedDataset") -> DatasetInput:
    schema = UNSET if used.schema is None else used.schema
    profile = UNSET if used.profile is None else used.profile
    dataset = Dataset(used.name, used.digest, used.source_type, used.source, schema, profile)
    return DatasetInput(some(pairs(used.tags)), dataset)


def experiment_of(found: "tracking.Experiment") -> Experiment:
    """Return an experiment as it is answered."""
    return Experiment(
        str(found.id),
        found.name,
        found.artifact_location,
        stage(found.deleted),
        found.updated // MILLISECOND,
        found.created // MILLISECOND,
        some(pairs(found.tags)),
    )


def as_microseconds(milliseconds: int, name: str) -> int:
    """Return a time of a client in microseconds.

    Raises
    ------
    MlflowError
        If the database could not hold it.
    """
    if abs(milliseconds) > _LATEST:
        raise unfit(name, milliseconds, "It must be milliseconds since 1970")
    return milliseconds * MILLISECOND
