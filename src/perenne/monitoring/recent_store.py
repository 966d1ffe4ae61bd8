"""The SQL of what champions did of late, for many deployments at once: the newest windows of each are found in an index."""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from perenne.monitoring.model import CHAMPION, MINIMUM_COVERAGE, WindowState, WindowVerdict
from perenne.monitoring.store import metric, verdict, window
from perenne.storage.database import Transaction, read_struct
from perenne.storage.names import chosen, table_of

_KEY = ("deployment", "variant", "version", "window_start", "window_length")


class RecentWindow(msgspec.Struct, frozen=True):
    """A champion's window: when, how long, whose, how it was judged, and what was answered; `latency` holds requests by cell."""

    start: int
    length: int
    version: str
    state: WindowState
    rows: int
    errors: int
    latency: tuple[int, ...]

    @property
    def requests(self) -> int:
        """How many requests were timed."""
        return sum(self.latency)


class RecentMetric(msgspec.Struct, frozen=True):
    """What the labels of a champion's window say about a metric, and what share of its rows has one."""

    deployment: str
    metric: str
    start: int
    version: str
    value: float | None
    low: float | None
    high: float | None
    labelled: int
    coverage: float

    @property
    def trusted(self) -> bool:
        """Whether there is a figure, and enough labels to go by."""
        return self.value is not None and self.coverage >= MINIMUM_COVERAGE


def windows(tx: Transaction, deployments: Iterable[str], limit: int) -> dict[str, list[RecentWindow]]:
    """Read the newest judged windows of the champions, oldest first, by deployment."""
    judged = _judged(deployments, limit)
    columns = (judged.c.window_start, judged.c.window_length, judged.c.version, judged.c.state)
    answered = (window.c.rows, window.c.errors, window.c.latency)
    query = sa.select(judged.c.deployment, *columns, *answered).join_from(judged, window, _same(judged, window))
    found: dict[str, list[RecentWindow]] = {}
    for row in tx.execute(query.order_by(judged.c.window_start, judged.c.version)):
        found.setdefault(row.deployment, []).append(RecentWindow(*tuple(row)[1:]))
    return {name: rows[-limit:] for name, rows in found.items()}


def metrics(tx: Transaction, deployments: Iterable[str], limit: int, names: Iterable[str]) -> list[RecentMetric]:
    """Read what labels say over all rows of the newest judged windows of the champions, oldest first."""
    judged = _judged(deployments, limit)
    share = sa.case((window.c.rows > 0, sa.cast(metric.c.rows_labelled, sa.Float) / window.c.rows), else_=0.0)
    figures = (metric.c.value, metric.c.low, metric.c.high, metric.c.n_labelled, share)
    query = sa.select(judged.c.deployment, metric.c.metric, judged.c.window_start, judged.c.version, *figures)
    query = query.join_from(judged, window, _same(judged, window)).join(metric, _same(judged, metric))
    query = query.where(metric.c.by == "", metric.c.metric.in_(chosen(names)))
    return [read_struct(RecentMetric, row) for row in tx.execute(query.order_by(judged.c.window_start, judged.c.version))]


def verdicts(tx: Transaction, deployment: str, limit: int) -> list[WindowVerdict]:
    """Read the verdicts on the newest windows of a deployment's champions, newest first."""
    query = sa.select(verdict.c.body).where(verdict.c.deployment == deployment, verdict.c.variant == CHAMPION)
    order = (verdict.c.window_start.desc(), verdict.c.version.desc())
    return [row.body for row in tx.execute(query.order_by(*order).limit(limit))]


def _judged(deployments: Iterable[str], limit: int) -> sa.CTE:
    """Return the keys and states of the champions' newest judged windows.

    Each step is made by itself: asked in one, PostgreSQL looks for the oldest of them once for each window there is.
    """
    named, rows = table_of(deployments), verdict.alias()
    mine = (rows.c.deployment == named.c.value, rows.c.variant == CHAMPION)
    oldest = sa.select(rows.c.window_start).where(*mine).order_by(rows.c.window_start.desc()).limit(1).offset(limit - 1)
    start = sa.func.coalesce(oldest.scalar_subquery(), 0).label("start")
    since = sa.select(named.c.value.label("name"), start).cte("since").prefix_with("MATERIALIZED")
    newest = (verdict.c.deployment == since.c.name, verdict.c.variant == CHAMPION, verdict.c.window_start >= since.c.start)
    query = sa.select(*(verdict.c[name] for name in (*_KEY, "state"))).join_from(since, verdict, sa.and_(*newest))
    return query.cte("judged").prefix_with("MATERIALIZED")


def _same(judged: sa.CTE, table: sa.Table) -> "sa.ColumnElement[bool]":
    return sa.and_(*(table.c[name] == judged.c[name] for name in _KEY))
