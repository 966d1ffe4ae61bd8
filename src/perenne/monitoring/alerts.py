"""The alerts: how a window moves them, who is told, and what people can do about them."""

from collections.abc import Iterable, Sequence

import msgspec

from perenne import serving
from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, require
from perenne.core.clock import DAY
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.monitoring import alert_store, origins, store
from perenne.monitoring.events import AlertsChanged
from perenne.monitoring.findings import Finding
from perenne.monitoring.model import (
    RESEND_AFTER,
    Alert,
    AlertState,
    Cause,
    Outcome,
    Severity,
    Watch,
    WindowKey,
)
from perenne.monitoring.silencing import Silence, labels_of
from perenne.monitoring.streaks import next_state, streaks
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit

LONGEST_SILENCE = 366 * DAY
DRIFT = "drift"
MONITOR = Principal("monitoring", PrincipalKind.SYSTEM)


def advance(tx: Transaction, watch: Watch, key: WindowKey, findings: Sequence[Finding], now: int) -> None:
    """Let a window's findings move the alerts of its version, announce what fired, and queue one message about all of it."""
    changes = []
    for finding in findings:
        alert_store.save_outcome(tx, key, finding.rule, finding.outcome)
        change = _step(tx, watch, key, finding, now)
        if change is not None:
            changes.append(change)
    _tell(tx, watch.deployment, watch.version, key.start, changes, now)


def _step(tx: Transaction, watch: Watch, key: WindowKey, finding: Finding, now: int) -> tuple[Alert, str] | None:
    """Move one alert; return it with what people should hear, if anything."""
    current = alert_store.open_alert(tx, watch.deployment, watch.version, finding.rule)
    state = AlertState.OK if current is None else current.state
    clear = finding.clear or watch.clear
    needed = max(finding.confirm, clear)
    alarms, clears = streaks(alert_store.recent_outcomes(tx, watch.deployment, watch.version, finding.rule, needed))
    target = next_state(state, alarms, clears, confirm=finding.confirm, clear=clear)
    if finding.outcome is not Outcome.ALARM and target in (AlertState.PENDING, AlertState.FIRING):
        target = state  # only an alarm window raises an alert, never one that fell silent between two alarms
    if current is None:
        return None if target is AlertState.OK else _open(tx, watch, key, finding, target, now)
    if target is not state:
        return _move(tx, current, key, finding, target, now)
    return _update(tx, current, key, finding, now)


def _open(
    tx: Transaction, watch: Watch, key: WindowKey, finding: Finding, state: AlertState, now: int
) -> tuple[Alert, str] | None:
    alert = Alert(
        id=new_id(),
        deployment=watch.deployment,
        version=watch.version,
        rule=finding.rule,
        state=AlertState.OK,
        severity=finding.severity,
        since=key.start,
        latest=key.start,
        summary=finding.summary,
        causes=finding.causes,
        opened=now,
        project=watch.project,
        source=origins.source_of(tx, watch.version) if finding.rule == DRIFT else "",
        channels=finding.channels,
    )
    return _move(tx, alert, key, finding, state, now)


def _move(
    tx: Transaction, alert: Alert, key: WindowKey, finding: Finding, state: AlertState, now: int
) -> tuple[Alert, str] | None:
    moved = msgspec.structs.replace(_refreshed(alert, key, finding), state=state)
    if state is AlertState.FIRING:
        moved = msgspec.structs.replace(moved, fired=now)
    elif not moved.open:
        moved = msgspec.structs.replace(moved, ended=now)
    alert_store.save_alert(tx, moved)
    _record(tx, MONITOR, alert, moved, moved.summary)
    if state is AlertState.FIRING:
        add_link(tx, (Kind.ALERT, moved.id), "found_in", (Kind.WINDOW, key.id))
        add_link(tx, (Kind.WINDOW, key.id), "answered_by", (Kind.VERSION, moved.version))
        add_link(tx, (Kind.ALERT, moved.id), "about", (Kind.DEPLOYMENT, moved.deployment))
        if finding.event is not None:
            emit(tx, finding.event(moved.id))
        return moved, "firing"
    return (moved, "resolved") if state is AlertState.RESOLVED else None


def _update(tx: Transaction, alert: Alert, key: WindowKey, finding: Finding, now: int) -> tuple[Alert, str] | None:
    """Keep an open alert up to date; people hear of it again if it got worse, or a day has passed without an answer."""
    refreshed = _refreshed(alert, key, finding)
    if refreshed != alert:
        alert_store.save_alert(tx, refreshed)
    if alert.state is not AlertState.FIRING or finding.outcome is not Outcome.ALARM:
        return None
    worse = refreshed.severity.level > alert.severity.level
    spread = bool(_features(refreshed) - set(alert.told)) and alert.sent is not None
    unanswered = not alert.acknowledged_by and (alert.sent is None or now - alert.sent >= RESEND_AFTER)
    return (refreshed, "continues") if worse or spread or unanswered else None


