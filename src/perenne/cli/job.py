"""`perenne job list|show|cancel|retry|prioritise`."""

import click

from perenne.app import operations
from perenne.app.operations import JobLine
from perenne.auth.principals import local_principal
from perenne.storage.jobs import STATES, Job
from perenne.storage.workspace import Workspace

reason_option = click.option("--reason", default="", help="Why; kept in the audit trail.")


@click.group()
def job() -> None:
    """Work in the queue: what waits, runs, failed."""


@job.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--kind", help="Only those of this kind.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, state: str | None, kind: str | None, limit: int) -> list[JobLine]:
    """List jobs, newest first.

    \b
    Examples:
      perenne job list
      perenne job list --state failed
    """
    with workspace.database.read() as tx:
        found = operations.list_jobs(tx, local_principal(), state=state, kind=kind, before=None, limit=limit)
    return [operations.job_line(item) for item in found]


@job.command()
@click.argument("job_id", metavar="JOB")
@click.pass_obj
def show(workspace: Workspace, job_id: str) -> Job:
    """Show a job, what it gets, and how far it is.

    \b
    Examples:
      perenne job show 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    with workspace.database.read() as tx:
        return operations.find_job(tx, local_principal(), job_id)


@job.command()
@click.argument("job_id", metavar="JOB")
@reason_option
@click.pass_obj
def cancel(workspace: Workspace, job_id: str, reason: str) -> JobLine:
    """Cancel a job: at once if it waits; its worker stops it if it runs.

    \b
    Examples:
      perenne job cancel 01M8GQSGBA1NHC8Y45EHH2NB3J --reason "wrong data"
    """
    actor = local_principal()
    return operations.job_line(workspace.database.write(lambda tx: operations.cancel_job(tx, actor, job_id, reason)))


@job.command()
@click.argument("job_id", metavar="JOB")
@reason_option
@click.pass_obj
def retry(workspace: Workspace, job_id: str, reason: str) -> JobLine:
    """Try a job again that failed, was cancelled, or waits for its next try.

    \b
    Examples:
      perenne job retry 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    actor = local_principal()
    return operations.job_line(workspace.database.write(lambda tx: operations.retry_job(tx, actor, job_id, reason)))


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--priority", type=click.IntRange(-1_000, 1_000), default=-10, show_default=True, help="Smaller is sooner; 0 is usual."
)
@reason_option
@click.pass_obj
def prioritise(workspace: Workspace, job_id: str, priority: int, reason: str) -> JobLine:
    """Put a waiting job before others, or behind them.

    \b
    Examples:
      perenne job prioritise 01M8GQSGBA1NHC8Y45EHH2NB3J --priority -50
    """
    actor = local_principal()
    changed = workspace.database.write(lambda tx: operations.prioritise_job(tx, actor, job_id, priority, reason))
    return operations.job_line(changed)
