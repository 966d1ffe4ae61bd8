"""Logging to runs: points of metrics, parameters, tags, inputs and outputs. The hot path.

What is logged at once is kept whole or not at all. A point that was logged before is a success and no second one. A parameter
keeps its first value, a tag has its last. No audit record is written: what was logged tells for itself.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require, sees
from perenne.core import json
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Transaction
from perenne.storage.prepared import Prepared
from perenne.tracking import limits, sealing
from perenne.tracking.errors import Deleted, ParamChanged, UnknownRun, UnknownTag
from perenne.tracking.keys import keys_of, known_keys
from perenne.tracking.model import RUN_NAME, MadeModel, Metric, Param, Tag, UsedDataset, number_in
from perenne.tracking.tables import input_dataset, run, run_input, run_latest, run_model, run_param, run_point, run_tag

HISTORY = "mlflow.log-model.history"
"""The tag in which clients look for the models that were logged to a run, as a JSON list."""

LARGEST = 1.7976931348623157e308

_POINT = ("run", "key", "step", "time", "value", "nan")
_LATER = ", ".join(f"{name} = excluded.{name}" for name in ("value", "time", "step", "nan"))
_ORDER = ("step", "time", "value")
_IS_LATER = f"({', '.join(f'excluded.{name}' for name in _ORDER)}) > ({', '.join(f'run_latest.{name}' for name in _ORDER)})"

_FIND = Prepared(
    sa.select(run.c.number, run.c.experiment, run.c.project, run.c.deleted, run.c.id).where(run.c.id == sa.bindparam("identity"))
)
_NAME = Prepared(run.update().where(run.c.number == sa.bindparam("of")).values(name=sa.bindparam("to")))
_POINTS = BulkInsert(run_point, _POINT)
_LATEST = BulkInsert(run_latest, _POINT, f"(run, key) DO UPDATE SET {_LATER} WHERE {_IS_LATER}")
_PARAMS = BulkInsert(run_param, ("run", "key", "value", "number"), "(run, key) DO NOTHING")
_TAGS = BulkInsert(run_tag, ("run", "key", "value"), "(run, key) DO UPDATE SET value = excluded.value")
_DATASETS = BulkInsert(
    input_dataset,
    ("experiment", "name", "digest", "source_type", "source", "schema", "profile"),
    "(experiment, name, digest) DO NOTHING",
)
_INPUTS = BulkInsert(run_input, ("run", "dataset", "context", "tags"), "(run, dataset) DO NOTHING")
_MODELS = BulkInsert(run_model, ("run", "model", "output", "step"), "(run, model, output) DO UPDATE SET step = excluded.step")


_NAMES = ", ".join(_POINT)
_AT_ONCE = f"""
WITH given (key, step, time, value, nan) AS (VALUES (%s::int4, %s::int8, %s::int8, %s::float8, %s::bool)),
found AS (
    SELECT number, experiment, project, deleted, id,
        deleted IS NULL AND (%s::text[] IS NULL OR project = ANY (%s::text[])) AS open
    FROM run WHERE id = %s
),
point AS (SELECT found.number AS run, given.* FROM given, found WHERE found.open),
pointed AS (INSERT INTO run_point ({_NAMES}) SELECT {_NAMES} FROM point),
latest AS (
    INSERT INTO run_latest ({_NAMES}) SELECT {_NAMES} FROM point ON CONFLICT (run, key) DO UPDATE SET {_LATER} WHERE {_IS_LATER}
)
SELECT number, experiment, project, deleted, id FROM found"""


class FoundRun(NamedTuple):
    """What is asked of a run before something is done to it."""

    number: int
    experiment: int
    project: str
    deleted: int | None
    id: str


def open_run(tx: Transaction, actor: Principal, identity: str) -> FoundRun:
    """Find a run to log to.

    Raises
    ------
    UnknownRun
        If it does not exist or may not be seen.
    Denied
        If the actor may not log to it.
    Deleted
        If it was deleted.
    """
    return _opened(_FIND.run(tx, {"identity": identity}).fetchone(), actor, identity)


def find_run(tx: Transaction, actor: Principal, identity: str) -> FoundRun:
    """Find a run, also a deleted one. Raises UnknownRun if it does not exist or may not be seen."""
    return _seen(_FIND.run(tx, {"identity": identity}).fetchone(), actor, identity)


def _seen(row: Any, actor: Principal, identity: str) -> FoundRun:
    if row is None or not sees(actor, row[2]):
        raise UnknownRun(identity)
    return FoundRun(*row)


def _opened(row: Any, actor: Principal, identity: str) -> FoundRun:
    found = _seen(row, actor, identity)
    require(actor, Action.LOG, found.project)
    if found.deleted is not None:
        raise Deleted("run", identity)
    return found


def log_batch(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    metrics: Sequence[Metric] = (),
    params: Sequence[Param] = (),
    tags: Sequence[Tag] = (),
) -> list[str]:
    """Log points, parameters and tags to a run: all of them, or nothing.

    Returns
    -------
    list of str
        What was cut to its longest length, in words.

    Raises
    ------
    Unfit
        If a name, a time or a count is beyond its limits.
    UnknownRun, Denied, Deleted
        See `open_run`.
    ParamChanged
        If a parameter has another value already.
    """
    limits.check_batch(metrics, params, tags)
    return _log(tx, open_run(tx, actor, identity), metrics, params, tags)


def log_metric(tx: Transaction, actor: Principal, identity: str, metric: Metric) -> None:
    """Log one point. Raises as `log_batch`."""
    limits.check_metric(metric)
    if tx.connection.dialect.name == "postgresql" and allowed(actor, Action.LOG):
        _log_at_once(tx, actor, identity, metric)
    else:
        put_metrics(tx, open_run(tx, actor, identity).number, (metric,))


def log_param(tx: Transaction, actor: Principal, identity: str, param: Param) -> list[str]:
    """Log one parameter. Raises as `log_batch`; returns what was cut."""
    limits.check_key("Param key", param.key)
    return _log(tx, open_run(tx, actor, identity), (), (param,), ())


def set_tag(tx: Transaction, actor: Principal, identity: str, tag: Tag) -> list[str]:
    """Set one tag. Raises as `log_batch`; returns what was cut."""
    limits.check_key("key", tag.key)
    return _log(tx, open_run(tx, actor, identity), (), (), (tag,))


def delete_tag(tx: Transaction, actor: Principal, identity: str, name: str) -> None:
    """Remove a tag. Raises UnknownTag if the run has none of this name, and as `open_run`."""
    found = open_run(tx, actor, identity)
    number = known_keys(tx, [name]).get(name)
    gone = run_tag.delete().where(run_tag.c.run == found.number, run_tag.c.key == number)
    if number is None or tx.execute(gone).rowcount == 0:
        raise UnknownTag("run", identity, name)


def log_inputs(
    tx: Transaction, actor: Principal, identity: str, *, datasets: Sequence[UsedDataset] = (), models: Sequence[str] = ()
) -> None:
    """Say which data sets and logged models a run used; the first word about a data set stands. Raises as `open_run`."""
    found = open_run(tx, actor, identity)
    first = {(item.name, item.digest): item for item in reversed(datasets)}
    _DATASETS.run(
        tx,
        [
            (found.experiment, item.name, item.digest, item.source_type, item.source, item.schema, item.profile)
            for _, item in sorted(first.items())
        ],
    )
    numbers = _datasets(tx, found.experiment, list(first))
    _INPUTS.run(
        tx, [(found.number, numbers[name], item.context, json.encode(item.tags).decode()) for name, item in sorted(first.items())]
    )
    _MODELS.run(tx, [(found.number, model, False, 0) for model in sorted(set(models))])


def log_outputs(tx: Transaction, actor: Principal, identity: str, models: Sequence[MadeModel]) -> None:
    """Say which logged models a run made. Raises as `open_run`."""
    found = open_run(tx, actor, identity)
    last = {model.id: model.step for model in models}
    _MODELS.run(tx, [(found.number, model, True, step) for model, step in sorted(last.items())])


def record_model(tx: Transaction, actor: Principal, identity: str, model: dict[str, Any]) -> None:
    """Add a model to the list of those that were logged to a run, which is a tag. Raises as `open_run`."""
    found = open_run(tx, actor, identity)
    number = keys_of(tx, [HISTORY])[HISTORY]
    said = tx.scalar(sa.select(run_tag.c.value).where(run_tag.c.run == found.number, run_tag.c.key == number))
    listed = json.decode(said.encode(), list[Any], what=HISTORY) if said else []
    _log(tx, found, (), (), (Tag(HISTORY, json.encode([*listed, model]).decode()),))


def _log(tx: Transaction, found: FoundRun, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[Tag]) -> list[str]:
    cuts: list[str] = []
    if params:
        _log_params(tx, found, params, cuts)
    if metrics:
        put_metrics(tx, found.number, metrics)
    if tags:
        put_tags(tx, found.number, tags, cuts)
    return cuts


def put_metrics(tx: Transaction, number: int, metrics: Sequence[Metric]) -> None:
    """Add points to a run; whether that may be done has been asked."""
    keys = keys_of(tx, {metric.key for metric in metrics})
    points: list[tuple[Any, ...]] = []
    latest: dict[str, tuple[Any, ...]] = {}
    for metric in metrics:
        value, nan = _stored(metric.value)
        point = (number, keys[metric.key], metric.step, metric.time, value, nan)
        points.append(point)
        known = latest.get(metric.key)
        if known is None or point[2:5] > known[2:5]:
            latest[metric.key] = point
    if not points:
        return
    _POINTS.run(tx, points)
    _LATEST.run(tx, sorted(latest.values()))
    if sealing.is_long(tx, number, len(points) / len(latest)):
        sealing.seal_later(tx, number, at_once=True)


def _log_at_once(tx: Transaction, actor: Principal, identity: str, metric: Metric) -> None:
    """Find the run, look whether it may be logged to, and add a point, all in one round trip to the server."""
    value, nan = _stored(metric.value)
    point = (keys_of(tx, (metric.key,))[metric.key], metric.step, metric.time, value, nan)
    limited = sorted(actor.projects) or None
    row = tx.driver.execute(_AT_ONCE, (*point, limited, limited, identity), prepare=True).fetchone()
    found = _opened(row, actor, identity)
    if sealing.is_long(tx, found.number, 1):
        sealing.seal_later(tx, found.number, at_once=True)


def _stored(value: float) -> tuple[float, bool]:
    """Return a value as it is stored, and whether it was no number."""
    if math.isnan(value):
        return 0.0, True
    return (value, False) if math.isfinite(value) else (math.copysign(LARGEST, value), False)


def _log_params(tx: Transaction, found: FoundRun, params: Sequence[Param], cuts: list[str]) -> None:
    wanted = {param.key: limits.cut(f"parameter {param.key}", param.value, limits.PARAM_VALUE, cuts) for param in params}
    keys = keys_of(tx, wanted)
    rows = sorted((found.number, keys[name], value, number_in(value)) for name, value in wanted.items())
    if _PARAMS.run(tx, rows) == len(rows):  # all of them were new
        return
    there = sa.select(run_param.c.key, run_param.c.value).where(
        run_param.c.run == found.number, run_param.c.key.in_(list(keys.values()))
    )
    kept = {row.key: row.value for row in tx.execute(there)}
    changed = [(name, kept[keys[name]], value) for name, value in wanted.items() if kept[keys[name]] != value]
    if changed:
        raise ParamChanged(found.id, changed)


def put_tags(
    tx: Transaction, number: int, tags: Sequence[Tag], cuts: list[str] | None = None, *, renaming: bool = True
) -> tuple[Tag, ...]:
    """Set tags of a run, the last word of each, and return them; that which is its name renames it.

    What is cut is added to `cuts`.
    """
    said = [] if cuts is None else cuts
    wanted = {tag.key: limits.cut(f"tag {tag.key}", tag.value, limits.TAG_VALUE, said) for tag in tags}
    name = wanted.get(RUN_NAME)
    if name == "":  # a run is never without a name
        del wanted[RUN_NAME]
    elif name is not None and renaming:
        _NAME.run(tx, {"of": number, "to": name})
    keys = keys_of(tx, wanted)
    _TAGS.run(tx, sorted((number, keys[key], value) for key, value in wanted.items()))
    return tuple(Tag(key, value) for key, value in wanted.items())


def _datasets(tx: Transaction, experiment: int, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    wanted = sa.tuple_(input_dataset.c.name, input_dataset.c.digest).in_(names)
    query = sa.select(input_dataset.c.name, input_dataset.c.digest, input_dataset.c.number)
    rows = tx.execute(query.where(input_dataset.c.experiment == experiment, wanted)) if names else ()
    return {(row.name, row.digest): row.number for row in rows}
