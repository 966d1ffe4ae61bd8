"""The tables of artifacts: which blob lies at which path, what is being uploaded in parts, and blobs that nobody has any more."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from perenne.storage.clock import database_now
from perenne.storage.names import chosen
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction
from perenne.tracking.artifact_model import Artifact, Entry

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Paths sort by their characters, whatever the language of the database: what a folder holds is one range."""

table = sa.Table(
    "artifact",
    metadata,
    sa.Column("root", _TEXT, primary_key=True),
    sa.Column("path", _TEXT, primary_key=True),
    sa.Column("blob", sa.Text, nullable=False, unique=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text),
    sqlite_with_rowid=False,
)

upload = sa.Table(
    "artifact_upload",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("root", _TEXT, nullable=False),
    sa.Column("path", _TEXT, nullable=False),
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Index(None, "created"),
)
"""Uploads in parts that are under way."""

part = sa.Table(
    "artifact_part",
    metadata,
    sa.Column("upload", sa.Text, sa.ForeignKey("artifact_upload.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("blob", sa.Text, nullable=False, unique=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

garbage = sa.Table(
    "artifact_garbage",
    metadata,
    sa.Column("blob", sa.Text, primary_key=True),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Index(None, "since"),
)
"""Blobs that no row names any more, until they are deleted: whoever reads one, or a backup, still finds it for a while."""

_columns = [table.c[name] for name in Artifact.__struct_fields__]


class _Place(FunctionElement[int]):
    """Where the first `/` of a text stands, counted from one; 0 if there is none."""

    name = "place_of_slash"
    inherit_cache = True


@compiles(_Place, "sqlite")
def _on_sqlite(element: _Place, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}, '/')"


@compiles(_Place, "postgresql")
def _on_postgres(element: _Place, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)}, '/')"


def find(tx: Transaction, root: str, path: str) -> Artifact | None:
    """Read the artifact at a path."""
    row = tx.execute(sa.select(*_columns).where(table.c.root == root, table.c.path == path)).one_or_none()
    return None if row is None else read_struct(Artifact, row)


def below(tx: Transaction, root: str, folder: str, limit: int | None = None) -> list[Artifact]:
    """Read the artifacts below a folder, at any depth, by path; all of a root if the folder is an empty text."""
    query = sa.select(*_columns).where(table.c.root == root, *_within(folder)).order_by(table.c.path).limit(limit)
    return [read_struct(Artifact, row) for row in tx.execute(query)]


def is_folder(tx: Transaction, root: str, folder: str) -> bool:
    """Tell whether something lies below a path."""
    return tx.scalar(sa.select(sa.literal(1)).where(table.c.root == root, *_within(folder)).limit(1)) is not None


def files_among(tx: Transaction, root: str, paths: Iterable[str]) -> list[str]:
    """Return those of some paths at which a file lies."""
    query = sa.select(table.c.path).where(table.c.root == root, table.c.path.in_(chosen(paths)))
    return [row.path for row in tx.execute(query)]


def entries(tx: Transaction, root: str, folder: str) -> list[Entry]:
    """List what a folder holds, one search of the index for each entry: what lies deeper is leapt over.

    Parameters
    ----------
    folder : str
        Empty for the root itself.
    """
    start = f"{folder}/" if folder else ""
    bounds = (table.c.root == root, *_within(folder))
    first = sa.select(sa.func.min(table.c.path).label("path")).where(*bounds).cte("found", recursive=True)
    rest = sa.func.substr(first.c.path, len(start) + 1)
    slash = _Place(rest)
    # After a folder's entries comes what sorts behind its `/`, which `0` does; after a file, the next longer text.
    after = sa.case(
        (slash > 0, sa.literal(start, sa.Text) + sa.func.substr(rest, 1, slash - 1) + "0"), else_=first.c.path + "\x01"
    )
    following = sa.select(sa.func.min(table.c.path)).where(*bounds, table.c.path >= after).scalar_subquery()
    found = first.union_all(sa.select(following).where(first.c.path.is_not(None)))
    here = sa.func.substr(found.c.path, len(start) + 1)
    query = sa.select(here.label("rest"), table.c.size, table.c.modified).join(
        table, sa.and_(table.c.root == root, table.c.path == found.c.path)
    )
    listed = [_entry(start, row.rest, row.size, row.modified) for row in tx.execute(query)]
    return sorted(listed, key=lambda entry: entry.path)


def _entry(start: str, rest: str, size: int, modified: int) -> Entry:
    name, slash, _ = rest.partition("/")
    return (
        Entry(path=start + name, is_dir=True) if slash else Entry(path=start + name, is_dir=False, size=size, modified=modified)
    )


