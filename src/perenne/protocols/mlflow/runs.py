"""MLflow's runs: their life, and what is logged to them one by one or together."""

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm, tracking
from perenne.auth.roles import Action
from perenne.core.tokens import check_limit
from perenne.net.asgi import JSON
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Answer, Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number, view_of
from perenne.protocols.mlflow.messages import (
    DatasetInput,
    Int32,
    Int64,
    Metric,
    ModelInput,
    ModelOutput,
    Pair,
    Run,
    RunInfo,
    RunStatus,
    ViewType,
    as_microseconds,
    run_info,
    run_of,
    some,
)
from perenne.protocols.mlflow.wire import missing, mistyped, unfit, wrong
from perenne.protocols.mlflow.words import one_param_changed

DATASET_NAME, DATASET_DIGEST, DATASET_SOURCE = 500, 36, 65_535
DATASET_SCHEMA, DATASET_PROFILE = 1_048_575, 16_777_215
INPUT_TAG_KEY, INPUT_TAG_VALUE = 255, 500
MOST_RESULTS = 50_000
_MODEL_FIELDS = ("artifact_path", "flavors", "run_id", "utc_time_created")


class CreateRun(Message):
    """A new run."""

    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | UnsetType = UNSET
    tags: list[Pair] = []


class NamedRun(Message):
    """A run by its id."""

    required = ("run_id",)
    run_id: str = ""
    run_uuid: str = ""


class UpdateRun(Message):
    """What becomes of a run."""

    required = ("run_id",)
    run_id: str = ""
    run_uuid: str = ""
    status: RunStatus | UnsetType = UNSET
    end_time: Int64 | UnsetType = UNSET
    run_name: str = ""


class LogMetric(Message):
    """A point of a metric."""

    required = ("run_id", "key", "value", "timestamp")
    run_id: str = ""
    run_uuid: str = ""
    key: str = ""
    value: float | UnsetType = UNSET
    timestamp: Int64 | UnsetType = UNSET
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogPair(Message):
    """A parameter or a tag."""

    required = ("run_id", "key")
    run_id: str = ""
    run_uuid: str = ""
    key: str = ""
    value: str = ""


class LogBatch(Message):
    """Metrics, parameters and tags together."""

    required = ("run_id",)
    run_id: str = ""
    run_uuid: str = ""
    metrics: list[Metric] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class LogModel(Message):
    """A model, as its description says."""

    required = ("run_id", "model_json")
    run_id: str = ""
    run_uuid: str = ""
    model_json: str = ""


class LogInputs(Message):
    """What a run read."""

    required = ("run_id",)
    run_id: str = ""
    run_uuid: str = ""
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class LogOutputs(Message):
    """What a run made."""

    required = ("run_id", "models")
    run_id: str = ""
    run_uuid: str = ""
    models: list[ModelOutput] | UnsetType = UNSET


