"""Sums over windows that others decide by: how a challenger did in shadow, how many labels came, a metric over time."""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from perenne.monitoring import experiments
from perenne.monitoring.model import CHAMPION
from perenne.monitoring.operational import latency_quantile
from perenne.monitoring.store import metric, window, window_labels
from perenne.storage.database import Transaction, read_struct
from perenne.storage.names import chosen

earned = experiments.earned
difference = experiments.difference
paired = experiments.paired
Difference = experiments.Difference


class ShadowReport(msgspec.Struct, frozen=True):
    """What a challenger has done so far: rows answered, requests it failed on, and the share answered like the champion."""

    rows: int
    errors: int
    agreement: float | None


class RealisedPoint(msgspec.Struct, frozen=True):
    """A metric of the champion in one window, from labels; `start` in microseconds, `rows` with a label."""

    start: int
    version: str
    value: float
    rows: int


def shadow_report(tx: Transaction, deployment: str, version: str) -> ShadowReport:
    """Sum up what a version has answered in shadow in a deployment."""
    columns = (window.c.rows, window.c.errors, window.c.agreed, window.c.compared)
    query = sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns)).where(
        window.c.deployment == deployment, window.c.version == version, window.c.variant.like("challenger%")
    )
    row = tx.execute(query).one()
    rows, errors, agreed, compared = (int(value) for value in row)
    return ShadowReport(rows, errors, agreed / compared if compared else None)


def canary_rows(tx: Transaction, deployment: str, version: str) -> int:
    """Count what a version has answered as a canary of a deployment."""
    mine = (window.c.deployment == deployment, window.c.version == version, window.c.variant == experiments.CANARY)
    return int(tx.scalar(sa.select(sa.func.sum(window.c.rows)).where(*mine)) or 0)


class VariantReport(msgspec.Struct, frozen=True):
    """How a version did in a role lately: rows, requests that failed, requests in each cell of latency, and agreement."""

    rows: int
    errors: int
    latency: tuple[int, ...]
    agreed: int
    compared: int

    @property
    def requests(self) -> int:
        """How many requests it answered; 0 for one in shadow, whose time nobody waits for."""
        return sum(self.latency)

    def quantile_ms(self, share: float) -> float | None:
        """Return the latency that a share of its requests stayed under."""
        return latency_quantile(self.latency, share) if self.requests else None


def variant_reports(tx: Transaction, deployment: str, span: int) -> dict[tuple[str, str], VariantReport]:
    """Sum up by role and version what was counted in the windows of a span that ends with the newest one."""
    newest = tx.scalar(sa.select(sa.func.max(window.c.window_start)).where(window.c.deployment == deployment)) or 0
    columns = [window.c[name] for name in ("variant", "version", "rows", "errors", "latency", "agreed", "compared")]
    found: dict[tuple[str, str], VariantReport] = {}
    mine = (window.c.deployment == deployment, window.c.window_start > newest - span)
    for row in tx.execute(sa.select(*columns).where(*mine)):
        role, version, rows, errors, latency, agreed, compared = tuple(row)
        before = found.get((role, version)) or VariantReport(0, 0, (0,) * len(latency), 0, 0)
        found[role, version] = VariantReport(
            before.rows + rows,
            before.errors + errors,
            tuple(a + b for a, b in zip(before.latency, latency, strict=True)),
            before.agreed + agreed,
            before.compared + compared,
        )
    return found


def labelled_rows(tx: Transaction, deployment: str, version: str) -> int:
    """Count the answers of a champion whose label has come."""
    mine = (window_labels.c.deployment == deployment, window_labels.c.version == version, window_labels.c.variant == CHAMPION)
    return int(tx.scalar(sa.select(sa.func.sum(window_labels.c.rows)).where(*mine)) or 0)


def most_labelled(tx: Transaction, deployments: Iterable[str]) -> dict[str, int]:
    """Count for each of some deployments the labelled answers of the champion that has most of them."""
    mine = (window_labels.c.deployment.in_(chosen(deployments)), window_labels.c.variant == CHAMPION)
    query = sa.select(window_labels.c.deployment, sa.func.sum(window_labels.c.rows).label("rows")).where(*mine)
    found: dict[str, int] = {}
    for row in tx.execute(query.group_by(window_labels.c.deployment, window_labels.c.version)):
        found[row.deployment] = max(int(row.rows), found.get(row.deployment, 0))
    return found


def realised_series(tx: Transaction, deployment: str, name: str) -> list[RealisedPoint]:
    """Return a metric of the champions over all rows, window by window, oldest first."""
    query = (
        sa.select(metric.c.window_start, metric.c.version, metric.c.value, metric.c.n_labelled)
        .where(metric.c.deployment == deployment, metric.c.variant == CHAMPION, metric.c.metric == name, metric.c.by == "")
        .where(metric.c.value.is_not(None))
        .order_by(metric.c.window_start)
    )
    return [read_struct(RealisedPoint, row) for row in tx.execute(query)]
