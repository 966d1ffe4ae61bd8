"""`perenne alert list|acknowledge|silence`."""

from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time, parse_duration
from perenne.monitoring import alerts, service
from perenne.monitoring.model import Alert
from perenne.monitoring.silencing import Silence
from perenne.storage.workspace import Workspace


@click.command("list")
@click.option("--deployment", help="Only alerts of this deployment.")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_alerts(workspace: Workspace, deployment: str | None, every: bool, limit: int) -> list[dict[str, Any]]:
    """List open alerts, newest first.

    \b
    Examples:
      perenne alert list
      perenne alert list --deployment churn --all
    """
    chosen = service.alerts if every else service.open_alerts
    with workspace.database.read() as tx:
        found = chosen(tx, deployment, limit=limit)
    return [_alert_row(item) for item in found]


@click.command()
@click.argument("alert_id")
@click.pass_obj
def acknowledge(workspace: Workspace, alert_id: str) -> Alert:
    """Say that somebody is on it.

    \b
    Examples:
      perenne alert acknowledge 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    return workspace.database.write(lambda tx: alerts.acknowledge(tx, local_principal(), alert_id))


@click.command()
@click.argument("alert_id")
@click.option("--for", "duration", default="1d", show_default=True, help="How long, such as 6h or 2d.")
@click.option("--reason", required=True, help="Why nobody needs to be told.")
@click.pass_obj
def silence(workspace: Workspace, alert_id: str, duration: str, reason: str) -> Silence:
    """Tell nobody about this alert's rule in its deployment for a while.

    \b
    Examples:
      perenne alert silence 01M8GQSGBA1NHC8Y45EHH2NB3J --for 2d --reason "a known campaign"
    """
    now = workspace.clock.now()
    until = now + parse_duration(duration)
    return workspace.database.write(
        lambda tx: alerts.silence(tx, local_principal(), alert_id, until=until, reason=reason, now=now)
    )


def _alert_row(item: Alert) -> dict[str, Any]:
    return {
        "alert": item.id,
        "deployment": item.deployment,
        "version": item.version,
        "state": item.state.value,
        "severity": item.severity.value,
        "since": format_time(item.since),
        "what": item.summary,
        "acknowledged_by": item.acknowledged_by,
    }
