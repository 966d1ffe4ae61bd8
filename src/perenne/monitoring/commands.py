"""`perenne monitor list|show|labels`."""

from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring import elsewhere, service, summary
from perenne.monitoring.elsewhere.model import Foreign
from perenne.monitoring.guarding.attributes import submit_labels
from perenne.monitoring.labels import Receipt, with_key
from perenne.monitoring.showing import shown
from perenne.storage.workspace import Workspace


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, by name.")
@click.option("--after", default="", metavar="NAME", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, limit: int, after: str) -> list[dict[str, Any]]:
    """List what is watched and how it stands.

    \b
    Examples:
      perenne monitor list
    """
    with workspace.database.read() as tx:
        names = summary.watched(tx, after=after, limit=limit)
        others = {item.name: item for item in elsewhere.service.listed(tx, local_principal())}
        rows = [_row(item, others.pop(item.deployment, None)) for item in summary.summaries(tx, names).values()]
        last = names[-1] if len(names) == limit else None
        waiting = [item for name, item in others.items() if name > after and (last is None or name < last)]
        return sorted([*rows, *map(_waiting, waiting)], key=lambda row: str(row["deployment"]))[:limit]


@click.command()
@click.argument("deployment")
@click.option(
    "--windows", type=click.IntRange(1), default=service.SHOWN_WINDOWS, show_default=True, help="At most this many, newest first."
)
@click.pass_obj
def show(workspace: Workspace, deployment: str, windows: int) -> Result:
    """Show a deployment: its windows, open alerts and bounds; --json has every figure. Exits 6 while an alert is firing.

    \b
    Examples:
      perenne monitor show churn
      perenne monitor show churn --windows 30
    """
    with workspace.database.read() as tx:
        health = service.deployment_health(tx, deployment, windows=windows)
    return Result(health, EXIT_FINDINGS if health.state == "alarm" else 0, shown=shown(health))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--from", "source", metavar="SOURCE", help="Files, a bucket, a database …: where `perenne data ingest` reads.")
@click.option("--query", default="", help="What to ask a database: one select.")
@click.option("--watermark", default="", metavar="COLUMN", help="A column that only grows: only newer rows are read.")
@click.option("--every", metavar="SPAN", help="Read it again that often, while `perenne up` runs: 15m, 1h, 1d.")
@click.option("--deployment", default="", help="Whose labels they are; needed with --key and --from.")
@click.option("--key", default="", metavar="COLUMN", help="Labels know no prediction id, but this key and the column time.")
@click.option("--trust-host", is_flag=True, help="Ask the host though its address is private, or without TLS.")
@click.pass_obj
def labels(
    workspace: Workspace,
    file: Path | None,
    source: str | None,
    query: str,
    watermark: str,
    every: str | None,
    deployment: str,
    key: str,
    trust_host: bool,
) -> Receipt | Result:
    """Take labels from a FILE (CSV, JSON lines or Parquet), or --from a table, a query or files, again and again.

    The columns are prediction_id, label and, if known, time; or with --key that column, label and time.

    \b
    Examples:
      perenne monitor labels labels.csv
      perenne monitor labels returns.parquet --deployment churn --key customer
      perenne monitor labels --from sqlite:crm.db --query 'select * from outcomes' --every 1h
    """
    from perenne import data
    from perenne.monitoring.performance.taking import source_of

    actor = local_principal()
    if (file is None) == (source is None):
        raise click.UsageError("give a FILE, or --from a source")
    if key and not deployment:
        raise click.UsageError("--key needs --deployment: whose rows have it")
    if source is None:
        return submit_labels(workspace, actor, with_key(data.read_source(str(file)), deployment, key))
    if not deployment:
        raise click.UsageError("--from needs --deployment")
    asked = source_of(deployment, key, source, query, watermark, every or "", trusted=trust_host)
    done = data.ingest.ingest(workspace, actor, asked, replace=True)
    return Result(done.refresh, note="its new rows are taken as labels; `perenne data sources` shows how readings go")


def _row(item: summary.Summary, other: Foreign | None) -> dict[str, Any]:
    newest = item.newest
    return {
        "deployment": item.deployment,
        "state": item.state,
        "version": newest.version if newest else "",
        "window": format_time(newest.window_start) if newest else "",
        "rows": newest.rows if newest else 0,
        "alerts": item.alerts,
        "served": "here" if other is None else "elsewhere",
        "problem": other.problem if other else "",
    }


def _waiting(item: Foreign) -> dict[str, Any]:
    """Show one whose reference is to come."""
    return {
        "deployment": item.name,
        "state": "learning",
        "version": item.version,
        "window": "",
        "rows": item.rows,
        "alerts": 0,
        "served": "elsewhere",
        "problem": item.problem,
    }
