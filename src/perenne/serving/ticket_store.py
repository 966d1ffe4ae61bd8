"""The queue of requests that a person answers: one row for each."""

from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.serving.model import Constant
from perenne.storage.database import JsonColumn, Transaction, metadata
from perenne.storage.schema import only_where


class QueuedTicket(msgspec.Struct, frozen=True, kw_only=True):
    """A request in the queue, and what was decided.

    Attributes
    ----------
    answer : list or None
        An answer for each row; None while nobody has decided.
    decided, decided_by, reason
        When, microseconds since 1970; by whom; and why.
    """

    id: str
    deployment: str
    version: str
    opened: int
    rows: tuple[dict[str, Any], ...]
    classes: tuple[Constant, ...]
    suggested: tuple[Constant | None, ...] | None = None
    answer: tuple[Constant, ...] | None = None
    decided: int | None = None
    decided_by: str = ""
    reason: str = ""


table = sa.Table(
    "deployment_ticket",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("opened", sa.BigInteger, nullable=False),
    sa.Column("rows", JsonColumn(tuple[dict[str, Any], ...]), nullable=False),
    sa.Column("classes", JsonColumn(tuple[Constant, ...]), nullable=False),
    sa.Column("suggested", JsonColumn(tuple[Constant | None, ...])),
    sa.Column("answer", JsonColumn(tuple[Constant, ...])),
    sa.Column("decided", sa.BigInteger),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("told", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_deployment_ticket_of", "deployment", "opened"),
    sa.Index("ix_deployment_ticket_open", "deployment", "id", **only_where("decided IS NULL")),
    sa.Index("ix_deployment_ticket_untold", "id", **only_where("decided IS NOT NULL AND told = 0")),
)

_columns = [table.c[name] for name in QueuedTicket.__struct_fields__]


def add(tx: Transaction, ticket: QueuedTicket) -> bool:
    """Write a ticket; False if it is there already."""
    if find(tx, ticket.id) is not None:
        return False
    tx.execute(table.insert(), {name: getattr(ticket, name) for name in QueuedTicket.__struct_fields__})
    return True


def find(tx: Transaction, identity: str) -> QueuedTicket | None:
    """Read a ticket."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else _read(row)


def decide(tx: Transaction, ticket: QueuedTicket) -> bool:
    """Write what was decided; False if somebody else was first."""
    values = {name: getattr(ticket, name) for name in ("answer", "decided", "decided_by", "reason")}
    undecided = (table.c.id == ticket.id, table.c.decided.is_(None))
    return bool(tx.execute(table.update().where(*undecided).values(**values)).rowcount)


def listed(tx: Transaction, deployment: str, *, waiting: bool, after: str, limit: int) -> list[QueuedTicket]:
    """Read the tickets of a deployment by id, which is by age; those that wait only, or all."""
    query = sa.select(*_columns).where(table.c.deployment == deployment, table.c.id > after)
    if waiting:
        query = query.where(table.c.decided.is_(None))
    return [_read(row) for row in tx.execute(query.order_by(table.c.id).limit(limit))]


def waiting(tx: Transaction) -> dict[str, tuple[int, int]]:
    """Tell how many tickets wait in each deployment, and since when."""
    columns = (table.c.deployment, sa.func.count().label("n"), sa.func.min(table.c.opened).label("since"))
    query = sa.select(*columns).where(table.c.decided.is_(None)).group_by(table.c.deployment)
    return {row.deployment: (row.n, row.since) for row in tx.execute(query)}


def untold(tx: Transaction, limit: int) -> list[QueuedTicket]:
    """Read decisions that monitoring has not heard of."""
    query = sa.select(*_columns).where(table.c.decided.is_not(None), table.c.told == 0)
    return [_read(row) for row in tx.execute(query.order_by(table.c.id).limit(limit))]


def mark_told(tx: Transaction, identity: str) -> None:
    """Note that monitoring has heard of a decision."""
    tx.execute(table.update().where(table.c.id == identity).values(told=1))


def _read(row: "sa.Row[Any]") -> QueuedTicket:
    return QueuedTicket(**row._mapping)
