"""Logged models, which clients write down before anybody registers a version of them; and the data sets that runs used."""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Transaction
from perenne.storage.names import chosen, chosen_numbers
from perenne.storage.prepared import Prepared
from perenne.tracking import experiments, limits
from perenne.tracking.errors import Unfit, UnknownModel, UnknownTag
from perenne.tracking.keys import keys_of, known_keys, names_of
from perenne.tracking.logs import LARGEST
from perenne.tracking.model import LoggedModel, Metric, Param, Tag
from perenne.tracking.naming import generated_name
from perenne.tracking.tables import (
    experiment,
    input_dataset,
    logged_model,
    logged_model_metric,
    logged_model_param,
    logged_model_tag,
    run_input,
)

PENDING, READY, FAILED = 1, 2, 3
NAME, VALUE = 500, 100_000
_FORBIDDEN = ("/", ":", ".", "%", '"', "'")

_columns = [logged_model.c[name] for name in LoggedModel.__struct_fields__ if name in logged_model.c]
_PARAMS = BulkInsert(logged_model_param, ("model", "key", "value"), "(model, key) DO UPDATE SET value = excluded.value")
_TAGS = BulkInsert(logged_model_tag, ("model", "key", "value"), "(model, key) DO UPDATE SET value = excluded.value")

_MEASURED = ("model", "key", "value", "nan", "time", "step", "run", "dataset_name", "dataset_digest")
_given = {name: sa.cast(sa.bindparam(f"of_{name}"), logged_model_metric.c[name].type) for name in _MEASURED}
_there = sa.exists().where(*(logged_model_metric.c[name] == value for name, value in _given.items()))
_MEASURE = Prepared(logged_model_metric.insert().from_select(list(_MEASURED), sa.select(*_given.values()).where(~_there)))


class UsedBy(NamedTuple):
    """A data set that runs of an experiment used, and what for."""

    experiment: int
    name: str
    digest: str
    context: str


def create(
    tx: Transaction,
    actor: Principal,
    experiment: int,
    *,
    name: str = "",
    kind: str = "",
    run: str = "",
    params: Sequence[Param] = (),
    tags: Sequence[Tag] = (),
) -> LoggedModel:
    """Write down that a model is being logged.

    Parameters
    ----------
    name : str
        What it is called; a name is drawn if it is empty.
    kind : str
        What sort of model it is, in the client's words.
    run : str
        The id of the run it comes from, if it comes from one.

    Raises
    ------
    Unfit
        If the name, a parameter or a tag is beyond its limits.
    UnknownExperiment, Denied, Deleted
        If the experiment is not there, may not be logged to, or was deleted.
    """
    _check_name(name)
    _check_pairs((*params, *tags))
    found = experiments.open_experiment(tx, actor, experiment)
    identity, now = f"m-{uuid.uuid4().hex}", SystemClock().now()
    values = {
        "id": identity, "experiment": found.id, "run": run, "name": name or generated_name(), "type": kind, "status": PENDING,
        "status_message": "", "artifact_uri": f"{found.artifact_location}/models/{identity}/artifacts",
        "created": now, "updated": now,
    }  # fmt: skip
    number = int(tx.scalar(logged_model.insert().returning(logged_model.c.number), values))
    _put(tx, number, _PARAMS, params)
    _put(tx, number, _TAGS, tags)
    audit.record(tx, actor, "logged_model.create", "logged_model", identity, after={"name": values["name"], "run": run})
    return _read(tx, logged_model.c.number == number)[0]


def get(tx: Transaction, actor: Principal, identity: str, *, deleted: bool = False) -> LoggedModel:
    """Read a logged model. Raises UnknownModel, also if it was deleted and `deleted` does not say that this is no matter."""
    found = _find(tx, actor, identity)
    if found.deleted is not None and not deleted:
        raise UnknownModel(identity)
    return found


def some(tx: Transaction, numbers: Sequence[int]) -> list[LoggedModel]:
    """Read logged models in the order of their numbers as given. Who may see them is for the caller to decide."""
    found = {model.number: model for model in _read(tx, logged_model.c.number.in_(chosen_numbers(numbers)))} if numbers else {}
    return [found[number] for number in numbers if number in found]