def total(tx: Transaction, root: str) -> tuple[int, int]:
    """Count the artifacts of a root, and their bytes."""
    query = sa.select(sa.func.count().label("number"), sa.func.sum(table.c.size).label("size")).where(table.c.root == root)
    row = tx.execute(query).one()
    return int(row.number), int(row.size or 0)


def put(tx: Transaction, artifact: Artifact) -> None:
    """Let a path lead to a blob; what it led to before is garbage."""
    before = find(tx, artifact.root, artifact.path)
    values = {name: getattr(artifact, name) for name in Artifact.__struct_fields__}
    if before is None:
        tx.execute(table.insert(), values)
        return
    tx.execute(table.update().where(table.c.root == artifact.root, table.c.path == artifact.path).values(**values))
    discard(tx, [before.blob])


def set_digest(tx: Transaction, blob: str, digest: str) -> None:
    """Note the digest of a blob's bytes."""
    tx.execute(table.update().where(table.c.blob == blob).values(digest=digest))


def remove(tx: Transaction, root: str, path: str) -> int:
    """Take an artifact away, or all below a folder, or, with an empty path, all of a root; return how many went."""
    where = sa.and_(table.c.root == root, sa.or_(table.c.path == path, sa.and_(*_within(path))) if path else sa.true())
    doomed = sa.select(table.c.blob, sa.literal(database_now(tx), sa.BigInteger)).where(where)
    tx.execute(garbage.insert().from_select(["blob", "since"], doomed))
    return tx.execute(table.delete().where(where)).rowcount


def discard(tx: Transaction, blobs: Sequence[str]) -> None:
    """Have blobs deleted later that no row names any more."""
    if blobs:
        now = database_now(tx)
        tx.execute(garbage.insert(), [{"blob": blob, "since": now} for blob in blobs])


def discarded(tx: Transaction, before: int, limit: int) -> list[str]:
    """Read blobs that are garbage since before an instant."""
    query = sa.select(garbage.c.blob).where(garbage.c.since < before).order_by(garbage.c.since).limit(limit)
    return [row.blob for row in tx.execute(query)]


def forget(tx: Transaction, blobs: Sequence[str]) -> None:
    """Note that blobs were deleted."""
    tx.execute(garbage.delete().where(garbage.c.blob.in_(chosen(blobs))))


def known(tx: Transaction, blobs: Sequence[str]) -> set[str]:
    """Return those of some blobs that any row names."""
    named = sa.union_all(*(sa.select(each.c.blob).where(each.c.blob.in_(chosen(blobs))) for each in (table, part, garbage)))
    return {row.blob for row in tx.execute(named)}


def begin_upload(tx: Transaction, identity: str, root: str, path: str, parts: int) -> None:
    """Note that an upload in parts begins."""
    values = {"id": identity, "root": root, "path": path, "parts": parts, "created": database_now(tx)}
    tx.execute(upload.insert(), values)


def find_upload(tx: Transaction, identity: str) -> "sa.Row[Any] | None":
    """Read an upload that is under way."""
    return tx.execute(sa.select(upload).where(upload.c.id == identity)).one_or_none()


def old_uploads(tx: Transaction, before: int) -> list[str]:
    """Name the uploads that began before an instant and never ended."""
    return [row.id for row in tx.execute(sa.select(upload.c.id).where(upload.c.created < before).limit(100))]


def put_part(tx: Transaction, identity: str, number: int, blob: str, size: int) -> None:
    """Keep a part; one that was sent again replaces the first."""
    where = sa.and_(part.c.upload == identity, part.c.number == number)
    before = tx.scalar(sa.select(part.c.blob).where(where))
    if before is None:
        tx.execute(part.insert(), {"upload": identity, "number": number, "blob": blob, "size": size})
    else:
        tx.execute(part.update().where(where).values(blob=blob, size=size))
        discard(tx, [before])


def parts_of(tx: Transaction, identity: str) -> list[tuple[int, str]]:
    """Read the parts of an upload in order: number and blob."""
    query = sa.select(part.c.number, part.c.blob).where(part.c.upload == identity).order_by(part.c.number)
    return [(row.number, row.blob) for row in tx.execute(query)]


def end_upload(tx: Transaction, identity: str) -> bool:
    """Forget an upload, its parts become garbage; tell whether there was one."""
    discard(tx, [blob for _, blob in parts_of(tx, identity)])
    tx.execute(part.delete().where(part.c.upload == identity))
    return tx.execute(upload.delete().where(upload.c.id == identity)).rowcount == 1


def _within(folder: str) -> list["sa.ColumnElement[bool]"]:
    return [table.c.path > f"{folder}/", table.c.path < f"{folder}0"] if folder else []
