"""Backups: the whole state of an installation, database, objects and artifacts, in one file to restore it from.

A backup is a ZIP file. `tables/NAME.jsonl` holds one table as JSON lines, the first of which names its columns; bytes are in
base 64. `objects/DIGEST` are the objects, `artifacts/ID` the blobs beside them. `backup.json`, written last, says what there is
and holds the digest of every table. The tables are read in one snapshot while others go on writing; objects and blobs are copied
after it, and since each is always kept before a row names it, never changed, and deleted a day at the earliest after the last
row let go of it, each one that the snapshot names is there. What was written on SQLite can be restored to PostgreSQL and the
other way round.
"""

import base64
import hashlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import sqlalchemy as sa

import perenne
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound, Unavailable
from perenne.storage import migrations
from perenne.storage.blob_backup import blobs_in, put_blobs, read_blob, write_blobs
from perenne.storage.blobs import open_blobs
from perenne.storage.database import Database
from perenne.storage.files import sync_file, sync_folder, temporary_file
from perenne.storage.migrations.declared import import_tables
from perenne.storage.objects import ObjectStore
from perenne.storage.schema import given_rows
from perenne.storage.transaction import Transaction

_reflected: dict[str, sa.MetaData] = {}
FORMAT = 1
MANIFEST = "backup.json"
ROWS = 1_000
MAX_LINE = 1 << 30

Progress = Callable[[int, int], None]
"""Hears how many objects are done, and of how many."""


