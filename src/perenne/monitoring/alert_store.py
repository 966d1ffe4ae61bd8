"""The SQL of alerts: what each window said about each rule, the alerts, and the silences."""

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from perenne.core.paging import Page
from perenne.monitoring.model import Alert, AlertLine, AlertState, Outcome, Severity, WindowKey
from perenne.monitoring.silencing import Silence
from perenne.monitoring.store import alert, outcome, read_named, silence, values_of, watch
from perenne.storage.database import Transaction, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen

_line_columns = [alert.c[name] for name in AlertLine.__struct_fields__]
_alert_columns = [alert.c[name] for name in Alert.__struct_fields__]
_silence_columns = [silence.c[name] for name in Silence.__struct_fields__]


def save_outcome(tx: Transaction, key: WindowKey, rule: str, said: Outcome) -> None:
    """Keep what a window says about a rule; one that says nothing leaves no row."""
    row = {
        "deployment": key.stream.deployment,
        "version": key.stream.version,
        "rule": rule,
        "window_start": key.start,
        "window_length": key.length,
    }
    where = [outcome.c[name] == value for name, value in row.items()]
    tx.execute(outcome.delete().where(*where))
    if said is not Outcome.UNKNOWN:
        tx.execute(outcome.insert(), row | {"outcome": said})


def recent_outcomes(tx: Transaction, deployment: str, version: str, rule: str, limit: int) -> list[Outcome]:
    """Read what the newest windows said about a rule, newest first."""
    where = (outcome.c.deployment == deployment, outcome.c.version == version, outcome.c.rule == rule)
    query = (
        sa.select(outcome.c.outcome).where(*where).order_by(outcome.c.window_start.desc(), outcome.c.window_length).limit(limit)
    )
    return [row.outcome for row in tx.execute(query)]


def open_alert(tx: Transaction, deployment: str, version: str, rule: str) -> Alert | None:
    """Read the open alert of a rule."""
    where = (alert.c.deployment == deployment, alert.c.version == version, alert.c.rule == rule, alert.c.ended.is_(None))
    row = tx.execute(sa.select(*_alert_columns).where(*where)).one_or_none()
    return None if row is None else read_named(Alert, row)


def fired_at(tx: Transaction, deployment: str, version: str, rule: str, instant: int) -> bool:
    """Tell whether an alert had fired by an instant and was not resolved before it."""
    mine = (alert.c.deployment == deployment, alert.c.version == version, alert.c.rule == rule, alert.c.fired <= instant)
    query = sa.select(alert.c.id).where(*mine, sa.or_(alert.c.ended.is_(None), alert.c.ended >= instant)).limit(1)
    return tx.scalar(query) is not None


def find_alert(tx: Transaction, identity: str) -> Alert | None:
    """Read an alert."""
    row = tx.execute(sa.select(*_alert_columns).where(alert.c.id == identity)).one_or_none()
    return None if row is None else read_named(Alert, row)


def save_alert(tx: Transaction, row: Alert) -> None:
    """Insert an alert, or replace it."""
    if tx.execute(alert.update().where(alert.c.id == row.id).values(**values_of(row))).rowcount == 0:
        tx.execute(alert.insert(), values_of(row))


def list_alerts(
    tx: Transaction, deployment: str | None = None, version: str | None = None, *, only_open: bool = False, limit: int = 100
) -> list[Alert]:
    """Read alerts, newest first."""
    query = sa.select(*_alert_columns).order_by(alert.c.id.desc()).limit(limit)
    if deployment is not None:
        query = query.where(alert.c.deployment == deployment)
    if version is not None:
        query = query.where(alert.c.version == version)
    if only_open:
        query = query.where(alert.c.ended.is_(None))
    return [read_named(Alert, row) for row in tx.execute(query)]


def page(
    tx: Transaction,
    window: Page,
    *,
    state: str = "",
    severity: str = "",
    deployments: Iterable[str] | None = None,
    projects: Iterable[str] | None = None,
    speaking: bool = False,
) -> tuple[list[Alert], int]:
    """Read a window of the alerts, those that are open first, then the newest, and count all of them.

    Parameters
    ----------
    deployments, projects : iterable of str, optional
        Only of these; what is about no deployment counts by its project.
    speaking : bool
        Whether to leave out those that another one speaks for.
    """
    where = _of(deployments, projects, speaking=speaking)
    if state in ("open", "ended"):
        where.append(alert.c.ended.is_(None) if state == "open" else alert.c.ended.is_not(None))
    elif state:
        where.append(alert.c.state == AlertState(state))
    if severity:
        where.append(alert.c.severity == Severity(severity))
    order = (sa.case((alert.c.ended.is_(None), 0), else_=1), alert.c.id.desc())
    query = sa.select(*_alert_columns).where(*where).order_by(*order).offset(window.offset).limit(window.limit)
    total = tx.scalar(sa.select(sa.func.count()).select_from(alert).where(*where))
    return [read_named(Alert, row) for row in tx.execute(query)], int(total or 0)


