"""The clock by which leases are decided: the database's own, so that the clocks of several machines need not agree."""

import sqlalchemy as sa

from perenne.core.clock import SystemClock
from perenne.storage.transaction import Transaction

_POSTGRESQL = sa.text("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")


def database_now(tx: Transaction) -> int:
    """Return microseconds since 1970, UTC: of PostgreSQL's server; of this machine on SQLite, which serves one machine only."""
    if tx.connection.dialect.name == "postgresql":
        return int(tx.scalar(_POSTGRESQL))
    return SystemClock().now()
