"""The messages of the protocol that several of its groups speak of (specification, section 4)."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from perenne.protocols.mlflow.decoding import Message, ProtoEnum

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Number: TypeAlias = float | str
"""A double as it is answered: what is not a number is written as the text `NaN`."""

ACTIVE, DELETED = "active", "deleted"


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


class LoggedModelStatus(ProtoEnum):
    """Where a logged model stands."""

    LOGGED_MODEL_STATUS_UNSPECIFIED = ("LOGGED_MODEL_STATUS_UNSPECIFIED", 0)
    LOGGED_MODEL_PENDING = ("LOGGED_MODEL_PENDING", 1)
    LOGGED_MODEL_READY = ("LOGGED_MODEL_READY", 2)
    LOGGED_MODEL_UPLOAD_FAILED = ("LOGGED_MODEL_UPLOAD_FAILED", 3)


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

    metrics: list[Point] | UnsetType = UNSET
    params: list[Pair] | UnsetType = UNSET
    tags: list[Pair] | UnsetType = UNSET


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


class Registration(msgspec.Struct):
    """A version that was registered from a logged model."""

    name: str
    version: str


class LoggedModelInfo(msgspec.Struct):
    """What a logged model is."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str
    source_run_id: str
    status_message: str | UnsetType = UNSET
    tags: list[Pair] | UnsetType = UNSET
    registrations: list[Registration] | UnsetType = UNSET


class LoggedModelData(msgspec.Struct):
    """What is known of a logged model."""

    params: list[Pair] | UnsetType = UNSET
    metrics: list[Point] | UnsetType = UNSET


class LoggedModel(msgspec.Struct):
    """A logged model."""

    info: LoggedModelInfo
    data: LoggedModelData


def number(value: float, nan: bool = False) -> Number:
    """Return a double as it is answered.

    >>> number(0.5), number(0.0, nan=True)
    (0.5, 'NaN')
    """
    return "NaN" if nan or value != value else value


def some(items: list[Any]) -> Any:
    """Return a list, or nothing in place of an empty one: lists without items are not written."""
    return items or UNSET
