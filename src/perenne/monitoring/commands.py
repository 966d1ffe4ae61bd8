"""`perenne monitor list|show|labels`."""

from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring import service, summary
from perenne.monitoring.guarding.attributes import submit_labels
from perenne.monitoring.labels import Receipt
from perenne.monitoring.showing import shown
from perenne.storage.workspace import Workspace


@click.command("list")
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


@click.command()
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


@click.command()
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
