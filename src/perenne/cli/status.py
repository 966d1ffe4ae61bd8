"""`perenne status`."""

from typing import TYPE_CHECKING

import click

from perenne.core.results import Result
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.automation import Status


@click.command()
@click.argument("project", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most this many projects.")
@click.option("--all", "every", is_flag=True, help="Every project, and everything that needs a person.")
@click.pass_obj
def status(workspace: Workspace, project: str | None, limit: int, every: bool) -> Result:
    """Show every stage of the loop, and what needs a person.

    Of more projects than the limit those that need a person are shown, then those with something wrong, the worst first.

    \b
    Examples:
      perenne status
      perenne status churn
      perenne status --all
    """
    from perenne import automation

    with workspace.database.read() as tx:
        found = automation.status(tx, project, limit=None if every else limit)
    if not found.stages:
        return Result(found, note="nothing here yet: `perenne init --data FILE --target COLUMN`, or `perenne demo`", shown="")
    return Result(found, note="\n".join(_notes(found)), shown=list(found.stages))


def _notes(found: "Status") -> list[str]:
    notes = [f"needs you: {need.what}  →  {need.command}" for need in found.needs]
    if found.more_needs:
        notes.append(f"needs you: {found.more_needs:,} more; `perenne status --all` lists them")
    if found.rest:
        counts = ", ".join(f"{count.projects:,} {count.state}" for count in found.rest)
        total = sum(count.projects for count in found.rest)
        notes.append(f"not shown: {total:,} more projects ({counts}); `perenne status PROJECT` or `--all` shows them")
    return notes
