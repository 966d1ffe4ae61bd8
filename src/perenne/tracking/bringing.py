"""Bringing in runs from elsewhere, with their ids, times and whole histories: for moves, not for logging.

A run is brought in pieces, each a transaction: the run itself, its metrics one after the other, and at last its seal. One that is
not sealed was not finished, and is begun again when it is brought again; one that is sealed with the same seal is left alone.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Conflict
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.tracking import experiments, logs, removal, sealing, store
from perenne.tracking.keys import keys_of, known_keys
from perenne.tracking.model import Experiment, MadeModel, Provenance, RunState, Tag, UsedDataset, number_in
from perenne.tracking.tables import (
    experiment,
    experiment_tag,
    logged_model,
    logged_model_metric,
    logged_model_param,
    logged_model_tag,
    run_latest,
    run_param,
    run_point,
    run_tag,
)

if TYPE_CHECKING:
    from perenne.tracking.chunks import Points

SEAL = "perenne.import.seal"
"""The tag that says a run was brought in whole, and from which state of its source."""

_LARGEST = 1.7976931348623157e308
_POINTS = BulkInsert(run_point, ("run", "key", "step", "time", "value", "nan"))
_LATEST = BulkInsert(run_latest, ("run", "key", "step", "time", "value", "nan"))
_PARAMS = BulkInsert(run_param, ("run", "key", "value", "number"))
_MODEL_PARAMS = BulkInsert(logged_model_param, ("model", "key", "value"))
_MODEL_TAGS = BulkInsert(logged_model_tag, ("model", "key", "value"))


class BroughtRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run from elsewhere. Times in microseconds; an empty `artifact_uri` is made up."""

    id: str
    experiment: int
    name: str
    user: str
    state: RunState
    started: int
    ended: int | None
    deleted: int | None
    artifact_uri: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    datasets: tuple[UsedDataset, ...] = ()
    used_models: tuple[str, ...] = ()
    made_models: tuple[MadeModel, ...] = ()


class BroughtMetric(msgspec.Struct, frozen=True):
    """A metric of a logged model; its time in milliseconds."""

    key: str
    value: float
    time: int
    step: int
    run: str
    dataset_name: str
    dataset_digest: str


class BroughtModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model from elsewhere. Times in microseconds."""

    id: str
    experiment: int
    run: str
    name: str
    type: str
    status: int
    status_message: str
    created: int
    updated: int
    deleted: int | None
    artifact_uri: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[BroughtMetric, ...] = ()


def columns(steps: Sequence[int], times: Sequence[int], values: Sequence[float]) -> "Points":
    """Return points as they are kept: by step, time and value, each once; infinities are the largest number of their sign."""
    import numpy as np

    from perenne.tracking import chunks

    found = chunks.points_of(steps, times, values)
    return chunks.joined([chunks.Points(found.step, found.time, np.clip(found.value, -_LARGEST, _LARGEST))])


def bring_experiment(tx: Transaction, actor: Principal, said: Experiment) -> Experiment:
    """Make an experiment with the number, times and tags it had, or find the one of its name, and set its tags.

    The number is another one if it is taken or larger than any a database keeps.
    """
    require(actor, Action.LOG, said.project)
    number = tx.scalar(sa.select(experiment.c.id).where(experiment.c.name == said.name))
    if number is None:
        values = {name: getattr(said, name) for name in ("name", "project", "artifact_location", "created", "updated", "deleted")}
        if _is_free(tx, said.id):
            values["id"] = said.id
        number = tx.scalar(experiment.insert().returning(experiment.c.id), values)
        if not said.artifact_location:
            location = f"mlflow-artifacts:/{number}"
            tx.execute(experiment.update().where(experiment.c.id == number).values(artifact_location=location))
        _go_on_after(tx, experiment, int(number))
        audit.record(tx, actor, "experiment.bring", "experiment", str(number), after={"name": said.name})
    there = {row.key for row in tx.execute(sa.select(experiment_tag.c.key).where(experiment_tag.c.experiment == number))}
    rows = [{"experiment": number, "key": key, "value": value} for key, value in said.tags.items() if key not in there]
    if rows:
        tx.execute(experiment_tag.insert(), rows)
    return experiments.get(tx, actor, int(number))


def seal_of(tx: Transaction, identity: str) -> str | None:
    """Return the seal of a run that was brought in, an empty text for one that has none, None for no run."""
    number = store.number_of(tx, identity)
    if number is None:
        return None
    key = known_keys(tx, [SEAL]).get(SEAL)
    return tx.scalar(sa.select(run_tag.c.value).where(run_tag.c.run == number, run_tag.c.key == key)) or ""


def bring_run(tx: Transaction, actor: Principal, said: BroughtRun) -> int:
    """Make a run without its metrics, and return its number; what was brought of it before is removed.

    Raises
    ------
    Conflict
        If a run of this id was not brought in.
    """
    place = experiments.get(tx, actor, said.experiment)
    require(actor, Action.LOG, place.project)
    before = store.find(tx, said.id)
    if before is not None and SEAL not in before.tags:
        raise Conflict(f"run {said.id} is there, and was not brought in", code="run.exists", hint="it stays as it is")
    if before is not None:
        removal.clear_run(tx, before.number)
    uri = said.artifact_uri or f"{place.artifact_location}/{said.id}/artifacts"
    values = {
        "id": said.id, "experiment": place.id, "project": place.project, "name": said.name, "started_by": said.user, "kind": "",
        "state": said.state, "data": (), "provenance": Provenance(), "flow": "", "outcome": "", "artifact_uri": uri,
        "started": said.started,
    }  # fmt: skip
    number = store.insert(tx, values)
    keys = keys_of(tx, said.params)
    _PARAMS.run(tx, [(number, keys[name], value, number_in(value)) for name, value in said.params.items()])
    logs.put_tags(tx, number, [Tag(name, value) for name, value in {**said.tags, SEAL: ""}.items()])
    logs.log_inputs(tx, actor, said.id, datasets=said.datasets, models=said.used_models)
    logs.log_outputs(tx, actor, said.id, said.made_models)
    store.update(tx, said.id, ended=said.ended, deleted=said.deleted)
    if before is None:
        add_link(tx, (Kind.RUN, said.id), "of", (Kind.PROJECT, place.project))
        audit.record(tx, actor, "run.bring", "run", said.id, after={"project": place.project})
    return number


def put_points(tx: Transaction, number: int, key: str, points: "Points") -> None:
    """Keep the whole history of a metric of a run that is being brought; in the order of steps, each point once."""
    of = keys_of(tx, [key])[key]
    if len(points) >= sealing.FEWEST:
        sealing.put_chunks(tx, number, of, points)
    else:
        _POINTS.run(tx, [(number, of, *row) for row in _rows(points)])
    _LATEST.run(tx, [(number, of, *row) for row in _rows(points.of(slice(-1, None)))])


def put_seal(tx: Transaction, number: int, seal: str) -> None:
    """Say that a run was brought whole."""
    logs.put_tags(tx, number, [Tag(SEAL, seal)])


def bring_model(tx: Transaction, actor: Principal, said: BroughtModel) -> bool:
    """Make a logged model with all it has; False if it is there already."""
    place = experiments.get(tx, actor, said.experiment)
    require(actor, Action.LOG, place.project)
    if tx.scalar(sa.select(logged_model.c.number).where(logged_model.c.id == said.id)) is not None:
        return False
    names = ("id", "experiment", "run", "name", "type", "status", "status_message", "created", "updated", "deleted")
    values = {name: getattr(said, name) for name in names}
    values["artifact_uri"] = said.artifact_uri or f"{place.artifact_location}/models/{said.id}/artifacts"
    number = int(tx.scalar(logged_model.insert().returning(logged_model.c.number), values))
    for table, texts in ((_MODEL_PARAMS, said.params), (_MODEL_TAGS, said.tags)):
        keys = keys_of(tx, texts)
        table.run(tx, [(number, keys[name], value) for name, value in texts.items()])
    keys = keys_of(tx, [metric.key for metric in said.metrics])
    rows = [_model_metric(number, keys, metric) for metric in said.metrics]
    if rows:
        tx.execute(logged_model_metric.insert(), rows)
    return True


def _model_metric(number: int, keys: Mapping[str, int], metric: BroughtMetric) -> dict[str, Any]:
    nan = metric.value != metric.value
    return {
        "model": number, "key": keys[metric.key], "value": 0.0 if nan else metric.value, "nan": nan, "time": metric.time,
        "step": metric.step, "run": metric.run, "dataset_name": metric.dataset_name, "dataset_digest": metric.dataset_digest,
    }  # fmt: skip


def _rows(points: "Points") -> Sequence[tuple[int, int, float, bool]]:
    columns = zip(points.step.tolist(), points.time.tolist(), points.value.tolist(), strict=True)
    return [(step, time, 0.0 if value != value else value, value != value) for step, time, value in columns]


def _is_free(tx: Transaction, number: int) -> bool:
    if not 0 < number < 1 << 31:
        return False
    return tx.scalar(sa.select(experiment.c.name).where(experiment.c.id == number)) is None


def _go_on_after(tx: Transaction, table: sa.Table, number: int) -> None:
    """Have a database that counts by itself give no number again that was given here."""
    if tx.connection.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        tx.execute(sa.select(sa.func.setval(sequence, sa.func.greatest(highest, number))))
