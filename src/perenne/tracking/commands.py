"""`perenne runs list|show`."""

from typing import Any

import click

from perenne.core.clock import format_duration, format_time
from perenne.storage.workspace import Workspace
from perenne.tracking import service
from perenne.tracking.model import Run


@click.group()
def runs() -> None:
    """What was tried, and what came out."""


@runs.command("list")
@click.option("--project", help="Only runs of this project.")
@click.option("--limit", default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, project: str | None, limit: int) -> list[dict[str, Any]]:
    """List runs, newest first.

    \b
    Examples:
      perenne runs list
      perenne runs list --project churn --limit 10
    """
    with workspace.database.read() as tx:
        return [_row(run) for run in service.runs(tx, project, limit=limit)]


@runs.command()
@click.argument("run")
@click.pass_obj
def show(workspace: Workspace, run: str) -> Run:
    """Show one run: parameters, metrics, data, code and environment.

    \b
    Examples:
      perenne runs show 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    with workspace.database.read() as tx:
        return service.get_run(tx, run)


def _row(run: Run) -> dict[str, Any]:
    took = format_duration(run.ended - run.started) if run.ended else ""
    return {
        "run": run.id,
        "project": run.project,
        "state": run.state.value,
        "started": format_time(run.started),
        "took": took,
        "outcome": run.outcome,
    }