class SearchRuns(Message):
    """A search."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: Int32 = 1_000
    order_by: list[str] = []
    page_token: str = ""


class OneRun(msgspec.Struct):
    """A run."""

    run: Run


class UpdatedRun(msgspec.Struct):
    """What a run is now."""

    run_info: RunInfo


class FoundRuns(msgspec.Struct):
    """A page of runs."""

    runs: list[Run] | UnsetType
    next_page_token: str | UnsetType


def create_run(call: Call, asked: CreateRun) -> OneRun:
    """Open a run."""
    made = tracking.service.create_run(
        call.tx,
        call.actor,
        experiment_number(asked.experiment_id),
        name=asked.run_name,
        started=None if asked.start_time is UNSET else as_microseconds(asked.start_time, "start_time"),
        user=asked.user_id,
        tags=[tracking.Tag(tag.key, tag.value) for tag in asked.tags],
    )
    run = run_of(made)
    run.outputs = UNSET
    return OneRun(run)


def get_run(call: Call, asked: NamedRun) -> OneRun:
    """Read a run."""
    return OneRun(run_of(tracking.service.get_logged(call.tx, call.actor, asked.run_id)))


def update_run(call: Call, asked: UpdateRun) -> UpdatedRun:
    """Change where a run stands, when it ended, or its name."""
    run = tracking.service.update_run(
        call.tx,
        call.actor,
        asked.run_id,
        state=None if asked.status is UNSET else tracking.RunState[asked.status.name],
        ended=None if asked.end_time is UNSET else as_microseconds(asked.end_time, "end_time"),
        name=asked.run_name,
    )
    return UpdatedRun(run_info(run))


def delete_run(call: Call, asked: NamedRun) -> None:
    """Delete a run, and what it judged."""
    tracking.service.delete_run(call.tx, call.actor, asked.run_id)
    llm.assessments.delete_of_run(call.tx, asked.run_id)


def restore_run(call: Call, asked: NamedRun) -> None:
    """Bring a run back."""
    tracking.service.restore_run(call.tx, call.actor, asked.run_id)


def search_runs(call: Call, asked: SearchRuns) -> FoundRuns:
    """Find runs."""
    if asked.max_results > MOST_RESULTS:
        raise mistyped("max_results", asked.max_results)
    found = tracking.search.search_runs(
        call.tx,
        call.actor,
        experiments=[experiment_number(identity) for identity in asked.experiment_ids],
        filter=asked.filter,
        order=asked.order_by,
        view=view_of(asked.run_view_type),
        limit=check_limit(asked.max_results, MOST_RESULTS),
        token=asked.page_token,
    )
    runs = [run_of(run) for run in tracking.service.runs_of(call.tx, found.keys)]
    return FoundRuns(some(runs), found.token or UNSET)


def log_metric(call: Call, asked: LogMetric) -> None:
    """Log one point."""
    assert asked.value is not UNSET and asked.timestamp is not UNSET
    metric = tracking.Metric(
        asked.key, asked.value, asked.timestamp, asked.step, asked.model_id, asked.dataset_name, asked.dataset_digest
    )
    try:
        tracking.logs.log_metric(call.tx, call.actor, asked.run_id, metric)
    except tracking.errors.Unfit as error:
        if error.field == "key" and error.code in ("log.characters", "log.path"):  # by itself, MLflow calls it the name
            error.field = "name"
        raise
    if asked.model_id:
        tracking.models.log_metrics(call.tx, call.actor, asked.run_id, (metric,))


def log_param(call: Call, asked: LogPair) -> Answer | None:
    """Log one parameter."""
    try:
        return _told(tracking.logs.log_param(call.tx, call.actor, asked.run_id, tracking.Param(asked.key, asked.value)))
    except tracking.errors.ParamChanged as error:
        raise one_param_changed(error) from None


def set_tag(call: Call, asked: LogPair) -> Answer | None:
    """Set one tag."""
    return _told(tracking.logs.set_tag(call.tx, call.actor, asked.run_id, tracking.Tag(asked.key, asked.value)))


def delete_tag(call: Call, asked: LogPair) -> None:
    """Remove a tag."""
    tracking.logs.delete_tag(call.tx, call.actor, asked.run_id, asked.key)


def log_batch(call: Call, asked: LogBatch) -> Answer | None:
    """Log metrics, parameters and tags: all of them, or nothing."""
    _check_present(asked)
    check_run_id(asked.run_id)
    metrics = [
        tracking.Metric(one.key, one.value, one.timestamp, one.step, one.model_id, one.dataset_name, one.dataset_digest)  # type: ignore[arg-type]
        for one in asked.metrics
    ]
    cuts = tracking.logs.log_batch(
        call.tx,
        call.actor,
        asked.run_id,
        metrics=metrics,
        params=[tracking.Param(one.key, one.value) for one in asked.params],
        tags=[tracking.Tag(one.key, one.value) for one in asked.tags],
    )
    measured = [metric for metric in metrics if metric.model]
    if measured:
        tracking.models.log_metrics(call.tx, call.actor, asked.run_id, measured)
    return _told(cuts)


def _check_present(asked: LogBatch) -> None:
    for place, metric in enumerate(asked.metrics):
        if metric.key and metric.value is not UNSET and metric.timestamp is not UNSET:
            continue
        name = "key" if not metric.key else "value" if metric.value is UNSET else "timestamp"
        raise missing(f"metrics[{place}].{name}")
    for what, listed in (("params", asked.params), ("tags", asked.tags)):
        for place, pair in enumerate(listed):
            if not pair.key:
                raise missing(f"{what}[{place}].key")


def check_run_id(identity: str) -> None:
    """Refuse an id that no run has."""
    if not (identity.isalnum() or identity.replace("-", "").replace("_", "").isalnum()) or len(identity) > 256:
        raise unfit("run_id", identity)


def log_model(call: Call, asked: LogModel) -> None:
    """Add a model to the list of those that were logged to a run."""
    try:
        model = msgspec.json.decode(asked.model_json)
    except (msgspec.DecodeError, RecursionError):
        raise wrong(f"Malformed model info. \n {asked.model_json[:1000]} \n is not a valid JSON.") from None
    absent = [name for name in _MODEL_FIELDS if not isinstance(model, dict) or name not in model]
    if absent:
        raise wrong(f"Model json is missing mandatory fields: {{{', '.join(map(repr, absent))}}}")
    kept = {name: model.get(name) for name in ("run_id", "artifact_path", "utc_time_created", "model_uuid")}
    tracking.logs.record_model(call.tx, call.actor, asked.run_id, kept | {"flavors": _without_data(model["flavors"])})


def _without_data(flavors: object) -> object:
    """Return the flavors of a model without what only its loader needs, as MLflow keeps them in a tag."""
    if not isinstance(flavors, dict):
        raise wrong("Model json has flavors that are no object.")
    return {name: _without_config(flavor) for name, flavor in flavors.items()}


def _without_config(flavor: object) -> object:
    return {name: value for name, value in flavor.items() if name != "config"} if isinstance(flavor, dict) else flavor


def log_inputs(call: Call, asked: LogInputs) -> None:
    """Say what a run read."""
    check_run_id(asked.run_id)
    tracking.logs.log_inputs(
        call.tx,
        call.actor,
        asked.run_id,
        datasets=[_used(place, given) for place, given in enumerate(asked.datasets)],
        models=[model.model_id for model in asked.models],
    )


def _used(place: int, given: DatasetInput) -> "tracking.UsedDataset":
    dataset = given.dataset
    if dataset is UNSET or not (dataset.name and dataset.digest):
        raise missing(f"datasets[{place}].dataset" + ("" if dataset is UNSET else ".digest" if dataset.name else ".name"))
    tags = [] if given.tags is UNSET else given.tags
    for what, text, limit in (
        ("name", dataset.name, DATASET_NAME),
        ("digest", dataset.digest, DATASET_DIGEST),
        ("source", dataset.source, DATASET_SOURCE),
        ("schema", dataset.schema, DATASET_SCHEMA),
        ("profile", dataset.profile, DATASET_PROFILE),
        *(("key", tag.key, INPUT_TAG_KEY) for tag in tags),
        *(("value", tag.value, INPUT_TAG_VALUE) for tag in tags),
    ):
        if text is not UNSET and len(text) > limit:
            raise wrong(f"'{what}' exceeds the maximum length of {limit} characters")
    return tracking.UsedDataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type=dataset.source_type,
        source=dataset.source,
        schema=None if dataset.schema is UNSET else dataset.schema,
        profile=None if dataset.profile is UNSET else dataset.profile,
        tags={tag.key: tag.value for tag in tags},
    )


def log_outputs(call: Call, asked: LogOutputs) -> None:
    """Say what a run made."""
    assert asked.models is not UNSET
    made = [tracking.MadeModel(model.model_id, model.step) for model in asked.models]
    tracking.logs.log_outputs(call.tx, call.actor, asked.run_id, made)


def _told(cuts: list[str]) -> Answer | None:
    """Answer, and warn of what was cut."""
    if not cuts:
        return None
    warning = "; ".join(cuts).encode("ascii", "replace")[:1000]
    return Answer(b"{}", JSON, ((b"x-perenne-warning", warning),))


_LOG, _CHANGE, _READ, _MAY = Kind.LOG, Kind.CHANGE, Kind.READ, Action.LOG
_PLACE = "2.0/mlflow/runs/"
ENDPOINTS = [
    Endpoint("POST", f"{_PLACE}create", _CHANGE, create_run, CreateRun, _MAY),
    Endpoint("GET", f"{_PLACE}get", _READ, get_run, NamedRun),
    Endpoint("POST", f"{_PLACE}update", _CHANGE, update_run, UpdateRun, _MAY),
    Endpoint("POST", f"{_PLACE}delete", _CHANGE, delete_run, NamedRun, _MAY),
    Endpoint("POST", f"{_PLACE}restore", _CHANGE, restore_run, NamedRun, _MAY),
    Endpoint("POST", f"{_PLACE}search", _READ, search_runs, SearchRuns),
    Endpoint("POST", f"{_PLACE}log-metric", _LOG, log_metric, LogMetric, _MAY, lambda asked: not asked.model_id),
    Endpoint("POST", f"{_PLACE}log-parameter", _LOG, log_param, LogPair, _MAY),
    Endpoint("POST", f"{_PLACE}set-tag", _LOG, set_tag, LogPair, _MAY),
    Endpoint("POST", f"{_PLACE}delete-tag", _LOG, delete_tag, LogPair, _MAY),
    Endpoint("POST", f"{_PLACE}log-batch", _LOG, log_batch, LogBatch, _MAY),
    Endpoint("POST", f"{_PLACE}log-model", _LOG, log_model, LogModel, _MAY),
    Endpoint("POST", f"{_PLACE}log-inputs", _LOG, log_inputs, LogInputs, _MAY),
    Endpoint("POST", f"{_PLACE}outputs", _LOG, log_outputs, LogOutputs, _MAY),
]
