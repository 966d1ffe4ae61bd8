"""The tables of what is served elsewhere: who is watched, which rows were counted, and how far journals were read."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.monitoring.elsewhere.model import Foreign, Part, Roles, Signature
from perenne.monitoring.store import read_named, watch
from perenne.storage.names import chosen
from perenne.storage.schema import JsonColumn, metadata, only_where
from perenne.storage.transaction import Transaction

foreign = sa.Table(
    "monitor_foreign",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("kserve", sa.Text, unique=True),
    sa.Column("roles", JsonColumn(Roles), nullable=False),
    sa.Column("signature", JsonColumn(Signature), nullable=False),
    sa.Column("every", sa.BigInteger, nullable=False),
    sa.Column("window", sa.BigInteger, nullable=False),
    sa.Column("late", sa.BigInteger, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("removed", sa.Boolean, nullable=False),
    sa.Column("state", JsonColumn(dict[str, str]), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("newest", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("repeated", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    sa.Column("checked", sa.BigInteger),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
)

part = sa.Table(
    "monitor_foreign_part",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("rows_object", sa.Text, nullable=False),
    sa.Column("keys_object", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("kept", sa.BigInteger, nullable=False, index=True),
    sa.Column("counted", sa.Boolean, nullable=False),
    sa.Column("logged", sa.Boolean, nullable=False),
    sa.Index("ix_monitor_foreign_part_logged", "deployment", "sequence", **only_where("NOT logged")),
)

journal = sa.Table(
    "monitor_journal",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)
"""How far what was sent has been counted, by the name of its file."""

_foreign = [foreign.c[name] for name in Foreign.__struct_fields__]
_part = [part.c[name] for name in Part.__struct_fields__]


def _values(row: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def find(tx: Transaction, name: str) -> Foreign | None:
    """Read one that is watched, removed or not."""
    row = tx.execute(sa.select(*_foreign).where(foreign.c.name == name)).one_or_none()
    return None if row is None else read_named(Foreign, row)


def find_kserve(tx: Transaction, service: str) -> Foreign | None:
    """Read the one whose rows are the events of an inference service."""
    row = tx.execute(sa.select(*_foreign).where(foreign.c.kserve == service)).one_or_none()
    return None if row is None else read_named(Foreign, row)


def every(tx: Transaction, names: Collection[str] | None = None) -> list[Foreign]:
    """Read those that are not removed, by name; of some names if given."""
    query = sa.select(*_foreign).where(foreign.c.removed.is_(False)).order_by(foreign.c.name)
    if names is not None:
        query = query.where(foreign.c.name.in_(chosen(names)))
    return [read_named(Foreign, row) for row in tx.execute(query)]


def names_among(tx: Transaction, names: Collection[str]) -> set[str]:
    """Tell which of some names are of deployments that others serve."""
    return {row.name for row in tx.execute(sa.select(foreign.c.name).where(foreign.c.name.in_(chosen(names))))}


def add(tx: Transaction, new: Foreign) -> None:
    """Write a new one."""
    tx.execute(foreign.insert(), _values(new))


def change(tx: Transaction, before: Foreign, after: Foreign) -> bool:
    """Write what became of one that still stands where it was read; False if another was quicker."""
    here = (foreign.c.name == before.name, foreign.c.revision == before.revision)
    values = _values(msgspec.structs.replace(after, revision=before.revision + 1))
    return tx.execute(foreign.update().where(*here).values(**values)).rowcount == 1


def add_part(tx: Transaction, new: Part) -> None:
    """Keep rows that were counted."""
    tx.execute(part.insert(), _values(new))


def next_part(tx: Transaction, deployment: str) -> int:
    """Return the number of the next part."""
    return 1 + int(tx.scalar(sa.select(sa.func.max(part.c.sequence)).where(part.c.deployment == deployment)) or 0)


def parts_between(tx: Transaction, deployment: str, first: int, last: int) -> list[Part]:
    """Read the parts that may hold rows of a time, oldest first."""
    where = (part.c.deployment == deployment, part.c.last >= first, part.c.first <= last)
    return [read_named(Part, row) for row in tx.execute(sa.select(*_part).where(*where).order_by(part.c.sequence))]


def uncounted(tx: Transaction, deployment: str) -> list[Part]:
    """Read the parts that wait for a reference."""
    query = sa.select(*_part).where(part.c.deployment == deployment, part.c.counted.is_(False)).order_by(part.c.sequence)
    return [read_named(Part, row) for row in tx.execute(query)]


def unlogged(tx: Transaction, limit: int) -> list[Part]:
    """Read parts whose rows are not in the row log."""
    query = sa.select(*_part).where(sa.not_(part.c.logged)).order_by(part.c.deployment, part.c.sequence).limit(limit)
    return [read_named(Part, row) for row in tx.execute(query)]


def mark(tx: Transaction, deployment: str, sequences: Sequence[int], **values: bool) -> None:
    """Note of parts that they are counted, or logged."""
    tx.execute(part.update().where(part.c.deployment == deployment, part.c.sequence.in_(sequences)).values(**values))


def forget_watches(tx: Transaction, name: str) -> None:
    """Watch no version of a deployment any longer."""
    tx.execute(watch.delete().where(watch.c.deployment == name))


def forget_parts(tx: Transaction, before: int, age: int) -> list[str]:
    """Forget parts kept before an instant whose rows are so much older than the newest that they cannot come again.

    Returns the objects that held them.
    """
    newest = sa.select(foreign.c.newest).where(foreign.c.name == part.c.deployment).scalar_subquery()
    old = (part.c.kept < before, part.c.counted, part.c.logged, part.c.last < newest - age)
    found = tx.execute(sa.select(part.c.rows_object, part.c.keys_object).where(*old)).all()
    if found:
        tx.execute(part.delete().where(*old))
    return [digest for row in found for digest in row]


def position(tx: Transaction, name: str) -> int:
    """Return how far a journal was counted."""
    return int(tx.scalar(sa.select(journal.c.position).where(journal.c.name == name)) or 0)


def move(tx: Transaction, name: str, before: int, after: int) -> bool:
    """Note how far a journal is counted; False if another was quicker."""
    if before == 0:
        statement = sa.text("insert into monitor_journal (name, position) values (:name, :after) on conflict (name) do nothing")
        return tx.execute(statement, {"name": name, "after": after}).rowcount == 1
    here = (journal.c.name == name, journal.c.position == before)
    return tx.execute(journal.update().where(*here).values(position=after)).rowcount == 1


def forget_journal(tx: Transaction, name: str) -> None:
    """Forget a journal whose file is gone."""
    tx.execute(journal.delete().where(journal.c.name == name))
