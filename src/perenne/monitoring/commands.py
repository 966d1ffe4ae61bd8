"""`perenne monitor list|show|labels` and `perenne alert list|acknowledge|silence`."""

from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time, parse_duration
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring import alerts, service, summary
from perenne.monitoring.labels import Receipt, submit_labels
from perenne.monitoring.model import Alert, Silence
from perenne.monitoring.showing import shown
from perenne.storage.workspace import Workspace


@click.group()
def monitor() -> None:
    """Windows, drift, performance, labels."""


@monitor.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, by name.")
@click.option("--after", default="", metavar="NAME", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, limit: int, after: str) -> list[dict[str, Any]]:
    """List what is watched and how it stands.

    \b
    Examples:
      perenne monitor list
    """
    with workspace.database.read() as tx:
        names = summary.watched(tx, after=after, limit=limit)
        return [_row(item) for item in summary.summaries(tx, names).values()]


@monitor.command()
@click.argument("deployment")
@click.option(
    "--windows", type=click.IntRange(1), default=service.SHOWN_WINDOWS, show_default=True, help="At most this many, newest first."
)
@click.pass_obj
def show(workspace: Workspace, deployment: str, windows: int) -> Result:
    """Show a deployment: its windows, open alerts and bounds; --json has every figure. Exits 6 while an alert is firing.

    \b
    Examples:
      perenne monitor show churn
      perenne monitor show churn --windows 30
    """
    with workspace.database.read() as tx:
        health = service.deployment_health(tx, deployment, windows=windows)
    return Result(health, EXIT_FINDINGS if health.state == "alarm" else 0, shown=shown(health))


@monitor.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def labels(workspace: Workspace, file: Path) -> Receipt:
    """Take labels from a file (CSV, JSON lines or Parquet) with the columns prediction_id, label and, if known, time.

    \b
    Examples:
      perenne monitor labels labels.csv
    """
    from perenne import data

    return submit_labels(workspace, local_principal(), data.read_source(file))


@click.group()
def alert() -> None:
    """What needs attention, and who has seen it."""


@alert.command("list")
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


@alert.command()
@click.argument("alert_id")
@click.pass_obj
def acknowledge(workspace: Workspace, alert_id: str) -> Alert:
    """Say that somebody is on it.

    \b
    Examples:
      perenne alert acknowledge 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    return workspace.database.write(lambda tx: alerts.acknowledge(tx, local_principal(), alert_id))


@alert.command()
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


def _row(item: summary.Summary) -> dict[str, Any]:
    newest = item.newest
    return {
        "deployment": item.deployment,
        "state": item.state,
        "version": newest.version if newest else "",
        "window": format_time(newest.window_start) if newest else "",
        "rows": newest.rows if newest else 0,
        "alerts": item.alerts,
    }


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
