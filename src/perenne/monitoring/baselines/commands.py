"""`perenne monitor profile|baseline|drift`."""

from pathlib import Path

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import parse_time
from perenne.monitoring.baselines.tables import Posted, TableColumns, post_table
from perenne.monitoring.model import CHAMPION
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("source", metavar="FILE|SNAPSHOT")
@click.option("--deployment", required=True, help="Whose windows the rows are added to.")
@click.option("--version", default="", help="Which version answered; the newest that is watched if not given.")
@click.option("--variant", default=CHAMPION, show_default=True, help="In which role.")
@click.option("--time", default="", metavar="COLUMN", help="The column that says when each row was answered.")
@click.option("--window", default="", metavar="TIME", help="An instant of the window that all rows are of.")
@click.option("--prediction", default="", metavar="COLUMN", help="The column with what was answered.")
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="COLUMN",
    help="A column with a probability; once for each class, or once for the positive one.",
)
@click.option("--ignore", multiple=True, metavar="COLUMN", help="A column that is none of the model's.")
@click.pass_obj
def profile(
    workspace: Workspace,
    source: str,
    deployment: str,
    version: str,
    variant: str,
    time: str,
    window: str,
    prediction: str,
    scores: tuple[str, ...],
    ignore: tuple[str, ...],
) -> Posted:
    """Count a table as if its rows had been answered here, and add it to its windows; the same table counts once.

    \b
    Examples:
      perenne monitor profile answers.parquet --deployment churn --time answered_at --score p_leaves
      perenne monitor profile monday.csv --deployment churn --window 2026-11-23
    """
    from perenne import data

    if Path(source).exists():
        table = data.read_source(source)
    else:
        with workspace.database.read() as tx:
            digest = data.snapshots.get_snapshot(tx, source).id
        table = data.snapshots.read_snapshot(workspace.objects, digest)
    columns = TableColumns(time=time, prediction=prediction, scores=scores, ignore=ignore)
    instant = parse_time(window) if window else None
    return post_table(
        workspace,
        local_principal(),
        table,
        deployment,
        version=version,
        variant=variant,
        columns=columns,
        window=instant,
        source=source,
    )
