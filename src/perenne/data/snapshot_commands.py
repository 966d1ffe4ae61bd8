"""`perenne data list|show|snapshot`: snapshots, and what is known of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.hashing import is_digest
from perenne.core.results import Result
from perenne.data import erasure_store, service
from perenne.data.drawing import sketch, sparkline
from perenne.data.examinations import find_examination, read_findings, read_profile
from perenne.data.model import Anomaly, ColumnProfile, DataProfile, Examination, Snapshot
from perenne.data.personal import masked, masked_findings, record_reveal
from perenne.data.snapshots import get_snapshot, list_snapshots
from perenne.storage.workspace import Workspace

_FINDINGS = 10


@click.command("list")
@click.option("--dataset", help="Only those of one dataset.")
@click.option("--limit", default=50, show_default=True, help="At most so many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, dataset: str | None, limit: int) -> Result:
    """List snapshots.

    \b
    Examples:
      perenne data list
      perenne data list --dataset subscriptions --limit 5
    """
    with workspace.database.read() as tx:
        found = list_snapshots(tx, dataset, limit)
        gone = erasure_store.erased(tx, [snapshot.id for snapshot in found])
    shown = [_row(snapshot) | _erased(gone.get(snapshot.id)) for snapshot in found]
    return Result(found, note="" if found else "no snapshots yet", shown=shown)


def _erased(step: erasure_store.Step | None) -> dict[str, str]:
    """Tell of a snapshot that was erased what holds the rest, in place of where it came from."""
    if step is None:
        return {}
    return {"source": f"erased; {step.replacement[:12]} holds the other rows" if step.replacement else "erased; no row was left"}


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


@click.command()
@click.argument("snapshot")
@click.option("--reveal", is_flag=True, help="Show the values of columns with personal data, if your role allows it.")
@click.pass_obj
def show(workspace: Workspace, snapshot: str, reveal: bool) -> Result:
    """Show a snapshot: where it came from, what was found in it, and a line with a picture for each column.

    \b
    Examples:
      perenne data show 044bc57e1967
    """
    with workspace.database.read() as tx:
        found = get_snapshot(tx, snapshot)
        examined = find_examination(tx, found)
        gone = erasure_store.erased(tx, [found.id]).get(found.id)
    if examined is None:
        columns = [{"column": column.name, "type": column.type} for column in found.columns]
        looked = f"nobody has looked into it: `perenne data profile {found.id[:12]}` does"
        note = f"{_told_of(found)}\n{_erased(gone).get('source', looked)}"
        return Result(_shown(found, None, None, ()), note=note, shown=columns)
    profile = read_profile(workspace.objects, examined.profile)
    findings = read_findings(workspace.objects, examined.findings) if examined.findings else ()
    if reveal:
        workspace.database.write(lambda tx: record_reveal(tx, local_principal(), profile))
    else:
        profile, findings = masked(profile), masked_findings(profile, findings)
    note = "\n".join([_told_of(found), _judged(examined, findings), page_of(found.dataset, found.id)])
    return Result(_shown(found, examined, profile, findings), note=note, shown=[described(column) for column in profile.columns])


class SnapshotShown(Snapshot, frozen=True, kw_only=True):
    """A snapshot with all that was found in it."""

    examination: Examination | None
    profile: DataProfile | None
    findings: tuple[Anomaly, ...]


def _shown(
    snapshot: Snapshot, examined: Examination | None, profile: DataProfile | None, findings: tuple[Anomaly, ...]
) -> SnapshotShown:
    known: dict[str, Any] = msgspec.structs.asdict(snapshot)
    return SnapshotShown(**known, examination=examined, profile=profile, findings=findings)


def _told_of(snapshot: Snapshot) -> str:
    size = f"{snapshot.rows:,} rows, {len(snapshot.columns):,} columns, {snapshot.bytes:,} bytes"
    return f"{snapshot.dataset} {snapshot.id}\n{size}, taken {format_time(snapshot.created)} from {snapshot.source}"


def _judged(examined: Examination, findings: Sequence[Anomaly]) -> str:
    if examined.findings is None:
        return "held against no schema yet"
    named = f"snapshot {examined.baseline[:12]}" if is_digest(examined.baseline) else examined.baseline
    against = named or "its own schema"
    if not findings:
        return f"keeps every rule of {against}"
    lines = [f"{finding.severity.value}: {finding.sentence}" for finding in findings[:_FINDINGS]]
    more = [f"and {len(findings) - _FINDINGS} more"] if len(findings) > _FINDINGS else []
    return "\n".join([f"{examined.errors} errors, {examined.warnings} warnings against {against}", *lines, *more])


def page_of(dataset: str, snapshot: str) -> str:
    """Say where the page shows a snapshot."""
    return f"on the page: /data/{quote(dataset)}?snapshot={snapshot[:12]}"


@click.command("snapshot")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dataset", help="What the rows are called; the file's name if not given.")
@click.pass_obj
def snapshot_(workspace: Workspace, file: Path, dataset: str | None) -> Result:
    """Keep the rows of a file for good, with their profile.

    \b
    Examples:
      perenne data snapshot churn.csv
      perenne data snapshot churn.csv --dataset subscriptions
    """
    name = dataset or file.name.partition(".")[0]
    taken = service.take_snapshot(workspace.database, workspace.objects, local_principal(), file, dataset=name)
    _look(workspace, taken)
    return Result(taken, note=page_of(taken.dataset, taken.id), shown=_row(taken) | {"id": taken.id})


def _look(workspace: Workspace, taken: Snapshot) -> DataProfile:
    """Describe a snapshot and keep what was found; the same look is taken once."""
    from perenne.data.looking import look

    return look(workspace.database, workspace.objects, local_principal(), taken)


def described(column: ColumnProfile) -> dict[str, Any]:
    """Tell of a column in a line."""
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
        "shape": sparkline(sketch(column)),
        "values": spread,
        "tells of target": told,
        "flags": " ".join(column.flags),
    }
