"""MLflow's experiments."""

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from perenne import tracking
from perenne.auth.roles import Action
from perenne.core.errors import Conflict, NotFound
from perenne.core.tokens import check_limit
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.messages import Experiment, Int64, Pair, ViewType, experiment_of, some
from perenne.protocols.mlflow.wire import MlflowError, wrong
from perenne.protocols.mlflow.words import ABSENT

VIEW_TAG = "mlflow.customView.view"
MOST_VIEWS, MOST_ASKED, MOST_SUMMARIES = 50, 20, 1_000
MOST_RESULTS = 50_000
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_SCHEMES = frozenset({"mlflow-artifacts", "s3", "gs", "wasbs", "wasb", "abfss", "hdfs", "viewfs", "http", "https"})
"""Where clients may keep artifacts; paths of this machine are not for them to choose."""


class CreateExperiment(Message):
    """A new experiment."""

    required = ("name",)
    name: str = ""
    artifact_location: str = ""
    tags: list[Pair] = []


class NamedExperiment(Message):
    """An experiment by its id."""

    required = ("experiment_id",)
    experiment_id: str = ""


class ExperimentByName(Message):
    """An experiment by its name."""

    required = ("experiment_name",)
    experiment_name: str = ""


class UpdateExperiment(Message):
    """Another name for an experiment."""

    required = ("experiment_id", "new_name")
    experiment_id: str = ""
    new_name: str = ""


class ExperimentTag(Message):
    """A tag of an experiment."""

    required = ("experiment_id", "key")
    experiment_id: str = ""
    key: str = ""
    value: str = ""


class SearchExperiments(Message):
    """A search."""

    max_results: Int64 = 1_000
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []
    view_type: ViewType = ViewType.ACTIVE_ONLY


class SearchDatasets(Message):
    """Which experiments' datasets are asked for."""

    experiment_ids: list[str] = []


class CreatedExperiment(msgspec.Struct):
    """The id of a new experiment."""

    experiment_id: str


class OneExperiment(msgspec.Struct):
    """An experiment."""

    experiment: Experiment


class FoundExperiments(msgspec.Struct):
    """A page of experiments."""

    experiments: list[Experiment] | UnsetType
    next_page_token: str | UnsetType


class DatasetSummary(msgspec.Struct):
    """A dataset and what it was used for."""

    experiment_id: str
    name: str
    digest: str
    context: str | UnsetType


class DatasetSummaries(msgspec.Struct):
    """Datasets of some experiments."""

    dataset_summaries: list[DatasetSummary] | UnsetType


def experiment_number(identity: str) -> int:
    """Return the number an experiment's id stands for; an empty one is the default's.

    Raises
    ------
    MlflowError
        If it is no number.

    >>> experiment_number(""), experiment_number("12")
    (0, 12)
    """
    if not identity:
        return 0
    if not _NUMBER.fullmatch(identity):
        raise wrong(f"Invalid experiment ID '{identity[:200]}'. Experiment ID must be a valid integer.")
    return int(identity)


def create_experiment(call: Call, asked: CreateExperiment) -> CreatedExperiment:
    """Make an experiment."""
    _check_views(sum(tag.key.startswith(VIEW_TAG) for tag in asked.tags))
    _check_location(asked.artifact_location)
    tags = [tracking.Tag(tag.key, tag.value) for tag in asked.tags]
    try:
        made = tracking.experiments.create(call.tx, call.actor, asked.name, artifact_location=asked.artifact_location, tags=tags)
    except Conflict as error:
        if error.code != "experiment.exists":
            raise
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={asked.name}) already exists.") from None
    return CreatedExperiment(str(made.id))


def get_experiment(call: Call, asked: NamedExperiment) -> OneExperiment:
    """Read an experiment, also a deleted one."""
    return OneExperiment(experiment_of(tracking.experiments.get(call.tx, call.actor, experiment_number(asked.experiment_id))))


def get_experiment_by_name(call: Call, asked: ExperimentByName) -> OneExperiment:
    """Read an experiment by its name, also a deleted one."""
    try:
        return OneExperiment(experiment_of(tracking.experiments.by_name(call.tx, call.actor, asked.experiment_name)))
    except NotFound:
        raise MlflowError(ABSENT, f"Could not find experiment with name '{asked.experiment_name}'") from None


def search_experiments(call: Call, asked: SearchExperiments) -> FoundExperiments:
    """Find experiments."""
    found = tracking.search.search_experiments(
        call.tx,
        call.actor,
        filter=asked.filter,
        order=asked.order_by,
        view=view_of(asked.view_type),
        limit=check_limit(asked.max_results, MOST_RESULTS),
        token=asked.page_token,
    )
    experiments = [experiment_of(one) for one in tracking.experiments.some(call.tx, found.keys)]
    return FoundExperiments(some(experiments), found.token or UNSET)


def view_of(view: ViewType) -> Any:
    """Return which of the living and the deleted are looked at, in tracking's words."""
    return tracking.search.View[view.name.removesuffix("_ONLY")]


