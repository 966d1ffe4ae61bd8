"""`perenne runs list|show|compare|diff`."""

from collections.abc import Sequence
from typing import Any

import click

from perenne.auth import comments
from perenne.auth.principals import local_principal
from perenne.core import json
from perenne.core.clock import format_duration, format_time
from perenne.core.errors import Invalid, NotFound
from perenne.core.results import Result
from perenne.storage.workspace import Workspace
from perenne.tracking import comparing, search, service
from perenne.tracking.comparing import Line
from perenne.tracking.experiment_commands import experiment_named
from perenne.tracking.model import LoggedRun
from perenne.tracking.search import View

_GIVEN = ("run", "name", "project", "state", "started", "took", "outcome")
_FAMILIES = {"metrics": "metrics", "metric": "metrics", "params": "params", "param": "params", "tags": "tags", "tag": "tags"}


@click.command("list")
@click.option("--project", help="Only runs of this project.")
@click.option("--experiment", "experiments", multiple=True, help="Only runs of this experiment, by name or number; repeatable.")
@click.option("--filter", "text", default="", help='Only runs that meet a condition, such as "metrics.auc > 0.8".')
@click.option("--order", multiple=True, help='By what to sort, such as "metrics.auc DESC"; repeatable.')
@click.option("--columns", default="", help="Further columns, such as metrics.auc,params.depth,tags.owner.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--limit", default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_(
    workspace: Workspace,
    project: str | None,
    experiments: Sequence[str],
    text: str,
    order: Sequence[str],
    columns: str,
    deleted: bool,
    limit: int,
) -> Result:
    """List runs, newest first.

    \b
    Examples:
      perenne runs list
      perenne runs list --project churn --limit 10
      perenne runs list --filter "params.depth < 5 AND metrics.auc >= 0.8" --columns metrics.auc
      perenne runs list --order "metrics.auc DESC"
    """
    wanted = [name.strip() for name in columns.split(",") if name.strip()]
    actor = local_principal()
    with workspace.database.read() as tx:
        numbers = [experiment_named(tx, actor, name).id for name in experiments] or None
        view = View.DELETED if deleted else View.ACTIVE
        found = search.search_runs(
            tx, actor, experiments=numbers, filter=_within(text, project), order=order, view=view, limit=max(1, limit)
        )
        rows = [_row(run, wanted) for run in service.runs_of(tx, found.keys, inputs=False)]
    return Result(rows, note="there are more: --limit shows them, --filter narrows them down" if found.token else "")


@click.command()
@click.argument("run")
@click.pass_obj
def show(workspace: Workspace, run: str) -> Result:
    """Show one run: parameters, metrics, data, code and environment, and what people said of it.

    \b
    Examples:
      perenne runs show 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    with workspace.database.read() as tx:
        found = service.get_run(tx, run)
        said = comments.of(tx, "run", run)
    return Result({**json.plain(found), "comments": [json.plain(one) for one in reversed(said)]})


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.pass_obj
def compare(workspace: Workspace, runs: Sequence[str]) -> list[dict[str, Any]]:
    """Put runs side by side: everything they were given, and everything that came out.

    \b
    Examples:
      perenne runs compare 01M8GQSGBA1NHC8Y45EHH2NB3J 01M8GTCT8WR05FSDMJPDQ1JTKK
    """
    return _table(_compared(workspace, runs), runs)


@click.command()
@click.argument("first")
@click.argument("second")
@click.pass_obj
def diff(workspace: Workspace, first: str, second: str) -> Result:
    """Tell what two runs differ in: parameters, metrics, tags, data, code, packages.

    \b
    Examples:
      perenne runs diff 01M8GQSGBA1NHC8Y45EHH2NB3J 01M8GTCT8WR05FSDMJPDQ1JTKK
    """
    lines = [line for line in _compared(workspace, [first, second]) if line.differs]
    return Result(_table(lines, [first, second]), note="" if lines else "they are the same")


def _compared(workspace: Workspace, ids: Sequence[str]) -> list[Line]:
    with workspace.database.read() as tx:
        runs = [service.get_run(tx, identity) for identity in ids]

    def packages(digest: str) -> dict[str, str]:
        try:
            return comparing.packages_in(workspace.objects.get(digest).decode()) if digest else {}
        except NotFound:
            return {}

    return comparing.compared(runs, packages)


def _table(lines: Sequence[Line], ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return lines as rows; the columns are the runs, by ids that are short where that tells them apart."""
    short = [identity[-8:] for identity in ids]
    heads = short if len(set(short)) == len(set(ids)) else list(ids)
    return [{"what": line.kind, "name": line.name, **dict(zip(heads, line.values, strict=True))} for line in lines]


def _within(text: str, project: str | None) -> str:
    """Add a project to a filter."""
    if project is None:
        return text
    quoted = project.replace("'", "''")
    return f"project = '{quoted}'" + (f" AND ({text})" if text.strip() else "")


def _row(run: LoggedRun, columns: Sequence[str]) -> dict[str, Any]:
    took = format_duration(run.ended - run.started) if run.ended else ""
    values = (run.id, run.name, run.project, run.state.value, format_time(run.started), took, run.outcome)
    return dict(zip(_GIVEN, values, strict=True)) | {name: _value(run, name) for name in columns}


def _value(run: LoggedRun, column: str) -> Any:
    family, dot, name = column.partition(".")
    if not dot or family not in _FAMILIES:
        raise Invalid(f"{column[:60]!r} is no column", code="runs.column", hint="such as metrics.auc, params.depth or tags.owner")
    return next((one.value for one in getattr(run, _FAMILIES[family]) if one.key == name.strip('`"')), None)
