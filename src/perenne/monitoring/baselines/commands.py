"""`perenne monitor profile|baseline|drift`."""

from pathlib import Path

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import parse_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring.baselines.production import Baseline, get_baselines, set_baseline
from perenne.monitoring.baselines.tables import Posted, TableColumns, post_table
from perenne.monitoring.baselines.telling import in_lines, watched_version, window_drift
from perenne.monitoring.model import CHAMPION
from perenne.projects import BaselineKind
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


@click.command()
@click.argument("deployment")
@click.option("--version", default="", help="Whose windows; whoever was champion if not given.")
@click.option("--window", default="", metavar="TIME", help="An instant of the window; the newest if not given.")
@click.option("--all", "every", is_flag=True, help="Features that did not move, too.")
@click.pass_obj
def drift(workspace: Workspace, deployment: str, version: str, window: str, every: bool) -> Result:
    """Rank the features of a window by how far they moved times how much the answer goes with them. Exits 6 if it is in alarm.

    \b
    Examples:
      perenne monitor drift churn
      perenne monitor drift churn --window 2026-11-23 --json
    """
    told = window_drift(workspace, deployment, version=version, instant=parse_time(window) if window else None)
    return Result(told, EXIT_FINDINGS if told.state == "alarm" else 0, shown=in_lines(told, every=every))


@click.command()
@click.argument("deployment")
@click.option("--version", default="", help="Of which version; the newest that is watched if not given.")
@click.option(
    "--kind",
    type=click.Choice(["production", "phase"]),
    default="production",
    show_default=True,
    help="All windows alike, or each with those of its hour of the week.",
)
@click.option("--from", "start", default="", metavar="TIME", help="Make the windows from here on the baseline.")
@click.option("--to", "end", default="", metavar="TIME", help="Up to here; until now if not given.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@click.pass_obj
def baseline(
    workspace: Workspace, deployment: str, version: str, kind: str, start: str, end: str, reason: str
) -> list[Baseline] | Baseline:
    """Show what windows are compared with; or, with --from and --reason, make some windows the baseline.

    Of production, those windows take the place of the first seven clean days. Of phases, they count as clean although they
    alarmed, and what came before them is forgotten.

    \b
    Examples:
      perenne monitor baseline churn
      perenne monitor baseline churn --from 2026-11-01 --to 2026-11-08 --reason "after the new tariff"
    """
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        named = version or watched_version(tx, deployment)
        if not start:
            return get_baselines(tx, deployment, named)
    span = {"start": parse_time(start), "end": parse_time(end) if end else now}
    chosen = BaselineKind(kind)
    return workspace.database.write(
        lambda tx: set_baseline(tx, local_principal(), deployment, named, chosen, **span, reason=reason, now=now)
    )
