"""The table of revisions: what was applied where."""

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.delivery.clusters.model import Revision, RevisionState
from perenne.storage.database import Transaction, metadata

table = sa.Table(
    "cluster_revision",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("cluster", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("server", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("manifests", sa.Text, nullable=False),
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("began", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Column("settled", sa.BigInteger),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("undoes", sa.Integer, nullable=False),
    sa.UniqueConstraint("deployment", "cluster", "namespace", "number"),
)

_columns = [table.c[name] for name in Revision.__struct_fields__]


def add(tx: Transaction, revision: Revision) -> None:
    """Write a new revision."""
    tx.execute(table.insert(), {name: getattr(revision, name) for name in Revision.__struct_fields__})


def replace(tx: Transaction, revision: Revision) -> None:
    """Write how far a revision came."""
    values = {"state": revision.state, "ended": revision.ended, "settled": revision.settled, "problem": revision.problem}
    tx.execute(table.update().where(table.c.id == revision.id).values(values))


def find(tx: Transaction, identity: str) -> Revision | None:
    """Read one revision."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else _read(row)


def revisions(
    tx: Transaction,
    deployment: str,
    *,
    cluster: str = "",
    namespace: str = "",
    states: Collection[RevisionState] = (),
    before: str = "",
    limit: int | None = None,
) -> list[Revision]:
    """Read the revisions of a deployment, newest first; of one cluster and namespace, in some states, if named."""
    query = sa.select(*_columns).where(table.c.deployment == deployment).order_by(table.c.id.desc()).limit(limit)
    if cluster:
        query = query.where(table.c.cluster == cluster)
    if namespace:
        query = query.where(table.c.namespace == namespace)
    if states:
        query = query.where(table.c.state.in_(list(states)))
    if before:
        query = query.where(table.c.id < before)
    return [_read(row) for row in tx.execute(query)]


def _read(row: "sa.Row[Any]") -> Revision:
    return msgspec.convert(dict(zip(Revision.__struct_fields__, row, strict=True)), Revision)
