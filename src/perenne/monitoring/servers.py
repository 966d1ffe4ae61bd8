"""What model servers say of themselves: an alert fires while one cannot load what is released, and resolves when all can."""

from collections.abc import Mapping
from functools import partial

from perenne import serving
from perenne.core.clock import SystemClock
from perenne.monitoring import alert_store
from perenne.monitoring.alerts import MONITOR, raise_alert, resolve_alert
from perenne.monitoring.model import Alert
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

SERVING = "serving"


def report_servers(workspace: Workspace) -> None:
    """Bring the alerts about model servers up to date."""
    problems: dict[str, str] = {}
    for status in serving.read_statuses(workspace.settings.spool, None, SystemClock().now()):
        if status.problem:
            problems[status.deployment] = f"the model server at {status.url}: {status.problem}"
    with workspace.database.read() as tx:
        fires = alert_store.list_alerts(tx, version="", only_open=True, limit=10_000)
    alerts = {alert.deployment: alert for alert in fires if alert.rule == SERVING}
    if {deployment: alert.summary for deployment, alert in alerts.items()} != problems:
        workspace.database.write(partial(_update, alerts=alerts, problems=problems, now=workspace.clock.now()))


def _update(tx: Transaction, alerts: Mapping[str, Alert], problems: Mapping[str, str], now: int) -> None:
    for deployment, problem in problems.items():
        raise_alert(tx, deployment, "", SERVING, problem, now)
    for deployment in sorted(alerts.keys() - problems.keys()):
        resolve_alert(tx, MONITOR, alerts[deployment], "every model server loads what is released", now)
