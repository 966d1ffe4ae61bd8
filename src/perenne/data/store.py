"""The tables of snapshots and of the files they were read from."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from perenne.data.model import ColumnType, Snapshot, SourceFile
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import begins, find_names
from perenne.storage.links import Kind, sources
from perenne.storage.names import chosen

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
    sa.Index(None, "created"),
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
    *(sa.Column(name, sa.BigInteger) for name in ("before", "first", "last", "after")),
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


def count(tx: Transaction, since: int, projects: Collection[str]) -> tuple[int, int, int]:
    """Count datasets, snapshots, and snapshots taken since an instant, of everything or of what was taken for projects."""
    new = sa.func.count().filter(snapshot.c.created >= since)
    columns: tuple[sa.ColumnElement[int], ...] = (sa.func.count(snapshot.c.dataset.distinct()), sa.func.count(), new)
    row: Any = tx.execute(sa.select(*columns).select_from(snapshot).where(*_taken_for(projects))).one()
    return int(row[0]), int(row[1]), int(row[2])


def find_datasets(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the names of datasets that begin with a text or hold it."""
    return find_names(tx, snapshot.c.dataset, text, limit, _taken_for(projects))


def find_snapshots(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[Snapshot]:
    """Read the snapshots whose id begins with a text."""
    query = sa.select(*_columns).where(begins(snapshot.c.id, text), *_taken_for(projects))
    return [read_struct(Snapshot, row) for row in tx.execute(query.order_by(snapshot.c.id).limit(limit))]


def _taken_for(projects: Collection[str]) -> "list[sa.ColumnElement[bool]]":
    return [snapshot.c.id.in_(sources(Kind.SNAPSHOT, "taken_for", Kind.PROJECT, chosen(projects)))] if projects else []


def find_file(tx: Transaction, path: str, selection: str) -> SourceFile | None:
    """Read what is remembered of a file, if anything is."""
    table = source_file.c
    columns = [table[name] for name in SourceFile.__struct_fields__]
    row = tx.execute(sa.select(*columns).where(table.path == path, table.selection == selection)).one_or_none()
    return None if row is None else read_struct(SourceFile, row)


def save_file(tx: Transaction, file: SourceFile) -> None:
    """Remember a file in place of what was remembered of it before."""
    tx.execute(source_file.delete().where(source_file.c.path == file.path, source_file.c.selection == file.selection))
    tx.execute(source_file.insert(), {name: getattr(file, name) for name in SourceFile.__struct_fields__})
