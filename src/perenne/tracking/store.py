"""The table of runs, and what runs have by name: parameters, last metrics, tags."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core import json
from perenne.storage.database import JsonColumn, Transaction
from perenne.storage.finding import find_names
from perenne.storage.names import chosen, newest_id, table_of
from perenne.storage.prepared import Prepared
from perenne.tracking.keys import keys_of
from perenne.tracking.model import Run, RunState, number_in
from perenne.tracking.tables import experiment, key, run, run_latest, run_param, run_tag

MOST_WORDS = 8
_COMMIT = re.compile(r"[0-9a-f]{6,40}")

_columns = [
    run.c[name]
    for name in (
        "number", "id", "experiment", "project", "name", "started_by", "kind", "state", "data", "provenance", "flow", "outcome",
        "artifact_uri", "started", "ended", "deleted",
    )
]  # fmt: skip
_newest_first = (run.c.started.desc(), run.c.number.desc())
_present = run.c.deleted.is_(None)


_NEW = (
    "id", "experiment", "project", "name", "started_by", "kind", "state", "data", "provenance", "flow", "outcome", "artifact_uri",
    "started",
)  # fmt: skip
_INSERT = Prepared(
    run.insert()
    .values({name: sa.bindparam(name, type_=sa.Text if isinstance(run.c[name].type, JsonColumn) else None) for name in _NEW})
    .returning(run.c.number)
)


def insert(tx: Transaction, values: Mapping[str, Any]) -> int:
    """Add a run and return its number."""
    written = {name: json.encode(values[name]).decode() for name in ("state", "data", "provenance")}
    return int(_INSERT.run(tx, {**values, **written}).fetchone()[0])


def update(tx: Transaction, identity: str, **values: Any) -> bool:
    """Change columns of a run; tell whether it exists."""
    return tx.execute(run.update().where(run.c.id == identity).values(**values)).rowcount == 1


def put_parameters(tx: Transaction, number: int, values: Mapping[str, str]) -> None:
    """Say what the parameters of a run are; what was known before goes."""
    tx.execute(run_param.delete().where(run_param.c.run == number))
    keys = keys_of(tx, values)
    rows = [{"run": number, "key": keys[name], "value": text, "number": number_in(text)} for name, text in values.items()]
    if rows:
        tx.execute(run_param.insert(), rows)


def number_of(tx: Transaction, identity: str) -> int | None:
    """Return a run's number, if it exists."""
    number: int | None = tx.scalar(sa.select(run.c.number).where(run.c.id == identity))
    return number


def hold(tx: Transaction, identity: str, owner: str, lease: int) -> None:
    """Note who works on a run, and until when that is certain; one that has ended is nobody's."""
    open_ = sa.and_(run.c.id == identity, run.c.ended.is_(None))
    tx.execute(run.update().where(open_).values(owner=owner, lease=lease))


def held(tx: Transaction) -> list[tuple[str, str, int]]:
    """Read the runs that somebody holds, or held when its process died: id, owner, and until when it is certain."""
    query = sa.select(run.c.id, run.c.owner, run.c.lease).where(run.c.owner.is_not(None))
    return [(row.id, row.owner, row.lease) for row in tx.execute(query)]


def find(tx: Transaction, identity: str) -> Run | None:
    """Read a run, if it exists."""
    found = _read(tx, sa.select(*_columns).where(run.c.id == identity))
    return found[0] if found else None


def newest(tx: Transaction, project: str | None, limit: int) -> list[Run]:
    """Read runs, newest first."""
    query = sa.select(*_columns).where(_present).order_by(*_newest_first).limit(limit)
    if project is not None:
        query = query.where(run.c.project == project)
    return _read(tx, query)


def window(tx: Transaction, where: Sequence["sa.ColumnElement[bool]"], offset: int, limit: int) -> list[Run]:
    """Read some of the runs that fit, newest first."""
    return _read(tx, sa.select(*_columns).where(*where).order_by(*_newest_first).offset(offset).limit(limit))


def fitting(
    projects: Iterable[str] | None, project: str = "", state: RunState | None = None, text: str = ""
) -> list["sa.ColumnElement[bool]"]:
    """Return the conditions of a filter; what was deleted never fits.

    Parameters
    ----------
    projects : iterable of str or None
        Only those; None for all.
    text : str
        Each of its words occurs in the id, the name, the project, the outcome or a parameter, in whatever case; one that may be
        the digest of a commit may also occur in the provenance.
    """
    where: list[sa.ColumnElement[bool]] = [_present]
    if projects is not None:
        where.append(run.c.project.in_(chosen(projects)))
    if project:
        where.append(run.c.project == project)
    if state is not None:
        where.append(run.c.state == state)
    return where + [_holds(word) for word in text.lower().split()[:MOST_WORDS]]


