"""The table of runs."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.clock import DAY, MINUTE
from perenne.core.ids import first_id, time_of_id
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen, newest_id, table_of
from perenne.storage.schema import only_where
from perenne.tracking.model import Provenance, Run, RunState

MOST_WORDS = 8
_COMMIT = re.compile(r"[0-9a-f]{6,40}")
OPENED_WITHIN = DAY
"""How much later than its pipeline a run may begin: with the first step that is not known already."""

table = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", JsonColumn(RunState), nullable=False),
    sa.Column("parameters", JsonColumn(dict[str, Any]), nullable=False),
    sa.Column("metrics", JsonColumn(dict[str, float | None]), nullable=False),
    sa.Column("data", JsonColumn(tuple[str, ...]), nullable=False),
    sa.Column("provenance", JsonColumn(Provenance), nullable=False),
    sa.Column("flow", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Column("owner", sa.Text),
    sa.Column("lease", sa.BigInteger),
    sa.Index(None, "project", "id"),
    sa.Index("ix_run_held", "lease", **only_where("owner IS NOT NULL")),
)
_columns = [table.c[name] for name in Run.__struct_fields__]


def insert(tx: Transaction, run: Run) -> None:
    """Add a run."""
    tx.execute(table.insert(), {name: getattr(run, name) for name in Run.__struct_fields__})


def update(tx: Transaction, identity: str, **values: Any) -> bool:
    """Change columns of a run; tell whether it exists."""
    return tx.execute(table.update().where(table.c.id == identity).values(**values)).rowcount == 1


def hold(tx: Transaction, identity: str, owner: str, lease: int) -> None:
    """Note who works on a run, and until when that is certain; one that has ended is nobody's."""
    open_ = sa.and_(table.c.id == identity, table.c.ended.is_(None))
    tx.execute(table.update().where(open_).values(owner=owner, lease=lease))


def held(tx: Transaction) -> list[tuple[str, str, int]]:
    """Read the runs that somebody holds, or held when its process died: id, owner, and until when it is certain."""
    query = sa.select(table.c.id, table.c.owner, table.c.lease).where(table.c.owner.is_not(None))
    return [(row.id, row.owner, row.lease) for row in tx.execute(query)]


def find(tx: Transaction, identity: str) -> Run | None:
    """Read a run, if it exists."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Run, row)


def newest(tx: Transaction, project: str | None, limit: int) -> list[Run]:
    """Read runs, newest first."""
    query = sa.select(*_columns).order_by(table.c.id.desc()).limit(limit)
    if project is not None:
        query = query.where(table.c.project == project)
    return [read_struct(Run, row) for row in tx.execute(query)]


def window(tx: Transaction, where: Sequence["sa.ColumnElement[bool]"], offset: int, limit: int) -> list[Run]:
    """Read some of the runs that fit, newest first."""
    query = sa.select(*_columns).where(*where).order_by(table.c.id.desc()).offset(offset).limit(limit)
    return [read_struct(Run, row) for row in tx.execute(query)]


def count_fitting(tx: Transaction, where: Sequence["sa.ColumnElement[bool]"]) -> int:
    """Count the runs that fit."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0)


def fitting(
    projects: Iterable[str] | None, project: str = "", state: RunState | None = None, text: str = ""
) -> list["sa.ColumnElement[bool]"]:
    """Return the conditions of a filter.

    Parameters
    ----------
    projects : iterable of str or None
        Only those; None for all.
    text : str
        Each of its words occurs in the id, the project, the outcome or a parameter, in whatever case; one that may be the digest
        of a commit may also occur in the provenance.
    """
    where: list[sa.ColumnElement[bool]] = []
    if projects is not None:
        where.append(table.c.project.in_(chosen(projects)))
    if project:
        where.append(table.c.project == project)
    if state is not None:
        where.append(table.c.state == state)
    searched = [table.c.id, table.c.project, table.c.outcome, sa.type_coerce(table.c.parameters, sa.Text)]
    for word in text.lower().split()[:MOST_WORDS]:
        commit = [sa.type_coerce(table.c.provenance, sa.Text)] if _COMMIT.fullmatch(word) else []
        where.append(sa.or_(*(sa.func.lower(column).contains(word, autoescape=True) for column in (*searched, *commit))))
    return where


def projects(tx: Transaction) -> list[str]:
    """Name the projects that have runs: one search of the index for each."""
    found, after = [], ""
    following = sa.select(sa.func.min(table.c.project)).where(table.c.project > sa.bindparam("after"))
    while (name := tx.scalar(following, {"after": after})) is not None:
        found.append(after := str(name))
    return found


def of_flows(tx: Transaction, flows: Iterable[str]) -> list[Run]:
    """Read the runs of some pipeline runs. A run begins soon after its pipeline, and both ids sort by time: few are looked at."""
    names = list(flows)
    if not names:
        return []
    begun = [time_of_id(name) for name in names]
    near = table.c.id.between(first_id(min(begun) - MINUTE), first_id(max(begun) + OPENED_WITHIN))
    query = sa.select(*_columns).where(near, table.c.flow.in_(chosen(names)))
    return [read_struct(Run, row) for row in tx.execute(query)]


def flows(tx: Transaction, projects: Collection[str]) -> set[str]:
    """Return the pipeline runs of the runs of some projects."""
    query = sa.select(table.c.flow).where(table.c.project.in_(chosen(projects)), table.c.flow != "")
    return {row.flow for row in tx.execute(query)}


def newest_of(tx: Transaction, projects: Iterable[str]) -> list[Run]:
    """Read the newest run of each project."""
    query = sa.select(*_columns).where(table.c.id.in_(newest_id(table, "project", "id", projects)))
    return [read_struct(Run, row) for row in tx.execute(query)]


def newest_failed(tx: Transaction, projects: Iterable[str]) -> set[str]:
    """Return those of some projects whose newest run failed."""
    named = table_of(projects)
    state = sa.select(table.c.state).where(table.c.project == named.c.value).order_by(table.c.id.desc()).limit(1)
    newest = sa.select(named.c.value, state.scalar_subquery().label("state")).subquery()
    return {row.value for row in tx.execute(sa.select(newest.c.value).where(newest.c.state == RunState.FAILED))}


def some(tx: Transaction, ids: Iterable[str]) -> list[Run]:
    """Read runs by their ids."""
    return [read_struct(Run, row) for row in tx.execute(sa.select(*_columns).where(table.c.id.in_(chosen(ids))))]


def count(tx: Transaction, first: str, projects: Collection[str]) -> dict[RunState, int]:
    """Count the runs from an id on by where they stand, of all projects or of those named."""
    query = sa.select(table.c.state, sa.func.count().label("number")).where(table.c.id >= first, *_of(projects))
    return {row.state: row.number for row in tx.execute(query.group_by(table.c.state))}


def find_ids(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the ids that begin with a text or hold it."""
    return find_names(tx, table.c.id, text, limit, _of(projects))


def _of(projects: Collection[str]) -> "list[sa.ColumnElement[bool]]":
    return [table.c.project.in_(chosen(projects))] if projects else []
