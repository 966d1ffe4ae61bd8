"""The SQL of labels: the batches that came, the labels of each window, and the metrics computed from them."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from perenne.monitoring.model import WindowKey, WindowMetric
from perenne.monitoring.store import label_batch, metric, read_named, values_of, window_labels
from perenne.storage.database import Transaction


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
    joined, orphans : int
        Rows that found their prediction, and rows given up.
    """

    digest: str
    sequence: int
    rows: int
    received: int
    received_by: str
    waiting: str | None
    joined: int = 0
    orphans: int = 0


class LabelledWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The labels that belong to a stretch of time of a deployment: an object, and how often it was added to."""

    deployment: str
    window_start: int
    window_length: int
    labels: str
    rows: int
    revision: int


_batch_columns = [label_batch.c[name] for name in BatchRow.__struct_fields__]
_window_columns = [window_labels.c[name] for name in LabelledWindow.__struct_fields__]
_metric_columns = [metric.c[name] for name in WindowMetric.__struct_fields__]


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


def waiting_batches(tx: Transaction) -> list[BatchRow]:
    """Read the batches that have rows without a known prediction, oldest first."""
    query = sa.select(*_batch_columns).where(label_batch.c.waiting.is_not(None)).order_by(label_batch.c.sequence)
    return [read_named(BatchRow, row) for row in tx.execute(query)]


def list_batches(tx: Transaction, limit: int = 100) -> list[BatchRow]:
    """Read batches, newest first."""
    query = sa.select(*_batch_columns).order_by(label_batch.c.sequence.desc()).limit(limit)
    return [read_named(BatchRow, row) for row in tx.execute(query)]


def find_labels(tx: Transaction, deployment: str, start: int, length: int) -> LabelledWindow | None:
    """Read where the labels of a stretch of time are."""
    where = (
        window_labels.c.deployment == deployment,
        window_labels.c.window_start == start,
        window_labels.c.window_length == length,
    )
    row = tx.execute(sa.select(*_window_columns).where(*where)).one_or_none()
    return None if row is None else read_named(LabelledWindow, row)


def save_labels(tx: Transaction, row: LabelledWindow) -> None:
    """Insert or replace where the labels of a stretch of time are."""
    if tx.execute(window_labels.update().where(*_at(row)).values(**values_of(row))).rowcount == 0:
        tx.execute(window_labels.insert(), values_of(row))


def unmeasured_labels(tx: Transaction) -> list[LabelledWindow]:
    """Read the stretches of time whose labels changed since their metrics were computed, oldest first."""
    query = sa.select(*_window_columns).where(window_labels.c.revision > window_labels.c.measured)
    return [read_named(LabelledWindow, row) for row in tx.execute(query.order_by(window_labels.c.window_start))]


def mark_measured(tx: Transaction, row: LabelledWindow) -> None:
    """Note up to which revision the labels were used."""
    tx.execute(window_labels.update().where(*_at(row)).values(measured=row.revision))


def replace_metrics(tx: Transaction, key: WindowKey, rows: Sequence[WindowMetric]) -> None:
    """Replace all metrics of a window."""
    tx.execute(metric.delete().where(*_of(key)))
    if rows:
        tx.execute(metric.insert(), [values_of(row) for row in rows])


def list_metrics(tx: Transaction, key: WindowKey) -> list[WindowMetric]:
    """Read the metrics of a window."""
    query = sa.select(*_metric_columns).where(*_of(key)).order_by(metric.c.metric, metric.c.by, metric.c.group)
    return [read_named(WindowMetric, row) for row in tx.execute(query)]


def _of(key: WindowKey) -> "tuple[sa.ColumnElement[bool], ...]":
    return (
        metric.c.deployment == key.stream.deployment,
        metric.c.variant == key.stream.variant,
        metric.c.version == key.stream.version,
        metric.c.window_start == key.start,
        metric.c.window_length == key.length,
    )


def _at(row: LabelledWindow) -> "tuple[sa.ColumnElement[bool], ...]":
    return (
        window_labels.c.deployment == row.deployment,
        window_labels.c.window_start == row.window_start,
        window_labels.c.window_length == row.window_length,
    )