def _holds(word: str) -> "sa.ColumnElement[bool]":
    searched: list[Any] = [run.c.id, run.c.name, run.c.project, run.c.outcome]
    if _COMMIT.fullmatch(word):
        searched.append(sa.type_coerce(run.c.provenance, sa.Text))
    named = sa.select(key.c.id).where(sa.func.lower(key.c.name).contains(word, autoescape=True))
    value = sa.or_(sa.func.lower(run_param.c.value).contains(word, autoescape=True), run_param.c.key.in_(named))
    parameter = sa.exists().where(run_param.c.run == run.c.number, value)
    return sa.or_(*(sa.func.lower(column).contains(word, autoescape=True) for column in searched), parameter)


def projects(tx: Transaction) -> list[str]:
    """Name the projects that have runs: one search of the index for each."""
    found, after = [], ""
    following = sa.select(sa.func.min(run.c.project)).where(run.c.project > sa.bindparam("after"))
    while (name := tx.scalar(following, {"after": after})) is not None:
        found.append(after := str(name))
    return found


def of_flows(tx: Transaction, flows: Iterable[str]) -> list[Run]:
    """Read the runs of some pipeline runs."""
    return _read(tx, sa.select(*_columns).where(run.c.flow.in_(chosen(flows)), run.c.flow != sa.literal_column("''")))


def flows(tx: Transaction, projects: Collection[str]) -> set[str]:
    """Return the pipeline runs of the runs of some projects."""
    query = sa.select(run.c.flow).where(run.c.project.in_(chosen(projects)), run.c.flow != sa.literal_column("''"))
    return {row.flow for row in tx.execute(query)}


def newest_of(tx: Transaction, projects: Iterable[str]) -> list[Run]:
    """Read the newest run of each project."""
    return _read(tx, sa.select(*_columns).where(run.c.number.in_(newest_id(run, "project", "started", projects, key="number"))))


def newest_failed(tx: Transaction, projects: Iterable[str]) -> set[str]:
    """Return those of some projects whose newest run failed."""
    named = table_of(projects)
    state = sa.select(run.c.state).where(run.c.project == named.c.value).order_by(*_newest_first).limit(1)
    last = sa.select(named.c.value, state.scalar_subquery().label("state")).subquery()
    return {row.value for row in tx.execute(sa.select(last.c.value).where(last.c.state == RunState.FAILED))}


def some(tx: Transaction, ids: Iterable[str]) -> list[Run]:
    """Read runs by their ids."""
    return _read(tx, sa.select(*_columns).where(run.c.id.in_(chosen(ids))))


def count(tx: Transaction, since: int, projects: Collection[str]) -> dict[RunState, int]:
    """Count the runs that began since an instant by where they stand, of all projects or of those named."""
    query = sa.select(run.c.state, sa.func.count().label("number")).where(run.c.started >= since, *_of(projects))
    return {row.state: row.number for row in tx.execute(query.group_by(run.c.state))}


def find_ids(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the ids that begin with a text or hold it."""
    return find_names(tx, run.c.id, text, limit, _of(projects))


def find_named(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the ids of the newest runs whose name holds a text, in whatever case."""
    called = sa.func.lower(run.c.name).contains(text.lower(), autoescape=True)
    query = sa.select(run.c.id).where(called, *_of(projects)).order_by(*_newest_first).limit(limit)
    return [row.id for row in tx.execute(query)]


def find_experiments(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[int]:
    """Return the numbers of the experiments whose name begins with a text or holds it."""
    where = [experiment.c.deleted.is_(None), *([experiment.c.project.in_(chosen(projects))] if projects else [])]
    names = find_names(tx, experiment.c.name, text, limit, where)
    rows = {
        row.name: row.id for row in tx.execute(sa.select(experiment.c.id, experiment.c.name).where(experiment.c.name.in_(names)))
    }
    return [rows[name] for name in names]


def _of(projects: Collection[str]) -> "list[sa.ColumnElement[bool]]":
    return [_present, run.c.project.in_(chosen(projects))] if projects else [_present]


def _read(tx: Transaction, query: "sa.Select[Any]") -> list[Run]:
    """Read runs with all they have by name, in four statements however many they are."""
    rows = list(tx.execute(query))
    numbers = sorted(row.number for row in rows)
    parameters = _named(tx, numbers, run_param, run_param.c.value)
    tags = _named(tx, numbers, run_tag, run_tag.c.value)
    value = sa.case((run_latest.c.nan, sa.null()), else_=run_latest.c.value)
    metrics = _named(tx, numbers, run_latest, value)
    return [
        Run(
            **row._mapping,
            parameters=parameters.get(row.number, {}),
            metrics=metrics.get(row.number, {}),
            tags=tags.get(row.number, {}),
        )
        for row in rows
    ]


def _named(tx: Transaction, numbers: Sequence[int], table: sa.Table, value: "sa.ColumnElement[Any]") -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    query = sa.select(table.c.run, key.c.name, value.label("value")).join(key, key.c.id == table.c.key)
    for row in tx.execute(query.where(table.c.run.in_(numbers)).order_by(table.c.run, key.c.id)):
        found.setdefault(row.run, {})[row.name] = row.value
    return found
