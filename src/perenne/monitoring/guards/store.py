"""The tables of guards and their SQL: running windows, outcomes and their sums, aggregates, groups by labels."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.monitoring.guards.model import OutcomeSums, Reported, Running
from perenne.monitoring.model import Stream, WindowKey
from perenne.monitoring.store import is_window, read_named, values_of, watch, window
from perenne.stats.fairness import GroupCounts
from perenne.storage.database import JsonColumn, Transaction, metadata
from perenne.storage.schema import only_where

WORDS = ("holdout", "challenger", "canary")
COMPARED = "compared"
"""The variant under which it is kept how callers compare, beside the windows that run."""

_KEY = ("deployment", "variant", "version", "window_start", "window_length")


def _key_columns() -> tuple["sa.Column[Any]", ...]:
    return (
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("variant", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("window_start", sa.BigInteger, primary_key=True),
        sa.Column("window_length", sa.BigInteger, primary_key=True),
    )


running = sa.Table(
    "monitor_running",
    metadata,
    *_key_columns(),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("body", JsonColumn(Running), nullable=False),
)

batch = sa.Table(
    "monitor_outcome_batch",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False, unique=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("received_by", sa.Text, nullable=False),
    sa.Column("waiting", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("joined", sa.Integer, nullable=False),
    sa.Column("orphans", sa.Integer, nullable=False),
    sa.Index("ix_monitor_outcome_batch_waiting", "sequence", "due", **only_where("waiting IS NOT NULL")),
)

window_outcomes = sa.Table(
    "monitor_window_outcomes",
    metadata,
    *_key_columns(),
    sa.Column("rows_at", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Index("ix_monitor_window_outcomes_object", "rows_at"),
)

outcome = sa.Table(
    "monitor_outcome",
    metadata,
    *_key_columns(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, primary_key=True),
    sa.Column("group", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("total", sa.Float, nullable=False),
    sa.Column("squares", sa.Float, nullable=False),
)

reported = sa.Table(
    "monitor_reported",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("group", sa.Text, nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("deviation", sa.Float),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("received_by", sa.Text, nullable=False),
    sa.Index("ix_monitor_reported_time", "deployment", "start"),
)

fairness = sa.Table(
    "monitor_fairness",
    metadata,
    *_key_columns(),
    sa.Column("by", sa.Text, primary_key=True),
    sa.Column("counts", JsonColumn(tuple[GroupCounts, ...]), nullable=False),
    sa.Column("seen", sa.LargeBinary, nullable=False),
)


class Counted(msgspec.Struct, frozen=True):
    """The labelled rows of a window by group of an attribute, and hashes of the predictions that they are of."""

    counts: tuple[GroupCounts, ...]
    seen: bytes


class OutcomeBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of outcomes; its fields are those of a batch of labels, and the deployment it was posted to."""

    digest: str
    deployment: str
    sequence: int
    rows: int
    received: int
    received_by: str
    waiting: str | None
    attempts: int = 0
    due: int = 0
    joined: int = 0
    orphans: int = 0


_batch_columns = [batch.c[name] for name in OutcomeBatch.__struct_fields__]
_reported_columns = [reported.c[name] for name in Reported.__struct_fields__]
_sums_columns = [outcome.c[name] for name in OutcomeSums.__struct_fields__]


def running_due(tx: Transaction, now: int) -> list[tuple[WindowKey, int]]:
    """Name the windows that run at an instant, are held to guardrails and have grown since they were looked at; by revision."""
    same = sa.and_(*(window.c[name] == running.c[name] for name in ("deployment", "variant", "version", "window_start")))
    watched = sa.and_(window.c.deployment == watch.c.deployment, window.c.version == watch.c.version)
    where = (
        window.c.revision > window.c.judged,
        window.c.window_start <= now,
        window.c.window_start + window.c.window_length > now,
        window.c.revision > sa.func.coalesce(running.c.revision, 0),
        sa.type_coerce(watch.c.guardrails, sa.Text) != "[]",
    )
    names = ("deployment", "variant", "version", "window_start", "window_length", "revision")
    query = sa.select(*(window.c[name] for name in names)).select_from(window.join(watch, watched).outerjoin(running, same))
    return [
        (WindowKey(Stream(row.deployment, row.variant, row.version), row.window_start, row.window_length), row.revision)
        for row in tx.execute(query.where(*where).order_by(window.c.deployment, window.c.window_start))
    ]


def windows_looked_at(tx: Transaction, stream: Stream, before: int) -> int:
    """Count the windows of a stream that were looked at while they ran, before one that starts at an instant."""
    mine = (running.c.deployment == stream.deployment, running.c.variant == stream.variant, running.c.version == stream.version)
    return int(tx.scalar(sa.select(sa.func.count()).select_from(running).where(*mine, running.c.window_start < before)) or 0)


