"""`perenne import mlflow` and `perenne export mlflow`: from other tools, and back to them."""

from collections.abc import Sequence
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.cli.progress import counting
from perenne.core import json
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.protocols.mlflow.migration.exporting import Exporter, open_target
from perenne.protocols.mlflow.migration.importing import Importer
from perenne.protocols.mlflow.migration.opening import open_source
from perenne.protocols.mlflow.migration.own import OwnSource
from perenne.protocols.mlflow.migration.report import Report
from perenne.storage.workspace import Workspace


@click.group("import")
def import_() -> None:
    """Bring in what other tools keep."""


@import_.command("mlflow")
@click.argument("source")
@click.option("--experiment", "experiments", multiple=True, help="Only this experiment, by name or id; repeatable.")
@click.option("--no-artifacts", is_flag=True, help="Leave files where they are.")
@click.option("--dry-run", is_flag=True, help="Only count what there is.")
@click.pass_obj
def import_mlflow(workspace: Workspace, source: str, experiments: Sequence[str], no_artifacts: bool, dry_run: bool) -> Result:
    """Bring in a store of MLflow: a running server, its database, or a folder mlruns. Ids and times stay.

    Nothing is changed at the source. It may be stopped at any time and called again: what came whole is left alone. Every history
    and every file is held against its source; exit code 6 if something did not come, with the reasons.

    \b
    Examples:
      perenne import mlflow http://127.0.0.1:5000
      perenne import mlflow sqlite:////srv/mlflow/mlflow.db --dry-run
      perenne import mlflow ./mlruns --experiment churn
    """
    opened = open_source(source)
    try:
        with counting("runs") as hear:
            importer = Importer(
                workspace, local_principal(), opened, experiments=experiments, artifacts=not no_artifacts, hear=hear
            )
            report = importer.count() if dry_run else importer.run()
    finally:
        opened.close()
    whole = dry_run or report.is_whole
    return Result(json.plain(report), exit_code=0 if whole else EXIT_FINDINGS, shown=_shown(report, dry_run))


@click.group("export")
def export() -> None:
    """Bring what is here to other tools."""


@export.command("mlflow")
@click.argument("target")
@click.option("--experiment", "experiments", multiple=True, help="Only this experiment, by name or number; repeatable.")
@click.option("--no-artifacts", is_flag=True, help="Leave files out.")
@click.pass_obj
def export_mlflow(workspace: Workspace, target: str, experiments: Sequence[str], no_artifacts: bool) -> Result:
    """Bring runs and models to MLflow: to a folder mlruns, where ids stay, or to a running server.

    A server chooses ids itself: those from here are kept as tags, `perenne.run_id` and `perenne.version`. It may be stopped and
    called again. Exit code 6 if something did not go, with the reasons.

    \b
    Examples:
      perenne export mlflow ./mlruns
      perenne export mlflow http://127.0.0.1:5000 --experiment churn
    """
    opened, actor = open_target(target), local_principal()
    try:
        with counting("runs") as hear:
            exporter = Exporter(
                OwnSource(workspace, actor), opened, experiments=experiments, artifacts=not no_artifacts, hear=hear
            )
            report = exporter.run()
    finally:
        opened.close()
    return Result(json.plain(report), exit_code=0 if report.is_whole else EXIT_FINDINGS, shown=_shown(report, False))


def _shown(report: Report, dry_run: bool) -> dict[str, Any]:
    kinds = {name.replace("_", " "): counts for name, counts in report.by_kind.items() if counts.found}
    if dry_run:
        return {name: f"{counts.found:,}" for name, counts in kinds.items()} | {"bytes": f"{report.bytes:,}"}
    told: dict[str, Any] = {name: f"{one.brought:,} of {one.found:,}" + _there(one.there) for name, one in kinds.items()}
    told["bytes"] = f"{report.bytes:,}"
    problems = [{"what": one.kind, "which": one.id, "why": one.reason} for one in report.problems]
    return told | ({"did not come": problems} if problems else {})


def _there(count: int) -> str:
    return f", {count:,} were there" if count else ""