def _of(
    deployments: Iterable[str] | None, projects: Iterable[str] | None, *, speaking: bool
) -> "list[sa.ColumnElement[bool]]":  # fmt: skip
    where: list[sa.ColumnElement[bool]] = [alert.c.parent == ""] if speaking else []
    if deployments is not None:
        named = alert.c.deployment.in_(chosen(deployments))
        theirs = sa.and_(alert.c.deployment == "", alert.c.project.in_(chosen(projects or ())))
        where.append(named if projects is None else sa.or_(named, theirs))
    return where


def count_open(
    tx: Transaction,
    deployments: Iterable[str] | None = None,
    *,
    projects: Iterable[str] | None = None,
    speaking: bool = False,
) -> dict[str, int]:
    """Count the open alerts by state."""
    query = sa.select(alert.c.state, sa.func.count().label("number")).where(alert.c.ended.is_(None)).group_by(alert.c.state)
    query = query.where(*_of(deployments, projects, speaking=speaking))
    return {row.state.value: int(row.number) for row in tx.execute(query)}


def count_fired(tx: Transaction, rule: str) -> dict[tuple[str, str], int]:
    """Count how often the alerts of a rule have fired, by deployment and version."""
    query = sa.select(alert.c.deployment, alert.c.version, sa.func.count().label("number"))
    query = query.where(alert.c.rule == rule, alert.c.fired.is_not(None)).group_by(alert.c.deployment, alert.c.version)
    return {(row.deployment, row.version): int(row.number) for row in tx.execute(query)}


def some_alerts(tx: Transaction, identities: Iterable[str]) -> list[Alert]:
    """Read some alerts, newest first."""
    query = sa.select(*_alert_columns).where(alert.c.id.in_(chosen(identities))).order_by(alert.c.id.desc())
    return [read_named(Alert, row) for row in tx.execute(query)]


def open_lines(tx: Transaction, deployments: Iterable[str] | None = None) -> list[AlertLine]:
    """Read what is open, newest first, of some deployments or of all."""
    query = sa.select(*_line_columns).where(alert.c.ended.is_(None)).order_by(alert.c.id.desc())
    if deployments is not None:
        query = query.where(alert.c.deployment.in_(chosen(deployments)))
    return [read_struct(AlertLine, row) for row in tx.execute(query)]


def find_lines(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[AlertLine]:
    """Read alerts whose id begins with a text, then open ones of deployments that are called so; of some projects, if named."""
    mine = sa.select(watch.c.deployment).where(watch.c.project.in_(chosen(projects)))
    only = [alert.c.deployment.in_(mine)] if projects else []
    query = sa.select(*_line_columns).order_by(alert.c.id.desc()).limit(limit)
    ids = find_names(tx, alert.c.id, text, limit, only, inside=False)
    found = [read_struct(AlertLine, row) for row in tx.execute(query.where(alert.c.id.in_(chosen(ids))))]
    named = (alert.c.ended.is_(None), alert.c.deployment.icontains(text, autoescape=True))
    more = [read_struct(AlertLine, row) for row in tx.execute(query.where(*named, *only))]
    return [*found, *(line for line in more if line not in found)][:limit]


def some_lines(tx: Transaction, ids: Iterable[str]) -> list[AlertLine]:
    """Read alerts by their ids, a line each."""
    return [read_struct(AlertLine, row) for row in tx.execute(sa.select(*_line_columns).where(alert.c.id.in_(chosen(ids))))]


def save_silence(tx: Transaction, row: Silence) -> None:
    """Add a silence."""
    tx.execute(silence.insert(), values_of(row))


def silences_of(tx: Transaction, deployments: Iterable[str], now: int) -> list[Silence]:
    """Read the silences of some deployments that have not ended, the longest last."""
    where = (silence.c.deployment.in_(chosen([*deployments, ""])), silence.c.until > now)
    return [read_struct(Silence, row) for row in tx.execute(sa.select(*_silence_columns).where(*where).order_by(silence.c.until))]


def silences(tx: Transaction, deployment: str, now: int) -> list[Silence]:
    """Read the silences that may speak of a deployment and have not ended."""
    query = sa.select(*_silence_columns).where(silence.c.deployment.in_(("", deployment)), silence.c.until > now)
    return [read_struct(Silence, row) for row in tx.execute(query.order_by(silence.c.id))]