def save_running(tx: Transaction, row: Running) -> None:
    """Insert or replace how a window stood."""
    values = {"revision": row.revision, "body": row}
    if tx.execute(running.update().where(*is_window(running, row.key)).values(**values)).rowcount == 0:
        tx.execute(running.insert(), {name: getattr(row, name) for name in _KEY} | values)


def find_running(tx: Transaction, key: WindowKey) -> Running | None:
    """Read how a window stood."""
    found: Running | None = tx.scalar(sa.select(running.c.body).where(*is_window(running, key)))
    return found


def running_since(tx: Transaction, deployment: str, start: int) -> list[Running]:
    """Read how the windows of a deployment stood that start at an instant or later, oldest first."""
    where = (running.c.deployment == deployment, running.c.window_start >= start)
    return [row.body for row in tx.execute(sa.select(running.c.body).where(*where).order_by(running.c.window_start))]


def compared_due(tx: Transaction) -> list[str]:
    """Name the deployments some of whose outcomes came after callers were last compared by them."""
    newest = _revisions().subquery()
    known = sa.select(running.c.deployment, sa.func.max(running.c.revision).label("revision")).where(
        running.c.variant == COMPARED
    )
    done = known.group_by(running.c.deployment).subquery()
    query = sa.select(newest.c.deployment).select_from(newest.outerjoin(done, newest.c.deployment == done.c.deployment))
    guards = sa.type_coerce(watch.c.guardrails, sa.Text)
    asked = sa.select(watch.c.deployment).where(sa.or_(*(guards.contains(f'"against":"{word}"') for word in WORDS)))
    where = (newest.c.revision > sa.func.coalesce(done.c.revision, 0), newest.c.deployment.in_(asked))
    return [row.deployment for row in tx.execute(query.where(*where))]


def outcome_revision(tx: Transaction, deployment: str) -> int:
    """Tell how often the outcomes of a deployment's answers were added to."""
    found = tx.execute(_revisions().where(window_outcomes.c.deployment == deployment)).one_or_none()
    return 0 if found is None else int(found.revision)


def _revisions() -> "sa.Select[Any]":
    total = sa.func.sum(window_outcomes.c.revision).label("revision")
    return sa.select(window_outcomes.c.deployment, total).group_by(window_outcomes.c.deployment)


def find_batch(tx: Transaction, digest: str) -> OutcomeBatch | None:
    """Read a batch."""
    row = tx.execute(sa.select(*_batch_columns).where(batch.c.digest == digest)).one_or_none()
    return None if row is None else read_named(OutcomeBatch, row)


def next_sequence(tx: Transaction) -> int:
    """Return the place of the next batch."""
    return 1 + int(tx.scalar(sa.select(sa.func.max(batch.c.sequence))) or 0)


def save_batch(tx: Transaction, row: OutcomeBatch) -> None:
    """Insert a batch, or replace it."""
    if tx.execute(batch.update().where(batch.c.digest == row.digest).values(**values_of(row))).rowcount == 0:
        tx.execute(batch.insert(), values_of(row))


def due_batches(tx: Transaction, now: int, limit: int) -> list[OutcomeBatch]:
    """Read batches with rows whose prediction is to be looked for now, oldest first."""
    where = (batch.c.waiting.is_not(None), batch.c.due <= now)
    query = sa.select(*_batch_columns).where(*where).order_by(batch.c.sequence).limit(limit)
    return [read_named(OutcomeBatch, row) for row in tx.execute(query)]


def outcome_rows(tx: Transaction, key: WindowKey) -> tuple[str, int] | None:
    """Tell which object holds the outcomes of a window's answers, and how often they were added to."""
    row = tx.execute(
        sa.select(window_outcomes.c.rows_at, window_outcomes.c.revision).where(*is_window(window_outcomes, key))
    ).one_or_none()
    return None if row is None else (row.rows_at, row.revision)


def outcome_objects(tx: Transaction, deployment: str) -> list[tuple[WindowKey, str]]:
    """Name the objects with the outcomes of a deployment's answers, by window, oldest first."""
    columns = [window_outcomes.c[name] for name in (*_KEY, "rows_at")]
    query = sa.select(*columns).where(window_outcomes.c.deployment == deployment).order_by(window_outcomes.c.window_start)
    return [
        (WindowKey(Stream(row.deployment, row.variant, row.version), row.window_start, row.window_length), row.rows_at)
        for row in tx.execute(query)
    ]


def save_outcomes(tx: Transaction, key: WindowKey, rows_at: str, revision: int, sums: Sequence[OutcomeSums]) -> None:
    """Replace the outcomes of a window's answers, and what they add up to."""
    values = {"rows_at": rows_at, "revision": revision}
    if tx.execute(window_outcomes.update().where(*is_window(window_outcomes, key)).values(**values)).rowcount == 0:
        tx.execute(window_outcomes.insert(), _key_values(key) | values)
    tx.execute(outcome.delete().where(*is_window(outcome, key)))
    if sums:
        tx.execute(outcome.insert(), [_key_values(key) | values_of(row) for row in sums])


