"""The outbox: an event is a row in the transaction of the change it announces, and is delivered at least once.

A subscriber gets the delivering transaction, so what it does in the database happens exactly once: it commits together with the
mark "delivered". Whatever must leave the database (a mail, a webhook) is queued there as a job.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import Unavailable
from perenne.core.events import Event
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
    sa.Index(None, "state", "due"),
)


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it lies in the outbox; `state` is waiting, delivered or set_aside."""

    id: int
    name: str
    payload: str
    created: int
    state: str
    attempts: int
    error: str | None


def emit(tx: Transaction, event: Event) -> None:
    """Announce something together with the change that made it true."""
    now = SystemClock().now()
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
        now = SystemClock().now()
        with self._database.read() as tx:
            query = sa.select(table.c.id).where(table.c.state == "waiting", table.c.due <= now).order_by(table.c.id).limit(limit)
            due = [row.id for row in tx.execute(query)]
        return sum(self._deliver(identity) for identity in due)

    def _deliver(self, identity: int) -> bool:
        try:
            return self._database.write(lambda tx: self._hand_over(tx, identity))
        except Exception as error:
            if isinstance(error, Unavailable) and error.code in {"database.unavailable", "database.closed"}:
                raise
            message = f"{type(error).__name__}: {error}"[:2_000]
            self._database.write(lambda tx: _postpone(tx, identity, message))
            return False

    def _hand_over(self, tx: Transaction, identity: int) -> bool:
        row = tx.execute(sa.select(table).where(table.c.id == identity, table.c.state == "waiting")).one_or_none()
        if row is None:
            return False
        decoder, receivers = self._subscribers.get(row.name, (None, ()))
        if decoder is not None:
            event = decoder.decode(row.payload)
            for receiver in receivers:
                receiver(tx, event)
        tx.execute(table.update().where(table.c.id == identity).values(state="delivered", attempts=row.attempts + 1))
        return True


def _postpone(tx: Transaction, identity: int, error: str) -> None:
    mine = sa.and_(table.c.id == identity, table.c.state == "waiting")
    row = tx.execute(sa.select(table.c.attempts, table.c.name).where(mine)).one_or_none()
    if row is None:  # somebody else delivered it meanwhile
        return
    attempts = row.attempts + 1
    state = "set_aside" if attempts >= MAX_ATTEMPTS else "waiting"
    if state == "set_aside":
        log.warning("event %d (%s) is set aside after %d tries: %s", identity, row.name, attempts, error)
    due = SystemClock().now() + (1 << attempts) * SECOND
    tx.execute(table.update().where(mine).values(state=state, attempts=attempts, due=due, error=error))


def events(tx: Transaction, *, state: str | None = None, limit: int = 100) -> list[StoredEvent]:
    """List events, newest first, optionally of one state."""
    query = sa.select(*(table.c[name] for name in StoredEvent.__struct_fields__)).order_by(table.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    return [read_struct(StoredEvent, row) for row in tx.execute(query)]


def retry_set_aside(tx: Transaction, identity: int) -> bool:
    """Let a set-aside event be delivered again; tell whether there was one."""
    values = {"state": "waiting", "attempts": 0, "due": SystemClock().now()}
    return tx.execute(table.update().where(table.c.id == identity, table.c.state == "set_aside").values(values)).rowcount == 1
