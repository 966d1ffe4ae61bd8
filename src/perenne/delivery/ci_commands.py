"""`perenne ci init`: a thin pipeline for a forge."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from perenne.delivery.gates.workflows import Written


@click.group()
def ci() -> None:
    """The pipeline of a forge, which calls the gates."""


@ci.command()
@click.option("--github", is_flag=True, help="Write .github/workflows/gates.yml.")
@click.option("--gitlab", is_flag=True, help="Write .gitlab-ci.yml.")
@click.option("--dependencies", default="", metavar="FILE", help="What the cache is keyed on; requirements.txt, say.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("."), help="The repository.")
@click.option("--force", is_flag=True, help="Replace a pipeline that reads otherwise.")
def init(github: bool, gitlab: bool, dependencies: str, folder: Path, force: bool) -> "list[Written]":
    """Write a pipeline of at most 30 lines that does a round and runs the gates; doing it again changes nothing.

    The gates are uploaded as JUnit, and as a table for people; a token for the push of images comes from the forge by OpenID
    Connect, and no secret is written down.

    \b
    Examples:
      perenne ci init --github
      perenne ci init --gitlab --dependencies requirements/run.lock
    """
    from perenne.delivery.gates.workflows import write_workflow

    wanted = [name for name, asked in (("github", github), ("gitlab", gitlab)) if asked]
    if not wanted:
        raise click.UsageError("say --github or --gitlab, or both")
    return [write_workflow(folder, name, dependencies=dependencies, force=force) for name in wanted]
