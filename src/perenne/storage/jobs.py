"""The job queue: one table, leased work, one claim statement, and a fencing number that makes a replaced worker's result void."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import Conflict
from perenne.core.ids import new_id
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction

LEASE = 30 * SECOND

table = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease", sa.BigInteger),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("attempts_allowed", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Index(None, "state", "due"),
)


class Job(msgspec.Struct, frozen=True):
    """A piece of work; `state` is queued, running, done or failed. `attempt` is the fencing number."""

    id: str
    kind: str
    payload: str
    state: str
    attempt: int
    attempts_allowed: int
    owner: str | None
    lease: int | None
    created: int
    started: int | None
    ended: int | None
    error: str | None


_columns = [table.c[name] for name in Job.__struct_fields__]


def enqueue(
    tx: Transaction,
    kind: str,
    payload: msgspec.Struct,
    *,
    key: str | None = None,
    delay: int = 0,
    attempts_allowed: int = 3,
) -> str:
    """Queue work and return its id.

    Parameters
    ----------
    kind : str
        Which handler does it, such as ``round.run``.
    payload : Struct
        What the handler gets.
    key : str, optional
        An idempotency key: a second job with the same key is not made; the first one's id is returned.
    delay : int
        Microseconds before it may start.
    attempts_allowed : int
        How often it is tried before it counts as failed.
    """
    if key is not None and (known := tx.scalar(sa.select(table.c.id).where(table.c.key == key))):
        return str(known)
    now = SystemClock().now()
    row = {
        "id": new_id(),
        "kind": kind,
        "payload": msgspec.json.encode(payload).decode(),
        "key": key,
        "state": "queued",
        "due": now + delay,
        "attempt": 0,
        "attempts_allowed": attempts_allowed,
        "created": now,
    }
    tx.execute(table.insert(), row)
    return str(row["id"])


def claim(tx: Transaction, owner: str, kinds: Sequence[str], *, lease: int = LEASE) -> Job | None:
    """Take the oldest job that is due, or one whose worker's lease ran out; None if there is none.

    A job whose last allowed worker was lost has failed: it is not tried for ever.
    """
    now = SystemClock().now()
    _give_up(tx, kinds, now)
    chosen = (
        sa.select(table.c.id)
        .where(_claimable(now), table.c.kind.in_(kinds))
        .order_by(table.c.due, table.c.id)
        .limit(1)
        .scalar_subquery()
    )
    taken = (
        table.update()
        .where(table.c.id == chosen)
        .values(state="running", owner=owner, lease=now + lease, attempt=table.c.attempt + 1, started=now, error=None)
        .returning(*_columns)
    )
    row = tx.execute(taken).one_or_none()
    return None if row is None else read_struct(Job, row)


def _give_up(tx: Transaction, kinds: Sequence[str], now: int) -> None:
    lost = sa.and_(table.c.state == "running", table.c.lease < now, table.c.attempt >= table.c.attempts_allowed)
    values = {"state": "failed", "error": "its worker was lost", "ended": now, "lease": None}
    tx.execute(table.update().where(lost, table.c.kind.in_(kinds)).values(values))


def heartbeat(tx: Transaction, job: Job, *, lease: int = LEASE) -> None:
    """Prolong the lease. Raises Conflict if another worker has the job by now."""
    _fenced(tx, job, lease=SystemClock().now() + lease)


def finish(tx: Transaction, job: Job) -> None:
    """Mark the job done, in the transaction that keeps its result. Raises Conflict if another worker has it by now."""
    _fenced(tx, job, state="done", ended=SystemClock().now(), lease=None)


def fail(tx: Transaction, job: Job, error: str) -> bool:
    """Note a failure; queue it again with a growing delay if tries are left. Tell whether it failed for good."""
    final = job.attempt >= job.attempts_allowed
    now = SystemClock().now()
    if final:
        _fenced(tx, job, state="failed", error=error[:4_000], ended=now, lease=None)
    else:
        _fenced(tx, job, state="queued", error=error[:4_000], due=now + (1 << job.attempt) * SECOND, lease=None)
    return final


def _claimable(now: int) -> "sa.ColumnElement[bool]":
    return sa.or_(
        sa.and_(table.c.state == "queued", table.c.due <= now),
        sa.and_(table.c.state == "running", table.c.lease < now),
    )


def _fenced(tx: Transaction, job: Job, **values: object) -> None:
    mine = sa.and_(table.c.id == job.id, table.c.attempt == job.attempt, table.c.state == "running", table.c.owner == job.owner)
    if tx.execute(table.update().where(mine).values(**values)).rowcount != 1:
        raise Conflict(
            f"job {job.id} was taken over by another worker",
            code="job.lost",
            hint="its lease ran out; the result is dropped",
        )


def waiting(tx: Transaction, kinds: Sequence[str]) -> bool:
    """Tell whether a job of these kinds could be claimed now."""
    return (
        tx.scalar(sa.select(sa.literal(1)).where(_claimable(SystemClock().now()), table.c.kind.in_(kinds)).limit(1)) is not None
    )


def get_job(tx: Transaction, identity: str) -> Job | None:
    """Read one job."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Job, row)


def jobs(tx: Transaction, *, state: str | None = None, limit: int = 100) -> list[Job]:
    """List jobs, newest first, optionally of one state."""
    query = sa.select(*_columns).order_by(table.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    return [read_struct(Job, row) for row in tx.execute(query)]
