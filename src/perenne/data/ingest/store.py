"""The tables of sources and of what was read from them."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from perenne.data.ingest.model import Mode, Outcome, Refresh, Source
from perenne.data.model import ColumnType
from perenne.storage.names import chosen
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction

source = sa.Table(
    "ingest_source",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("mode", JsonColumn(Mode), nullable=False),
    sa.Column("watermark", sa.Text, nullable=False),
    sa.Column("every", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("trusted", sa.Boolean, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("columns", JsonColumn(tuple[ColumnType, ...]), nullable=False),
    sa.Column("state", JsonColumn(dict[str, str]), nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("checked", sa.BigInteger),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
)

refresh = sa.Table(
    "ingest_refresh",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger, nullable=False),
    sa.Column("outcome", JsonColumn(Outcome), nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("state", JsonColumn(dict[str, str]), nullable=False),
    sa.Column("notes", JsonColumn(tuple[str, ...]), nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("tool", sa.Text, nullable=False),
    sa.Index(None, "dataset", "started"),
)

_source = [source.c[name] for name in Source.__struct_fields__]
_refresh = [refresh.c[name] for name in Refresh.__struct_fields__]


def find(tx: Transaction, dataset: str) -> Source | None:
    """Read the source of a dataset; None if it has none."""
    row = tx.execute(sa.select(*_source).where(source.c.dataset == dataset)).one_or_none()
    return None if row is None else read_struct(Source, row)


def sources(tx: Transaction) -> list[Source]:
    """Read all sources, by name."""
    return [read_struct(Source, row) for row in tx.execute(sa.select(*_source).order_by(source.c.dataset))]


def insert(tx: Transaction, new: Source) -> None:
    """Add a source."""
    tx.execute(source.insert(), {name: getattr(new, name) for name in Source.__struct_fields__})


def update(tx: Transaction, dataset: str, **values: Any) -> None:
    """Change columns of a source."""
    tx.execute(source.update().where(source.c.dataset == dataset).values(**values))


def follow(tx: Transaction, known: Source, **values: Any) -> bool:
    """Change a source that still stands where it was read; False if another reading was quicker."""
    where = (source.c.dataset == known.dataset, source.c.snapshot == known.snapshot, source.c.uri == known.uri)
    return tx.execute(source.update().where(*where).values(**values)).rowcount == 1


def follow_erased(tx: Transaction, snapshot: str, replacement: str) -> None:
    """Let sources go on from the snapshot that holds what is left of an erased one."""
    tx.execute(source.update().where(source.c.snapshot == snapshot).values(snapshot=replacement))


def delete(tx: Transaction, dataset: str) -> None:
    """Remove a source; what was read from it stays."""
    tx.execute(source.delete().where(source.c.dataset == dataset))


def add_refresh(tx: Transaction, new: Refresh) -> None:
    """Keep what became of a reading."""
    tx.execute(refresh.insert(), {name: getattr(new, name) for name in Refresh.__struct_fields__})


def refreshes(tx: Transaction, datasets: Collection[str], limit: int) -> list[Refresh]:
    """Read what became of the newest readings of some sources."""
    query = sa.select(*_refresh).where(refresh.c.dataset.in_(chosen(datasets)))
    query = query.order_by(refresh.c.started.desc(), refresh.c.id.desc()).limit(limit)
    return [read_struct(Refresh, row) for row in tx.execute(query)]
