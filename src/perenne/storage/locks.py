"""Locks with an expiry, in the database: of several processes that could do the same work, one leads.

A lock saves work; it is no fence. Whoever was held up may go on for a moment after another took over, so what is done under a
lock must also be safe without it.
"""

import sqlalchemy as sa

from perenne.core.clock import SECOND
from perenne.storage.clock import database_now
from perenne.storage.database import Database
from perenne.storage.owners import is_dead, owner_token
from perenne.storage.schema import metadata
from perenne.storage.transaction import Transaction

LEASE = 10 * SECOND

table = sa.Table(
    "lock",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease", sa.BigInteger, nullable=False),
)

_TAKE = sa.text(
    "insert into lock (name, owner, lease) values (:name, :owner, :until) "
    "on conflict (name) do update set owner = excluded.owner, lease = excluded.lease "
    "where lock.owner = excluded.owner or lock.owner = :dead or lock.lease < :now returning owner"
)


def take(tx: Transaction, name: str, owner: str, *, lease: int = LEASE) -> bool:
    """Take or prolong a lock; False if another owner has it, whose lease has not run out and who is not known to be dead."""
    now = database_now(tx)
    holder = tx.scalar(sa.select(table.c.owner).where(table.c.name == name))
    dead = holder if holder is not None and is_dead(holder) else ""
    values = {"name": name, "owner": owner, "until": now + lease, "now": now, "dead": dead}
    return tx.scalar(_TAKE, values) is not None


def give_up(tx: Transaction, name: str, owner: str) -> None:
    """Let another take the lock at once; nothing happens if it is not held."""
    tx.execute(table.delete().where(table.c.name == name, table.c.owner == owner))


def holder_of(tx: Transaction, name: str) -> str | None:
    """Return who holds a lock, None if nobody does or the lease has run out."""
    held = sa.select(table.c.owner).where(table.c.name == name, table.c.lease >= database_now(tx))
    found: str | None = tx.scalar(held)
    return found


class Leadership:
    """One process's claim to a lock: asked before each piece of work, written only now and then.

    Parameters
    ----------
    database : Database
        Where the lock is.
    name : str
        Which.
    """

    def __init__(self, database: Database, name: str, *, lease: int = LEASE) -> None:
        self._database = database
        self._name = name
        self._lease = lease
        self._owner = owner_token()
        self._until = 0

    def held(self) -> bool:
        """Tell whether this process leads; take the lead if it is free, prolong it after a third of the lease."""
        with self._database.read() as tx:
            now, holder = database_now(tx), holder_of(tx, self._name)
        if holder == self._owner and now < self._until:
            return True
        if holder is not None and holder != self._owner and not is_dead(holder):
            return False
        taken = self._database.write(lambda tx: take(tx, self._name, self._owner, lease=self._lease), durable=False)
        self._until = now + self._lease // 3 if taken else 0
        return taken

    def give_up(self) -> None:
        """Let another lead at once."""
        self._until = 0
        self._database.write(lambda tx: give_up(tx, self._name, self._owner), durable=False)
