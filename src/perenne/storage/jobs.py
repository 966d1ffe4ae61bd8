"""The job queue: one table, leased work, one claim statement, and a fencing number that makes a replaced worker's result void.

A job is queued, running, and at last done, failed or cancelled. Whoever runs it holds a lease and prolongs it; a job whose lease
ran out, or whose owner is known to be dead, is given back to the queue by whoever notices (`lost_jobs`, `take_back`). Leases are
decided by the database's clock. What people do with jobs is in `perenne.storage.steering`.
"""

import functools
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.clock import MINUTE, SECOND
from perenne.core.errors import Conflict, Invalid
from perenne.core.events import Event
from perenne.core.ids import new_id
from perenne.storage.clock import database_now
from perenne.storage.outbox import emit
from perenne.storage.owners import is_dead
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction

LEASE = 30 * SECOND
OVERTIME = 30 * SECOND
"""How long after its time limit a job's lease ends, if its worker has not ended it."""
FIRST_DELAY, LONGEST_DELAY = 2 * SECOND, 10 * MINUTE
"""Between two tries: doubled with each, and drawn from the upper half, so that what failed together is not tried together."""
MAX_ERROR = 4_000
STATES = ("queued", "running", "done", "failed", "cancelled")

table = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease", sa.BigInteger),
    sa.Column("time_limit", sa.BigInteger),
    sa.Column("cancel", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("attempts_allowed", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("share", sa.Float),
    sa.Column("message", sa.Text),
    sa.Column("error", sa.Text),
)


def _state(name: str) -> "sa.ColumnElement[bool]":
    """Return the condition with the state spelled out: an index over some states serves no statement with a parameter there."""
    return table.c.state == sa.literal_column(f"'{name}'")


QUEUED, RUNNING = _state("queued"), _state("running")


def _partial(name: str, condition: str, *columns: "sa.Column[object]") -> None:
    where = sa.text(condition)
    sa.Index(f"ix_job_{name}", *columns, sqlite_where=where, postgresql_where=where)


# Each over a few rows only, however many have ended: the claim walks the first one in its own order, past no other kind's jobs.
_partial("next", "state = 'queued'", table.c.kind, table.c.priority, table.c.due, table.c.id)
_partial("running", "state = 'running'", table.c.lease)
_partial("failed", "state = 'failed'", table.c.id)
# What `perenne.storage.retention` removes early and late.
PLAIN = "state = 'done' and key is null"
KEPT = "ended is not null and (state <> 'done' or key is not null)"
_partial("plain", PLAIN, table.c.ended)
_partial("kept", KEPT, table.c.ended)


class Job(msgspec.Struct, frozen=True):
    """A piece of work.

    Attributes
    ----------
    state : str
        queued, running, done, failed or cancelled.
    priority : int
        Smaller is sooner; 0 is usual.
    attempt : int
        How often it was claimed: the fencing number.
    time_limit : int or None
        Microseconds that one attempt may take.
    cancel : str or None
        Why it is to be cancelled, if somebody asked for that.
    share, message : float or None, str or None
        How far it has come, from 0 to 1, and what it is doing.
    """

    id: str
    kind: str
    payload: str
    key: str | None
    state: str
    priority: int
    due: int
    owner: str | None
    lease: int | None
    time_limit: int | None
    cancel: str | None
    attempt: int
    attempts_allowed: int
    created: int
    started: int | None
    ended: int | None
    share: float | None
    message: str | None
    error: str | None

    @property
    def last_try(self) -> bool:
        """Whether no further attempt is allowed."""
        return self.attempt >= self.attempts_allowed


class JobFailed(Event, frozen=True):
    """A job has failed for good, or was cancelled; `payload` is what its handler would have got."""

    name = "job.failed"
    job: str
    kind: str
    payload: str
    cancelled: bool
    error: str


columns = [table.c[name] for name in Job.__struct_fields__]

_NEW = ("id", "kind", "payload", "key", "state", "priority", "due", "time_limit", "attempt", "attempts_allowed", "created")
_VALUES = ", ".join(f":{name}" for name in _NEW)
_INSERT = sa.text(f"insert into job ({', '.join(_NEW)}) values ({_VALUES}) on conflict (key) do nothing returning id")


def enqueue(
    tx: Transaction,
    kind: str,
    payload: msgspec.Struct,
    *,
    key: str | None = None,
    delay: int = 0,
    attempts_allowed: int = 3,
    priority: int = 0,
    time_limit: int | None = None,
) -> str:
    """Queue work and return its id.

    Parameters
    ----------
    kind : str
        Which handler does it, such as ``round.run``.
    payload : Struct
        What the handler gets.
    key : str, optional
        An idempotency key: a second job with the same key is not made, also if the first has ended; its id is returned.
    delay : int
        Microseconds before it may start.
    attempts_allowed : int
        How often it is tried before it counts as failed.
    priority : int
        Smaller is sooner.
    time_limit : int, optional
        Microseconds after which an attempt is ended; the job's process is killed if need be.
    """
    now = database_now(tx)
    row = {
        "id": new_id(),
        "kind": kind,
        "payload": msgspec.json.encode(payload).decode(),
        "key": key,
        "state": "queued",
        "priority": priority,
        "due": now + delay,
        "time_limit": time_limit,
        "attempt": 0,
        "attempts_allowed": attempts_allowed,
        "created": now,
    }
    made = tx.scalar(_INSERT, row)
    return str(made if made is not None else tx.scalar(sa.select(table.c.id).where(table.c.key == key)))


def claim(tx: Transaction, owner: str, kinds: Sequence[str], *, lease: int = LEASE) -> Job | None:
    """Take the most urgent job that is due, of those the longest due; None if there is none.

    Parameters
    ----------
    owner : str
        Who takes it: `perenne.storage.owners.owner_token`, so that others on this machine see when the process has died.
    """
    now = database_now(tx)
    values = {"now": now, "worker": owner, "length": lease, "until": now + lease}
    for kind in kinds if len(kinds) == 1 else _by_urgency(tx, kinds, now):
        row = tx.execute(_CLAIM, {**values, "of_kind": kind}).one_or_none()
        if row is not None:
            return read_struct(Job, row)
    return None


def _by_urgency(tx: Transaction, kinds: Sequence[str], now: int) -> list[str]:
    """Return the kinds that have a job due, the one with the most urgent job first: a look into the index for each."""
    found = [tx.execute(_NEXT, {"of_kind": kind, "now": now}).one_or_none() for kind in kinds]
    return [row.kind for row in sorted(row for row in found if row is not None)]


def _next_of_kind(*wanted: "sa.ColumnElement[Any]") -> Any:
    now, kind = sa.bindparam("now", type_=sa.BigInteger), sa.bindparam("of_kind", type_=sa.Text)
    # A range of one kind, not an equality: with statistics of few rows SQLite may sort what it can walk in order.
    due = sa.and_(QUEUED, table.c.kind.between(kind, kind), table.c.due <= now)
    return sa.select(*wanted).where(due).order_by(table.c.kind, table.c.priority, table.c.due, table.c.id).limit(1)


def _claim_statement() -> sa.Executable:
    """Write the statement; once, as writing it takes longer than running it."""
    now, length = sa.bindparam("now", type_=sa.BigInteger), sa.bindparam("length", type_=sa.BigInteger)
    chosen = _next_of_kind(table.c.id).with_for_update(skip_locked=True).scalar_subquery()
    longest = table.c.time_limit + OVERTIME
    until = sa.case((longest < length, now + longest), else_=sa.bindparam("until", type_=sa.BigInteger))
    values = {"state": "running", "owner": sa.bindparam("worker"), "lease": until, "attempt": table.c.attempt + 1}
    fresh = {"started": now, "ended": None, "share": None, "message": None}
    return table.update().where(table.c.id == chosen).values(**values, **fresh).returning(*columns)


_CLAIM = _claim_statement()
_NEXT = _next_of_kind(table.c.priority, table.c.due, table.c.id, table.c.kind)


def lost_jobs(tx: Transaction) -> list[Job]:
    """List the running jobs of all kinds whose lease ran out, or whose owner, on this machine, is dead."""
    now = database_now(tx)
    running = [read_struct(Job, row) for row in tx.execute(sa.select(*columns).where(RUNNING))]
    return [job for job in running if (job.lease or 0) < now or is_dead(job.owner or "")]


def take_back(tx: Transaction, lost: Job) -> bool:
    """Give a lost job back to the queue, or end it if that was its last try; False if its owner or another was quicker."""
    now = database_now(tx)
    over = lost.time_limit is not None and lost.started is not None and now >= lost.started + lost.time_limit
    error = overdue(lost) if over else "its worker was lost"
    if lost.cancel is not None:
        return _end(tx, lost, _UNMOVED, now, "cancelled", lost.cancel)
    if lost.last_try:
        return _end(tx, lost, _UNMOVED, now, "failed", error)
    due = now + (delay_after(lost.attempt) if over else 0)
    return _set(tx, lost, _UNMOVED, state="queued", lease=None, error=error, due=due)


def heartbeat(tx: Transaction, job: Job, *, lease: int = LEASE) -> str | None:
    """Prolong the lease, not past the time limit; return why the job is to be cancelled, None if nobody asked for that.

    Raises
    ------
    Conflict
        If another worker has the job by now. So do the functions below.
    """
    until = database_now(tx) + lease
    if job.time_limit is not None and job.started is not None:
        until = min(until, job.started + job.time_limit + OVERTIME)
    row = tx.execute(_update(_HELD, ("lease",)).returning(table.c.cancel), {**_names(job), "new_lease": until}).one_or_none()
    if row is None:
        raise _lost(job)
    asked: str | None = row.cancel
    return asked


def note_progress(tx: Transaction, job: Job, share: float | None, message: str) -> None:
    """Keep how far a job has come, from 0 to 1 if that is known, and what it is doing."""
    _fenced(tx, job, share=share, message=_text(message))


def hold(tx: Transaction, job: Job) -> None:
    """Make sure, within a transaction that keeps a part of the result, that the job is still this worker's."""
    _fenced(tx, job, owner=job.owner)


def finish(tx: Transaction, job: Job) -> None:
    """Mark the job done, in the transaction that keeps its result."""
    _fenced(tx, job, state="done", ended=database_now(tx), lease=None, error=None)


def fail(tx: Transaction, job: Job, error: str) -> bool:
    """Note a failure; queue it again with a growing delay if tries are left. Tell whether it failed for good."""
    now = database_now(tx)
    if job.last_try:
        _must(job, _end(tx, job, _HELD, now, "failed", error))
    else:
        _fenced(tx, job, state="queued", error=_text(error), due=now + delay_after(job.attempt), lease=None)
    return job.last_try


def release(tx: Transaction, job: Job) -> None:
    """Give a job back undone, for another worker to take at once; the attempt does not count."""
    _fenced(tx, job, state="queued", lease=None, due=database_now(tx), attempts_allowed=job.attempts_allowed + 1)


def end_cancelled(tx: Transaction, job: Job, reason: str) -> None:
    """Mark a running job cancelled: its worker has stopped it."""
    _must(job, _end(tx, job, _HELD, database_now(tx), "cancelled", reason))


def delay_after(attempt: int) -> int:
    """Draw how long a job waits after an attempt that failed."""
    longest = min(FIRST_DELAY << min(attempt - 1, 30), LONGEST_DELAY)
    return random.randint(longest // 2, longest)


def end_queued(tx: Transaction, job: Job, reason: str) -> bool:
    """Mark a job cancelled that nobody has begun; False if somebody was quicker."""
    return _end(tx, job, _UNTAKEN, database_now(tx), "cancelled", reason)


def _end(tx: Transaction, job: Job, where: str, now: int, state: str, error: str) -> bool:
    """End a job without a result, and tell whoever waits for it."""
    text = _text(error)
    ended = _set(tx, job, where, state=state, error=text, ended=now, lease=None)
    if ended:
        cancelled = state == "cancelled"
        emit(tx, JobFailed(job=job.id, kind=job.kind, payload=job.payload, cancelled=cancelled, error=text))
    return ended


def _text(text: str) -> str:
    """Return what every database can keep of a text: no NUL, no half of a pair."""
    return text[:MAX_ERROR].replace("\0", " ").encode(errors="replace").decode()


_HELD, _UNMOVED, _UNTAKEN = "held by its owner", "held, and its lease not prolonged", "not taken since"


def _condition(where: str) -> "sa.ColumnElement[bool]":
    same = (table.c.id == sa.bindparam("old_id"), table.c.attempt == sa.bindparam("old_attempt"))
    if where == _UNTAKEN:
        return sa.and_(*same, QUEUED)
    held = sa.and_(*same, RUNNING, table.c.owner == sa.bindparam("old_owner"))
    return sa.and_(held, table.c.lease == sa.bindparam("old_lease")) if where == _UNMOVED else held


@functools.cache
def _update(where: str, names: tuple[str, ...]) -> sa.Update:
    """Write a change of some columns; once, as writing it takes longer than running it."""
    values = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return table.update().where(_condition(where)).values(**values)


def _names(job: Job) -> dict[str, object]:
    return {"old_id": job.id, "old_attempt": job.attempt, "old_owner": job.owner, "old_lease": job.lease}


def _set(tx: Transaction, job: Job, where: str, **values: object) -> bool:
    parameters = _names(job) | {f"new_{name}": value for name, value in values.items()}
    return tx.execute(_update(where, tuple(values)), parameters).rowcount == 1


def _fenced(tx: Transaction, job: Job, **values: object) -> None:
    _must(job, _set(tx, job, _HELD, **values))


def _must(job: Job, held: bool) -> None:
    if not held:
        raise _lost(job)


def _lost(job: Job) -> Conflict:
    return Conflict(
        f"job {job.id} was taken over by another worker", code="job.lost", hint="its lease ran out; the result is dropped"
    )


def overdue(job: Job) -> str:
    """Say that a job took too long."""
    return f"took longer than its time limit of {(job.time_limit or 0) / SECOND:g} s"


def waiting(tx: Transaction, kinds: Sequence[str]) -> bool:
    """Tell whether a job of these kinds could be claimed now."""
    due = sa.select(sa.literal(1)).where(QUEUED, table.c.due <= database_now(tx), table.c.kind.in_(kinds)).limit(1)
    return tx.scalar(due) is not None


def get_job(tx: Transaction, identity: str) -> Job | None:
    """Read one job."""
    row = tx.execute(sa.select(*columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Job, row)


def job_of_key(tx: Transaction, key: str) -> Job | None:
    """Read the job of an idempotency key."""
    row = tx.execute(sa.select(*columns).where(table.c.key == key)).one_or_none()
    return None if row is None else read_struct(Job, row)


def jobs(
    tx: Transaction, *, state: str | None = None, kind: str | None = None, before: str | None = None, limit: int = 100
) -> list[Job]:
    """List jobs, newest first, optionally of one state or kind; `before` is the id after which to go on."""
    query = sa.select(*columns).order_by(table.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_state(_known_state(state)))
    if kind is not None:
        query = query.where(table.c.kind == kind)
    if before is not None:
        query = query.where(table.c.id < before)
    return [read_struct(Job, row) for row in tx.execute(query)]


def _known_state(state: str) -> str:
    if state not in STATES:
        raise Invalid(f"{state[:40]!r} is no state of a job", code="job.state", hint=", ".join(STATES))
    return state
