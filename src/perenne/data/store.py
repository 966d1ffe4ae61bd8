"""The tables of snapshots and of the files they were read from."""

import sqlalchemy as sa

from perenne.data.model import ColumnType, Snapshot
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct

snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("columns", JsonColumn(tuple[ColumnType, ...]), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("start", sa.BigInteger),
    sa.Column("end", sa.BigInteger),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Index(None, "dataset", "created"),
)

source_file = sa.Table(
    "source_file",
    metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("selection", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("inode", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)

_columns = [snapshot.c[name] for name in Snapshot.__struct_fields__]


def insert(tx: Transaction, record: Snapshot) -> None:
    """Keep a snapshot's record."""
    tx.execute(snapshot.insert(), {name: getattr(record, name) for name in Snapshot.__struct_fields__})


def find(tx: Transaction, digest: str, dataset: str) -> Snapshot | None:
    """Read the record of a digest in a dataset, if there is one."""
    row = tx.execute(sa.select(*_columns).where(snapshot.c.id == digest, snapshot.c.dataset == dataset)).one_or_none()
    return None if row is None else read_struct(Snapshot, row)


def starting_with(tx: Transaction, beginning: str) -> list[Snapshot]:
    """Read the records whose id starts with a text, oldest first; a few are enough to tell one from several."""
    where = snapshot.c.id.startswith(beginning, autoescape=True)
    query = sa.select(*_columns).where(where).order_by(snapshot.c.created).limit(10)
    return [read_struct(Snapshot, row) for row in tx.execute(query)]


def newest(tx: Transaction, dataset: str | None, limit: int) -> list[Snapshot]:
    """Read records, newest first."""
    query = sa.select(*_columns).order_by(snapshot.c.created.desc(), snapshot.c.id).limit(limit)
    if dataset is not None:
        query = query.where(snapshot.c.dataset == dataset)
    return [read_struct(Snapshot, row) for row in tx.execute(query)]


def known_file(tx: Transaction, path: str, selection: str, identity: tuple[int, int, int]) -> str | None:
    """Return the digest remembered for a file in this very state."""
    table = source_file.c
    key = (table.path == path, table.selection == selection)
    state = (table.size == identity[0], table.mtime_ns == identity[1], table.inode == identity[2])
    digest: str | None = tx.scalar(sa.select(table.digest).where(*key, *state))
    return digest


def remember_file(tx: Transaction, path: str, selection: str, identity: tuple[int, int, int], digest: str) -> None:
    """Keep the digest of a file's state in place of an earlier one."""
    key = (source_file.c.path == path, source_file.c.selection == selection)
    tx.execute(source_file.delete().where(*key))
    values = dict(zip(("size", "mtime_ns", "inode"), identity, strict=True))
    tx.execute(source_file.insert(), {"path": path, "selection": selection, "digest": digest, **values})
