"""One alert for many that have one cause: deployments that alarm on the same feature of the same data are told of together.

Each deployment's own alert goes on by itself, for automation acts on it; but one about the data speaks for all of them.
"""

from collections.abc import Sequence

from perenne.monitoring import alert_store
from perenne.monitoring.alerting import store
from perenne.monitoring.alerts import DRIFT, MONITOR, raise_alert, resolve_alert
from perenne.monitoring.model import TOP_CAUSES, Alert, Cause
from perenne.storage.database import Transaction

PREFIX = "data "
NAMED = 5
LOOKED_AT = 200


def spoken_for(tx: Transaction, changes: Sequence[tuple[Alert, str]], now: int) -> list[tuple[Alert, str]]:
    """Return the changes of which people hear by themselves; those that have a cause in common raise, or join, one alert."""
    return [change for change in changes if not _joined(tx, change[0], now)]


def shares_its_source(tx: Transaction, alert: Alert) -> bool:
    """Tell whether another deployment fires on the same data, so that it is worth a moment to see whether more follow."""
    return bool(alert.source) and any(other.id != alert.id for other in store.alarming_on(tx, alert.source, 2))


def _joined(tx: Transaction, alert: Alert, now: int) -> bool:
    """Let an alert be spoken for if it has something in common with others; tell whether it is."""
    if alert.parent:
        if alert.open:
            _refresh(tx, alert, now)
        return True
    if alert.rule != DRIFT or not alert.source or not alert.open:
        return False
    group = alert_store.open_alert(tx, "", "", PREFIX + alert.source)
    mine = _features(alert)
    if group is not None:
        if mine.isdisjoint(_features(group)):
            return False
        store.adopt(tx, [alert.id], group.id)
        _refresh(tx, alert, now)
        return True
    others = [other for other in store.alarming_on(tx, alert.source, LOOKED_AT) if other.deployment != alert.deployment]
    alike = [other for other in others if not mine.isdisjoint(_features(other))]
    if not alike:
        return False
    _raise(tx, alert, alike, now)
    return True


def _raise(tx: Transaction, alert: Alert, alike: Sequence[Alert], now: int) -> None:
    together = [*alike, alert]
    shared = {name for other in alike for name in _features(other) & _features(alert)}
    causes = _ranked([cause for other in together for cause in other.causes if cause.feature in shared])
    names = sorted({other.deployment for other in together})
    projects = {other.project for other in together}
    group = raise_alert(
        tx, "", "", PREFIX + alert.source, _summary(alert.source, causes, names, len(names)), now,
        severity=max((other.severity for other in together), key=lambda severity: severity.level),
        project=projects.pop() if len(projects) == 1 else "",
        causes=causes,
    )  # fmt: skip
    store.adopt(tx, [other.id for other in together], group.id)


def _refresh(tx: Transaction, alert: Alert, now: int) -> None:
    """Bring the alert that speaks for another up to date with it."""
    group = alert_store.open_alert(tx, "", "", PREFIX + alert.source)
    if group is None:
        return
    known = _features(group)
    causes = _ranked([*group.causes, *(cause for cause in alert.causes if cause.feature in known)])
    count = store.count_members(tx, group.id)
    first = [item.deployment for item in store.members_of(tx, [group.id], only_open=True).get(group.id, ())[:NAMED]]
    severity = max(group.severity, alert.severity, key=lambda severity: severity.level)
    summary = _summary(alert.source, causes, first, count)
    raise_alert(tx, "", "", group.rule, summary, now, severity=severity, causes=causes)


def _ranked(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """Return each feature once, as it is worst, the greatest impact first."""
    worst: dict[str, Cause] = {}
    for cause in sorted(causes, key=lambda cause: -abs(cause.impact or 0.0)):
        worst.setdefault(cause.feature, cause)
    return tuple(worst.values())[:TOP_CAUSES]


def _summary(source: str, causes: Sequence[Cause], names: Sequence[str], count: int) -> str:
    told = "; ".join(f"{cause.feature}: {cause.sentence}" for cause in causes)
    listed = ", ".join(names[:NAMED]) + (f" and {count - NAMED} more" if count > NAMED else "")
    return f"drift in the rows of {source}, seen by {count} deployments ({listed}): {told}"


def _features(alert: Alert) -> set[str]:
    return {cause.feature for cause in alert.causes}


def end_lonely(tx: Transaction, now: int) -> int:
    """Resolve the alerts that speak for none any more; return how many."""
    lonely = store.lonely_groups(tx, PREFIX)
    for group in lonely:
        resolve_alert(tx, MONITOR, group, "no deployment sees it any more", now)
    return len(lonely)
