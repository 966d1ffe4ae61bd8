"""`perenne data list|show|snapshot|profile|schema|validate`."""

from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time, parse_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data import service
from perenne.data.model import Anomaly, ColumnProfile, DataProfile, Severity, Snapshot
from perenne.data.snapshots import get_snapshot, list_snapshots
from perenne.storage.workspace import Workspace


@click.group()
def data() -> None:
    """Snapshots of data, what is in them, and what they must keep.

    SOURCE is a file (CSV, Parquet, JSON lines), or the beginning of a snapshot's id.
    """


@data.command("list")
@click.option("--dataset", help="Only those of one dataset.")
@click.option("--limit", default=50, show_default=True, help="At most so many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, dataset: str | None, limit: int) -> Result:
    """List snapshots."""
    with workspace.database.read() as tx:
        found = list_snapshots(tx, dataset, limit)
    return Result(found, note="" if found else "no snapshots yet", shown=[_row(snapshot) for snapshot in found])


def _row(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id[:12],
        "dataset": snapshot.dataset,
        "rows": snapshot.rows,
        "columns": len(snapshot.columns),
        "bytes": snapshot.bytes,
        "created": format_time(snapshot.created),
        "source": snapshot.source,
    }


@data.command()
@click.argument("snapshot")
@click.pass_obj
def show(workspace: Workspace, snapshot: str) -> Result:
    """Show a snapshot: where it came from, and its columns."""
    with workspace.database.read() as tx:
        found = get_snapshot(tx, snapshot)
    columns = ", ".join(f"{column.name} {column.type}" for column in found.columns)
    return Result(found, shown=_row(found) | {"id": found.id, "columns": columns})


@data.command("snapshot")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dataset", help="What the rows are called; the file's name if not given.")
@click.pass_obj
def snapshot_(workspace: Workspace, file: Path, dataset: str | None) -> Result:
    """Keep the rows of a file for good."""
    name = dataset or file.name.partition(".")[0]
    taken = service.take_snapshot(workspace.database, workspace.objects, local_principal(), file, dataset=name)
    return Result(taken, shown=_row(taken) | {"id": taken.id})


@data.command()
@click.argument("source")
@click.option("--target", help="The column to predict: how much does each column tell of it?")
@click.pass_obj
def profile(workspace: Workspace, source: str, target: str | None) -> Result:
    """Describe every column; --json gives the whole profile."""
    found = _profile(workspace, source, target)
    bent = [pair for pair in found.pairs if pair.reason == "shape"]
    pairs = [f"{pair.x} and {pair.y}: r {pair.pearson:.2f}, rank {pair.spearman:.2f}" for pair in bent[:5]]
    notes = [f"{found.rows:,} rows, {found.duplicate_rows:,} of them repeat another"]
    notes += [f"look at these pairs before you trust a correlation: {'; '.join(pairs)}"] if pairs else []
    return Result(found, note="\n".join(notes), shown=[_described(column) for column in found.columns])


def _profile(workspace: Workspace, source: str, target: str | None) -> DataProfile:
    from perenne.data.profiles import profile_table

    table, digest = service.find_rows(workspace.database, workspace.objects, source)
    return profile_table(table, target=target, dataset=source, digest=digest)


def _described(column: ColumnProfile) -> dict[str, Any]:
    spread = ""
    if column.numbers is not None:
        numbers = column.numbers
        spread = f"{numbers.min:.6g} to {numbers.max:.6g}, median {numbers.quantiles[3]:.6g}, mean {numbers.mean:.6g}"
    elif column.times is not None:
        spread = f"{format_time(column.times.min)} to {format_time(column.times.max)}"
    elif column.top:
        spread = ", ".join(f"{item.value[:30]} ({item.count:,})" for item in column.top[:3])
    told = "" if column.target is None else f"{column.target.value:.2f}"
    return {
        "column": column.name,
        "type": column.type,
        "missing": column.nulls,
        "distinct": column.distinct,
        "values": spread,
        "tells of target": told,
        "flags": " ".join(column.flags),
    }


@data.command()
@click.argument("source")
@click.option("--key", multiple=True, help="A column that names a row; several together if given more than once.")
@click.option("--time", help="The column that says when a row was known.")
@click.pass_obj
def schema(workspace: Workspace, source: str, key: tuple[str, ...], time: str | None) -> str:
    """Write the schema that SOURCE keeps, as YAML to read, edit and review."""
    from perenne.data.schema import infer_schema, write_schema

    return write_schema(infer_schema(_profile(workspace, source, None), key=key, time=time)).rstrip()


@data.command()
@click.argument("source")
@click.option("--schema", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A schema in YAML.")
@click.option("--baseline", help="A file or snapshot whose inferred schema is taken instead.")
@click.option("--key", multiple=True, help="A column that names a row; several together if given more than once.")
@click.option("--until", help="No row may be later than this: 2013-04-01 or 2013-04-01T12:00:00Z.")
@click.pass_obj
def validate(
    workspace: Workspace, source: str, file: Path | None, baseline: str | None, key: tuple[str, ...], until: str | None
) -> Result:
    """Hold SOURCE against a schema; exit code 6 if it breaks a rule that is an error."""
    from perenne.data.schema import infer_schema, read_schema
    from perenne.data.validation import validate as find_anomalies

    if (file is None) == (baseline is None):
        raise click.UsageError("give one of --schema and --baseline")
    if file is not None:
        rules = read_schema(file.read_text(encoding="utf-8"), file.name)
    else:
        rules = infer_schema(_profile(workspace, str(baseline), None))
    table, _ = service.find_rows(workspace.database, workspace.objects, source)
    found = find_anomalies(table, rules, key=key, until=None if until is None else parse_time(until))
    errors = sum(anomaly.severity is Severity.ERROR for anomaly in found)
    note = f"{errors} errors, {len(found) - errors} warnings" if found else "keeps every rule"
    return Result(found, EXIT_FINDINGS if errors else 0, note, [_told(anomaly) for anomaly in found])


def _told(anomaly: Anomaly) -> dict[str, Any]:
    rows = ", ".join(str(sample.row) for sample in anomaly.sample_rows)
    values = ", ".join(str(sample.value)[:30] for sample in anomaly.sample_rows if sample.value is not None)
    return {
        "severity": anomaly.severity.value,
        "column": anomaly.column,
        "check": anomaly.check,
        "expected": anomaly.expected,
        "rows broken": anomaly.count,
        "share": f"{anomaly.fraction:.2%}",
        "first rows": rows,
        "values": values,
    }
