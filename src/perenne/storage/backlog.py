"""What waits: jobs and events that are not done, counted by an index, whatever the number of those that are."""

import msgspec
import sqlalchemy as sa

from perenne.storage import jobs, outbox
from perenne.storage.schema import read_struct
from perenne.storage.transaction import Transaction

OPEN_JOBS = ("queued", "running", "failed")
OPEN_EVENTS = ("waiting", "set_aside")


class Waiting(msgspec.Struct, frozen=True):
    """How many of a kind are in a state, and when the oldest of them was due, in microseconds since 1970."""

    kind: str
    state: str
    count: int
    oldest: int


def job_backlog(tx: Transaction) -> list[Waiting]:
    """Count the jobs that are not done, by kind and state."""
    table = jobs.table
    query = (
        sa.select(table.c.kind, table.c.state, sa.func.count(), sa.func.min(table.c.due))
        .where(table.c.state.in_(OPEN_JOBS))
        .group_by(table.c.kind, table.c.state)
        .order_by(table.c.kind, table.c.state)
    )
    return [read_struct(Waiting, row) for row in tx.execute(query)]


def event_backlog(tx: Transaction) -> list[Waiting]:
    """Count the events that were not delivered, by state; the age of one is that of what it announces."""
    table = outbox.table
    query = (
        sa.select(sa.literal("event"), table.c.state, sa.func.count(), sa.func.min(table.c.created))
        .where(table.c.state.in_(OPEN_EVENTS))
        .group_by(table.c.state)
        .order_by(table.c.state)
    )
    return [read_struct(Waiting, row) for row in tx.execute(query)]
