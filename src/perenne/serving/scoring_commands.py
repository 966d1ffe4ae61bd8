"""`perenne deploy score`."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import click
import msgspec

from perenne import data
from perenne.core.clock import SECOND, format_duration, parse_time
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.serving.scoring.inputs import Aside
from perenne.serving.scoring.running import PART_ROWS, Log, Pace, Summary, Wish, find, score
from perenne.storage.files import write_atomically
from perenne.storage.workspace import Workspace

_SNAPSHOT = "snapshot:"


@click.command("score")
@click.argument("name", metavar="DEPLOYMENT|VERSION|FOLDER")
@click.argument("source", metavar="INPUT")
@click.option("--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A file: .parquet, .csv or .jsonl.")
@click.option("--query", help="INPUT is a database; score the rows of this query, which should say how they are ordered.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="A column of the input that comes along, such as its key.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that answer.")
@click.option("--part-rows", type=click.IntRange(1, 10_000_000), default=PART_ROWS, show_default=True, help="Rows of a part.")
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows that were set aside, and why.")
@click.option("--allow-errors", is_flag=True, help="Exit with 0 also if rows were set aside.")
@click.option("--log", is_flag=True, help="Tell monitoring: the row log, the windows and the challengers in shadow.")
@click.option("--time", default="", metavar="COLUMN", help="With --log: the column that says when a row happened.")
@click.option("--at", metavar="TIME", help="The instant in the prediction ids; now if not given.")
@click.option("--replace", is_flag=True, help="Replace an output that is there.")
@click.option("--restart", is_flag=True, help="Give up another scoring that was begun for this output.")
@click.pass_obj
def score_(
    workspace: Workspace,
    name: str,
    source: str,
    to: Path,
    query: str | None,
    keep: tuple[str, ...],
    workers: int,
    part_rows: int,
    errors: Path | None,
    allow_errors: bool,
    log: bool,
    time: str,
    at: str | None,
    replace: bool,
    restart: bool,
) -> Result:
    """Score a file, a folder, a snapshot or a query, of any size, into a file. Exits with 6 if rows were set aside.

    Killed at any moment, the same command goes on where the last whole part ended. INPUT is Parquet, CSV or JSON lines, a folder
    of these, `snapshot:DIGEST`, or with --query the address of a database.

    \b
    Examples:
      perenne deploy score churn customers.csv --to scores.parquet --keep customer_id
      perenne deploy score churn@3 ./2027-01 --to scores.csv --workers 4 --errors refused.jsonl
      perenne deploy score churn customers.csv --to scores.csv --log --time asked_at
      perenne deploy score churn snapshot:3f2a91c07b… --to scores.jsonl
      perenne deploy score churn sqlite:shop.db --query "select * from c order by id" --to out.csv
    """
    settings = workspace.settings
    told = Log(settings.releases, settings.logs, settings.spool, time) if log else None
    wish = Wish(
        log=told,
        keep=keep,
        part_rows=part_rows,
        workers=workers,
        at=None if at is None else parse_time(at),
        replace=replace,
        restart=restart,
    )
    with tempfile.TemporaryDirectory(prefix="perenne-score-") as scratch:
        scored = find(workspace, name, Path(scratch))
        rows = _rows(workspace, source, query, Path(scratch))
        with _progress() as hear:
            summary, aside = score(scored, rows, to, wish, hear)
    if errors is not None:
        write_atomically(errors, b"".join(msgspec.json.encode(item._asdict()) + b"\n" for item in aside))
    return Result(summary, EXIT_FINDINGS if aside and not allow_errors else 0, note=_note(summary, aside, errors))


def _rows(workspace: Workspace, source: str, query: str | None, scratch: Path) -> Path:
    """Return a file or folder with the rows; those of a snapshot or a query are fetched."""
    if query is not None:
        target = scratch / "query.parquet"
        data.ingest.fetch_query(source, query, target)
        return target
    if source.startswith(_SNAPSHOT):
        digest = source.removeprefix(_SNAPSHOT)
        if not is_digest(digest):
            with workspace.database.read() as tx:
                digest = data.snapshots.get_snapshot(tx, digest).id
        target = scratch / "snapshot.parquet"
        data.snapshots.fetch_snapshot(workspace.objects, digest, target)
        return target
    if "://" in source:
        raise Invalid("the address of a database needs a query", code="score.query", hint="--query 'select … order by …'")
    return Path(source)


def _note(summary: Summary, aside: list[Aside], errors: Path | None) -> str:
    if not aside:
        return ""
    first = f"{aside[0].file}, row {aside[0].row}: {aside[0].reason}"
    where = f"in {errors.name}" if errors else "--errors FILE keeps them"
    return f"{summary.aside} rows were set aside ({where}); the first: {first}"


@contextmanager
def _progress() -> Iterator[Any]:
    """Tell how far it is, on a terminal: rows, share of the input, and how long the rest takes."""
    context = click.get_current_context(silent=True)
    shown = context is not None and bool(context.find_root().meta.get("perenne.progress"))
    begun = monotonic()

    def hear(pace: Pace) -> None:
        if not shown:
            return
        share = min(1.0, pace.read / pace.bytes) if pace.bytes else 0.0
        passed = monotonic() - begun
        left = f", {format_duration(int(passed / share * (1 - share)) * SECOND)} left" if share > 0 else ""
        click.echo(f"\r{pace.rows:,} rows, {share:4.0%} of the files read{left}\033[K", nl=False, err=True)

    yield hear
    if shown:
        sys.stderr.write("\r\033[K")