def _refreshed(alert: Alert, key: WindowKey, finding: Finding) -> Alert:
    """Take over what the newest alarm window says; an older window that is judged again changes nothing."""
    if key.start < alert.latest:
        return alert
    if finding.outcome is not Outcome.ALARM:
        return msgspec.structs.replace(alert, latest=key.start)
    return msgspec.structs.replace(
        alert,
        latest=key.start,
        severity=max(alert.severity, finding.severity, key=lambda severity: severity.level),
        summary=finding.summary,
        causes=finding.causes,
        channels=finding.channels,
    )


def _features(alert: Alert) -> set[str]:
    return {cause.feature for cause in alert.causes}


def _tell(
    tx: Transaction, deployment: str, version: str, window_start: int, changes: Sequence[tuple[Alert, str]], now: int
) -> None:
    silent = alert_store.silences(tx, deployment, now) if changes else []
    loud = [change for change in changes if not any(silence.quiets(labels_of(change[0])) for silence in silent)]
    if not loud:
        return
    for alert, _ in loud:
        told = tuple(sorted({*alert.told, *_features(alert)}))
        alert_store.save_alert(tx, msgspec.structs.replace(alert, sent=now, told=told))
    changed = tuple((alert.id, what) for alert, what in loud)
    emit(tx, AlertsChanged(deployment=deployment, version=version, window_start=window_start, changes=changed))


def raise_alert(
    tx: Transaction,
    deployment: str,
    version: str,
    rule: str,
    summary: str,
    now: int,
    *,
    severity: Severity = Severity.WARNING,
    project: str = "",
    causes: tuple[Cause, ...] = (),
    channels: tuple[str, ...] = (),
) -> Alert:
    """Let an alert fire that no window stands behind, or bring the open one up to date.

    People hear of one that is open again if it got worse or spread, or a day has passed without an answer.
    """
    current = alert_store.open_alert(tx, deployment, version, rule)
    if current is not None:
        return _brought_up_to_date(tx, current, summary, now, severity, causes)
    alert = Alert(
        id=new_id(),
        deployment=deployment,
        version=version,
        rule=rule,
        state=AlertState.FIRING,
        severity=severity,
        since=now,
        latest=now,
        summary=summary,
        causes=causes,
        opened=now,
        fired=now,
        project=project,
        channels=channels,
    )
    alert_store.save_alert(tx, alert)
    _record(tx, MONITOR, msgspec.structs.replace(alert, state=AlertState.OK), alert, summary)
    _tell(tx, deployment, version, now, [(alert, "firing")], now)
    return alert


def _brought_up_to_date(
    tx: Transaction, current: Alert, summary: str, now: int, severity: Severity, causes: tuple[Cause, ...]
) -> Alert:
    worse = severity.level > current.severity.level
    fresh = msgspec.structs.replace(current, summary=summary, severity=severity if worse else current.severity, causes=causes)
    if fresh != current:
        fresh = msgspec.structs.replace(fresh, latest=now)
        alert_store.save_alert(tx, fresh)
    spread = current.sent is not None and bool(_features(fresh) - set(current.told))
    unanswered = not current.acknowledged_by and (current.sent is None or now - current.sent >= RESEND_AFTER)
    if worse or spread or unanswered:
        _tell(tx, fresh.deployment, fresh.version, now, [(fresh, "continues")], now)
    return fresh


def end_alert(tx: Transaction, deployment: str, version: str, rule: str, reason: str, now: int) -> None:
    """Resolve an alert that no window stands behind, if it is open."""
    current = alert_store.open_alert(tx, deployment, version, rule)
    if current is not None:
        resolve_alert(tx, MONITOR, current, reason, now)


def resolve_alert(tx: Transaction, actor: Principal, alert: Alert, reason: str, now: int) -> None:
    """End an open alert for a reason that no window gives."""
    ended = msgspec.structs.replace(alert, state=AlertState.RESOLVED, ended=now)
    alert_store.save_alert(tx, ended)
    _record(tx, actor, alert, ended, reason)
    if alert.sent is not None:
        _tell(tx, alert.deployment, alert.version, alert.latest, [(ended, "resolved")], now)


