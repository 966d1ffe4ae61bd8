"""What may be asked of runs, experiments and logged models in the filter language: the key tables of `search`."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.filters import Clause
from perenne.storage.attributes import Attribute, Choice, Identifier, Number, Text
from perenne.storage.comparing import Words
from perenne.storage.families import Attached, Related
from perenne.storage.filtering import KeyTable
from perenne.tracking.keys import known_keys
from perenne.tracking.model import RunState
from perenne.tracking.tables import (
    SHORT,
    experiment,
    experiment_tag,
    input_dataset,
    logged_model,
    logged_model_metric,
    logged_model_param,
    logged_model_tag,
    run,
    run_input,
    run_latest,
    run_param,
    run_tag,
)

MILLISECOND = 1000
_WRONG_EXPERIMENT = "Invalid experiment ID '{}'. Experiment ID must be a valid integer."
_MODEL_STATES = {"PENDING": 1, "READY": 2, "FAILED": 3}


class RegistryWords(Words):
    """The texts of searches whose entities are attributes and tags only."""

    def entity(self, entity: str, families: Sequence[str]) -> str:
        """Say that there is no such entity."""
        return f"Invalid entity type '{entity[:200]}'. Valid entity types are ('attribute', 'tag', 'tags')"


class _RunWords(Words):
    def entity(self, entity: str, families: Sequence[str]) -> str:
        """Say that there is no such entity, naming those of MLflow."""
        return super().entity(entity, ("metric", "parameter", "tag", "attribute", "dataset"))


class _ModelWords(Words):
    def entity(self, entity: str, families: Sequence[str]) -> str:
        """Say that there is no such entity."""
        return f"Invalid entity type: {entity[:200]!r}. Expected one of ['attributes', 'metrics', 'params', 'tags']."

    def comparator(self, clause: Clause, allowed: Any) -> str:
        """Say that a key has no such operator."""
        key = f"{clause.entity or 'attributes'}.{clause.name[:200]}"
        return f"Invalid comparison operator for {key}: '{clause.comparator}'. Expected one of {tuple(sorted(allowed))}."


def _time(column: Any) -> Number:
    return Number(column, unit=MILLISECOND, times=True)


_STATE = Choice(run.c.state, {state.name: state for state in RunState})
_NAME = Text(run.c.name)
_STARTED = _time(run.c.started)
_RUN_ATTRIBUTES: dict[str, Attribute] = {
    "run_id": Text(run.c.id, indexed=True),
    "run_name": _NAME, "run name": _NAME, "Run name": _NAME, "Run Name": _NAME,
    "user_id": Text(run.c.started_by),
    "status": _STATE,
    "artifact_uri": Text(run.c.artifact_uri),
    "start_time": _STARTED, "created": _STARTED, "Created": _STARTED,
    "end_time": _time(run.c.ended),
    "duration": Number(run.c.ended - run.c.started, unit=MILLISECOND, spans=True),
    "experiment_id": Identifier(run.c.experiment, _WRONG_EXPERIMENT),
    "project": Text(run.c.project),
    "kind": Text(run.c.kind),
    "outcome": Text(run.c.outcome),
    "flow": Text(run.c.flow),
}  # fmt: skip

METRIC = Attached(run_latest.c.run, run_latest.c.key, run_latest.c.value, numeric=True, nan=run_latest.c.nan, short=0)
PARAMETER = Attached(run_param.c.run, run_param.c.key, run_param.c.value, number=run_param.c.number, short=SHORT)
PARAMETER_NUMBER = Attached(run_param.c.run, run_param.c.key, run_param.c.number, numeric=True, short=0)
"""Parameters that are numbers, as such: ``number.lr`` sorts by them, which ``params.lr`` does as text."""

TAG = Attached(run_tag.c.run, run_tag.c.key, run_tag.c.value, short=SHORT)
_DATASET = Related(
    run_input.join(input_dataset, input_dataset.c.number == run_input.c.dataset),
    run_input.c.run == run.c.number,
    {"name": Text(input_dataset.c.name), "digest": Text(input_dataset.c.digest), "context": Text(run_input.c.context)},
)

RUNS = KeyTable(
    run.c.number,
    attributes=_RUN_ATTRIBUTES,
    families={"metric": METRIC, "parameter": PARAMETER, "number": PARAMETER_NUMBER, "tag": TAG, "dataset": _DATASET},
    aliases={
        "attributes": "attribute", "attr": "attribute", "run": "attribute", "metrics": "metric", "parameters": "parameter",
        "param": "parameter", "params": "parameter", "tags": "tag", "datasets": "dataset",
    },
    ties=((run.c.started, False), (run.c.number, False)),
    dictionary=known_keys,
    words=_RunWords(),
)  # fmt: skip

EXPERIMENTS = KeyTable(
    experiment.c.id,
    attributes={
        "name": Text(experiment.c.name, indexed=True),
        "experiment_id": Identifier(experiment.c.id, _WRONG_EXPERIMENT),
        "creation_time": _time(experiment.c.created),
        "last_update_time": _time(experiment.c.updated),
    },
    families={"tag": Attached(experiment_tag.c.experiment, experiment_tag.c.key, experiment_tag.c.value)},
    aliases={"tags": "tag", "attributes": "attribute"},
    ties=((experiment.c.id, False),),
    default=((experiment.c.created, False), (experiment.c.id, True)),
    words=RegistryWords(),
)

_CREATED = _time(logged_model.c.created)
_UPDATED = _time(logged_model.c.updated)
_MODEL_ATTRIBUTES: dict[str, Attribute] = {
    "name": Text(logged_model.c.name),
    "model_id": Text(logged_model.c.id, indexed=True),
    "model_type": Text(logged_model.c.type),
    "status": Choice(logged_model.c.status, _MODEL_STATES),
    "source_run_id": Text(logged_model.c.run, indexed=True),
    "creation_timestamp": _CREATED, "creation_time": _CREATED, "creation_timestamp_ms": _CREATED,
    "last_updated_timestamp": _UPDATED, "last_updated_time": _UPDATED, "last_updated_timestamp_ms": _UPDATED,
}  # fmt: skip


def model_metric(on: Sequence[tuple[str, str]] = ()) -> Attached:
    """Return the metrics of logged models, or those of them that were measured on some data sets.

    Parameters
    ----------
    on : sequence of (name, digest)
        The data sets; an empty digest for any.
    """
    metric = logged_model_metric.c
    newest = (metric.time.desc(), metric.step.desc(), metric.run.asc())
    where = [measured_on(on)] if on else []
    found = Attached(metric.model, metric.key, metric.value, numeric=True, nan=metric.nan, where=where, newest=newest)
    found.root = logged_model.c.number
    return found


def measured_on(on: Sequence[tuple[str, str]]) -> "sa.ColumnElement[bool]":
    """Return the condition that a metric was measured on one of some data sets."""
    metric = logged_model_metric.c
    return sa.or_(
        *(sa.and_(metric.dataset_name == name, *([metric.dataset_digest == digest] if digest else [])) for name, digest in on)
    )


def models_on(on: Sequence[tuple[str, str]]) -> KeyTable:
    """Return what may be asked of logged models, whose metrics are those on some data sets."""
    parameter, tag = logged_model_param.c, logged_model_tag.c
    return KeyTable(
        logged_model.c.number,
        attributes=_MODEL_ATTRIBUTES,
        families={
            "metrics": model_metric(on),
            "params": Attached(parameter.model, parameter.key, parameter.value, comparable=True, short=SHORT),
            "tags": Attached(tag.model, tag.key, tag.value, short=SHORT),
        },
        aliases={"attributes": "attribute"},
        ties=((logged_model.c.created, False), (logged_model.c.id, True)),
        dictionary=known_keys,
        words=_ModelWords(),
    )
