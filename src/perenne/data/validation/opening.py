"""Rows by what a person calls them, streamed where that can be done: a file, or a snapshot by the beginning of its id."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from perenne.data.snapshots import fetch_snapshot, get_snapshot
from perenne.data.sources import read_source
from perenne.data.tombstones import check_not_erased
from perenne.data.validation.rows import Rows, TableRows, parquet_rows
from perenne.data.validation.rules import Schema
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore

LARGE = 64 << 20
"""A file of CSV of more bytes is streamed."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Opened(NamedTuple):
    """Rows, and the id of the snapshot they are; an empty text if they are a file's."""

    rows: Rows
    snapshot: str


def open_rows(database: Database, objects: ObjectStore, name: str, schema: Schema) -> Opened:
    """Open a file or a snapshot.

    Raises
    ------
    NotFound, Invalid
        If there is neither, or it cannot be read.
    """
    if Path(name).exists() or not all(letter in "0123456789abcdef" for letter in name):
        return Opened(file_rows(name, schema), "")
    with database.read() as tx:
        identity = get_snapshot(tx, name).id
        check_not_erased(tx, identity)
    return Opened(snapshot_rows(objects, identity), identity)


def snapshot_rows(objects: ObjectStore, digest: str) -> Rows:
    """Open the rows of a snapshot, checked against its digest, through a file of its own."""
    folder = Path(tempfile.mkdtemp(prefix="perenne-snapshot-"))
    try:
        fetch_snapshot(objects, digest, folder / "rows.parquet")
        return parquet_rows(folder / "rows.parquet", name=digest[:12], folder=folder)
    except BaseException:
        (folder / "rows.parquet").unlink(missing_ok=True)
        folder.rmdir()
        raise


def file_rows(source: Any, schema: Schema, *, large: int = LARGE) -> Rows:
    """Open the rows of a file: Parquet and large files of CSV are streamed, others are read as `read_source` does."""
    from perenne.data.validation.texts import csv_rows

    path = Path(source)
    if path.is_file():
        with path.open("rb") as stream:
            start = stream.read(4096)
        if start.startswith(b"PAR1"):
            return parquet_rows(path)
        plain = b"\0" not in start and not start.startswith((b"\x1f\x8b", b"PK\x03\x04", *_UTF_16))
        if plain and path.suffix.lower() in (".csv", ".tsv", ".txt") and path.stat().st_size > large:
            return csv_rows(path, schema)
    return TableRows(read_source(source))
