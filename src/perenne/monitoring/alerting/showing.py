"""What people see of alerts: a list, one of them in full with who was told and how it went, and what lasts beside them."""

from collections.abc import Iterable, Mapping

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, sees
from perenne.auth.wording import told as worded
from perenne.core.errors import Invalid, NotFound
from perenne.core.paging import Page
from perenne.monitoring import alert_store, alerts
from perenne.monitoring.alerting import silences, store
from perenne.monitoring.alerting.model import Channel, Comment, Told
from perenne.monitoring.model import Alert, AlertState, Cause, Severity
from perenne.monitoring.silencing import Silence, labels_of
from perenne.storage.links import Kind, sources_of
from perenne.storage.transaction import Transaction

STATES = ("open", "ended", *(state.value for state in AlertState))
HISTORY = 100


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with what people need to answer it.

    Attributes
    ----------
    members : tuple of (str, str)
        Id and deployment of the alerts that it speaks for.
    told : tuple of str
        The channels that were told of it.
    silence : Silence or None
        Who asked for quiet.
    episode : str
        The retraining it led to.
    """

    id: str
    deployment: str
    project: str
    version: str
    rule: str
    state: AlertState
    severity: Severity
    tone: str
    summary: str
    causes: tuple[Cause, ...]
    since: int
    latest: int
    opened: int
    fired: int | None
    ended: int | None
    acknowledged_by: str
    open: bool
    source: str
    parent: str
    members: tuple[tuple[str, str], ...]
    told: tuple[str, ...]
    silence: Silence | None
    episode: str


class Happened(msgspec.Struct, frozen=True):
    """Something that was done to an alert, in words."""

    at: int
    who: str
    did: str
    why: str


class AlertDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One alert in full: its life, who was told of it and how it went, and what people wrote."""

    alert: AlertRow
    history: tuple[Happened, ...]
    told: tuple[Told, ...]
    comments: tuple[Comment, ...]


class AlertsView(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the alerts, the open ones first; the one that was asked for in full; the silences that last; the channels."""

    rows: tuple[AlertRow, ...]
    total: int
    offset: int
    limit: int
    firing: int
    pending: int
    may_answer: bool
    may_administer: bool
    chosen: AlertDetail | None
    silences: tuple[Silence, ...]
    channels: tuple[Channel, ...]


def alerts_view(
    tx: Transaction,
    actor: Principal,
    page: Page,
    *,
    now: int,
    channels: Iterable[Channel] = (),
    state: str = "",
    severity: str = "",
    deployment: str = "",
    alert: str = "",
) -> AlertsView:
    """Show a window of the alerts; those that another one speaks for only where their deployment is asked for.

    Parameters
    ----------
    channels : iterable of Channel
        Those there are; only whoever is not limited to projects sees them.
    alert : str
        One to be shown in full; empty for none.

    Raises
    ------
    Invalid, NotFound
        If there is no such state or severity, or the named alert does not exist or is not theirs to see.
    """
    if state not in ("", *STATES) or severity not in ("", *Severity):
        known = ", ".join([*STATES, *Severity])
        raise Invalid(f"{(state or severity)[:40]!r} is none", code="alert.filter", hint=f"one of {known}")
    only = _deployments(tx, actor, deployment)
    projects = actor.projects or None
    found, total = alert_store.page(
        tx, page, state=state, severity=severity, deployments=only, projects=projects, speaking=not deployment
    )
    counts = alert_store.count_open(tx, only, projects=projects, speaking=not deployment)
    return AlertsView(
        rows=alert_rows(tx, found, now),
        total=total,
        offset=page.offset,
        limit=page.limit,
        firing=counts.get("firing", 0),
        pending=counts.get("pending", 0),
        may_answer=allowed(actor, Action.COMMENT),
        may_administer=allowed(actor, Action.ADMINISTER) and not actor.projects,
        chosen=detail(tx, actor, alert, now) if alert else None,
        silences=tuple(silences.listed(tx, actor, now)),
        channels=() if actor.projects else tuple(channels),
    )


def _deployments(tx: Transaction, actor: Principal, deployment: str) -> list[str] | None:
    """Name the deployments whose alerts may be shown; None for all."""
    if not actor.projects:
        return [deployment] if deployment else None
    named = [deployment] if deployment else alerts.deployments_of(tx, actor.projects)
    return [name for name, project in alerts.projects_of(tx, named).items() if project in actor.projects]


def detail(tx: Transaction, actor: Principal, identity: str, now: int) -> AlertDetail:
    """Show one alert in full. Raises NotFound, also for one that is not theirs to see."""
    alert = alerts.get_alert(tx, identity)
    if not sees(actor, alerts.project_of(tx, alert)):
        raise NotFound("there is nothing of that name", code="alert.not_found", hint="`perenne alert list --all` shows them")
    (row,) = alert_rows(tx, [alert], now)
    records = audit.trail(tx, entity="alert", entity_id=alert.id, limit=HISTORY)
    return AlertDetail(
        alert=row,
        history=tuple(Happened(item.time, worded(item).who, worded(item).did, item.reason) for item in records),
        told=tuple(store.told_of(tx, [alert.id]).get(alert.id, ())),
        comments=tuple(store.comments_of(tx, [alert.id]).get(alert.id, ())),
    )


def alert_rows(tx: Transaction, found: Iterable[Alert], now: int) -> tuple[AlertRow, ...]:
    """Add to alerts whose they are, who asked for silence, and what they led to: each asked once for all."""
    shown = list(found)
    ids, names = [item.id for item in shown], {item.deployment for item in shown}
    projects = alerts.projects_of(tx, names)
    lasting = alert_store.silences_of(tx, names, now)
    links = sources_of(tx, Kind.EPISODE, Kind.ALERT, ids)
    episodes = {link.target: link.source for link in links}
    members, told = store.members_of(tx, ids), store.told_of(tx, ids)
    return tuple(_row(item, projects, lasting, episodes, members.get(item.id, ()), told.get(item.id, ())) for item in shown)


def _row(
    item: Alert,
    projects: Mapping[str, str],
    lasting: Iterable[Silence],
    episodes: Mapping[str, str],
    members: Iterable[Alert],
    told: Iterable[Told],
) -> AlertRow:
    quiet = [silence for silence in lasting if item.open and silence.quiets(labels_of(item))]
    own = {name: getattr(item, name) for name in AlertRow.__struct_fields__ if hasattr(item, name)}
    own |= {
        "project": projects.get(item.deployment, item.project),
        "tone": _tone(item),
        "members": tuple((member.id, member.deployment) for member in members),
        "told": tuple(dict.fromkeys(row.channel for row in told if row.state == "delivered")),
        "silence": quiet[-1] if quiet else None,
        "episode": episodes.get(item.id, ""),
    }
    return AlertRow(**own)


def _tone(item: Alert) -> str:
    if not item.open:
        return "none"
    return {Severity.CRITICAL: "crit", Severity.WARNING: "warn", Severity.INFO: "info"}[item.severity]
