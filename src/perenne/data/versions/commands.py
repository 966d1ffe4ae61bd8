"""`perenne data init|…`: versions of files."""

from pathlib import Path

import click

from perenne.core.results import Result
from perenne.data.versions.repository import init_repository


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--no-scm", is_flag=True, help="Do without Git.")
@click.option("--subdir", is_flag=True, help="The folder is not the top of its work tree of Git.")
@click.option("-f", "--force", is_flag=True, help="Begin anew where there is a repository: its settings and cache go.")
def init(folder: Path, no_scm: bool, subdir: bool, force: bool) -> Result:
    """Make a repository of FOLDER, the present one if not given; the same files as DVC makes.

    \b
    Examples:
      perenne data init
      perenne data init --no-scm
    """
    made = init_repository(folder, no_scm=no_scm, subdir=subdir, force=force)
    hint = "" if made.git is None else "; `git commit` keeps it"
    return Result({"repository": str(made.root)}, note=f"a repository of data{hint}; next: `perenne data add FILE`")
