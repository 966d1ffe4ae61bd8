"""The audit trail: who did what to which thing, before and after, each record holding the hash of the one before.

A record is written in the transaction of the change it tells of: no record, no change. The database refuses to change or delete
one, or to leave a gap; `perenne.auth.chain` shows what was done behind its back.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import structs

from perenne.auth.chain import AuditRecord, Head, Verdict, genesis, sealed, verify_chain
from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import NotFound
from perenne.core.ids import new_id
from perenne.storage.names import chosen
from perenne.storage.prepared import Prepared
from perenne.storage.schema import add_statement, metadata, read_struct
from perenne.storage.transaction import Transaction

__all__ = [
    "AuditRecord",
    "Head",
    "Verdict",
    "earliest",
    "entities",
    "get_record",
    "head",
    "of_things",
    "record",
    "trail",
    "verify",
    "window",
]

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


_ONLY_GROWS = "the audit trail is only ever added to"
_NO_GAP = "the audit trail has no gap"
_NEXT = "coalesce((SELECT max(seq) FROM audit), 0) + 1"

for _table in (table, installation):
    for _change in ("UPDATE", "DELETE"):
        add_statement(
            _table,
            f"CREATE TRIGGER {_table.name}_no_{_change.lower()} BEFORE {_change} ON {_table.name} "
            f"BEGIN SELECT RAISE(ABORT, '{_ONLY_GROWS}'); END",
        )
add_statement(
    table,
    f"CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit WHEN NEW.seq <> {_NEXT} BEGIN SELECT RAISE(ABORT, '{_NO_GAP}'); END",
)

_RAISE = "RAISE EXCEPTION '{}' USING ERRCODE = 'integrity_constraint_violation'"
for _table in (table, installation):
    add_statement(
        _table,
        f"CREATE FUNCTION {_table.name}_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {_RAISE.format(_ONLY_GROWS)}; END $$",
        dialect="postgresql",
    )
    add_statement(
        _table,
        f"CREATE TRIGGER {_table.name}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {_table.name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {_table.name}_only_grows()",
        dialect="postgresql",
    )
add_statement(
    table,
    f"CREATE FUNCTION audit_no_gap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.seq <> {_NEXT} THEN "
    f"{_RAISE.format(_NO_GAP)}; END IF; RETURN NEW; END $$",
    dialect="postgresql",
)
add_statement(
    table,
    "CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_no_gap()",
    dialect="postgresql",
)

_names = AuditRecord.__struct_fields__
_columns = [table.c[name] for name in _names]
_read_head = Prepared(sa.text("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"))
_append = Prepared(table.insert().values({name: sa.bindparam(name) for name in _names}))


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
    last = head(tx) or Head(0, genesis(_installation(tx) or _install(tx)))
    row = sealed(
        AuditRecord(
            seq=last.seq + 1,
            time=SystemClock().now() // 1_000 * 1_000,
            actor=actor.name,
            actor_kind=actor.kind.value,
            on_behalf_of=actor.on_behalf_of,
            action=action,
            entity=entity,
            entity_id=entity_id,
            before=_text(before),
            after=_text(after),
            reason=reason,
            prev=last.hash,
            hash="",
        )
    )
    _append.run(tx, structs.asdict(row))
    return row.seq


def head(tx: Transaction) -> Head | None:
    """Return the last record's number and hash: kept elsewhere, they prove later that the trail was not cut or written anew."""
    row = _read_head.run(tx, {}).fetchone()
    return Head(*row) if row else None


def trail(tx: Transaction, *, entity: str | None = None, entity_id: str | None = None, limit: int = 100) -> list[AuditRecord]:
    """Return records, newest first, optionally of one kind of thing or of one thing."""
    query = sa.select(*_columns).order_by(table.c.seq.desc()).limit(limit)
    if entity is not None:
        query = query.where(table.c.entity == entity)
    if entity_id is not None:
        query = query.where(table.c.entity_id == entity_id)
    return [read_struct(AuditRecord, row) for row in tx.execute(query)]


