"""`perenne status`."""

import click

from perenne.core.results import Result
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("project", required=False)
@click.pass_obj
def status(workspace: Workspace, project: str | None) -> Result:
    """Show every stage of the loop, and what needs a person."""
    from perenne import automation

    with workspace.database.read() as tx:
        found = automation.status(tx, project)
    if not found.stages:
        return Result(found, note="nothing here yet: `perenne init --data FILE --target COLUMN`, or `perenne demo`", shown="")
    needs = "\n".join(f"needs you: {need.what}  →  {need.command}" for need in found.needs)
    return Result(found, note=needs, shown=list(found.stages))
