"""`perenne runs reproduce`."""

import tempfile
from pathlib import Path

import click

from perenne.core import json
from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN, Result
from perenne.storage.workspace import Workspace
from perenne.tracking import reproducing

_EXITS = {"same": 0, "differs": EXIT_FINDINGS, "unknown": EXIT_UNKNOWN}


@click.command()
@click.argument("run")
@click.option("--anyway", is_flag=True, help="Go on though packages or Python are of other versions.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where its code goes; a temporary folder if not given.")
@click.pass_obj
def reproduce(workspace: Workspace, run: str, anyway: bool, folder: Path | None) -> Result:
    """Make a run again: check the environment, lay its code out, give its command, compare the metrics.

    Stand in the project's folder. Data that is in no commit is taken from there as it is now, and named. Exit code 6 if a metric
    differs, 7 if there is none to compare.

    \b
    Examples:
      perenne runs reproduce 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    target = folder if folder is not None else Path(tempfile.mkdtemp(prefix="perenne-again-"))
    done = reproducing.reproduce(workspace, run, target, root=Path.cwd(), anyway=anyway)
    return Result({**json.plain(done), "verdict": done.verdict}, exit_code=_EXITS[done.verdict])
