"""Reading many runs with all that was logged to them: one statement for each kind of thing, however many the runs are."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.storage.database import Transaction
from perenne.storage.names import among
from perenne.storage.prepared import Prepared
from perenne.tracking.keys import names_of
from perenne.tracking.model import LoggedRun, MadeModel, Metric, Param, RunState, Tag, UsedDataset
from perenne.tracking.tables import input_dataset, run, run_input, run_latest, run_model, run_param, run_tag

_STATES = {f'"{state}"': state for state in RunState}
"""By how they stand in the database, as rows come from the driver."""

_TAGS = msgspec.json.Decoder(dict[str, str])


def _of_runs(table: sa.Table, *names: str) -> Prepared:
    owner = table.c.number if table is run else table.c.run
    columns = [sa.type_coerce(table.c[name], sa.Text) if name == "state" else table.c[name] for name in names]
    return Prepared(sa.select(*columns).where(among(owner, "numbers")).order_by(*table.primary_key.columns))


_INFO: tuple[str, ...] = ("id", "number", "experiment", "project", "name", "started_by", "kind", "state", "outcome")
_INFO += ("artifact_uri", "started", "ended", "deleted")
_INFOS = _of_runs(run, *_INFO)
_METRICS = _of_runs(run_latest, "run", "key", "value", "time", "step", "nan")
_PARAMS = _of_runs(run_param, "run", "key", "value")
_RUN_TAGS = _of_runs(run_tag, "run", "key", "value")
_MODELS = _of_runs(run_model, "run", "model", "output", "step")
_DATASETS = Prepared(
    sa.select(
        *(run_input.c.run, input_dataset.c.name, input_dataset.c.digest, input_dataset.c.source_type, input_dataset.c.source),
        *(input_dataset.c.schema, input_dataset.c.profile, sa.type_coerce(run_input.c.tags, sa.Text)),
    )
    .join(input_dataset, input_dataset.c.number == run_input.c.dataset)
    .where(among(run_input.c.run, "numbers"))
    .order_by(run_input.c.run, run_input.c.dataset)
)

Lists = dict[int, list[Any]]


def load(tx: Transaction, numbers: Sequence[int], *, inputs: bool = True) -> list[LoggedRun]:
    """Read runs in the order of their numbers as given; what does not exist is left out.

    Parameters
    ----------
    inputs : bool
        Whether to read data sets and models as well.
    """
    if not numbers:
        return []
    asked = {"numbers": msgspec.json.encode(list(dict.fromkeys(numbers))).decode()}
    infos = {row[1]: row for row in _INFOS.run(tx, asked)}
    metrics = _metrics(tx, asked)
    params, tags = _texts(tx, _PARAMS, asked, Param), _texts(tx, _RUN_TAGS, asked, Tag)
    datasets: Lists = _datasets(tx, asked) if inputs else {}
    used, made = _models(tx, asked) if inputs else ({}, {})
    return [
        LoggedRun(
            **dict(zip(_INFO, info, strict=True)) | {"state": _STATES[info[7]]},
            metrics=tuple(metrics.get(number, ())),
            params=tuple(params.get(number, ())),
            tags=tuple(tags.get(number, ())),
            datasets=tuple(datasets.get(number, ())),
            used_models=tuple(used.get(number, ())),
            made_models=tuple(made.get(number, ())),
        )
        for number in numbers
        if (info := infos.get(number)) is not None
    ]


def load_info(tx: Transaction, number: int) -> LoggedRun:
    """Read one run without what was logged to it."""
    (info,) = _INFOS.run(tx, {"numbers": f"[{number}]"})
    return LoggedRun(**dict(zip(_INFO, info, strict=True)) | {"state": _STATES[info[7]]})


def _metrics(tx: Transaction, asked: dict[str, str]) -> Lists:
    rows = _METRICS.run(tx, asked).fetchall()
    names, found = names_of(tx, {row[1] for row in rows}), Lists()
    for owner, key, value, time, step, nan in rows:
        found.setdefault(owner, []).append(Metric(names[key], float("nan") if nan else value, time, step))
    return found


def _texts(tx: Transaction, statement: Prepared, asked: dict[str, str], kind: type[Param] | type[Tag]) -> Lists:
    rows = statement.run(tx, asked).fetchall()
    names, found = names_of(tx, {row[1] for row in rows}), Lists()
    for owner, key, value in rows:
        found.setdefault(owner, []).append(kind(names[key], value))
    return found


def _datasets(tx: Transaction, asked: dict[str, str]) -> Lists:
    found = Lists()
    for owner, name, digest, source_type, source, schema, profile, tags in _DATASETS.run(tx, asked):
        said = UsedDataset(
            name=name,
            digest=digest,
            source_type=source_type,
            source=source,
            schema=schema,
            profile=profile,
            tags=_TAGS.decode(tags),
        )
        found.setdefault(owner, []).append(said)
    return found


def _models(tx: Transaction, asked: dict[str, str]) -> tuple[Lists, Lists]:
    used, made = Lists(), Lists()
    for owner, model, output, step in _MODELS.run(tx, asked):
        if output:
            made.setdefault(owner, []).append(MadeModel(model, step))
        else:
            used.setdefault(owner, []).append(model)
    return used, made
