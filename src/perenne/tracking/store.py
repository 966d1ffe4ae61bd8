"""The table of runs."""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen, newest_id, table_of
from perenne.storage.schema import only_where
from perenne.tracking.model import Provenance, Run, RunState

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