def acknowledge(tx: Transaction, actor: Principal, identity: str) -> Alert:
    """Say that somebody is on it: the alert is not sent again while it stays as it is.

    Raises
    ------
    NotFound, Conflict
        If there is no such alert, or it has ended.
    """
    alert = commentable(tx, actor, identity)
    if not alert.open:
        raise Conflict(
            f"alert {identity} is {alert.state.value} already",
            code="alert.ended",
            hint="`perenne alert list` shows those that are open",
        )
    answered = msgspec.structs.replace(alert, acknowledged_by=actor.name)
    alert_store.save_alert(tx, answered)
    audit.record(tx, actor, "alert.acknowledge", "alert", identity, after={"acknowledged_by": actor.name})
    return answered


def unacknowledge(tx: Transaction, actor: Principal, identity: str) -> Alert:
    """Take an acknowledgement back: nobody is on it, and people are told of it again.

    Raises
    ------
    NotFound, Conflict
        If there is no such alert, or nobody has acknowledged it.
    """
    alert = commentable(tx, actor, identity)
    if not alert.open or not alert.acknowledged_by:
        raise Conflict(
            f"nobody is on alert {identity}" if alert.open else f"alert {identity} has ended",
            code="alert.unacknowledged",
            hint="`perenne alert show` tells how it stands",
        )
    free = msgspec.structs.replace(alert, acknowledged_by="")
    alert_store.save_alert(tx, free)
    before, after = {"acknowledged_by": alert.acknowledged_by}, {"acknowledged_by": ""}
    audit.record(tx, actor, "alert.unacknowledge", "alert", identity, before=before, after=after)
    return free


def silence(tx: Transaction, actor: Principal, identity: str, *, until: int, reason: str, now: int) -> Silence:
    """Tell nobody about this alert's rule in its deployment until an instant.

    Raises
    ------
    NotFound, Invalid
        If there is no such alert, no reason is given, or the instant has passed or is more than a year away.
    """
    alert = commentable(tx, actor, identity)
    check_silence(until, reason, now)
    made = Silence(new_id(), alert.deployment, alert.rule, until, actor.name, reason, now)
    alert_store.save_silence(tx, made)
    audit.record(tx, actor, "alert.silence", "alert", identity, after=made, reason=reason)
    return made


def check_silence(until: int, reason: str, now: int) -> None:
    """Make sure that a silence has a reason and an end within a year. Raises Invalid."""
    if not reason.strip():
        raise Invalid("a silence needs a reason", code="alert.reason", hint="say why nobody needs to be told: --reason '…'")
    if until <= now:
        raise Invalid("the silence ends before it begins", code="alert.until", hint="give a length of time such as 6h or 2d")
    if until - now > LONGEST_SILENCE:
        raise Invalid("a silence lasts a year at most", code="alert.until", hint="what is silent for ever is better not watched")


def get_alert(tx: Transaction, identity: str) -> Alert:
    """Read an alert. Raises NotFound."""
    alert = alert_store.find_alert(tx, identity)
    if alert is None:
        raise NotFound(
            f"alert {identity[:100]!r} does not exist", code="alert.not_found", hint="`perenne alert list` shows those that do"
        )
    return alert


def commentable(tx: Transaction, actor: Principal, identity: str) -> Alert:
    """Read an alert to which somebody has something to say. Raises NotFound, Denied."""
    alert = get_alert(tx, identity)
    require(actor, Action.COMMENT, project_of(tx, alert) or None)
    return alert


def project_of(tx: Transaction, alert: Alert) -> str:
    """Tell whose an alert is; empty for the whole installation's."""
    return projects_of(tx, [alert.deployment]).get(alert.deployment, alert.project)


def projects_of(tx: Transaction, deployments: Iterable[str]) -> dict[str, str]:
    """Tell whose each of some deployments is, also of one that is watched and served elsewhere; one nobody knows is left out."""
    names = set(deployments)
    served = {name: found.project for name, found in serving.service.named(tx, names).items()}
    return store.watched_projects(tx, names - served.keys()) | served


def deployments_of(tx: Transaction, projects: Iterable[str]) -> list[str]:
    """Name the deployments of some projects, also those that are watched and served elsewhere."""
    wanted = set(projects)
    watched = [name for name, project in store.watched_projects(tx).items() if project in wanted]
    served = [item.name for project in sorted(wanted) for item in serving.service.deployments(tx, project)]
    return [*dict.fromkeys([*watched, *served])]


def _record(tx: Transaction, actor: Principal, before: Alert, after: Alert, reason: str) -> None:
    named = {"deployment": after.deployment, "version": after.version, "rule": after.rule}
    audit.record(
        tx,
        actor,
        f"alert.{after.state.value}",
        "alert",
        after.id,
        before={"state": before.state.value},
        after=named | {"state": after.state.value, "severity": after.severity.value},
        reason=reason,
    )
