"""The audit trail: who did what to which thing, before and after, each record holding the hash of the one before.

`hash = SHA-256(prev || canonical JSON of the record without its hash)`. The first `prev` is the SHA-256 of the installation's id.
A record is written in the transaction of the change it tells of: no record, no change.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.ids import new_id
from perenne.storage.database import Transaction, metadata, read_struct

table = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_kind", sa.Text, nullable=False),
    sa.Column("on_behalf_of", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("prev", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index(None, "entity", "entity_id"),
)

installation = sa.Table(
    "installation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created", sa.BigInteger, nullable=False),
)


class AuditRecord(msgspec.Struct, frozen=True):
    """One record of the trail; `before` and `after` are JSON texts."""

    seq: int
    time: int
    actor: str
    actor_kind: str
    on_behalf_of: str
    action: str
    entity: str
    entity_id: str
    before: str | None
    after: str | None
    reason: str
    prev: str
    hash: str


_columns = [table.c[name] for name in AuditRecord.__struct_fields__]


def record(
    tx: Transaction,
    actor: Principal,
    action: str,
    entity: str,
    entity_id: str,
    *,
    before: Any = None,
    after: Any = None,
    reason: str = "",
) -> int:
    """Append a record and return its sequence number.

    Parameters
    ----------
    action : str
        A dotted verb, such as ``version.approve``.
    entity, entity_id : str
        What it was done to.
    before, after : object
        The state that changed: plain values or Structs.
    reason : str
        Why, in the actor's words or the policy's.
    """
    seq, prev = _head(tx)
    row: dict[str, Any] = {
        "seq": seq + 1,
        "time": SystemClock().now() // 1_000 * 1_000,
        "actor": actor.name,
        "actor_kind": actor.kind.value,
        "on_behalf_of": actor.on_behalf_of,
        "action": action,
        "entity": entity,
        "entity_id": entity_id,
        "before": _text(before),
        "after": _text(after),
        "reason": reason,
        "prev": prev,
    }
    row["hash"] = _hash(row)
    tx.execute(table.insert(), row)
    return seq + 1


def trail(tx: Transaction, *, entity: str | None = None, entity_id: str | None = None, limit: int = 100) -> list[AuditRecord]:
    """Return records, newest first, optionally of one kind of thing or of one thing."""
    query = sa.select(*_columns).order_by(table.c.seq.desc()).limit(limit)
    if entity is not None:
        query = query.where(table.c.entity == entity)
    if entity_id is not None:
        query = query.where(table.c.entity_id == entity_id)
    return [read_struct(AuditRecord, row) for row in tx.execute(query)]


class Verdict(msgspec.Struct, frozen=True):
    """What verifying the trail found: the records read, and the first bad one with what is wrong, if any."""

    records: int
    bad_seq: int | None = None
    problem: str = ""


def verify(tx: Transaction) -> Verdict:
    """Read the whole trail in order and check every link of the chain."""
    expected_prev, count = _genesis(_installation(tx) or ""), 0
    for item in _stream(tx):
        if item.seq != count + 1:
            return Verdict(count, item.seq, "missing" if item.seq > count + 1 else "inserted")
        if item.prev != expected_prev:
            return Verdict(count, item.seq, "reordered")
        if item.hash != _hash({name: getattr(item, name) for name in AuditRecord.__struct_fields__ if name != "hash"}):
            return Verdict(count, item.seq, "edited")
        expected_prev, count = item.hash, count + 1
    return Verdict(count)


def _stream(tx: Transaction) -> Iterator[AuditRecord]:
    rows = tx.connection.execution_options(yield_per=5_000).execute(sa.select(*_columns).order_by(table.c.seq))
    for row in rows:
        yield read_struct(AuditRecord, row)


def _head(tx: Transaction) -> tuple[int, str]:
    row = tx.execute(sa.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1)).one_or_none()
    return (row.seq, row.hash) if row else (0, _genesis(_installation(tx) or _install(tx)))


def _installation(tx: Transaction) -> str | None:
    identity: str | None = tx.scalar(sa.select(installation.c.id))
    return identity


def _install(tx: Transaction) -> str:
    identity = new_id()
    tx.execute(installation.insert(), {"id": identity, "created": SystemClock().now()})
    return identity


def _genesis(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()


def _hash(row: dict[str, Any]) -> str:
    return hashlib.sha256(row["prev"].encode() + json.canonical(row)).hexdigest()


def _text(value: Any) -> str | None:
    return None if value is None else json.canonical(json.plain(value)).decode()
