"""`perenne runs delete|restore|comment|note|flush`."""

from collections.abc import Sequence
from typing import Any

import click

from perenne.auth import comments
from perenne.auth.principals import local_principal
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import logs, removal, service
from perenne.tracking.model import NOTE, Tag


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--permanently", is_flag=True, help="For good, with history, tags and artifacts; nothing brings it back.")
@click.pass_obj
def delete(workspace: Workspace, runs: Sequence[str], permanently: bool) -> list[dict[str, Any]]:
    """Delete runs; `perenne runs restore` brings them back, until `perenne gc` removes them for good.

    What a version was made by, or anything else came from, cannot be removed for good.

    \b
    Examples:
      perenne runs delete 01M8GQSGBA1NHC8Y45EHH2NB3J
      perenne runs delete --permanently 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    actor = local_principal()

    def work(tx: Transaction) -> list[dict[str, Any]]:
        if not permanently:
            for run in runs:
                service.delete_run(tx, actor, run)
            return [{"run": run, "is": "deleted"} for run in runs]
        return [{"run": run, "is": "removed", "points": removal.remove_run(tx, actor, run)} for run in runs]

    return workspace.database.write(work)


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.pass_obj
def restore(workspace: Workspace, runs: Sequence[str]) -> list[dict[str, Any]]:
    """Bring deleted runs back.

    \b
    Examples:
      perenne runs restore 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    actor = local_principal()

    def work(tx: Transaction) -> None:
        for run in runs:
            service.restore_run(tx, actor, run)

    workspace.database.write(work)
    return [{"run": run, "is": "restored"} for run in runs]


@click.command()
@click.argument("run")
@click.argument("text")
@click.pass_obj
def comment(workspace: Workspace, run: str, text: str) -> comments.Comment:
    """Say something about a run; it stands beside the run, with a record in the audit trail.

    \b
    Examples:
      perenne runs comment 01M8GQSGBA1NHC8Y45EHH2NB3J "The dip at step 300 is the new batch."
    """
    actor = local_principal()

    def work(tx: Transaction) -> comments.Comment:
        return comments.add(tx, actor, "run", run, text, project=logs.find_run(tx, actor, run).project)

    return workspace.database.write(work)


@click.command()
@click.argument("run")
@click.argument("text", required=False)
@click.pass_obj
def note(workspace: Workspace, run: str, text: str | None) -> str:
    """Show a run's note, or write it: Markdown, which MLflow calls its description.

    \b
    Examples:
      perenne runs note 01M8GQSGBA1NHC8Y45EHH2NB3J "Best so far; *overfits* after step 300."
      perenne runs note 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    actor = local_principal()
    if text is not None:
        words = text
        workspace.database.write(lambda tx: logs.set_tag(tx, actor, run, Tag(NOTE, words)))
        return text
    with workspace.database.read() as tx:
        return service.get_run(tx, run).tags.get(NOTE, "")


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long to try at most.")
@click.pass_obj
def flush(workspace: Workspace, seconds: float) -> Result:
    """Deliver what programs logged and could not deliver: those that were killed, or whose server was away.

    A program that goes on delivers by itself. Exit code 6 if something is left.

    \b
    Examples:
      perenne runs flush
    """
    from perenne.tracking.client.sender import Sender

    if seconds < 0:
        raise Invalid(f"seconds is {seconds}", code="runs.flush", hint="0 or more")
    sender = Sender(workspace.settings)
    found = sender.adopt()
    whole = sender.flush(seconds)
    answer = {"found": found, "left": 0 if whole else sender.waiting, "reason": sender.trouble}
    sender.close()
    return Result(answer, exit_code=0 if whole else EXIT_FINDINGS)
