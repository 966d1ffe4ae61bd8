"""`perenne monitor outcomes|guards`: outcomes from a file, and what guards show over time."""

from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring.guarding.reporting import plan_of, submit_outcomes
from perenne.monitoring.guards.series import guards_view, outcome_points
from perenne.monitoring.labels import Receipt
from perenne.monitoring.model import Standing
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("deployment")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def outcomes(workspace: Workspace, deployment: str, file: Path | None) -> Receipt | list[dict[str, Any]]:
    """Take outcomes from a file (CSV, JSON lines or Parquet), or without one show them by window.

    Columns are prediction_id, outcome, value and, if known, time. The outcome `decision` is what a person answered instead.

    \b
    Examples:
      perenne monitor outcomes churn refunds.csv
      perenne monitor outcomes churn
    """
    if file is not None:
        from perenne import data

        return submit_outcomes(workspace, local_principal(), deployment, data.read_source(file))
    with workspace.database.read() as tx:
        plan_of(tx, deployment)
        found = list(outcome_points(tx, deployment))
    return [
        {
            "outcome": point.name,
            "from": format_time(point.start),
            "who": point.variant,
            "group": point.group,
            "n": point.n,
            "value": point.value,
            "low": point.low,
            "high": point.high,
            "source": point.source,
        }
        for point in found
    ]


@click.command()
@click.argument("deployment")
@click.pass_obj
def guards(workspace: Workspace, deployment: str) -> Result:
    """Show guardrails as they were last looked at, with limits that hold at every look. Exits 6 if one is breached.

    \b
    Examples:
      perenne monitor guards churn
    """
    with workspace.database.read() as tx:
        plan_of(tx, deployment)
        view = guards_view(tx, deployment)
    newest = {point.guardrail: point for point in view.lasting}
    rows = [
        {
            "guardrail": point.guardrail,
            "window": format_time(point.start),
            "value": point.state.figure.value,
            "low": point.state.figure.low,
            "high": point.state.figure.high,
            "limit": point.state.limit,
            "group": point.state.figure.group,
            "rows": point.state.figure.rows,
            "standing": point.state.standing.value,
        }
        for point in newest.values()
    ]
    breached = any(point.state.standing is Standing.MISSED for point in newest.values())
    return Result(rows, EXIT_FINDINGS if breached else 0)