def update_experiment(call: Call, asked: UpdateExperiment) -> None:
    """Rename an experiment."""
    try:
        tracking.experiments.rename(call.tx, call.actor, experiment_number(asked.experiment_id), asked.new_name)
    except Conflict as error:
        if error.code == "experiment.exists":
            raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={asked.new_name}) already exists.") from None
        raise MlflowError("INVALID_STATE", "Cannot rename a non-active experiment.") from None


def delete_experiment(call: Call, asked: NamedExperiment) -> None:
    """Delete an experiment with its runs."""
    tracking.experiments.delete(call.tx, call.actor, experiment_number(asked.experiment_id))


def restore_experiment(call: Call, asked: NamedExperiment) -> None:
    """Bring an experiment back with its runs."""
    tracking.experiments.restore(call.tx, call.actor, experiment_number(asked.experiment_id))


def set_experiment_tag(call: Call, asked: ExperimentTag) -> None:
    """Set a tag of an experiment."""
    number = experiment_number(asked.experiment_id)
    if asked.key.startswith(VIEW_TAG):
        tags = tracking.experiments.get(call.tx, call.actor, number).tags
        if asked.key not in tags:
            _check_views(sum(key.startswith(VIEW_TAG) for key in tags) + 1, f" for experiment {number}")
    tracking.experiments.set_tag(call.tx, call.actor, number, tracking.Tag(asked.key, asked.value))


def delete_experiment_tag(call: Call, asked: ExperimentTag) -> None:
    """Remove a tag of an experiment."""
    tracking.experiments.delete_tag(call.tx, call.actor, experiment_number(asked.experiment_id), asked.key)


def search_datasets(call: Call, asked: SearchDatasets) -> DatasetSummaries:
    """Name the datasets that runs of some experiments read."""
    count = len(asked.experiment_ids)
    if not count:
        raise wrong("SearchDatasets request must specify at least one experiment_id.")
    if count > MOST_ASKED:
        raise wrong(
            f"SearchDatasets request cannot specify more than {MOST_ASKED} experiment_ids. Received {count} experiment_ids."
        )
    numbers = [experiment_number(identity) for identity in asked.experiment_ids]
    used = tracking.models.used_datasets(call.tx, call.actor, numbers, MOST_SUMMARIES)
    summaries = [DatasetSummary(str(one.experiment), one.name, one.digest, one.context or UNSET) for one in used]
    return DatasetSummaries(some(summaries))


def _check_views(count: int, where: str = "") -> None:
    if count > MOST_VIEWS:
        raise wrong(
            f"Unable to create another custom view{where}; the maximum number of custom views per experiment is {MOST_VIEWS}. "
            "Delete an existing custom view before creating a new one."
        )


def _check_location(location: str) -> None:
    """Refuse a place for artifacts that no client may choose."""
    if not location or location.startswith("runs:"):
        return
    try:
        parts = urlsplit(location)
    except ValueError:
        raise wrong("'artifact_location' is no URL.") from None
    if parts.fragment or ";" in location:
        raise wrong("'artifact_location' URL can't include fragments or params.")
    if parts.scheme not in _SCHEMES or ".." in location:
        raise wrong(
            f"'artifact_location' must be a URL of one of {', '.join(sorted(_SCHEMES))}, without '..': "
            "the server does not let clients choose a folder of its own machine."
        )


_CHANGE, _READ, _LOG = Kind.CHANGE, Kind.READ, Action.LOG
_PLACE = "2.0/mlflow/experiments/"
ENDPOINTS = [
    Endpoint("POST", f"{_PLACE}create", _CHANGE, create_experiment, CreateExperiment, _LOG),
    Endpoint("GET", f"{_PLACE}get", _READ, get_experiment, NamedExperiment),
    Endpoint("GET", f"{_PLACE}get-by-name", _READ, get_experiment_by_name, ExperimentByName),
    Endpoint("GET", f"{_PLACE}search", _READ, search_experiments, SearchExperiments),
    Endpoint("POST", f"{_PLACE}search", _READ, search_experiments, SearchExperiments),
    Endpoint("POST", f"{_PLACE}update", _CHANGE, update_experiment, UpdateExperiment, _LOG),
    Endpoint("POST", f"{_PLACE}delete", _CHANGE, delete_experiment, NamedExperiment, Action.EDIT_PROJECT),
    Endpoint("POST", f"{_PLACE}restore", _CHANGE, restore_experiment, NamedExperiment, Action.EDIT_PROJECT),
    Endpoint("POST", f"{_PLACE}set-experiment-tag", _CHANGE, set_experiment_tag, ExperimentTag, _LOG),
    Endpoint("POST", f"{_PLACE}delete-experiment-tag", _CHANGE, delete_experiment_tag, ExperimentTag, _LOG),
    Endpoint("POST", f"{_PLACE}search-datasets", _READ, search_datasets, SearchDatasets),
    Endpoint("POST", "/api/2.0mlflow/experiments/search-datasets", _READ, search_datasets, SearchDatasets),
    Endpoint("POST", "/ajax-api/2.0mlflow/experiments/search-datasets", _READ, search_datasets, SearchDatasets),
]
