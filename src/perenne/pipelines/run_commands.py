"""`perenne pipeline list|show|explain`."""

from typing import Any

import click

from perenne.core.clock import format_duration, format_time
from perenne.pipelines import history
from perenne.pipelines.explanation import Explanation
from perenne.pipelines.explanation import explain as explain_step
from perenne.storage.workspace import Workspace

ARGUMENTS_SHOWN = 60


@click.command("list")
@click.option("--limit", default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, limit: int) -> list[dict[str, Any]]:
    """List runs, newest first.

    \b
    Examples:
      perenne pipeline list
    """
    with workspace.database.read() as tx:
        runs = history.runs(tx, limit=limit)
    return [
        {
            "run": run.id,
            "pipeline": run.pipeline,
            "state": run.state,
            "steps": run.steps,
            "hits": run.hits,
            "started": format_time(run.started),
            "took": "" if run.ended is None else format_duration(run.ended - run.started),
            "arguments": run.arguments if len(run.arguments) <= ARGUMENTS_SHOWN else f"{run.arguments[:ARGUMENTS_SHOWN]} …",
        }
        for run in runs
    ]


@click.command()
@click.argument("run")
@click.pass_obj
def show(workspace: Workspace, run: str) -> list[dict[str, Any]]:
    """Show the steps of a run: what ran, what was there already, what failed.

    \b
    Examples:
      perenne pipeline show 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    with workspace.database.read() as tx:
        steps = history.steps(tx, run)
    return [
        {
            "step": step.label,
            "state": "hit" if step.hit else step.state,
            "took": format_duration(step.ended - step.started) if step.ended is not None and step.started is not None else "",
            "cpu": "" if step.cpu is None else format_duration(step.cpu),
            "attempt": step.attempt,
            "result": step.result,
            "error": step.error,
        }
        for step in steps
    ]


@click.command()
@click.argument("step")
@click.pass_obj
def explain(workspace: Workspace, step: str) -> Explanation:
    """Say which part of a step's key changed since the run before.

    \b
    Examples:
      perenne pipeline explain fit
    """
    return explain_step(workspace.database, step)