def set_status(tx: Transaction, actor: Principal, identity: str, status: int) -> LoggedModel:
    """Say that a model is written, or that writing it failed. Raises UnknownModel and Denied."""
    found = _open(tx, actor, identity)
    _update(tx, found.number, status=status)
    return _read(tx, logged_model.c.number == found.number)[0]


def delete(tx: Transaction, actor: Principal, identity: str) -> None:
    """Delete a logged model; to do so twice changes nothing. Raises UnknownModel and Denied."""
    found = _open(tx, actor, identity)
    if found.deleted is None:
        _update(tx, found.number, deleted=SystemClock().now())
        audit.record(tx, actor, "logged_model.delete", "logged_model", identity, before={"name": found.name})


def set_tags(tx: Transaction, actor: Principal, identity: str, tags: Sequence[Tag]) -> None:
    """Set tags; the last word stands. Raises Unfit, UnknownModel and Denied."""
    _check_pairs(tags)
    _put(tx, _open(tx, actor, identity).number, _TAGS, tags)


def delete_tag(tx: Transaction, actor: Principal, identity: str, name: str) -> None:
    """Remove a tag. Raises UnknownTag, UnknownModel and Denied."""
    found = _open(tx, actor, identity)
    key = known_keys(tx, [name]).get(name)
    gone = logged_model_tag.delete().where(logged_model_tag.c.model == found.number, logged_model_tag.c.key == key)
    if key is None or tx.execute(gone).rowcount == 0:
        raise UnknownTag("logged_model", identity, name)


def log_params(tx: Transaction, actor: Principal, identity: str, params: Sequence[Param]) -> None:
    """Set parameters; the last word stands. Raises Unfit, UnknownModel and Denied."""
    _check_pairs(params)
    _put(tx, _open(tx, actor, identity).number, _PARAMS, params)


def log_metrics(tx: Transaction, actor: Principal, run: str, metrics: Sequence[Metric]) -> None:
    """Write down what a run measured of logged models; what was written before is not written twice.

    Parameters
    ----------
    metrics : sequence of Metric
        Each names its model; that they fit their limits was checked when they were logged to the run.

    Raises
    ------
    UnknownModel
        If one names a model that is not there or may not be seen.
    """
    models = {metric.model for metric in metrics}
    known = _numbers(tx, actor, models)
    for identity in sorted(models - known.keys()):
        raise UnknownModel(identity)
    keys = keys_of(tx, {metric.key for metric in metrics})
    rows = [
        (
            *(known[metric.model], keys[metric.key], *_stored(metric.value), metric.time, metric.step, run),
            *(metric.dataset_name, metric.dataset_digest),
        )
        for metric in metrics
    ]
    names = [f"of_{name}" for name in _MEASURED]
    _MEASURE.run_many(tx, [dict(zip(names, row, strict=True)) for row in dict.fromkeys(rows)])


def used_datasets(tx: Transaction, actor: Principal, experiments: Sequence[int], limit: int) -> list[UsedBy]:
    """Name the data sets that runs of some experiments used, each once for each purpose."""
    query = (
        sa.select(input_dataset.c.experiment, input_dataset.c.name, input_dataset.c.digest, run_input.c.context)
        .distinct()
        .join(run_input, run_input.c.dataset == input_dataset.c.number)
        .where(input_dataset.c.experiment.in_(_seen(actor, experiments)))
        .order_by(input_dataset.c.experiment, input_dataset.c.name, input_dataset.c.digest, run_input.c.context)
        .limit(limit)
    )
    return [UsedBy(row.experiment, row.name, row.digest, row.context) for row in tx.execute(query)]


def _seen(actor: Principal, numbers: Sequence[int]) -> "sa.Select[Any]":
    where = [experiment.c.project.in_(chosen(actor.projects))] if actor.projects else []
    return sa.select(experiment.c.id).where(experiment.c.id.in_(chosen_numbers(numbers)), *where)


