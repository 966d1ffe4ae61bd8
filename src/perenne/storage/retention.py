"""Removing what has ended long ago: delivered events and jobs, a few hundred rows at a time, so that nobody waits for it.

A job with an idempotency key stays longer: as long as its row is there, no second one with the key is made.
"""

from collections.abc import Callable

import sqlalchemy as sa

from perenne.core.clock import DAY
from perenne.storage import jobs, outbox
from perenne.storage.clock import database_now
from perenne.storage.database import Database
from perenne.storage.transaction import Transaction

EVENTS_KEPT = 7 * DAY
JOBS_KEPT = 7 * DAY
KEYS_KEPT = 90 * DAY
"""How long a job with a key, and one that failed or was cancelled, is kept."""
BATCH = 500


def prune(database: Database, *, batches: int = 20) -> int:
    """Remove what is older than its time, in at most so many batches of each kind; return how many rows went."""
    return sum(_repeat(database, work, batches) for work in (_prune_events, _prune_jobs, _prune_keys))


def _repeat(database: Database, work: Callable[[Transaction], int], batches: int) -> int:
    total = 0
    for _ in range(batches):
        removed = database.write(work, durable=False)
        total += removed
        if removed < BATCH:
            break
    return total


def _prune_events(tx: Transaction) -> int:
    table = outbox.table
    return _delete(tx, table, table.c.ended, outbox.DELIVERED, table.c.ended < database_now(tx) - EVENTS_KEPT)


def _prune_jobs(tx: Transaction) -> int:
    table = jobs.table
    return _delete(tx, table, table.c.ended, sa.text(jobs.PLAIN), table.c.ended < database_now(tx) - JOBS_KEPT)


def _prune_keys(tx: Transaction) -> int:
    table = jobs.table
    return _delete(tx, table, table.c.ended, sa.text(jobs.KEPT), table.c.ended < database_now(tx) - KEYS_KEPT)


def _delete(
    tx: Transaction, table: sa.Table, order: "sa.ColumnElement[object]", *where: "sa.ColumnElement[bool] | sa.TextClause"
) -> int:
    oldest = sa.select(table.c.id).where(*where).order_by(order).limit(BATCH)
    return tx.execute(table.delete().where(table.c.id.in_(oldest.scalar_subquery()))).rowcount
