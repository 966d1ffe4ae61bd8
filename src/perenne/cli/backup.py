"""`perenne backup`, `perenne restore` and `perenne migrate`: state kept, brought back, brought forward."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from perenne.cli.progress import bar
from perenne.core.clock import format_time
from perenne.core.errors import Unavailable
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.backup import Manifest, back_up, restore, verify_backup
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.storage.database import Database

FILE = click.Path(path_type=Path, dir_okay=False)


class Backed(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds, for people."""

    file: str
    taken: str
    perenne: str
    schema: str
    source: str
    rows: int
    tables: int
    objects: int
    bytes: int


@click.command("backup")
@click.argument("file", type=FILE)
@click.option("--verify", is_flag=True, help="Make nothing: read the backup FILE whole and compare it with its digests.")
@click.pass_obj
def backup(workspace: Workspace, file: Path, verify: bool) -> Result:
    """Write database, objects and artifacts to one FILE, while everything goes on; then read it again and verify it.

    The log of predictions (`logs/`) and release folders are not part of it: releases are made again, the log is plain Parquet.

    \b
    Examples:
      perenne backup friday.zip
      perenne backup friday.zip --verify
    """
    if not verify:
        with bar("objects") as progress:
            back_up(workspace.database, workspace.objects, file, progress)
    with bar("verify ") as progress:
        manifest = verify_backup(file, progress)
    return Result(_shown(file, manifest), note=f"verified: `perenne restore {file}` brings it back into an empty installation")


@click.command("restore")
@click.argument("file", type=FILE)
@click.pass_obj
def restore_command(workspace: Workspace, file: Path) -> Result:
    """Fill an empty installation from a backup FILE. The database may be of another kind than the one the backup was made of.

    \b
    Examples:
      perenne restore friday.zip
    """
    from perenne.auth import audit
    from perenne.storage.database import Database

    with bar("restore") as progress, Database(workspace.settings.database) as database:
        manifest = restore(database, workspace.objects, file, progress)
        with database.read() as tx:
            verdict = audit.verify(tx)
    if verdict.bad_seq is not None:
        raise Unavailable(
            f"record {verdict.bad_seq} of the audit trail is {verdict.problem}",
            code="backup.audit",
            hint="the trail was damaged when the backup was made; `perenne audit verify` there tells the same",
        )
    return Result(_shown(file, manifest), note=f"restored; {verdict.records} audit records, every link holds")


class Schema(msgspec.Struct, frozen=True):
    """The version of the tables, and the newest that this program knows."""

    database: str
    schema: str
    newest: str
    state: str


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; exit with 6 if the schema is behind.")
@click.pass_obj
def migrate(workspace: Workspace, check: bool) -> Result:
    """Bring the database to the newest schema, as every start does by itself. The only way back is a backup.

    \b
    Examples:
      perenne migrate
      perenne migrate --check
    """
    from perenne.storage import migrations
    from perenne.storage.database import Database

    newest = migrations.revisions()[-1]
    if not check:
        database = workspace.database
        return Result(Schema(database.backend.place, newest, newest, "current"))
    with Database(workspace.settings.database) as database:
        found = _schema_of(database) if database.backend.is_made() else None
        state = "current" if found == newest else "empty" if found is None else "behind" if found < newest else "newer"
        code = 0 if state == "current" else EXIT_FINDINGS
        return Result(Schema(database.backend.place, found or "", newest, state), code)


def _schema_of(database: "Database") -> str | None:
    from perenne.storage import migrations

    with database.read() as tx:
        return migrations.current(tx.connection)


def _shown(file: Path, manifest: Manifest) -> Backed:
    return Backed(
        file=str(file),
        taken=format_time(manifest.taken),
        perenne=manifest.perenne,
        schema=manifest.schema,
        source=manifest.source,
        rows=sum(entry.rows for entry in manifest.tables.values()),
        tables=len(manifest.tables),
        objects=manifest.objects,
        bytes=file.stat().st_size,
    )
