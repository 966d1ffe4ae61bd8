"""MLflow's logged models: written down while a client writes their files, before anybody registers a version of them."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import tracking
from perenne.auth.roles import Action
from perenne.core.tokens import check_limit
from perenne.protocols.mlflow.decoding import Message, ProtoEnum
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import MILLISECOND, Int32, Pair, Point, point, some
from perenne.protocols.mlflow.wire import MlflowError, Words, wrong
from perenne.protocols.mlflow.words import ABSENT

MOST_RESULTS, MOST_EXPERIMENTS = 50_000, 1_000


class LoggedModelStatus(ProtoEnum):
    """Where a logged model stands."""

    LOGGED_MODEL_STATUS_UNSPECIFIED = ("LOGGED_MODEL_STATUS_UNSPECIFIED", 0)
    LOGGED_MODEL_PENDING = ("LOGGED_MODEL_PENDING", 1)
    LOGGED_MODEL_READY = ("LOGGED_MODEL_READY", 2)
    LOGGED_MODEL_UPLOAD_FAILED = ("LOGGED_MODEL_UPLOAD_FAILED", 3)


_STATUSES = {status.number: status.name for status in LoggedModelStatus}


class CreateLoggedModel(Message):
    """A new logged model."""

    required = ("experiment_id",)
    experiment_id: str = ""
    name: str | UnsetType = UNSET
    model_type: str = ""
    source_run_id: str = ""
    params: list[Pair] = []
    tags: list[Pair] = []


class NamedModel(Message):
    """A logged model; its id stands in the path."""

    allow_deleted: bool = False


class FinalizeLoggedModel(Message):
    """How writing a logged model ended."""

    required = ("model_id", "status")
    model_id: str = ""
    status: LoggedModelStatus | UnsetType = UNSET


class ModelTags(Message):
    """Tags of a logged model."""

    model_id: str = ""
    tags: list[Pair] = []


class ModelParams(Message):
    """Parameters of a logged model."""

    required = ("model_id",)
    model_id: str = ""
    params: list[Pair] = []


class OnDataset(Message):
    """A dataset on which metrics were measured."""

    dataset_name: str = ""
    dataset_digest: str = ""


class OrderBy(Message):
    """What models are sorted by."""

    field_name: str = ""
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchLoggedModels(Message):
    """A search."""

    required = ("experiment_ids",)
    experiment_ids: list[str] | UnsetType = UNSET
    filter: str = ""
    datasets: list[OnDataset] = []
    max_results: Int32 = 50
    order_by: list[OrderBy] = []
    page_token: str = ""


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
    status_message: str | UnsetType
    tags: Any


class LoggedModelData(msgspec.Struct):
    """What is known of a logged model."""

    params: Any
    metrics: list[Point] | UnsetType


class LoggedModel(msgspec.Struct):
    """A logged model."""

    info: LoggedModelInfo
    data: LoggedModelData


class OneModel(msgspec.Struct):
    """A logged model."""

    model: LoggedModel


class FoundModels(msgspec.Struct):
    """A page of logged models."""

    models: list[LoggedModel] | UnsetType
    next_page_token: str | UnsetType


def create_model(call: Call, asked: CreateLoggedModel) -> OneModel:
    """Write down that a model is being logged."""
    if asked.name == "":
        raise _bad_name("")
    made = tracking.models.create(
        call.tx,
        call.actor,
        experiment_number(asked.experiment_id),
        name="" if asked.name is UNSET else asked.name,
        kind=asked.model_type,
        run=asked.source_run_id,
        params=[tracking.Param(one.key, one.value) for one in asked.params],
        tags=_tags(asked.tags),
    )
    return OneModel(_model_of(made))


def get_model(call: Call, asked: NamedModel) -> OneModel:
    """Read a logged model."""
    return OneModel(_model_of(tracking.models.get(call.tx, call.actor, call.parts[0], deleted=asked.allow_deleted)))


def finalize_model(call: Call, asked: FinalizeLoggedModel) -> OneModel:
    """Say how writing a model ended."""
    assert asked.status is not UNSET
    return OneModel(_model_of(tracking.models.set_status(call.tx, call.actor, call.parts[0], asked.status.number)))


def delete_model(call: Call, _: NamedModel) -> None:
    """Delete a logged model."""
    tracking.models.delete(call.tx, call.actor, call.parts[0])


def set_tags(call: Call, asked: ModelTags) -> None:
    """Set tags of a logged model."""
    tracking.models.set_tags(call.tx, call.actor, call.parts[0], _tags(asked.tags))


def delete_tag(call: Call, _: NamedModel) -> None:
    """Remove a tag of a logged model."""
    tracking.models.delete_tag(call.tx, call.actor, *call.parts)


def log_params(call: Call, asked: ModelParams) -> None:
    """Set parameters of a logged model."""
    params = [tracking.Param(one.key, one.value) for one in asked.params]
    tracking.models.log_params(call.tx, call.actor, call.parts[0], params)


def search_models(call: Call, asked: SearchLoggedModels) -> FoundModels:
    """Find logged models."""
    assert asked.experiment_ids is not UNSET
    if len(asked.experiment_ids) > MOST_EXPERIMENTS:
        raise wrong(f"A search can name at most {MOST_EXPERIMENTS} experiment_ids. Got {len(asked.experiment_ids)}.")
    found = tracking.search.search_models(
        call.tx,
        call.actor,
        experiments=[experiment_number(identity) for identity in asked.experiment_ids],
        filter=asked.filter,
        on=[(one.dataset_name, one.dataset_digest) for one in asked.datasets],
        order=[_order(one) for one in asked.order_by],
        limit=check_limit(asked.max_results, MOST_RESULTS),
        token=asked.page_token,
    )
    models = [_model_of(model) for model in tracking.models.some(call.tx, found.keys)]
    return FoundModels(some(models), found.token or UNSET)


def _order(given: OrderBy) -> "tracking.search.ModelOrder":
    return tracking.search.ModelOrder(given.field_name, given.ascending, given.dataset_name, given.dataset_digest)


def _tags(given: list[Pair]) -> "list[tracking.Tag]":
    return [tracking.Tag(one.key, one.value) for one in given]


def _model_of(model: "tracking.LoggedModel") -> LoggedModel:
    info = LoggedModelInfo(
        model.id,
        str(model.experiment),
        model.name,
        model.created // MILLISECOND,
        model.updated // MILLISECOND,
        model.artifact_uri,
        _STATUSES[model.status],
        model.type,
        model.run,
        model.status_message or UNSET,
        some(model.tags),
    )
    return LoggedModel(info, LoggedModelData(some(model.params), some([_measured(*one) for one in model.metrics])))


def _measured(run: str, metric: "tracking.Metric") -> Point:
    found = point(metric)
    found.run_id = run
    return found


def _bad_name(name: str) -> MlflowError:
    forbidden = ("/", ":", ".", "%", '"', "'")
    return wrong(
        f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain the following "
        f"characters: {forbidden}"
    )


_CHANGE, _READ, _MAY = Kind.CHANGE, Kind.READ, Action.LOG
_PLACE = "2.0/mlflow/logged-models"
ENDPOINTS = [
    Endpoint("POST", _PLACE, _CHANGE, create_model, CreateLoggedModel, _MAY),
    Endpoint("POST", f"{_PLACE}/search", _READ, search_models, SearchLoggedModels),
    Endpoint("GET", f"{_PLACE}/{{}}", _READ, get_model, NamedModel),
    Endpoint("PATCH", f"{_PLACE}/{{}}", _CHANGE, finalize_model, FinalizeLoggedModel, _MAY),
    Endpoint("DELETE", f"{_PLACE}/{{}}", _CHANGE, delete_model, NamedModel, _MAY),
    Endpoint("PATCH", f"{_PLACE}/{{}}/tags", Kind.LOG, set_tags, ModelTags, _MAY),
    Endpoint("DELETE", f"{_PLACE}/{{}}/tags/{{}}", Kind.LOG, delete_tag, NamedModel, _MAY),
    Endpoint("POST", f"{_PLACE}/{{}}/params", Kind.LOG, log_params, ModelParams, _MAY),
]
WORDS: Words = {
    "logged_model.not_found": lambda error: MlflowError(ABSENT, f"Logged model with ID '{error.identity}' not found."),
    "logged_model.tag_not_found": lambda error: MlflowError(
        ABSENT, f"No tag with key {error.key!r} found for model with ID {error.identity!r}."
    ),
    "logged_model.name": lambda error: _bad_name(error.value),
}