class TableEntry(msgspec.Struct, frozen=True):
    """What a backup holds of a table."""

    rows: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup.

    Attributes
    ----------
    format : int
        The form of the file.
    perenne, schema, source : str
        The release that wrote it, the version of the tables, and the database they come from.
    taken : int
        When, in microseconds since 1970.
    tables : dict
        Every table by name.
    objects, size : int
        How many objects, and the bytes of objects and blobs.
    blobs : int
        How many blobs.
    """

    format: int
    perenne: str
    schema: str
    source: str
    taken: int
    tables: dict[str, TableEntry]
    objects: int
    size: int
    blobs: int = 0


def back_up(database: Database, objects: ObjectStore, target: Path, on_progress: Progress = lambda done, total: None) -> Manifest:
    """Write a backup; the file appears when it is whole.

    Parameters
    ----------
    target : Path
        The file to make; there must be none yet.

    Raises
    ------
    Conflict
        If there is such a file.
    Unavailable
        If the disk refuses, or an object is damaged: a backup that could not be restored is not made.
    """
    if target.exists():
        raise Conflict(f"{target.name} exists already", code="backup.exists", hint="choose another name")
    try:
        with temporary_file(target.parent) as beside:
            manifest = _write(database, objects, beside, on_progress)
            sync_file(beside)
            beside.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise Unavailable(
            f"{target.name} cannot be written: {error.strerror}",
            code="backup.unavailable",
            hint="is there room, and may you write there?",
        ) from error
    return manifest


def _write(database: Database, objects: ObjectStore, path: Path, on_progress: Progress) -> Manifest:
    with zipfile.ZipFile(path, "w") as archive:
        with database.read() as tx:
            schema = migrations.current(tx.connection) or ""
            source = database.backend.describe(tx)
            tables = {str(table.name): _write_table(tx, archive, table) for table in tables_of(tx)}
        count, size = _write_objects(objects, archive, path.parent, on_progress)
        number, more = write_blobs(archive, open_blobs(objects.url), on_progress)
        manifest = Manifest(
            format=FORMAT,
            perenne=perenne.__version__,
            schema=schema,
            source=source,
            taken=SystemClock().now(),
            tables=tables,
            objects=count,
            size=size + more,
            blobs=number,
        )
        archive.writestr(MANIFEST, json.pretty(json.plain(manifest)))
    return manifest


def tables_of(tx: Transaction) -> list[sa.Table]:
    """Return the tables that are there, each after those it refers to."""
    dialect, newest = tx.connection.dialect.name, migrations.current(tx.connection) == migrations.revisions()[-1]
    found = _reflected.get(dialect) if newest else None
    if found is None:
        found = sa.MetaData()
        found.reflect(tx.connection)
        if newest:  # it is what the migrations made of it: it need not be asked for twice
            _reflected[dialect] = found
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def _write_table(tx: Transaction, archive: zipfile.ZipFile, table: sa.Table) -> TableEntry:
    columns = list(table.columns)
    digest, rows = hashlib.sha256(), 0
    with archive.open(_deflated(f"tables/{table.name}.jsonl"), "w", force_zip64=True) as stream:

        def write(line: bytes) -> None:
            stream.write(line)
            digest.update(line)

        write(json.encode([str(column.name) for column in columns]) + b"\n")
        query = sa.select(*columns).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS)
        with tx.execute(query) as found:
            for row in found:
                write(json.encode([_plain(value) for value in row]) + b"\n")
                rows += 1
    return TableEntry(rows, digest.hexdigest())


def _write_objects(objects: ObjectStore, archive: zipfile.ZipFile, scratch: Path, on_progress: Progress) -> tuple[int, int]:
    digests = sorted(objects.digests())
    size = 0
    with temporary_file(scratch) as copy:
        for done, digest in enumerate(digests):
            on_progress(done, len(digests))
            objects.fetch(digest, copy)
            archive.write(copy, f"objects/{digest}")
            size += copy.stat().st_size
    on_progress(len(digests), len(digests))
    return len(digests), size


def _deflated(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes | memoryview) else value


def verify_backup(path: Path, on_progress: Progress = lambda done, total: None) -> Manifest:
    """Read a backup whole and compare all of it with its digests.

    Raises
    ------
    NotFound
        If there is no such file.
    Invalid
        If it is no backup, or damaged; the message names the part.
    """
    with _opened(path) as archive:
        return _verify(archive, on_progress)


def _verify(archive: zipfile.ZipFile, on_progress: Progress) -> Manifest:
    manifest = _manifest(archive)
    names = set(archive.namelist())
    for name, entry in manifest.tables.items():
        rows, digest = -1, hashlib.sha256()
        with _member(archive, f"tables/{name}.jsonl") as stream:
            for line in stream:
                digest.update(line)
                rows += 1
        if (rows, digest.hexdigest()) != (entry.rows, entry.digest):
            raise _damaged(f"table {name}")
    objects = sorted(name for name in names if name.startswith("objects/"))
    if len(objects) != manifest.objects:
        raise _damaged("the list of objects")
    for done, name in enumerate(objects):
        on_progress(done, len(objects))
        _check_object(archive, name)
    on_progress(len(objects), len(objects))
    _check_blobs(archive, manifest)
    return manifest


def _check_blobs(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    names = blobs_in(archive)
    if len(names) != manifest.blobs:
        raise _damaged("the list of artifacts")
    for identity in names:
        try:
            for _ in read_blob(archive, identity):
                pass
        except zipfile.BadZipFile:
            raise _damaged(f"artifact {identity}") from None


def restore(database: Database, objects: ObjectStore, path: Path, on_progress: Progress = lambda done, total: None) -> Manifest:
    """Fill an empty installation from a backup, which is verified before anything is written.

    Parameters
    ----------
    database : Database
        One that was not opened yet (`Database(url)`), so that it is empty or has empty tables.

    Raises
    ------
    Conflict
        If the database holds something.
    Invalid
        If the backup is damaged, or written by a newer release.
    """
    with _opened(path) as archive:
        manifest = _verify(archive, lambda done, total: on_progress(done, 2 * total))
        if manifest.schema not in migrations.revisions():
            raise Invalid(
                f"the backup has schema {manifest.schema}, which this program does not know",
                code="backup.newer",
                hint="it was written by a newer release of perenne: use that one",
            )
        import_tables()
        database.backend.prepare()
        _require_empty(database, manifest.schema)
        migrations.upgrade(database.backend, to=manifest.schema)
        names = sorted(name for name in archive.namelist() if name.startswith("objects/"))
        for done, name in enumerate(names):
            on_progress(len(names) + done, 2 * len(names))
            _put_object(archive, name, objects)
        put_blobs(archive, open_blobs(objects.url))
        database.write(lambda tx: _fill(database, tx, archive, manifest))
        migrations.upgrade(database.backend)
    on_progress(1, 1)
    return manifest


def _require_empty(database: Database, schema: str) -> None:
    with database.backend.writing.connect() as connection:
        tx = Transaction(connection)
        for table in tables_of(tx):
            given = given_rows(table.name)
            rows = [dict(row._mapping) for row in tx.execute(sa.select(table).limit(len(given) + 1))]
            if rows and rows != given:
                raise Conflict(
                    f"the database at {database.backend.place} is in use: table {table.name} has rows",
                    code="backup.not_empty",
                    hint="restore into an empty one: --database URL names it",
                )
        found = migrations.current(connection)
        if found not in (None, schema):
            raise Conflict(
                f"the database has schema {found}, the backup {schema}",
                code="backup.not_empty",
                hint="restore into a new database",
            )


def _fill(database: Database, tx: Transaction, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    tables = tables_of(tx)
    if set(manifest.tables) != {table.name for table in tables}:
        raise Invalid(
            "the backup has other tables than its schema",
            code="backup.tables",
            hint="it was changed after it was made; take another backup",
        )
    for table in reversed(tables):
        if given_rows(table.name):
            tx.execute(table.delete())
    for table in tables:
        with _member(archive, f"tables/{table.name}.jsonl") as stream:
            for rows in _batches(stream, table):
                tx.execute(table.insert(), rows)
        count = tx.scalar(sa.select(sa.func.count()).select_from(table))
        if count != manifest.tables[table.name].rows:
            raise Unavailable(
                f"table {table.name} has {count} rows after it was filled",
                code="backup.rows",
                hint="is anybody else writing to this database? restore into one of its own",
            )
    database.backend.restarting_keys(tx, tables)


def _batches(stream: IO[bytes], table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    names = msgspec.json.decode(stream.readline(MAX_LINE), type=list[str])
    if unknown := set(names) - set(table.columns.keys()):
        raise Invalid(
            f"table {table.name} has no column {min(unknown)[:40]}",
            code="backup.columns",
            hint="it was changed after it was made; take another backup",
        )
    batch: list[dict[str, Any]] = []
    for line in stream:
        values = msgspec.json.decode(line, type=list[Any])
        batch.append(dict(zip(names, map(_value, values), strict=True)))
        if len(batch) == ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise NotFound(
            f"there is no file {path.name}", code="backup.not_found", hint="name the file that `perenne backup` wrote"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, msgspec.DecodeError, RuntimeError) as error:
        raise Invalid(
            f"{path.name} is no backup, or is damaged: {error}",
            code="backup.damaged",
            hint="take another copy of it; `perenne backup FILE --verify` reads it whole",
        ) from error
    except OSError as error:
        if error.errno is None:  # zipfile's own, of an archive that contradicts itself
            raise _damaged(str(error)) from error
        raise Unavailable(
            f"{path.name} cannot be read: {error.strerror}", code="backup.unavailable", hint="may you read it?"
        ) from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    with _member(archive, MANIFEST) as stream:
        manifest = json.decode(stream.read(1 << 20), Manifest, what="backup.json")
    if manifest.format != FORMAT:
        raise Invalid(
            f"the backup has format {manifest.format}, not {FORMAT}",
            code="backup.format",
            hint="restore it with the release of perenne that made it",
        )
    return manifest


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except KeyError:
        raise _damaged(name) from None


def _check_object(archive: zipfile.ZipFile, name: str) -> None:
    with _member(archive, name) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if digest != name.removeprefix("objects/"):
        raise _damaged(f"object {name.removeprefix('objects/')[:12]}")


def _put_object(archive: zipfile.ZipFile, name: str, objects: ObjectStore) -> None:
    with tempfile.TemporaryDirectory(prefix="perenne-restore-") as folder:
        copy = Path(folder) / "object"
        with _member(archive, name) as stream, copy.open("wb") as target:
            shutil.copyfileobj(stream, target)
        if objects.put_file(copy) != name.removeprefix("objects/"):
            raise _damaged(f"object {name.removeprefix('objects/')[:12]}")


def _damaged(part: str) -> Invalid:
    return Invalid(f"the backup is damaged: {part}", code="backup.damaged", hint="use another backup")
