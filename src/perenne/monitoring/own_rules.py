"""What a project's own alert rules make of a window: they change the findings there are, and add some about features; pure."""

from collections.abc import Sequence

import msgspec

from perenne.monitoring.findings import Finding
from perenne.monitoring.model import Cause, Outcome, Severity, Watch, WindowState, WindowVerdict
from perenne.projects import Alert

_BLIND = (WindowState.TOO_FEW, WindowState.GAP)


def applied(watch: Watch, verdict: WindowVerdict, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of a window as the project's own rules have them, and those that only they make."""
    named = {rule_of(alert): alert for alert in watch.plan.alerts}
    changed = [_changed(finding, named.get(_without_source(finding.rule))) for finding in findings]
    return changed + [_of_feature(alert, watch, verdict) for alert in watch.plan.alerts if alert.feature]


def rule_of(alert: Alert) -> str:
    """Return the rule that an alert of a project is kept under, but for how its figure is known.

    >>> rule_of(Alert("roc_auc", below=0.7)), rule_of(Alert("drift", severity="info"))
    ('alert:roc_auc < 0.7', 'drift')
    """
    return alert.figure if alert.built_in else f"alert:{alert.id}"


def of_rule(watch: Watch, rule: str) -> Alert | None:
    """Return what a project says of a rule that there is anyway, such as `no_data`."""
    return next((alert for alert in watch.plan.alerts if alert.built_in and alert.figure == rule), None)


def _without_source(rule: str) -> str:
    return rule.rpartition(":")[0] if rule.startswith("alert:") else rule


def _changed(finding: Finding, alert: Alert | None) -> Finding:
    if alert is None:
        return finding
    return msgspec.structs.replace(
        finding,
        outcome=Outcome.CLEAR if alert.off else finding.outcome,
        severity=Severity(alert.severity) if alert.severity else finding.severity,
        confirm=_confirm(alert, finding.confirm),
        clear=alert.clear or finding.clear,
        channels=alert.channels or finding.channels,
    )


def _confirm(alert: Alert, usual: int) -> int:
    """Return the alarm windows that it takes: what is critical need not be seen twice, unless the rule says so."""
    return alert.confirm or (1 if alert.severity == Severity.CRITICAL.value else usual)


def _of_feature(alert: Alert, watch: Watch, verdict: WindowVerdict) -> Finding:
    cause = next((cause for cause in verdict.causes if cause.feature == alert.feature), None)
    blind = verdict.state in _BLIND
    return Finding(
        rule=rule_of(alert),
        outcome=Outcome.UNKNOWN if blind else Outcome.ALARM if cause is not None and _alarms(alert, cause) else Outcome.CLEAR,
        severity=Severity(alert.severity) if alert.severity else Severity.WARNING,
        confirm=_confirm(alert, watch.confirm),
        clear=alert.clear,
        summary=f"{alert.id}: {cause.sentence}" if cause is not None else alert.id,
        causes=(cause,) if cause is not None else (),
        channels=alert.channels,
    )


def _alarms(alert: Alert, cause: Cause) -> bool:
    """Tell whether a feature that moved is beyond the rule's limit; without a limit, whether it is in alarm."""
    if alert.limit is None:
        return cause.state == "alarm"
    values = {"js2": cause.js2, "ks": cause.ks_d, "impact": cause.impact, "missing_rise": cause.missing_rise}
    value = values[alert.measure]
    if value is None:
        return False
    size = abs(value) if alert.measure == "impact" else value
    return size > alert.limit if alert.above is not None else size < alert.limit
