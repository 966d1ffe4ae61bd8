"""`perenne init`: from a file of data to a project that runs."""

from pathlib import Path

import click

from perenne.core.results import Result


@click.command()
@click.option("--data", "source", required=True, type=click.Path(path_type=Path), help="CSV, Parquet or JSON lines.")
@click.option("--target", required=True, help="The column to predict.")
@click.option("--time", help="The column that says when a row was known; the only date column if not given.")
@click.option("--name", default="", help="The project's name; from the file's name if not given.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="Where project.py goes.")
@click.option("--force", is_flag=True, help="Replace a project.py that is there.")
def init(source: Path, target: str, time: str | None, name: str, folder: Path, force: bool) -> Result:
    """Look at a file of data, measure a baseline, and write a project to read and edit.

    \b
    Examples:
      perenne init --data churn.csv --target churned
      perenne init --data churn.csv --target churned --time day --name churn --folder churn
    """
    from perenne.training import propose

    found = propose(source, target, folder, name=name, time=time, force=force)
    return Result(found, note="next: read project.py, then `perenne run`; `perenne up --open` shows it in the browser")