def _find(tx: Transaction, actor: Principal, identity: str) -> LoggedModel:
    found = _read(tx, logged_model.c.id == identity)
    if not found or not sees(actor, _project(tx, found[0].experiment)):
        raise UnknownModel(identity)
    return found[0]


def _open(tx: Transaction, actor: Principal, identity: str) -> LoggedModel:
    found = _find(tx, actor, identity)
    require(actor, Action.LOG, _project(tx, found.experiment))
    return found


def _project(tx: Transaction, number: int) -> str:
    return str(tx.scalar(sa.select(experiment.c.project).where(experiment.c.id == number)))


def _numbers(tx: Transaction, actor: Principal, ids: Iterable[str]) -> dict[str, int]:
    query = sa.select(logged_model.c.id, logged_model.c.number, experiment.c.project).join(experiment)
    rows = tx.execute(query.where(logged_model.c.id.in_(chosen(ids))))
    return {row.id: row.number for row in rows if sees(actor, row.project)}


def _update(tx: Transaction, number: int, **values: object) -> None:
    tx.execute(logged_model.update().where(logged_model.c.number == number).values(updated=SystemClock().now(), **values))


def _put(tx: Transaction, number: int, into: BulkInsert, given: Sequence[Param | Tag]) -> None:
    values = {one.key: one.value for one in given}
    keys = keys_of(tx, values)
    into.run(tx, sorted((number, keys[name], text) for name, text in values.items()))


def _read(tx: Transaction, condition: "sa.ColumnElement[bool]") -> list[LoggedModel]:
    """Read models with all they have by name, in four statements however many they are."""
    rows = list(tx.execute(sa.select(*_columns).where(condition)))
    numbers = [row.number for row in rows]
    params, tags = _named(tx, logged_model_param, numbers, Param), _named(tx, logged_model_tag, numbers, Tag)
    metrics = _metrics(tx, {row.number: row.id for row in rows})
    return [
        LoggedModel(
            **row._mapping,
            params=tuple(params.get(row.number, ())),
            tags=tuple(tags.get(row.number, ())),
            metrics=tuple(metrics.get(row.number, ())),
        )
        for row in rows
    ]


def _named(tx: Transaction, table: sa.Table, numbers: Sequence[int], kind: type[Any]) -> Mapping[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    query = sa.select(table.c.model, table.c.key, table.c.value).where(table.c.model.in_(chosen_numbers(numbers)))
    rows = list(tx.execute(query.order_by(table.c.model, table.c.key))) if numbers else []
    names = names_of(tx, {row.key for row in rows})
    for row in rows:
        found.setdefault(row.model, []).append(kind(names[row.key], row.value))
    return found


def _metrics(tx: Transaction, models: Mapping[int, str]) -> Mapping[int, list[tuple[str, Metric]]]:
    found: dict[int, list[tuple[str, Metric]]] = {}
    query = sa.select(logged_model_metric).where(logged_model_metric.c.model.in_(chosen_numbers(models)))
    rows = list(tx.execute(query.order_by(logged_model_metric.c.model, logged_model_metric.c.id))) if models else []
    names = names_of(tx, {row.key for row in rows})
    for row in rows:
        value = math.nan if row.nan else row.value
        metric = Metric(names[row.key], value, row.time, row.step, models[row.model], row.dataset_name, row.dataset_digest)
        found.setdefault(row.model, []).append((row.run, metric))
    return found


def _stored(value: float) -> tuple[float, bool]:
    if math.isnan(value):
        return 0.0, True
    return (value, False) if math.isfinite(value) else (math.copysign(LARGEST, value), False)


def _check_name(name: str) -> None:
    limits.check_length("name", name, NAME)
    if any(letter in name for letter in _FORBIDDEN):
        raise Unfit(
            f"the name of a logged model is {name[:100]!r}",
            code="logged_model.name",
            hint=f"it has none of {' '.join(_FORBIDDEN)}",
            field="name",
            value=name,
        )


def _check_pairs(given: Sequence[Param | Tag]) -> None:
    for one in given:
        limits.check_key("key", one.key)
        limits.check_length("value", one.value, VALUE)
