"""`perenne experiments list|show|create|rename|delete|restore`."""

from typing import Any

import click

from perenne.auth.principals import Principal, local_principal
from perenne.core.clock import format_time
from perenne.core.results import Result
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import experiments as cases
from perenne.tracking import search
from perenne.tracking.errors import UnknownExperiment
from perenne.tracking.model import Experiment
from perenne.tracking.search import View


@click.group()
def experiments() -> None:
    """Names under which runs are compared."""


@experiments.command("list")
@click.option("--filter", "text", default="", help="Only those that meet a condition, such as \"name LIKE 'churn%'\".")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--limit", default=200, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, text: str, deleted: bool, limit: int) -> Result:
    """List experiments, newest first.

    \b
    Examples:
      perenne experiments list
      perenne experiments list --filter "tags.team = 'crm'"
    """
    with workspace.database.read() as tx:
        view = View.DELETED if deleted else View.ACTIVE
        found = search.search_experiments(tx, local_principal(), filter=text, view=view, limit=max(1, limit))
        rows = [_row(one) for one in cases.some(tx, found.keys)]
    return Result(rows, note="there are more: --limit shows them, --filter narrows them down" if found.token else "")


@experiments.command()
@click.argument("experiment")
@click.pass_obj
def show(workspace: Workspace, experiment: str) -> Experiment:
    """Show an experiment, by its name or its number.

    \b
    Examples:
      perenne experiments show churn
    """
    with workspace.database.read() as tx:
        return experiment_named(tx, local_principal(), experiment)


@experiments.command()
@click.argument("name")
@click.option("--artifacts", default="", help="Where the artifacts of its runs go; a place of this installation if not given.")
@click.pass_obj
def create(workspace: Workspace, name: str, artifacts: str) -> Experiment:
    """Make an experiment.

    \b
    Examples:
      perenne experiments create churn
    """
    return workspace.database.write(lambda tx: cases.create(tx, local_principal(), name, artifact_location=artifacts))


@experiments.command()
@click.argument("experiment")
@click.argument("name")
@click.pass_obj
def rename(workspace: Workspace, experiment: str, name: str) -> Experiment:
    """Give an experiment another name; who may see it stays.

    \b
    Examples:
      perenne experiments rename churn "churn 2026"
    """
    actor = local_principal()

    def work(tx: Transaction) -> Experiment:
        return cases.rename(tx, actor, experiment_named(tx, actor, experiment).id, name)

    return workspace.database.write(work)


@experiments.command()
@click.argument("experiment")
@click.pass_obj
def delete(workspace: Workspace, experiment: str) -> dict[str, Any]:
    """Delete an experiment with its runs; `restore` brings them back, until `perenne gc` removes them for good.

    \b
    Examples:
      perenne experiments delete "old ideas"
    """
    actor = local_principal()

    def work(tx: Transaction) -> dict[str, Any]:
        found = experiment_named(tx, actor, experiment)
        cases.delete(tx, actor, found.id)
        return {"experiment": found.name, "is": "deleted"}

    return workspace.database.write(work)


@experiments.command()
@click.argument("experiment")
@click.pass_obj
def restore(workspace: Workspace, experiment: str) -> dict[str, Any]:
    """Bring a deleted experiment back, with its runs.

    \b
    Examples:
      perenne experiments restore "old ideas"
    """
    actor = local_principal()

    def work(tx: Transaction) -> dict[str, Any]:
        found = experiment_named(tx, actor, experiment)
        cases.restore(tx, actor, found.id)
        return {"experiment": found.name, "is": "restored"}

    return workspace.database.write(work)


def experiment_named(tx: Transaction, actor: Principal, text: str) -> Experiment:
    """Find an experiment by its name, else by its number. Raises UnknownExperiment."""
    try:
        return cases.by_name(tx, actor, text)
    except UnknownExperiment:
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise
        return cases.get(tx, actor, int(text))


def _row(one: Experiment) -> dict[str, Any]:
    tags = ", ".join(f"{key}={value}"[:60] for key, value in one.tags.items() if not key.startswith("mlflow."))
    return {"number": one.id, "experiment": one.name, "created": format_time(one.created), "tags": tags}
