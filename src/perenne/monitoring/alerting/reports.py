"""What others report that people must hear of: sources that cannot be read, rows that come late, versions that are parked."""

from perenne import data, serving
from perenne.core.clock import Clock
from perenne.core.errors import NotFound
from perenne.monitoring import alert_store
from perenne.monitoring.alerts import MONITOR, raise_alert, resolve_alert
from perenne.monitoring.model import Severity
from perenne.storage.database import Transaction

SOURCE, LATE, PARKED = "source ", "late ", "parked "


def on_source_failed(tx: Transaction, event: data.ingest.events.SourceFailed) -> None:
    """Let an alert fire while rows do not come from where they came."""
    summary = f"{event.dataset} cannot be read from {event.uri}: {event.problem}"
    raise_alert(tx, "", "", SOURCE + event.dataset, summary, event.at, project=event.project)


def on_source_recovered(tx: Transaction, event: data.ingest.events.SourceRecovered) -> None:
    """Resolve the alert of a source that is read again."""
    _resolve(tx, "", SOURCE + event.dataset, "its source was read again", event.at)


def on_rows_late(tx: Transaction, event: data.ingest.events.RowsLate) -> None:
    """Let an alert fire while rows come later than their watermark, and so are not taken."""
    rule = LATE + event.dataset
    if event.note:
        summary = f"{event.dataset} from {event.uri}: {event.note}"
        raise_alert(tx, "", "", rule, summary, event.at, project=event.project)
    else:
        _resolve(tx, "", rule, "rows come in time again", event.at)


class ParkedVersions:
    """Hears of deployments and tells of versions that failed and are asked no more.

    Parameters
    ----------
    clock : Clock
        By which it is told when that was.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_deployment(self, tx: Transaction, event: serving.DeploymentChanged) -> None:
        """Let an alert fire while a version is parked."""
        now = self._clock.now()
        try:
            deployment = serving.service.get_deployment(tx, event.deployment)
        except NotFound:
            return
        variants = (*deployment.canaries, *deployment.challengers)
        parked = {PARKED + variant.version: variant for variant in variants if variant.parked}
        for rule, variant in parked.items():
            summary = f"{variant.version} in {event.deployment} is asked no more ({variant.role.value}): {variant.parked}"
            severity = Severity.WARNING if variant.role.value == "canary" else Severity.INFO
            raise_alert(tx, event.deployment, "", rule, summary, now, severity=severity, project=event.project)
        for alert in alert_store.list_alerts(tx, event.deployment, "", only_open=True, limit=1_000):
            if alert.rule.startswith(PARKED) and alert.rule not in parked:
                resolve_alert(tx, MONITOR, alert, "it is no longer parked", now)


def _resolve(tx: Transaction, deployment: str, rule: str, reason: str, now: int) -> None:
    alert = alert_store.open_alert(tx, deployment, "", rule)
    if alert is not None:
        resolve_alert(tx, MONITOR, alert, reason, now)
