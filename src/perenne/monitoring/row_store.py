"""The SQL of rows: labels as they came and by window, the metrics of windows, and how their rows fall into groups."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from perenne.core.clock import DAY
from perenne.monitoring.model import Stream, WindowKey, WindowMetric
from perenne.monitoring.rightness import Labelled
from perenne.monitoring.store import (
    groups,
    is_window,
    label_batch,
    log_part,
    metric,
    read_named,
    values_of,
    window,
    window_labels,
)
from perenne.stats.fairness import GroupCounts
from perenne.storage.database import Transaction

PARTS_REMEMBERED = 40 * DAY


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of labels.

    Attributes
    ----------
    digest : str
        The object that holds its rows.
    sequence : int
        Its place in the order of arrival, from 1.
    waiting : str or None
        The object that holds the rows whose prediction is not known yet; None once all are.
    attempts, due : int
        How often they were looked for, and when they are looked for again.
    joined, orphans : int
        Rows that found their prediction, and rows given up.
    """

    digest: str
    sequence: int
    rows: int
    received: int
    received_by: str
    waiting: str | None
    attempts: int = 0
    due: int = 0
    joined: int = 0
    orphans: int = 0


class WindowLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labelled rows of a window: an object, and how often it was added to."""

    deployment: str
    variant: str
    version: str
    window_start: int
    window_length: int
    labels: str
    rows: int
    revision: int

    @property
    def key(self) -> WindowKey:
        """Which window they belong to."""
        return WindowKey(Stream(self.deployment, self.variant, self.version), self.window_start, self.window_length)


_batch_columns = [label_batch.c[name] for name in BatchRow.__struct_fields__]
_labels_columns = [window_labels.c[name] for name in WindowLabels.__struct_fields__]
_metric_fields = [name for name in WindowMetric.__struct_fields__ if name != "rows"]


def find_batch(tx: Transaction, digest: str) -> BatchRow | None:
    """Read a batch."""
    row = tx.execute(sa.select(*_batch_columns).where(label_batch.c.digest == digest)).one_or_none()
    return None if row is None else read_named(BatchRow, row)


def next_sequence(tx: Transaction) -> int:
    """Return the place of the next batch."""
    return 1 + int(tx.scalar(sa.select(sa.func.max(label_batch.c.sequence))) or 0)


def save_batch(tx: Transaction, row: BatchRow) -> None:
    """Insert a batch, or replace it."""
    if tx.execute(label_batch.update().where(label_batch.c.digest == row.digest).values(**values_of(row))).rowcount == 0:
        tx.execute(label_batch.insert(), values_of(row))


def due_batches(tx: Transaction, now: int, limit: int) -> list[BatchRow]:
    """Read batches with rows whose prediction is to be looked for now, oldest first."""
    where = (label_batch.c.waiting.is_not(None), label_batch.c.due <= now)
    query = sa.select(*_batch_columns).where(*where).order_by(label_batch.c.sequence).limit(limit)
    return [read_named(BatchRow, row) for row in tx.execute(query)]


def list_batches(tx: Transaction, limit: int = 100) -> list[BatchRow]:
    """Read batches, newest first."""
    query = sa.select(*_batch_columns).order_by(label_batch.c.sequence.desc()).limit(limit)
    return [read_named(BatchRow, row) for row in tx.execute(query)]


def find_labels(tx: Transaction, key: WindowKey) -> WindowLabels | None:
    """Read where the labelled rows of a window are."""
    row = tx.execute(sa.select(*_labels_columns).where(*is_window(window_labels, key))).one_or_none()
    return None if row is None else read_named(WindowLabels, row)


def save_labels(tx: Transaction, row: WindowLabels) -> None:
    """Insert or replace where the labelled rows of a window are."""
    if tx.execute(window_labels.update().where(*is_window(window_labels, row.key)).values(**values_of(row))).rowcount == 0:
        tx.execute(window_labels.insert(), values_of(row))


def refers_to(tx: Transaction, digest: str) -> bool:
    """Tell whether a window or a batch of labels refers to an object."""
    named = (window_labels.c.labels == digest, label_batch.c.digest == digest, label_batch.c.waiting == digest)
    return any(tx.scalar(sa.select(sa.literal(1)).where(condition).limit(1)) is not None for condition in named)


def unmeasured_labels(tx: Transaction, now: int) -> list[WindowLabels]:
    """Read the windows that have ended by `now` and whose labels changed since their metrics were computed, oldest first."""
    columns = window_labels.c
    where = (columns.revision > columns.measured, columns.window_start + columns.window_length <= now)
    query = sa.select(*_labels_columns).where(*where).order_by(columns.window_start)
    return [read_named(WindowLabels, row) for row in tx.execute(query)]


def mark_measured(tx: Transaction, row: WindowLabels, found: Labelled | None) -> None:
    """Note up to which revision the labels were used, and what they say beyond metrics."""
    values = {"measured": row.revision, "found": found}
    tx.execute(window_labels.update().where(*is_window(window_labels, row.key)).values(**values))


def found_in(tx: Transaction, key: WindowKey) -> Labelled | None:
    """Read what the labels of a window say beyond metrics."""
    found: Labelled | None = tx.scalar(sa.select(window_labels.c.found).where(*is_window(window_labels, key)))
    return found


def advance_batch(tx: Transaction, before: BatchRow, after: BatchRow) -> bool:
    """Replace what is known of a batch, unless another process was first; what else a join changes comes after this."""
    columns = label_batch.c
    unmoved = (columns.digest == before.digest, columns.joined == before.joined, columns.attempts == before.attempts)
    same = columns.waiting == before.waiting
    return tx.execute(label_batch.update().where(*unmoved, same).values(**values_of(after))).rowcount == 1


class Totals(msgspec.Struct, frozen=True):
    """What became of all labels that came: how many found their prediction, wait for it, or were given up."""

    batches: int
    rows: int
    joined: int
    waiting: int
    orphans: int


def label_totals(tx: Transaction) -> Totals:
    """Sum up what became of labels."""
    columns = label_batch.c
    sums = [sa.func.coalesce(sa.func.sum(column), 0) for column in (columns.rows, columns.joined, columns.orphans)]
    found = tx.execute(sa.select(sa.func.count(columns.digest), *sums)).one()
    batches, rows, joined, orphans = (int(value) for value in found)
    return Totals(batches, rows, joined, rows - joined - orphans, orphans)


def replace_metrics(tx: Transaction, key: WindowKey, rows: Sequence[WindowMetric]) -> None:
    """Replace all metrics of a window."""
    tx.execute(metric.delete().where(*is_window(metric, key)))
    if rows:
        tx.execute(metric.insert(), [{name: getattr(row, name) for name in _metric_fields} for row in rows])


def list_metrics(tx: Transaction, key: WindowKey) -> list[WindowMetric]:
    """Read the metrics of a window, with the rows it has by now."""
    rows = sa.select(window.c.rows).where(*is_window(window, key)).scalar_subquery()
    query = sa.select(*(metric.c[name] for name in _metric_fields), sa.func.coalesce(rows, 0).label("rows"))
    query = query.where(*is_window(metric, key)).order_by(metric.c.metric, metric.c.by, metric.c.group)
    return [read_named(WindowMetric, row) for row in tx.execute(query)]


def metrics_since(tx: Transaction, stream: Stream, start: int) -> dict[WindowKey, list[WindowMetric]]:
    """Read the metrics of a stream's windows that start at an instant or later, by window, with the rows each has by now."""
    same = sa.and_(*(metric.c[name] == window.c[name] for name in ("variant", "version", "window_start", "window_length")))
    joined = metric.outerjoin(window, sa.and_(metric.c.deployment == window.c.deployment, same))
    columns = (*(metric.c[name] for name in _metric_fields), sa.func.coalesce(window.c.rows, 0).label("rows"))
    mine = (metric.c.deployment == stream.deployment, metric.c.variant == stream.variant, metric.c.version == stream.version)
    query = sa.select(*columns).select_from(joined).where(*mine, metric.c.window_start >= start)
    found: dict[WindowKey, list[WindowMetric]] = {}
    for row in tx.execute(query.order_by(metric.c.metric, metric.c.by, metric.c.group)):
        item: WindowMetric = read_named(WindowMetric, row)
        found.setdefault(WindowKey(stream, item.window_start, item.window_length), []).append(item)
    return found


