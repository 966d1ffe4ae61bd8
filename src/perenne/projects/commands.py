"""`perenne project show|check|list`."""

from pathlib import Path
from typing import Any

import click
import msgspec

from perenne.core.results import EXIT_FINDINGS, Result
from perenne.projects import plan, service
from perenne.projects.loading import load_project
from perenne.storage.workspace import Workspace


@click.group()
def project() -> None:
    """What a project is for, and what it must reach."""


@project.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="At most this many, by name.")
@click.option("--after", default="", metavar="NAME", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, limit: int, after: str) -> list[Any]:
    r"""List the projects this installation knows.

    \b
    Examples:
      perenne project list
    """
    with workspace.database.read() as tx:
        return [
            {"name": known.name, "owner": known.owner, "objectives": len(known.objectives), "folder": known.folder}
            for known in service.list_projects(tx, service.project_names(tx, after=after, limit=limit))
        ]


@project.command()
@click.argument("name", required=False)
@click.pass_obj
def show(workspace: Workspace, name: str | None) -> Any:
    r"""Show a project, its plan held against what happened: by its name, or the one of this folder.

    \b
    Examples:
      perenne project show
      perenne project show churn
    """
    if name is None:
        name = load_project(Path.cwd()).project.name
    with workspace.database.read() as tx:
        record = service.get_project(tx, name)
        lines = plan.standing(tx, record)
    return msgspec.structs.asdict(record) | {"plan": lines}


@project.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="Where project.py lies.")
def check(folder: Path) -> Result:
    r"""Tell what the project of this folder leaves unsaid, heaviest first.

    \b
    Examples:
      perenne project check
      perenne project check --folder churn
    """
    found = service.gaps(load_project(folder).project)
    return Result(found, EXIT_FINDINGS if found else 0, "nothing is missing" if not found else "")
