"""`perenne gc`."""

from collections.abc import Sequence
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core import json
from perenne.core.clock import SystemClock, parse_duration
from perenne.core.results import Result
from perenne.storage.workspace import Workspace
from perenne.tracking import removal
from perenne.tracking.experiment_commands import experiment_named


@click.command()
@click.option("--older-than", default="30d", show_default=True, help="Only what was deleted at least so long ago.")
@click.option("--experiment", "experiments", multiple=True, help="Only in this experiment, by name or number; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed, and what would stay and why.")
@click.pass_obj
def gc(workspace: Workspace, older_than: str, experiments: Sequence[str], dry_run: bool) -> Result:
    """Remove for good what was deleted long enough ago: runs, logged models, experiments, with all that belongs to them.

    What a version was made by, or anything else came from, stays. Names are free afterwards. It may be stopped at any time.

    \b
    Examples:
      perenne gc --dry-run
      perenne gc --older-than 7d --experiment "old ideas"
    """
    before = SystemClock().now() - parse_duration(older_than)
    actor = local_principal()
    with workspace.database.read() as tx:
        chosen = frozenset(experiment_named(tx, actor, name).id for name in experiments) or None
    done = removal.collect(workspace.database, actor, before=before, experiments=chosen, dry_run=dry_run)
    return Result(json.plain(done), shown=_shown(done, dry_run))


def _shown(done: removal.Collected, dry_run: bool) -> dict[str, Any]:
    counts = {"runs": len(done.runs), "logged models": len(done.models), "experiments": len(done.experiments)}
    told: dict[str, Any] = {"would be removed" if dry_run else "removed": ""} | counts | {"points": done.points}
    kept = [{"what": one.kind, "id": one.id, "why": one.reason} for one in done.kept]
    return told | ({"kept": kept} if kept else {})
