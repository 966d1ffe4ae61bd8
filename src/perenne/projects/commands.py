"""`perenne project show|check|list`."""

from pathlib import Path
from typing import Any

import click
import msgspec

from perenne.core.clock import format_duration, format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.projects import plan, service
from perenne.projects.loading import load_project
from perenne.projects.store import ProjectRecord
from perenne.projects.wording import policy_words
from perenne.storage.workspace import Workspace


@click.group()
def project() -> None:
    """What a project is for, and what it must reach."""


@project.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="At most this many, by name.")
@click.option("--after", default="", metavar="NAME", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, limit: int, after: str) -> list[Any]:
    """List the projects this installation knows.

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
def show(workspace: Workspace, name: str | None) -> Result:
    """Show a project, its plan held against what happened: by its name, or the one of this folder.

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
    return Result(msgspec.structs.asdict(record) | {"plan": lines}, shown=_in_words(record, lines))


def _in_words(record: ProjectRecord, lines: tuple[plan.PlanLine, ...]) -> dict[str, Any]:
    return {
        "name": record.name,
        "problem": record.problem,
        "owner": record.owner,
        "scope": record.scope,
        "objectives": [str(bound) for bound in record.objectives],
        "guardrails": [str(bound) for bound in record.guardrails],
        "people": [{"name": person.name, "role": person.role} for person in record.people],
        "plan": [
            {"due": line.due, "state": line.state.value, "milestone": line.title, "proved_by": _proof(line)} for line in lines
        ],
        "retraining": [{"says": sentence} for sentence in policy_words(record.policy)] if record.policy else "no policy",
        "window": format_duration(record.window),
        "folder": record.folder,
        "stated": format_time(record.created),
        "changed": format_time(record.updated),
    }


def _proof(line: plan.PlanLine) -> str:
    if line.reached is None:
        return ""
    return f"{line.reached.thing}, {format_time(line.reached.time)[:10]}, audit record {line.reached.record}"


@project.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="Where project.py lies.")
def check(folder: Path) -> Result:
    """Tell what the project of this folder leaves unsaid, heaviest first.

    \b
    Examples:
      perenne project check
      perenne project check --folder churn
    """
    found = service.gaps(load_project(folder).project)
    return Result(found, EXIT_FINDINGS if found else 0, "nothing is missing" if not found else "")
