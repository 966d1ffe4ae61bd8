"""The deployment table: one row per endpoint, its variants beside it as JSON, a generation that grows with every change."""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from perenne.serving.log_rules import LogRules
from perenne.serving.model import Constant, Deployment, Holdout, Rollback, Route, Stop, Variant, Weighted
from perenne.storage.database import JsonColumn, Transaction, metadata
from perenne.storage.finding import find_names
from perenne.storage.names import chosen

REMEMBERED = 20
table = sa.Table(
    "deployment",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False, index=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("variants", JsonColumn(tuple[Variant, ...]), nullable=False),
    sa.Column("window_length", sa.BigInteger, nullable=False),
    sa.Column("answer", JsonColumn(Constant)),
    sa.Column("stop", JsonColumn(Stop)),
    sa.Column("route", JsonColumn(Route)),
    sa.Column("rollback", JsonColumn(Rollback)),
    sa.Column("crowned", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("log", JsonColumn(LogRules)),
    sa.Column("holdout", JsonColumn(Holdout)),
)
past_table = sa.Table(
    "deployment_past",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("record", JsonColumn(Deployment), nullable=False),
)
"""What a deployment was, of the last generations: so that a change can be undone."""

_columns = [table.c[name] for name in Deployment.__struct_fields__]


def find(tx: Transaction, name: str) -> Deployment | None:
    """Read one deployment."""
    row = tx.execute(sa.select(*_columns).where(table.c.name == name)).one_or_none()
    return None if row is None else _read(row)


def all_of(tx: Transaction, project: str | None, after: str = "", limit: int | None = None) -> list[Deployment]:
    """Read every deployment, or those of one project, by name, from the one that follows a name on."""
    query = sa.select(*_columns).where(table.c.name > after).order_by(table.c.name).limit(limit)
    if project is not None:
        query = query.where(table.c.project == project)
    return [_read(row) for row in tx.execute(query)]


def some(tx: Transaction, names: Iterable[str]) -> list[Deployment]:
    """Read the named deployments by name."""
    return [_read(row) for row in tx.execute(sa.select(*_columns).where(table.c.name.in_(chosen(names))).order_by(table.c.name))]


def generations(tx: Transaction) -> dict[str, int]:
    """Read the generation of every deployment, and nothing else of it."""
    return {row.name: row.generation for row in tx.execute(sa.select(table.c.name, table.c.generation))}


def stopped(tx: Transaction) -> set[str]:
    """Read the names of the deployments that are stopped."""
    return {row.name for row in tx.execute(sa.select(table.c.name).where(table.c.stop.is_not(None)))}


def with_bandit(tx: Transaction) -> list[Deployment]:
    """Read the deployments whose callers a bandit splits."""
    return _holding(tx, table.c.route, '{"kind":"bandit"%')


def with_canaries(tx: Transaction) -> list[Deployment]:
    """Read the deployments in which some version is a canary."""
    return _holding(tx, table.c.variants, '%"role":"canary"%')


def _holding(tx: Transaction, column: "sa.Column[Any]", pattern: str) -> list[Deployment]:
    text = sa.type_coerce(column, sa.Text)
    return [_read(row) for row in tx.execute(sa.select(*_columns).where(text.like(pattern)).order_by(table.c.name))]


def find_named(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the names of deployments that begin with a text or hold it, of some projects if named."""
    return find_names(tx, table.c.name, text, limit, [table.c.project.in_(chosen(projects))] if projects else [])


def add(tx: Transaction, deployment: Deployment) -> None:
    """Write a new deployment."""
    tx.execute(table.insert(), _values(deployment))


def replace(tx: Transaction, deployment: Deployment) -> bool:
    """Write the next generation of a deployment; False if it does not follow the present one."""
    present = (table.c.name == deployment.name, table.c.generation == deployment.generation - 1)
    return bool(tx.execute(table.update().where(*present).values(_values(deployment))).rowcount)


def remember(tx: Transaction, deployment: Deployment) -> None:
    """Keep what a deployment was; of each, the last few generations."""
    mine = (past_table.c.deployment == deployment.name, past_table.c.generation <= deployment.generation - REMEMBERED)
    tx.execute(past_table.delete().where(*mine))
    tx.execute(past_table.insert(), {"deployment": deployment.name, "generation": deployment.generation, "record": deployment})


def past(tx: Transaction, name: str, generation: int) -> Deployment | None:
    """Read what a deployment was in a generation, if it is remembered."""
    mine = (past_table.c.deployment == name, past_table.c.generation == generation)
    found: Deployment | None = tx.scalar(sa.select(past_table.c.record).where(*mine))
    return found


def _values(deployment: Deployment) -> dict[str, Any]:
    return {name: getattr(deployment, name) for name in Deployment.__struct_fields__}


def _read(row: "sa.Row[Any]") -> Deployment:
    """Read a row; one of before there were routes, roll-back rules and log rules has the usual ones."""
    values = dict(row._mapping)
    usual = {"route": Weighted(), "rollback": Rollback(), "log": LogRules()}
    return Deployment(**values | {name: values[name] or given for name, given in usual.items()})
