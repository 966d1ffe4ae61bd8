"""Who judges the windows of which deployment: leases by name, so that several processes share a fleet and none is judged twice.

A lease saves work and is its fence at once: verdicts are kept in a transaction that also finds the lease still held.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from perenne.core.clock import MINUTE
from perenne.storage.clock import database_now
from perenne.storage.names import chosen
from perenne.storage.owners import is_dead
from perenne.storage.schema import metadata
from perenne.storage.transaction import Transaction

LEASE = MINUTE

table = sa.Table(
    "monitor_lease",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)

_TAKE = sa.text(
    "insert into monitor_lease (deployment, owner, until) values (:deployment, :owner, :until) "
    "on conflict (deployment) do update set owner = excluded.owner, until = excluded.until "
    "where monitor_lease.owner = :owner or monitor_lease.owner = :holder or monitor_lease.until < :now returning deployment"
)


def take(tx: Transaction, owner: str, deployments: Sequence[str], *, most: int, lease: int = LEASE) -> list[str]:
    """Take those of some deployments that nobody else judges: free ones, and those whose holder died or was too slow.

    Parameters
    ----------
    owner : str
        `perenne.storage.owners.owner_token`.
    deployments : sequence of str
        In the order in which they are wanted.
    most : int
        How many to take.
    """
    now = database_now(tx)
    held = {row.deployment: row for row in tx.execute(sa.select(table).where(table.c.deployment.in_(chosen(deployments))))}
    taken: list[str] = []
    for name in deployments:
        if len(taken) == most:
            break
        holder = held[name].owner if name in held else ""
        if holder and holder != owner and held[name].until >= now and not is_dead(holder):
            continue
        values = {"deployment": name, "owner": owner, "until": now + lease, "now": now, "holder": holder}
        if tx.scalar(_TAKE, values) is not None:
            taken.append(name)
    return taken


def renew(tx: Transaction, owner: str, deployments: Collection[str], *, lease: int = LEASE) -> set[str]:
    """Prolong what an owner holds, and tell which of some deployments that is: nobody takes them before the transaction ends."""
    mine = (table.c.owner == owner, table.c.deployment.in_(chosen(deployments)))
    changed = table.update().where(*mine).values(until=database_now(tx) + lease).returning(table.c.deployment)
    return {row.deployment for row in tx.execute(changed)}


def give_back(tx: Transaction, owner: str, deployments: Collection[str]) -> None:
    """Let others judge what was held."""
    tx.execute(table.delete().where(table.c.owner == owner, table.c.deployment.in_(chosen(deployments))))
