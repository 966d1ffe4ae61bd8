"""What waits: jobs and events that are not done, counted by an index, whatever the number of those that are."""

import msgspec
import sqlalchemy as sa

from perenne.storage import jobs, outbox
from perenne.storage.schema import read_struct
from perenne.storage.transaction import Transaction


class Waiting(msgspec.Struct, frozen=True):
    """How many of a kind are in a state, and when the oldest of them was due, in microseconds since 1970."""

    kind: str
    state: str
    count: int
    oldest: int


def _counted(
    kind: "sa.ColumnElement[str]", state: "sa.ColumnElement[str]", name: str, since: "sa.Column[int]"
) -> "sa.Select[str, str, int, int]":
    """Count those of one state, which is spelled out: an index over one state serves no statement with a parameter there."""
    spelled = sa.literal_column(f"'{name}'", sa.Text)
    return sa.select(kind, spelled, sa.func.count(), sa.func.min(since)).where(state == spelled).group_by(kind)


_job, _event = jobs.table.c, outbox.table.c
JOBS = sa.union_all(*(_counted(_job.kind, _job.state, name, _job.due) for name in ("queued", "running", "failed")))
EVENTS = sa.union_all(*(_counted(_event.name, _event.state, name, _event.created) for name in ("waiting", "set_aside")))


def job_backlog(tx: Transaction) -> list[Waiting]:
    """Count the jobs that are not done, by kind and state."""
    return _read(tx, JOBS)


def event_backlog(tx: Transaction) -> list[Waiting]:
    """Count the events that were not delivered, by name and state; the age of one is that of what it announces."""
    return _read(tx, EVENTS)


def _read(tx: Transaction, query: sa.Executable) -> list[Waiting]:
    found = [read_struct(Waiting, row) for row in tx.execute(query)]
    return sorted(found, key=lambda item: (item.kind, item.state))
