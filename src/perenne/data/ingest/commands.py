"""`perenne data ingest|refresh|sources`."""

from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data.ingest import declared, refreshing
from perenne.data.ingest.model import Mode, Outcome, Refreshed, Source
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("uri", metavar="SOURCE")
@click.option("--dataset", required=True, help="What the rows are called.")
@click.option("--query", default="", help="What to ask a database: one select.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default="full",
    show_default=True,
    help="In place, behind, or pointed to.",
)
@click.option("--pin", "mode", flag_value="pin", help="Do not copy the rows: keep what points to this very version of them.")
@click.option("--watermark", default="", metavar="COLUMN", help="To append: a column that only grows.")
@click.option("--every", metavar="SPAN", help="Read it again that often, while `perenne up` runs: 15m, 6h, 1d.")
@click.option("--cron", metavar="CALENDAR", help="Or by a calendar: '0 3 * * 1-5', in UTC.")
@click.option("--project", default="", help="The project that the rows are for.")
@click.option("--trust-host", is_flag=True, help="Ask the host though its address is private, or without TLS.")
@click.option("--replace", is_flag=True, help="Replace another source of this dataset, and begin anew.")
@click.pass_obj
def ingest(workspace: Workspace, /, uri: str, every: str | None, cron: str | None, replace: bool, **given: Any) -> Result:
    """Read rows from SOURCE into a snapshot, and remember where they came from, to read them again.

    SOURCE is a file, a folder or a pattern of files; https://…; s3://, gs://, az://…; with --query sqlite:PATH, duckdb:PATH
    or postgresql://…; delta:PATH, iceberg:CATALOG.NAMESPACE.TABLE.

    \b
    Examples:
      perenne data ingest 'exports/*.csv' --dataset orders --mode append
      perenne data ingest sqlite:shop.db --query 'select * from orders' --dataset orders --every 6h
      perenne data ingest https://example.org/prices.csv --dataset prices --cron '0 3 * * 1-5'
    """
    if every and cron:
        raise click.UsageError("give one of --every and --cron")
    given["mode"], trusted = Mode(given["mode"]), given.pop("trust_host")
    calendar = declared.calendar_of(every) if every else cron or ""
    source = Source(uri=uri, every=calendar, trusted=trusted, **given)
    return _result([refreshing.ingest(workspace, local_principal(), source, replace=replace)])


@click.command()
@click.argument("datasets", nargs=-1, metavar="DATASET…")
@click.option("--accept", is_flag=True, help="Take columns that changed as what the rows look like from now on.")
@click.pass_obj
def refresh(workspace: Workspace, datasets: tuple[str, ...], accept: bool) -> Result:
    """Read sources again, all that are not paused if none is named. Exits with 6 if columns are not what they were.

    \b
    Examples:
      perenne data refresh
      perenne data refresh orders --accept
    """
    if not datasets:
        with workspace.database.read() as tx:
            datasets = tuple(source.dataset for source in declared.list_sources(tx, local_principal()) if not source.paused)
    return _result([refreshing.refresh(workspace, local_principal(), dataset, accept=accept) for dataset in datasets])


def _result(done: list[Refreshed]) -> Result:
    lines = [
        {
            "dataset": item.refresh.dataset,
            "outcome": item.refresh.outcome.value,
            "snapshot": item.refresh.snapshot[:12],
            "rows": item.refresh.rows,
            "added": item.refresh.added,
            "source": item.refresh.uri,
        }
        for item in done
    ]
    notes = [f"{item.refresh.dataset}: {note}" for item in done for note in item.refresh.notes]
    notes += [f"{item.refresh.dataset}: {anomaly.sentence}" for item in done for anomaly in item.anomalies]
    refused = any(item.refresh.outcome is Outcome.REFUSED for item in done)
    if refused:
        notes.append("nothing of it was kept; if the change was meant: `perenne data refresh DATASET --accept`")
    return Result(done, EXIT_FINDINGS if refused else 0, "\n".join(notes) or ("" if done else "there are no sources"), lines)


@click.command()
@click.argument("dataset", required=False)
@click.option("--pause", "pausing", flag_value="pause", help="Hold its calendar.")
@click.option("--resume", "pausing", flag_value="resume", help="Let its calendar go on.")
@click.option("--remove", is_flag=True, help="Forget it; its snapshots stay.")
@click.pass_obj
def sources(workspace: Workspace, dataset: str | None, pausing: str | None, remove: bool) -> Result:
    """List where rows come from and how the last reading went; or show one source's readings, hold it, or forget it.

    \b
    Examples:
      perenne data sources
      perenne data sources orders
      perenne data sources orders --pause
    """
    actor = local_principal()
    if dataset is None:
        if pausing or remove:
            raise click.UsageError("name the dataset")
        with workspace.database.read() as tx:
            found = declared.list_sources(tx, actor)
        return Result([_shown(source) for source in found], note="" if found else "there are no sources")
    if remove:
        workspace.database.write(lambda tx: declared.remove(tx, actor, dataset))
        return Result(f"{dataset} has no source any more; its snapshots are as they were")
    if pausing:
        now, hold = workspace.clock.now(), pausing == "pause"
        source = workspace.database.write(lambda tx: declared.pause(tx, actor, dataset, paused=hold, now=now))
        return Result(_shown(source))
    with workspace.database.read() as tx:
        source, readings = declared.get_source(tx, actor, dataset), declared.history(tx, actor, dataset)
    lines = [
        {
            "started": format_time(reading.started),
            "outcome": reading.outcome.value,
            "snapshot": reading.snapshot[:12],
            "rows": reading.rows,
            "added": reading.added,
            "notes": "; ".join((*reading.notes, *([reading.problem] if reading.problem else []))),
        }
        for reading in readings
    ]
    return Result({"source": _shown(source), "readings": readings}, note=f"{source.uri}\n{source.query}".strip(), shown=lines)


def _shown(source: Source) -> dict[str, Any]:
    return {
        "dataset": source.dataset,
        "source": source.uri,
        "mode": source.mode.value + (f" by {source.watermark}" if source.watermark else ""),
        "every": "paused" if source.paused else source.every,
        "snapshot": source.snapshot[:12],
        "checked": "" if source.checked is None else format_time(source.checked),
        "outcome": source.outcome,
        "problem": source.problem,
    }