def list_groups(tx: Transaction, key: WindowKey) -> dict[str, tuple[GroupCounts, ...]]:
    """Read, by column, how the rows of a window fall into groups."""
    query = sa.select(groups.c.by, groups.c.counts).where(*is_window(groups, key))
    return {row.by: row.counts for row in tx.execute(query)}


def groups_since(tx: Transaction, stream: Stream, start: int) -> dict[int, dict[str, tuple[GroupCounts, ...]]]:
    """Read the same of a stream's windows that start at an instant or later, by start."""
    columns = groups.c
    mine = (columns.deployment == stream.deployment, columns.variant == stream.variant, columns.version == stream.version)
    found: dict[int, dict[str, tuple[GroupCounts, ...]]] = {}
    query = sa.select(columns.window_start, columns.by, columns.counts).where(*mine, columns.window_start >= start)
    for row in tx.execute(query):
        found.setdefault(row.window_start, {})[row.by] = row.counts
    return found


def save_groups(tx: Transaction, key: WindowKey, by: str, counts: tuple[GroupCounts, ...]) -> None:
    """Replace how the rows of a window fall into the groups of a column."""
    if tx.execute(groups.update().where(*is_window(groups, key), groups.c.by == by).values(counts=counts)).rowcount == 0:
        stream = key.stream
        row = {"deployment": stream.deployment, "variant": stream.variant, "version": stream.version, "by": by, "counts": counts}
        tx.execute(groups.insert(), row | {"window_start": key.start, "window_length": key.length})


def new_parts(tx: Transaction, names: Sequence[str]) -> set[str]:
    """Return which parts of the row log have not been counted."""
    known = tx.execute(sa.select(log_part.c.name).where(log_part.c.name.in_(names)))
    return set(names) - {row.name for row in known}


def remember_part(tx: Transaction, name: str, now: int) -> None:
    """Note that a part of the row log was counted; those counted 40 days before are forgotten."""
    tx.execute(log_part.delete().where(log_part.c.counted < now - PARTS_REMEMBERED))
    tx.execute(log_part.insert(), {"name": name, "counted": now})


def newest_part(tx: Transaction) -> int:
    """Return when a part of the row log was last counted, 0 if never."""
    return int(tx.scalar(sa.select(sa.func.max(log_part.c.counted))) or 0)
