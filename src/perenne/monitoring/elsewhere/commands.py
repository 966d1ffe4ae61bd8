"""`perenne monitor add|read|pause|resume|remove|restore`: deployments that others serve."""

from typing import Any

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time, parse_duration
from perenne.monitoring.elsewhere import reading, service
from perenne.monitoring.elsewhere.model import Foreign, Roles, Signature
from perenne.stats.columns import Task
from perenne.storage.workspace import Workspace

TASKS = [Task.BINARY.value, Task.MULTICLASS.value, Task.REGRESSION.value]


@click.command()
@click.argument("name")
@click.option(
    "--from",
    "uri",
    default="",
    metavar="ADDRESS",
    help="Where rows are: a file, folder or pattern, a database, a bucket, dataset:NAME, mlflow:URL or traces:.",
)
@click.option("--query", default="", help="For a database a select; for traces the experiment.")
@click.option("--time", "time_column", default="time", show_default=True, help="The column that says when a row was answered.")
@click.option("--prediction", default="prediction", show_default=True, help="The column of what was answered.")
@click.option("--score", default="", help="The column of the positive class's score, or one for each class, with commas.")
@click.option("--label", default="", help="The column of what turned out to be right.")
@click.option("--id", "identity", default="", help="The column that names a row, by which labels find it.")
@click.option("--features", default="", help="The inputs, with commas; all other columns if not given.")
@click.option("--reference", default="", metavar="TABLE", help="Rows of when all was well; the first 7 days if not given.")
@click.option("--task", type=click.Choice(TASKS), help="What is answered, if it cannot be told by the rows.")
@click.option("--classes", default="", help="The classes with commas, the positive one last.")
@click.option("--kserve", default="", metavar="NAMESPACE/NAME", help="The inference service whose events are its rows.")
@click.option("--every", default="1h", show_default=True, help="How often rows are read.")
@click.option("--window", default="1d", show_default=True, help="How long a window is.")
@click.option("--late", default="1d", show_default=True, help="By how much rows may come late.")
@click.option("--project", default="", help="Whose it is; its objectives and guardrails hold. The name if not given.")
@click.option("--version", "version", default="", help="What is served, as name@number.")
@click.pass_obj
def add(workspace: Workspace, /, name: str, uri: str, query: str, **said: Any) -> dict[str, Any]:
    """Watch what others serve: rows are read from a table by schedule, or sent as events or by a program.

    \b
    Examples:
      perenne monitor add churn --from logs/*.parquet --time at --prediction label --score p
      perenne monitor add fees --from postgresql://db/shop --query 'select * from fees' --id order_id
      perenne monitor add fraud --kserve payments/fraud --reference training.parquet
    """  # fmt: skip
    new = Foreign(
        name=name,
        project=said["project"] or name,
        version=said["version"] or f"{name}@1",
        uri=uri,
        query=query,
        kserve=said["kserve"] or None,
        roles=Roles(
            time=said["time_column"],
            prediction=said["prediction"],
            score=_names(said["score"]),
            label=said["label"],
            identity=said["identity"],
            features=_names(said["features"]),
        ),
        signature=Signature(task=Task(said["task"]) if said["task"] else None, classes=_names(said["classes"])),
        every=parse_duration(said["every"]),
        window=parse_duration(said["window"]),
        late=parse_duration(said["late"]),
    )
    return shown(service.add(workspace, local_principal(), new, reference=said["reference"] or None))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@click.command()
@click.argument("name")
@click.pass_obj
def read(workspace: Workspace, name: str) -> dict[str, Any]:
    """Read a deployment's rows at once, not at its next time.

    \b
    Examples:
      perenne monitor read churn
    """
    kept = reading.read_now(workspace, local_principal(), name)
    return {"name": name, **msgspec.to_builtins(kept)}


@click.command()
@click.argument("name")
@click.pass_obj
def pause(workspace: Workspace, name: str) -> dict[str, Any]:
    """Read no more rows for now; `perenne monitor resume` lets it go on.

    \b
    Examples:
      perenne monitor pause churn
    """
    return _paused(workspace, name, paused=True)


@click.command()
@click.argument("name")
@click.pass_obj
def resume(workspace: Workspace, name: str) -> dict[str, Any]:
    """Let readings go on.

    \b
    Examples:
      perenne monitor resume churn
    """
    return _paused(workspace, name, paused=False)


def _paused(workspace: Workspace, name: str, *, paused: bool) -> dict[str, Any]:
    now = workspace.clock.now()
    return shown(workspace.database.write(lambda tx: service.pause(tx, local_principal(), name, paused=paused, now=now)))


@click.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Bring back one that was removed.")
@click.pass_obj
def remove(workspace: Workspace, name: str, undo: bool) -> dict[str, Any]:
    """Watch it no longer; what was found stays, and --undo brings it back.

    \b
    Examples:
      perenne monitor remove churn
      perenne monitor remove churn --undo
    """
    now, act = workspace.clock.now(), service.restore if undo else service.remove
    return shown(workspace.database.write(lambda tx: act(tx, local_principal(), name, now=now)))


def shown(known: Foreign) -> dict[str, Any]:
    """Return a deployment that others serve as a line."""
    return {
        "name": known.name,
        "version": known.version,
        "from": known.uri or known.kserve or "sent",
        "state": "paused"
        if known.paused
        else "failing"
        if known.problem
        else "watched"
        if known.signature.reference
        else "learning",
        "rows": known.rows,
        "newest": format_time(known.newest) if known.newest else "",
        "repeated": known.repeated,
        "skipped": known.skipped,
        "problem": known.problem,
    }
