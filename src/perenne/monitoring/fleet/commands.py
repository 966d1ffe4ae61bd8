"""`perenne monitor check`: the whole fleet at a glance."""

from collections import Counter
from typing import Any

import click

from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring.fleet.checking import WORST_FIRST, check
from perenne.storage.workspace import Workspace


@click.command("check")
@click.argument("deployments", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Also those that are well.")
@click.pass_obj
def check_command(workspace: Workspace, deployments: tuple[str, ...], everything: bool) -> Result:
    """Look at the newest window of every deployment, ended or not, and write nothing. Exits 6 if one of them would alarm.

    \b
    Examples:
      perenne monitor check
      perenne monitor check churn fraud --all
    """
    found = sorted(check(workspace, deployments or None), key=lambda one: (WORST_FIRST.index(one.state), one.deployment))
    shown: list[dict[str, Any]] = [
        {
            "deployment": one.deployment,
            "state": one.state,
            "version": one.version,
            "window": format_time(one.window_start),
            "rows": one.rows,
        }
        for one in found
        if everything or one.state not in ("ok", "too_few")
    ]
    counts = dict(Counter(one.state for one in found))
    code = EXIT_FINDINGS if counts.get("alarm") else 0
    return Result({"states": counts, "deployments": shown}, code, shown=shown or [{"states": str(counts)}])
