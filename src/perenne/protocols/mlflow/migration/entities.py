"""What an MLflow store holds, as every way of reading one gives it. Times are milliseconds, as MLflow has them."""

from collections.abc import Sequence
from typing import Any

import msgspec

ACTIVE, DELETED = "active", "deleted"


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment."""

    id: str
    name: str
    artifacts: str = ""
    created: int | None = None
    updated: int | None = None
    deleted: bool = False
    tags: dict[str, str] = {}


class Data(msgspec.Struct, frozen=True):
    """Data that a run read, and the tags of its reading."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str
    tags: dict[str, str]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run, without its metrics. `reads` and `makes` are ids of logged models, the latter with a step."""

    id: str
    experiment: str
    name: str = ""
    user: str = ""
    status: str = "RUNNING"
    started: int | None = None
    ended: int | None = None
    deleted: bool = False
    deleted_at: int | None = None
    artifacts: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    inputs: tuple[Data, ...] = ()
    reads: tuple[str, ...] = ()
    makes: tuple[tuple[str, int], ...] = ()


class Points(msgspec.Struct, frozen=True):
    """Values of one metric of a run; NaN is NaN."""

    key: str
    steps: Sequence[int]
    times: Sequence[int]
    values: Sequence[float]


class ModelMetric(msgspec.Struct, frozen=True):
    """A metric of a logged model, of a run and perhaps on some data."""

    key: str
    value: float
    time: int
    step: int
    run: str
    data_name: str = ""
    data_digest: str = ""


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model."""

    id: str
    experiment: str
    name: str
    artifacts: str = ""
    created: int = 0
    updated: int = 0
    status: int = 2
    deleted: bool = False
    kind: str = ""
    run: str = ""
    message: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model."""

    number: int
    created: int = 0
    updated: int = 0
    description: str = ""
    user: str = ""
    stage: str = "None"
    source: str = ""
    location: str = ""
    run: str = ""
    status: str = "READY"
    message: str = ""
    link: str = ""
    model: str = ""
    tags: dict[str, str] = {}


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model with its versions and aliases; those that were deleted are left out.

    Attributes
    ----------
    highest : int
        The highest number that a version ever had, as far as is known: none is given again.
    """

    name: str
    created: int = 0
    updated: int = 0
    description: str = ""
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}
    versions: tuple[Version, ...] = ()
    highest: int = 0


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace; spans and assessments as MLflow's JSON holds them."""

    id: str
    experiment: str
    time: int
    duration: int | None = None
    status: str = "OK"
    client_request: str = ""
    request: str = ""
    response: str = ""
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    spans: tuple[dict[str, Any], ...] = ()
    assessments: tuple[dict[str, Any], ...] = ()


class File(msgspec.Struct, frozen=True):
    """A file among artifacts: its path below their root, and its size in bytes."""

    path: str
    size: int
