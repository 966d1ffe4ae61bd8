"""The tables of snapshots, of what was found in them, and of the files they were read from."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from perenne.data.model import ColumnType, Examination, Snapshot, SourceFile
from perenne.storage import links
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
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

examination = sa.Table(
    "snapshot_examination",
    metadata,
    sa.Column("snapshot", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("first", sa.BigInteger),
    sa.Column("last", sa.BigInteger),
    sa.Column("findings", sa.Text),
    sa.Column("errors", sa.BigInteger),
    sa.Column("warnings", sa.BigInteger),
    sa.Column("baseline", sa.Text, nullable=False),
    sa.Column("examined", sa.BigInteger, nullable=False),
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
    ids = find_names(tx, snapshot.c.id, text, limit, _taken_for(projects), inside=False)
    query = sa.select(*_columns).where(snapshot.c.id.in_(chosen(ids))).order_by(snapshot.c.id, snapshot.c.dataset)
    return [read_struct(Snapshot, row) for row in tx.execute(query)]


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


class Newest(NamedTuple):
    """The newest snapshot of a dataset, how many there are of it, and what was found in it."""

    snapshot: Snapshot
    taken: int
    examination: Examination | None


class Wanted(NamedTuple):
    """Which datasets: of some projects or of all, with a text in their name, or of one name.

    `also` is the condition that a text is in what is known of a dataset beside its name.
    """

    projects: Collection[str] | None = None
    find: str = ""
    named: str = ""
    also: Callable[[Any, str], "sa.ColumnElement[bool]"] | None = None


def save_examination(tx: Transaction, found: Examination) -> None:
    """Keep what was found in a snapshot in place of what was found before."""
    table = examination.c
    tx.execute(examination.delete().where(table.snapshot == found.snapshot, table.dataset == found.dataset))
    tx.execute(examination.insert(), {name: getattr(found, name) for name in Examination.__struct_fields__})


def examinations(tx: Transaction, snapshots: Iterable[str], dataset: str) -> dict[str, Examination]:
    """Read what was found in some snapshots of a dataset, by snapshot."""
    table = examination.c
    query = sa.select(*_examined).where(table.snapshot.in_(list(snapshots)), table.dataset == dataset)
    return {row.snapshot: read_struct(Examination, row) for row in tx.execute(query)}


_examined = [examination.c[name] for name in Examination.__struct_fields__]
_ORDERS: dict[str, "tuple[sa.ColumnElement[Any], ...]"] = {
    "name": (snapshot.c.dataset,),
    "rows": (snapshot.c.rows.desc(), snapshot.c.dataset),
    "newest": (snapshot.c.created.desc(), snapshot.c.dataset),
    "findings": (sa.func.coalesce(examination.c.errors, -1).desc(), examination.c.warnings.desc(), snapshot.c.dataset),
}
ORDERS = tuple(_ORDERS)


def _visible(projects: Collection[str] | None, of: sa.FromClause = snapshot) -> "sa.ColumnElement[bool]":
    """Tell whether a snapshot was taken for one of some projects."""
    if projects is None:
        return sa.true()
    return of.c.id.in_(links.sources(links.Kind.SNAPSHOT, links.TAKEN_FOR, links.Kind.PROJECT, chosen(projects)))


def newest_of_each(tx: Transaction, wanted: Wanted, order: str, offset: int, limit: int) -> list[Newest]:
    """Read the newest snapshot of each dataset, in an order of `ORDERS`."""
    query = _newest_query(_asked(wanted), wanted.projects).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return [_newest(row) for row in tx.execute(query)]


def newest_of(tx: Transaction, datasets: Collection[str], projects: Collection[str] | None) -> list[Newest]:
    """Read the newest snapshot of each of some datasets, among those that were taken for some projects."""
    where = (_visible(projects), snapshot.c.dataset.in_(chosen(datasets)))
    return [_newest(row) for row in tx.execute(_newest_query(where, projects))]


def _newest_query(where: "Iterable[sa.ColumnElement[bool]]", projects: Collection[str] | None) -> "sa.Select[Any]":
    groups = sa.select(snapshot.c.dataset, sa.func.count().label("taken")).where(*where).group_by(snapshot.c.dataset)
    group = groups.subquery()
    picked = sa.select(group, _last_of(group.c.dataset, projects).label("id")).subquery()
    return (
        sa.select(*_columns, picked.c.taken, *_examined)
        .join(picked, (picked.c.id == snapshot.c.id) & (picked.c.dataset == snapshot.c.dataset))
        .outerjoin(examination, (examination.c.snapshot == snapshot.c.id) & (examination.c.dataset == snapshot.c.dataset))
    )


def _last_of(dataset: Any, projects: Collection[str] | None) -> Any:
    one = snapshot.alias()
    last = sa.select(one.c.id).where(one.c.dataset == dataset, _visible(projects, one))
    return last.order_by(one.c.created.desc(), one.c.id).limit(1).scalar_subquery()


def newest_rows(projects: Collection[str] | None) -> Any:
    """Return a query of the newest snapshots as rows, one of each dataset, to join with others."""
    names = sa.select(snapshot.c.dataset).distinct().where(_visible(projects)).subquery()
    picked = sa.select(names.c.dataset, _last_of(names.c.dataset, projects).label("id")).subquery()
    joined = snapshot.join(picked, (picked.c.id == snapshot.c.id) & (picked.c.dataset == snapshot.c.dataset))
    return sa.select(*_columns).select_from(joined).subquery("newest")


def _newest(row: "sa.Row[Any]") -> Newest:
    width = len(_columns)
    found = row[width + 1 :]
    return Newest(Snapshot(*row[:width]), row[width], None if found[0] is None else Examination(*found))


def _asked(wanted: Wanted) -> "tuple[sa.ColumnElement[bool], ...]":
    conditions = [_visible(wanted.projects)]
    if wanted.named:
        conditions.append(snapshot.c.dataset == wanted.named)
    if wanted.find:
        named = snapshot.c.dataset.icontains(wanted.find, autoescape=True)
        conditions.append(named if wanted.also is None else named | wanted.also(snapshot.c.dataset, wanted.find))
    return tuple(conditions)


def count_datasets(tx: Transaction, wanted: Wanted) -> int:
    """Count the datasets that there are."""
    return tx.scalar(sa.select(sa.func.count(snapshot.c.dataset.distinct())).where(*_asked(wanted))) or 0


def window_of(
    tx: Transaction, dataset: str, projects: Collection[str] | None, offset: int, limit: int
) -> tuple[list[Snapshot], int]:
    """Read the snapshots of a dataset that were taken for some projects, newest first, and count all of them."""
    where = (snapshot.c.dataset == dataset, _visible(projects))
    query = sa.select(*_columns).where(*where).order_by(snapshot.c.created.desc(), snapshot.c.id).offset(offset).limit(limit)
    total = tx.scalar(sa.select(sa.func.count()).select_from(snapshot).where(*where)) or 0
    return [read_struct(Snapshot, row) for row in tx.execute(query)], total


def named(tx: Transaction, identities: Iterable[str]) -> dict[str, Snapshot]:
    """Read snapshots by their ids; of one that several datasets have, the oldest record."""
    query = sa.select(*_columns).where(snapshot.c.id.in_(list(identities))).order_by(snapshot.c.created.desc())
    return {row.id: read_struct(Snapshot, row) for row in tx.execute(query)}


def projects_of(tx: Transaction, identities: Iterable[str]) -> dict[str, list[str]]:
    """Tell for which projects some snapshots were taken, by snapshot."""
    link = links.table.c
    found: dict[str, list[str]] = {}
    query = (
        sa.select(link.source, link.target)
        .where(link.source_kind == links.Kind.SNAPSHOT, link.source.in_(list(identities)), link.relation == links.TAKEN_FOR)
        .order_by(link.target)
    )
    for row in tx.execute(query):
        found.setdefault(row.source, []).append(row.target)
    return found


def of_datasets(tx: Transaction, datasets: Collection[str]) -> list[Snapshot]:
    """Read the snapshots of some data sets, or of all if none is named, oldest first."""
    query = sa.select(*_columns).order_by(snapshot.c.created, snapshot.c.id)
    if datasets:
        query = query.where(snapshot.c.dataset.in_(chosen(datasets)))
    return [read_struct(Snapshot, row) for row in tx.execute(query)]


def all_named(tx: Transaction, identities: Collection[str]) -> dict[str, list[Snapshot]]:
    """Read every record of snapshots by their ids: one for each data set that has it."""
    found: dict[str, list[Snapshot]] = {}
    query = sa.select(*_columns).where(snapshot.c.id.in_(chosen(identities))).order_by(snapshot.c.dataset)
    for row in tx.execute(query):
        found.setdefault(row.id, []).append(read_struct(Snapshot, row))
    return found


def forget_examinations(tx: Transaction, identity: str) -> tuple[str, ...]:
    """Remove what was found in a snapshot, and return the objects that held it."""
    table = examination.c
    rows = tx.execute(sa.select(table.profile, table.findings).where(table.snapshot == identity)).all()
    tx.execute(examination.delete().where(table.snapshot == identity))
    return tuple(sorted({digest for row in rows for digest in row if digest}))


def forget_files(tx: Transaction, identity: str) -> None:
    """Forget which files became a snapshot."""
    tx.execute(source_file.delete().where(source_file.c.digest == identity))


def used_objects(tx: Transaction, objects: Collection[str]) -> set[str]:
    """Return which of some objects hold what was found in a snapshot."""
    table, wanted = examination.c, chosen(objects)
    query = sa.select(table.profile, table.findings).where(table.profile.in_(wanted) | table.findings.in_(wanted))
    return {digest for row in tx.execute(query) for digest in row if digest}


def made_of_versions(tx: Transaction) -> list[tuple[str, str, str]]:
    """Tell what was made of versions of files: its kind and id, and the id of the version."""
    link = links.table.c
    query = sa.select(link.source_kind, link.source, link.target).where(link.target_kind.startswith("data version"))
    rows = tx.execute(query.order_by(link.source_kind, link.source))
    return [(str(row.source_kind), row.source, row.target) for row in rows]
