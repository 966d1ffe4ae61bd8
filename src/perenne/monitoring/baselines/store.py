"""The tables of baselines, of windows shorter than those that are judged, and of tables that were counted; and their SQL."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from perenne.monitoring.model import Stream, Window, WindowKey, WindowState, WindowVerdict
from perenne.monitoring.store import (
    as_long,
    columns_of_windows,
    is_window,
    of_stream,
    read_named,
    values_of,
    verdict,
    window,
    window_columns,
)
from perenne.storage.database import JsonColumn, Transaction, metadata
from perenne.storage.schema import only_where

NEVER = 1 << 30
"""Up to which revision a window is judged that is not to be judged at all."""

part = sa.Table(
    "monitor_part",
    metadata,
    *columns_of_windows(),
    sa.Index("ix_monitor_part_due", "window_start", **only_where("revision > judged")),
)

drawn = sa.Table(
    "monitor_drawn",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_length", sa.BigInteger, primary_key=True),
    sa.Column("body", JsonColumn(WindowVerdict), nullable=False),
)

baseline = sa.Table(
    "monitor_baseline",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("windows", sa.Integer, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("profiles", sa.LargeBinary, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
)

counted = sa.Table(
    "monitor_counted",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("windows", sa.Integer, nullable=False),
    sa.Column("counted", sa.BigInteger, nullable=False),
    sa.Column("counted_by", sa.Text, nullable=False),
)


class BaselineRow(msgspec.Struct, frozen=True, kw_only=True):
    """Windows that were made a baseline: from when to when, how many, and who says so. `profiles` is MessagePack."""

    deployment: str
    version: str
    kind: str
    start: int
    end: int
    windows: int
    rows: int
    profiles: bytes
    revision: int
    set_by: str
    reason: str
    changed: int


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A table that was counted into the windows of a version."""

    deployment: str
    version: str
    variant: str
    digest: str
    source: str
    rows: int
    windows: int
    counted: int
    counted_by: str


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A judged window that may be a member of a baseline."""

    start: int
    length: int
    state: WindowState
    rows: int
    dropped: int

    def key(self, stream: Stream) -> WindowKey:
        """Return which window it is."""
        return WindowKey(stream, self.start, self.length)


_baseline_columns = [baseline.c[name] for name in BaselineRow.__struct_fields__]
_counted_columns = [counted.c[name] for name in Counted.__struct_fields__]


def find_baseline(tx: Transaction, deployment: str, version: str, kind: str) -> BaselineRow | None:
    """Read the windows that were made a baseline of a version."""
    where = (baseline.c.deployment == deployment, baseline.c.version == version, baseline.c.kind == kind)
    row = tx.execute(sa.select(*_baseline_columns).where(*where)).one_or_none()
    return None if row is None else read_named(BaselineRow, row)


def save_baseline(tx: Transaction, row: BaselineRow) -> None:
    """Insert a baseline, or replace it."""
    where = (baseline.c.deployment == row.deployment, baseline.c.version == row.version, baseline.c.kind == row.kind)
    if tx.execute(baseline.update().where(*where).values(**values_of(row))).rowcount == 0:
        tx.execute(baseline.insert(), values_of(row))


def candidates(tx: Transaction, stream: Stream, length: int, start: int, end: int) -> list[Candidate]:
    """Read the judged windows of a stream, as long as one, that start from an instant on and before another, oldest first."""
    same = sa.and_(*(verdict.c[name] == window.c[name] for name in ("deployment", "variant", "version")))
    joined = sa.and_(same, verdict.c.window_start == window.c.window_start, verdict.c.window_length == window.c.window_length)
    columns = (window.c.window_start.label("start"), window.c.window_length.label("length"), verdict.c.state)
    query = sa.select(*columns, window.c.rows, window.c.dropped).join_from(window, verdict, joined)
    where = (*of_stream(window, stream), as_long(window, length), window.c.window_start >= start, window.c.window_start < end)
    return [read_named(Candidate, row) for row in tx.execute(query.where(*where).order_by(window.c.window_start))]


def profiles(tx: Transaction, stream: Stream, starts: Sequence[int], length: int) -> dict[int, bytes]:
    """Read the profiles of some windows of a stream, by start."""
    where = (*of_stream(window, stream), as_long(window, length), window.c.window_start.in_(starts))
    return {row.window_start: row.profile for row in tx.execute(sa.select(window.c.window_start, window.c.profile).where(*where))}


def was_well(tx: Transaction, stream: Stream, before: int) -> bool:
    """Tell whether an earlier window of a stream was compared and did not alarm."""
    well = verdict.c.state.in_([WindowState.OK, WindowState.WARN])
    query = sa.select(sa.literal(1)).where(*of_stream(verdict, stream), verdict.c.window_start < before, well).limit(1)
    return tx.scalar(query) is not None


def due_parts(tx: Transaction, now: int, limit: int) -> list[Window]:
    """Read short windows that are to be drawn, have ended, and changed since they were, oldest first."""
    where = (part.c.revision > part.c.judged, part.c.window_start + part.c.window_length <= now)
    query = sa.select(*window_columns(part)).where(*where).order_by(part.c.window_start).limit(limit)
    return [read_named(Window, row) for row in tx.execute(query)]


def mark_part(tx: Transaction, key: WindowKey, judged: int) -> None:
    """Note up to which revision a short window was drawn."""
    tx.execute(part.update().where(*is_window(part, key)).values(judged=judged))


def save_drawn(tx: Transaction, row: WindowVerdict) -> None:
    """Insert what a short window came to, or replace it."""
    if tx.execute(drawn.update().where(*is_window(drawn, row.key)).values(body=row)).rowcount == 0:
        names = ("deployment", "variant", "version", "window_start", "window_length")
        tx.execute(drawn.insert(), {name: getattr(row, name) for name in names} | {"body": row})


def drawn_since(tx: Transaction, deployment: str, variant: str, start: int, limit: int) -> list[WindowVerdict]:
    """Read what the short windows of a deployment came to from an instant on, the newest so many, oldest first."""
    where = (drawn.c.deployment == deployment, drawn.c.variant == variant, drawn.c.window_start >= start)
    rows = tx.execute(sa.select(drawn.c.body).where(*where).order_by(drawn.c.window_start.desc()).limit(limit))
    return [row.body for row in rows][::-1]


def find_counted(tx: Transaction, deployment: str, version: str, variant: str, digest: str) -> Counted | None:
    """Read what is known of a table that was counted."""
    where = (
        counted.c.deployment == deployment,
        counted.c.version == version,
        counted.c.variant == variant,
        counted.c.digest == digest,
    )
    row = tx.execute(sa.select(*_counted_columns).where(*where)).one_or_none()
    return None if row is None else read_named(Counted, row)


def add_counted(tx: Transaction, row: Counted) -> None:
    """Note that a table was counted."""
    tx.execute(counted.insert(), values_of(row))