def list_outcomes(tx: Transaction, key: WindowKey) -> list[OutcomeSums]:
    """Read what the outcomes of a window's answers add up to."""
    query = sa.select(*_sums_columns).where(*is_window(outcome, key))
    return [read_named(OutcomeSums, row) for row in tx.execute(query.order_by(outcome.c.name, outcome.c.by, outcome.c.group))]


def outcomes_since(tx: Transaction, deployment: str, start: int) -> list[tuple[WindowKey, OutcomeSums]]:
    """Read the sums of a deployment's windows that start at an instant or later, oldest first."""
    columns = [outcome.c[name] for name in _KEY]
    query = sa.select(*columns, *_sums_columns).where(outcome.c.deployment == deployment, outcome.c.window_start >= start)
    found = []
    for row in tx.execute(query.order_by(outcome.c.window_start, outcome.c.name, outcome.c.by, outcome.c.group)):
        key = WindowKey(Stream(row.deployment, row.variant, row.version), row.window_start, row.window_length)
        found.append((key, OutcomeSums(**{name: row._mapping[name] for name in OutcomeSums.__struct_fields__})))
    return found


def refers_to(tx: Transaction, digest: str) -> bool:
    """Tell whether a window or a waiting batch of outcomes refers to an object."""
    named = (window_outcomes.c.rows_at == digest, batch.c.waiting == digest)
    return any(tx.scalar(sa.select(sa.literal(1)).where(condition).limit(1)) is not None for condition in named)


def new_reported(tx: Transaction, rows: Iterable[Reported]) -> list[Reported]:
    """Write the aggregates that are not known yet, and return them."""
    given = {row.digest: row for row in rows}
    known = {row.digest for row in tx.execute(sa.select(reported.c.digest).where(reported.c.digest.in_(list(given))))}
    fresh = [row for digest, row in given.items() if digest not in known]
    if fresh:
        tx.execute(reported.insert(), [values_of(row) for row in fresh])
    return fresh


def reported_between(tx: Transaction, deployment: str, start: int, end: int) -> list[Reported]:
    """Read the aggregates whose stretch of time ends after one instant, and no later than another; of several the last received.

    An aggregate belongs to the window in which it ends.
    """
    where = (reported.c.deployment == deployment, reported.c.end > start, reported.c.end <= end)
    query = sa.select(*_reported_columns).where(*where).order_by(reported.c.received, reported.c.digest)
    latest = {(row.name, row.by, row.group, row.start, row.end): row for row in tx.execute(query)}
    return [read_named(Reported, row) for row in latest.values()]


def list_fairness(tx: Transaction, key: WindowKey) -> dict[str, tuple[GroupCounts, ...]]:
    """Read, by attribute, the labelled rows of a window by group."""
    query = sa.select(fairness.c.by, fairness.c.counts).where(*is_window(fairness, key))
    return {row.by: row.counts for row in tx.execute(query)}


def fairness_since(tx: Transaction, stream: Stream, start: int) -> dict[int, dict[str, tuple[GroupCounts, ...]]]:
    """Read the same of the windows of a stream that start at an instant or later, by start."""
    mine = (
        fairness.c.deployment == stream.deployment,
        fairness.c.variant == stream.variant,
        fairness.c.version == stream.version,
    )
    query = sa.select(fairness.c.window_start, fairness.c.by, fairness.c.counts).where(*mine, fairness.c.window_start >= start)
    found: dict[int, dict[str, tuple[GroupCounts, ...]]] = {}
    for row in tx.execute(query):
        found.setdefault(row.window_start, {})[row.by] = row.counts
    return found


def find_counted(tx: Transaction, key: WindowKey, by: str) -> Counted | None:
    """Read the labelled rows of a window by group of one attribute."""
    query = sa.select(fairness.c.counts, fairness.c.seen).where(*is_window(fairness, key), fairness.c.by == by)
    row = tx.execute(query).one_or_none()
    return None if row is None else Counted(row.counts, row.seen)


def save_counted(tx: Transaction, key: WindowKey, by: str, counted: Counted) -> None:
    """Replace the labelled rows of a window by group of an attribute."""
    values = {"counts": counted.counts, "seen": counted.seen}
    if tx.execute(fairness.update().where(*is_window(fairness, key), fairness.c.by == by).values(**values)).rowcount == 0:
        tx.execute(fairness.insert(), _key_values(key) | {"by": by} | values)


def _key_values(key: WindowKey) -> dict[str, Any]:
    stream = key.stream
    return dict(zip(_KEY, (stream.deployment, stream.variant, stream.version, key.start, key.length), strict=True))
