"""The outbox: an event is a row in the transaction of the change it announces, and is delivered at least once.

A subscriber gets the delivering transaction, so what it does in the database happens exactly once: it commits together with the
mark "delivered", and whoever delivers holds the event's row meanwhile. Whatever must leave the database (a mail, a webhook) is
queued there as a job.

Events are delivered in the order in which they were written as long as none fails and one process delivers. One that fails is
tried again later, and holds up no other: a subscriber looks at how things stand, not at what the last event said.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.clock import SECOND
from perenne.core.errors import Invalid, Unavailable
from perenne.core.events import Event
from perenne.storage.clock import database_now
from perenne.storage.database import Database
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction

Subscriber = Callable[[Transaction, Any], None]
MAX_ATTEMPTS = 8

log = logging.getLogger(__name__)

table = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", sa.Text),
    sa.Column("ended", sa.BigInteger),
)

# The state spelled out, as the indexes need it; each is over a few rows only.
_state = {name: table.c.state == sa.literal_column(f"'{name}'") for name in ("waiting", "delivered", "set_aside", "dropped")}
WAITING, DELIVERED, SET_ASIDE = _state["waiting"], _state["delivered"], _state["set_aside"]
for _name, _column in (("waiting", table.c.id), ("set_aside", table.c.id), ("delivered", table.c.ended)):
    _where = sa.text(f"state = '{_name}'")
    sa.Index(f"ix_outbox_{_name}", _column, sqlite_where=_where, postgresql_where=_where)


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it lies in the outbox; `state` is waiting, delivered, set_aside or dropped."""

    id: int
    name: str
    payload: str
    created: int
    state: str
    attempts: int
    due: int
    error: str | None


_columns = [table.c[name] for name in StoredEvent.__struct_fields__]


def emit(tx: Transaction, event: Event) -> None:
    """Announce something together with the change that made it true."""
    now = database_now(tx)
    payload = msgspec.json.encode(event).decode()
    tx.execute(table.insert(), {"name": event.name, "payload": payload, "created": now, "due": now})


class Outbox:
    """Delivers waiting events to their subscribers.

    Parameters
    ----------
    database : Database
        Where the events wait.
    subscribers : mapping
        For each event type the functions that get `(tx, event)`, in order. An event without any is delivered to nobody.
    """

    def __init__(self, database: Database, subscribers: Mapping[type[Event], Sequence[Subscriber]]) -> None:
        self._database = database
        self._subscribers = {kind.name: (msgspec.json.Decoder(kind), tuple(receivers)) for kind, receivers in subscribers.items()}

    def deliver(self, limit: int = 100) -> int:
        """Deliver what is due, oldest first, and return how many events were delivered.

        An event whose subscriber fails is tried again later and holds up no other; after `MAX_ATTEMPTS` it is set aside.

        Raises
        ------
        Unavailable
            If the database itself is in trouble; that counts against no event.
        """
        with self._database.read() as tx:
            query = sa.select(table.c.id).where(WAITING, table.c.due <= database_now(tx)).order_by(table.c.id).limit(limit)
            due = [row.id for row in tx.execute(query)]
        return sum(self._deliver(identity) for identity in due)

    def _deliver(self, identity: int) -> bool:
        try:
            return self._database.write(lambda tx: self._hand_over(tx, identity))
        except Exception as error:
            if isinstance(error, Unavailable) and error.code in {"database.unavailable", "database.closed"}:
                raise
            message = f"{type(error).__name__}: {error}"[:2_000].replace("\0", " ").encode(errors="replace").decode()
            self._database.write(lambda tx: _postpone(tx, identity, message))
            return False

    def _hand_over(self, tx: Transaction, identity: int) -> bool:
        mine = sa.select(table).where(table.c.id == identity, WAITING).with_for_update(skip_locked=True)
        row = tx.execute(mine).one_or_none()
        if row is None:  # another process delivered it, or is at it
            return False
        decoder, receivers = self._subscribers.get(row.name, (None, ()))
        if decoder is not None:
            event = decoder.decode(row.payload)
            for receiver in receivers:
                receiver(tx, event)
        values = {"state": "delivered", "attempts": row.attempts + 1, "ended": database_now(tx)}
        tx.execute(table.update().where(table.c.id == identity).values(**values))
        return True


def _postpone(tx: Transaction, identity: int, error: str) -> None:
    mine = sa.and_(table.c.id == identity, WAITING)
    row = tx.execute(sa.select(table.c.attempts, table.c.name).where(mine).with_for_update(skip_locked=True)).one_or_none()
    if row is None:  # somebody else delivered it meanwhile
        return
    attempts = row.attempts + 1
    state = "set_aside" if attempts >= MAX_ATTEMPTS else "waiting"
    if state == "set_aside":
        log.warning("event %d (%s) is set aside after %d tries: %s", identity, row.name, attempts, error)
    due = database_now(tx) + (1 << attempts) * SECOND
    tx.execute(table.update().where(mine).values(state=state, attempts=attempts, due=due, error=error))


def events(tx: Transaction, *, state: str | None = None, before: int | None = None, limit: int = 100) -> list[StoredEvent]:
    """List events, newest first, optionally of one state; `before` is the number after which to go on."""
    query = sa.select(*_columns).order_by(table.c.id.desc()).limit(limit)
    if state is not None:
        if state not in _state:
            raise Invalid(f"{state[:40]!r} is no state of an event", code="event.state", hint=", ".join(_state))
        query = query.where(_state[state])
    if before is not None:
        query = query.where(table.c.id < before)
    return [read_struct(StoredEvent, row) for row in tx.execute(query)]


def get_event(tx: Transaction, identity: int) -> StoredEvent | None:
    """Read one event."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else read_struct(StoredEvent, row)