def of_things(tx: Transaction, entity: str, ids: Collection[str], actions: Sequence[str]) -> list[AuditRecord]:
    """Return the records of some actions on some things of a kind, oldest first."""
    where = (table.c.entity == entity, table.c.entity_id.in_(chosen(ids)), table.c.action.in_(actions))
    return [read_struct(AuditRecord, row) for row in tx.execute(sa.select(*_columns).where(*where).order_by(table.c.seq))]


def earliest(tx: Transaction, entity: str, actions: Sequence[str], among: "sa.Select[tuple[str]]") -> AuditRecord | None:
    """Return the first record of some actions on any of some things of a kind, or None: the ids come as a subquery."""
    where = (table.c.entity == entity, table.c.entity_id.in_(among), table.c.action.in_(actions))
    seq = min((row.seq for row in tx.execute(sa.select(table.c.seq).where(*where))), default=None)
    return None if seq is None else read_struct(AuditRecord, tx.execute(sa.select(*_columns).where(table.c.seq == seq)).one())


def window(
    tx: Transaction, *, actor: str = "", entity: str = "", text: str = "", offset: int = 0, limit: int = 200
) -> tuple[list[AuditRecord], int]:
    """Return some records, newest first, and how many there are in all.

    Parameters
    ----------
    actor, entity, text : str
        Only those of who is called so in part, of this kind of thing, and with this text in action, id or reason.
    """
    parts = (table.c.action, table.c.entity_id, table.c.reason)
    where = [table.c.actor.icontains(actor, autoescape=True)] if actor else []
    where += [table.c.entity == entity] if entity else []
    where += [sa.or_(*(part.icontains(text, autoescape=True) for part in parts))] if text else []
    query = sa.select(*_columns).order_by(table.c.seq.desc()).limit(limit)
    if where:
        total = int(tx.scalar(sa.select(sa.func.count()).where(*where)) or 0)
        query = query.where(*where).offset(offset)
    else:  # there is no gap, so that a place is a number
        last = head(tx)
        total = last.seq if last else 0
        query = query.where(table.c.seq <= total - offset)
    return [read_struct(AuditRecord, row) for row in tx.execute(query)], total


def entities(tx: Transaction) -> list[str]:
    """Return the kinds of thing that records tell of, by name."""
    return [row.entity for row in tx.execute(sa.select(table.c.entity).distinct().order_by(table.c.entity))]


def get_record(tx: Transaction, seq: int) -> AuditRecord:
    """Read one record. Raises NotFound."""
    row = tx.execute(sa.select(*_columns).where(table.c.seq == seq)).one_or_none()
    if row is None:
        raise NotFound(f"there is no audit record {seq}", code="audit.not_found", hint="`perenne audit list` shows them")
    return read_struct(AuditRecord, row)


def verify(tx: Transaction, known: Head | None = None, *, since: Head | None = None, limit: int | None = None) -> Verdict:
    """Read the trail in order and check every link of the chain, and that it still holds a record known from before.

    Parameters
    ----------
    since : Head, optional
        A record up to which all is known to be good; what follows it is read.
    limit : int, optional
        At most so many records are read.
    """
    first = since.hash if since else genesis(_installation(tx) or "")
    begun = since.seq if since else 0
    return verify_chain(_stream(tx, begun, limit), first, lambda prev: _following(tx, prev), known, begun)


def _stream(tx: Transaction, after: int, limit: int | None) -> Iterator[AuditRecord]:
    query = sa.select(*_columns).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
    with tx.execute(query.execution_options(yield_per=5_000)) as rows:
        for row in rows:
            yield read_struct(AuditRecord, row)


def _following(tx: Transaction, prev: str) -> list[AuditRecord]:
    return [read_struct(AuditRecord, row) for row in tx.execute(sa.select(*_columns).where(table.c.prev == prev).limit(2))]


def _installation(tx: Transaction) -> str | None:
    identity: str | None = tx.scalar(sa.select(installation.c.id))
    return identity


def _install(tx: Transaction) -> str:
    identity = new_id()
    tx.execute(installation.insert(), {"id": identity, "created": SystemClock().now()})
    return identity


def _text(value: Any) -> str | None:
    return None if value is None else json.canonical(json.plain(value)).decode()
