"""The tables of erasures: what was asked, and how far each snapshot is. Whose rows they were is never kept, only a keyed hash."""

from collections.abc import Collection, Iterable
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.names import chosen


class StepState(StrEnum):
    """How far a snapshot is: found, written anew without the rows, and its old object removed."""

    FOUND = "found"
    REWRITTEN = "rewritten"
    PURGED = "purged"


class Erasure(msgspec.Struct, frozen=True):
    """One subject's rows removed from all snapshots.

    Attributes
    ----------
    subject : str
        A keyed hash of the value by which the subject was found.
    column : str
        The column that held it.
    certificate : str
        Digest of the object that tells what was done; empty until it is.
    """

    id: str
    subject: str
    column: str
    reason: str
    started: int
    started_by: str
    finished: int | None
    certificate: str


class Step(msgspec.Struct, frozen=True):
    """A snapshot of an erasure: the places of the rows, from 0, of how many; and what holds the rest, empty if nothing does.

    `objects` are what was found in the snapshot before: its profile and anomalies hold values of its rows, and go with it.
    """

    erasure: str
    snapshot: str
    rows: tuple[int, ...]
    total: int
    replacement: str
    objects: tuple[str, ...]
    state: StepState


erasure = sa.Table(
    "erasure",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("column", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("started_by", sa.Text, nullable=False),
    sa.Column("finished", sa.BigInteger),
    sa.Column("certificate", sa.Text, nullable=False),
)

step = sa.Table(
    "erasure_step",
    metadata,
    sa.Column("erasure", sa.Text, primary_key=True),
    sa.Column("snapshot", sa.Text, primary_key=True),
    sa.Column("rows", JsonColumn(tuple[int, ...]), nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("replacement", sa.Text, nullable=False),
    sa.Column("objects", JsonColumn(tuple[str, ...]), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Index(None, "snapshot"),
)

_erasures = [erasure.c[name] for name in Erasure.__struct_fields__]
_steps = [step.c[name] for name in Step.__struct_fields__]


def insert(tx: Transaction, found: Erasure) -> None:
    """Keep what was asked."""
    tx.execute(erasure.insert(), {name: getattr(found, name) for name in Erasure.__struct_fields__})


def finish(tx: Transaction, identity: str, finished: int, certificate: str) -> None:
    """Note that all is done."""
    tx.execute(erasure.update().where(erasure.c.id == identity).values(finished=finished, certificate=certificate))


def find(tx: Transaction, identity: str) -> Erasure | None:
    """Read one, if there is one."""
    row = tx.execute(sa.select(*_erasures).where(erasure.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Erasure, row)


def newest(tx: Transaction, limit: int) -> list[Erasure]:
    """Read erasures, newest first."""
    query = sa.select(*_erasures).order_by(erasure.c.started.desc(), erasure.c.id.desc()).limit(limit)
    return [read_struct(Erasure, row) for row in tx.execute(query)]


def unfinished(tx: Transaction) -> list[Erasure]:
    """Read the erasures that were begun and not finished, oldest first."""
    query = sa.select(*_erasures).where(erasure.c.finished.is_(None)).order_by(erasure.c.started, erasure.c.id)
    return [read_struct(Erasure, row) for row in tx.execute(query)]


def add_steps(tx: Transaction, steps: Iterable[Step]) -> None:
    """Keep the snapshots of an erasure."""
    rows = [{name: getattr(item, name) for name in Step.__struct_fields__} for item in steps]
    if rows:
        tx.execute(step.insert(), rows)


def replace_step(tx: Transaction, changed: Step) -> None:
    """Note how far a snapshot is."""
    values = {name: getattr(changed, name) for name in Step.__struct_fields__ if name not in ("erasure", "snapshot")}
    tx.execute(step.update().where(step.c.erasure == changed.erasure, step.c.snapshot == changed.snapshot).values(**values))


def steps_of(tx: Transaction, identity: str) -> list[Step]:
    """Read the snapshots of an erasure."""
    query = sa.select(*_steps).where(step.c.erasure == identity).order_by(step.c.snapshot)
    return [read_struct(Step, row) for row in tx.execute(query)]


def erased(tx: Transaction, snapshots: Collection[str]) -> dict[str, Step]:
    """Return which of some snapshots were erased, and what holds the rest of each."""
    where = (step.c.snapshot.in_(chosen(snapshots)), step.c.state != StepState.FOUND)
    return {row.snapshot: read_struct(Step, row) for row in tx.execute(sa.select(*_steps).where(*where))}


def all_erased(tx: Transaction) -> set[str]:
    """Return the snapshots that were erased."""
    return {row.snapshot for row in tx.execute(sa.select(step.c.snapshot).where(step.c.state != StepState.FOUND))}
