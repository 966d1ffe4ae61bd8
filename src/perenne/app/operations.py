"""What people see of jobs and events, and do with them: each change needs its role and leaves its record in the audit trail."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import format_time
from perenne.storage import jobs, outbox, steering
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.outbox import StoredEvent
from perenne.storage.owners import shown_owner

T = TypeVar("T", Job, StoredEvent)


class JobLine(msgspec.Struct, frozen=True):
    """A job, in a line."""

    job: str
    kind: str
    state: str
    priority: int
    tries: str
    created: str
    worker: str
    progress: str
    error: str


class EventLine(msgspec.Struct, frozen=True):
    """An event, in a line."""

    event: int
    name: str
    state: str
    attempts: int
    created: str
    error: str


def job_line(job: Job) -> JobLine:
    """Put a job into a line."""
    share = "" if job.share is None else f"{job.share:.0%}"
    progress = "" if job.state == "done" else f"{share} {job.message or ''}".strip()
    return JobLine(
        job.id,
        job.kind,
        "cancelling" if job.state == "running" and job.cancel is not None else job.state,
        job.priority,
        f"{job.attempt} of {job.attempts_allowed}",
        format_time(job.created),
        shown_owner(job.owner) if job.owner else "",
        progress,
        job.error or "",
    )


def event_line(event: StoredEvent) -> EventLine:
    """Put an event into a line."""
    return EventLine(event.id, event.name, event.state, event.attempts, format_time(event.created), event.error or "")


def cancel_job(tx: Transaction, actor: Principal, identity: str, reason: str) -> Job:
    """Cancel a job. Raises NotFound, Denied, or Conflict if it has ended."""
    text = f"cancelled by {actor.name}" + (f": {reason}" if reason else "")
    return _change(tx, actor, "job", identity, "cancel", lambda: steering.cancel(tx, identity, text), reason)


def retry_job(tx: Transaction, actor: Principal, identity: str, reason: str) -> Job:
    """Try a job again. Raises NotFound, Denied, or Conflict if it runs or is done."""
    return _change(tx, actor, "job", identity, "retry", lambda: steering.retry(tx, identity), reason)


def prioritise_job(tx: Transaction, actor: Principal, identity: str, priority: int, reason: str) -> Job:
    """Put a waiting job before or behind others. Raises NotFound, Denied, or Conflict if it waits no longer."""
    return _change(tx, actor, "job", identity, "prioritise", lambda: steering.prioritise(tx, identity, priority), reason)


def retry_event(tx: Transaction, actor: Principal, identity: int, reason: str) -> StoredEvent:
    """Deliver a set-aside event again. Raises NotFound, Denied, or Conflict if it is not set aside."""
    return _change(tx, actor, "event", str(identity), "retry", lambda: steering.retry_event(tx, identity), reason)


def drop_event(tx: Transaction, actor: Principal, identity: int, reason: str) -> StoredEvent:
    """Give a set-aside event up. Raises NotFound, Denied, or Conflict if it is not set aside."""
    return _change(tx, actor, "event", str(identity), "drop", lambda: steering.drop_event(tx, identity), reason)


def set_aside(tx: Transaction, limit: int = 100) -> list[StoredEvent]:
    """List the events that could not be delivered, newest first."""
    return outbox.events(tx, state="set_aside", limit=limit)


def _change(tx: Transaction, actor: Principal, noun: str, identity: str, verb: str, work: Callable[[], T], reason: str) -> T:
    require(actor, Action.DEPLOY)
    after = work()
    audit.record(tx, actor, f"{noun}.{verb}", noun, identity, after=_audited(after), reason=reason)
    return after


def _audited(value: Job | StoredEvent) -> dict[str, object]:
    """Leave the payload out: it may be long, and its own records tell what it is about."""
    if isinstance(value, Job):
        return {"kind": value.kind, "state": value.state, "priority": value.priority, "cancel": value.cancel}
    return {"name": value.name, "state": value.state}


def find_job(tx: Transaction, actor: Principal, identity: str) -> Job:
    """Read a job. Raises NotFound, Denied."""
    require(actor, Action.READ)
    return steering.need_job(tx, identity)


def list_jobs(
    tx: Transaction, actor: Principal, *, state: str | None = None, kind: str | None = None, before: str | None, limit: int
) -> list[Job]:
    """List jobs, newest first."""
    require(actor, Action.READ)
    return jobs.jobs(tx, state=state, kind=kind, before=before, limit=limit)


def list_events(tx: Transaction, actor: Principal, *, state: str | None, before: int | None, limit: int) -> list[StoredEvent]:
    """List events, newest first."""
    require(actor, Action.READ)
    return outbox.events(tx, state=state, before=before, limit=limit)
