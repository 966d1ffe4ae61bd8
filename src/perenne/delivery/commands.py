"""`perenne gate`: what a version must show before it is delivered."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne.auth.principals import local_principal
from perenne.core.results import Result
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.delivery.gates.model import GateReport, GateRow
    from perenne.projects import LoadedProject

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Names the file that a run on GitHub shows above its steps."""

OUTPUT = "GITHUB_OUTPUT"
"""Names the file by which a step on GitHub tells those that follow."""


@click.command()
@click.argument("version", required=False)
@click.option("--against", default="champion", show_default=True, metavar="ALIAS|VERSION", help="What it is compared with.")
@click.option("--only", multiple=True, metavar="GATE", help="Look at this gate only; the others stay as they were, or unknown.")
@click.option("--skip", multiple=True, metavar="GATE", help="Do not look at this gate: it stays as it was, or is unknown.")
@click.option("--fresh", is_flag=True, help="Look again at what was found before for the same files and limits.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="The project's folder, if it is at hand.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the gates as JUnit XML.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write them as a table for pull requests.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add version=NAME@NUMBER and verdict=… to a file, for the step that follows; $GITHUB_OUTPUT if that is set.",
)
@click.pass_context
def gate(
    context: click.Context,
    /,
    version: str | None,
    folder: Path,
    junit: Path | None,
    markdown: Path | None,
    output: Path | None,
    **asked: Any,
) -> Result:
    """Run the gates of VERSION, cheapest first: NAME@NUMBER or NAME@ALIAS; of a project's newest version if none is named.

    Exits with 0 if nothing holds it back, 6 if a gate failed, 7 if a required one is unknown. Every gate leaves a row of
    evidence, and until the next run a version is held back by what failed, and by what is required and unknown.

    \b
    Examples:
      perenne gate churn@3
      perenne gate churn@staging --against churn@2
      perenne gate churn@3 --only latency --fresh
      perenne gate --junit gates.xml --markdown gates.md
    """
    from perenne.delivery.gates.running import Wish, run_gates

    workspace: Workspace = context.obj
    project, version = _subject(workspace, folder, version)
    wish = Wish(asked["against"], frozenset(asked["only"]), frozenset(asked["skip"]), asked["fresh"])
    hear = _tell if context.meta.get("perenne.progress") or os.environ.get("CI") else None
    report = run_gates(workspace, local_principal(), version, wish, project=project, hear=hear)
    _write(report, junit, markdown, output)
    return Result(report, report.exit_code, _note(report), [_line(row) for row in report.rows])


def _write(report: "GateReport", junit: Path | None, markdown: Path | None, output: Path | None) -> None:
    """Write a report where it was asked for, and where a forge reads it."""
    from perenne.delivery.gates import reports

    table = reports.markdown(report)
    if junit is not None:
        junit.write_text(reports.junit(report))
    if markdown is not None:
        markdown.write_text(table)
    said = f"version={report.version}\nverdict={report.verdict.value}\n"
    for file, text in ((os.environ.get(SUMMARY), table), (output or os.environ.get(OUTPUT), said)):
        if file:
            with Path(file).open("a") as open_file:
                open_file.write(text)


def _subject(workspace: Workspace, folder: Path, version: str | None) -> "tuple[LoadedProject | None, str]":
    """Return the project at hand, if it is the version's, and the version; the project's newest if none is named."""
    from perenne.delivery.gates.running import find_version
    from perenne.projects import load_project

    project = load_project(folder) if version is None or (folder / "project.py").is_file() else None
    with workspace.database.read() as tx:
        if version is None:
            assert project is not None
            return project, _newest(tx, project.project.name)
        found = find_version(tx, local_principal(), version)
    return (project if project is not None and project.project.name == found.project else None), version


def _newest(tx: Any, model: str) -> str:
    from perenne import registry
    from perenne.core.errors import NotFound

    found = registry.versions(tx, model, limit=1)
    if not found:
        raise NotFound(f"{model} has no version", code="model.not_found", hint="`perenne run` makes one")
    return found[0].id


def _tell(row: "GateRow", number: int, total: int) -> None:
    """Say on stderr what came of a gate."""
    took = "found before" if row.taken_over else f"{row.seconds or 0.0:.1f} s"
    click.echo(f"{number:>2} of {total}  {row.gate}: {row.verdict.value}  {took}", err=True)


def _line(row: "GateRow") -> dict[str, Any]:
    from perenne.delivery.gates.reports import number

    return {
        "gate": row.gate,
        "verdict": row.verdict.value,
        "required": row.required,
        "value": f"{number(row.value)} {row.unit}".strip() if row.value is not None else "",
        "limit": number(row.limit),
        "seconds": None if row.seconds is None else round(row.seconds, 2),
        "found": row.detail,
    }


def _note(report: "GateReport") -> str:
    held = [row.gate for row in report.rows if row.holds_back]
    said = f"{report.version}: {report.verdict.value}" + (f"; held back by {', '.join(held)}" if held else "")
    missing = len(report.not_checked)
    return said + (f"; {missing} gates are unknown" if missing else "")
