"""What people do with jobs and events: cancel, retry, prioritise, drop."""

import sqlalchemy as sa

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.ids import is_id
from perenne.storage import jobs, outbox
from perenne.storage.clock import database_now
from perenne.storage.jobs import Job
from perenne.storage.outbox import StoredEvent
from perenne.storage.transaction import Transaction

FURTHER_TRIES = 3
MAX_REASON = 2_000


def need_job(tx: Transaction, identity: str) -> Job:
    """Read a job. Raises NotFound."""
    found = jobs.get_job(tx, identity) if is_id(identity) else None
    if found is None:
        raise NotFound(f"job {identity[:100]!r} does not exist", code="job.not_found", hint="`perenne job list` shows them")
    return found


def cancel(tx: Transaction, identity: str, reason: str) -> Job:
    """End a job that waits, or ask the worker of a running one to stop it; return the job as it stands then.

    Raises
    ------
    NotFound, Conflict
        If there is no such job, or it has ended.
    """
    if len(reason) > MAX_REASON or "\0" in reason:
        raise Invalid(
            f"the reason is longer than {MAX_REASON} characters, or holds a NUL", code="job.reason", hint="write a sentence"
        )
    job = need_job(tx, identity)
    if job.state == "queued" and jobs.end_queued(tx, job, reason):
        return need_job(tx, identity)
    ask = jobs.table.update().where(jobs.table.c.id == identity, jobs.RUNNING).values(cancel=reason)
    if tx.execute(ask).rowcount != 1:
        raise _ended(need_job(tx, identity))
    return need_job(tx, identity)


def cancels_asked(tx: Transaction, identities: "list[str]") -> dict[str, str]:
    """Return which of some running jobs are to be cancelled, and why."""
    asked = sa.and_(jobs.table.c.id.in_(identities), jobs.RUNNING, jobs.table.c.cancel.is_not(None))
    return {row.id: row.cancel for row in tx.execute(sa.select(jobs.table.c.id, jobs.table.c.cancel).where(asked))}


def retry(tx: Transaction, identity: str) -> Job:
    """Queue a job again that failed or was cancelled, with further tries; one that waits for its next try is made due.

    Raises
    ------
    NotFound, Conflict
        If there is no such job, or it runs or is done.
    """
    job = need_job(tx, identity)
    if job.state not in {"queued", "failed", "cancelled"}:
        raise Conflict(f"job {identity} is {job.state}", code="job.state", hint="only what failed or waits can be tried again")
    allowed = job.attempts_allowed if job.state == "queued" else job.attempt + FURTHER_TRIES
    unmoved = (jobs.table.c.id == identity, jobs.table.c.state == job.state, jobs.table.c.attempt == job.attempt)
    values = {"state": "queued", "due": database_now(tx), "attempts_allowed": allowed, "cancel": None, "ended": None}
    if tx.execute(jobs.table.update().where(*unmoved).values(**values)).rowcount != 1:
        raise _raced(identity)
    return need_job(tx, identity)


def prioritise(tx: Transaction, identity: str, priority: int) -> Job:
    """Put a job that waits before others, or behind them: smaller is sooner.

    Raises
    ------
    NotFound, Conflict
        If there is no such job, or it waits no longer.
    """
    job = need_job(tx, identity)
    change = jobs.table.update().where(jobs.table.c.id == job.id, jobs.QUEUED).values(priority=priority)
    if tx.execute(change).rowcount != 1:
        raise _ended(need_job(tx, identity))
    return need_job(tx, identity)


def retry_event(tx: Transaction, identity: int) -> StoredEvent:
    """Have a set-aside event delivered again. Raises NotFound, or Conflict if it is not set aside."""
    values = {"state": "waiting", "attempts": 0, "due": database_now(tx)}
    return _change_event(tx, identity, **values)


def drop_event(tx: Transaction, identity: int) -> StoredEvent:
    """Give a set-aside event up: nobody gets it. Raises NotFound, or Conflict if it is not set aside."""
    return _change_event(tx, identity, state="dropped")


def _change_event(tx: Transaction, identity: int, **values: object) -> StoredEvent:
    if not 0 <= identity < 1 << 63:
        raise _no_event(identity)
    aside = sa.and_(outbox.table.c.id == identity, outbox.SET_ASIDE)
    changed = tx.execute(outbox.table.update().where(aside).values(**values)).rowcount == 1
    found = outbox.get_event(tx, identity)
    if found is None:
        raise _no_event(identity)
    if not changed:
        raise Conflict(f"event {identity} is {found.state}", code="event.state", hint="only what was set aside can be changed")
    return found


def _no_event(identity: int) -> NotFound:
    return NotFound(f"event {str(identity)[:40]} does not exist", code="event.not_found", hint="`perenne event list` shows them")


def _ended(job: Job) -> Conflict:
    return Conflict(f"job {job.id} is {job.state} already", code="job.state", hint="`perenne job show` tells how it ended")


def _raced(identity: str) -> Conflict:
    return Conflict(f"job {identity} was changed by somebody else", code="job.raced", hint="look at it again")
