"""Versions of tables that stay where they are: a pointer tells where, which version and what columns; just that is read back.

A pointer is kept in place of rows, under its digest as they would be, so that whatever reads snapshots reads what it points to.
"""

import hashlib
import tempfile
from pathlib import Path

import msgspec
import pyarrow as pa

from perenne.core import json
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.hashing import key_of
from perenne.data.model import ColumnType
from perenne.data.origins import buckets, lakes
from perenne.data.origins.files import files_at, read_files
from perenne.data.origins.places import Kind, Place, place_of
from perenne.data.tables import canonical, datatype_of

MARK = b"perenne pointer\n"
LAKES = frozenset({Kind.DELTA, Kind.ICEBERG})
_PINNED = LAKES | {Kind.FILES, Kind.BUCKET}


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a table that is not copied.

    Attributes
    ----------
    format, uri : str
        What kind of table it is, and its address, which holds no secret.
    table : str
        Which table was there: one that is made anew at the same address is another.
    version : str
        A lake's own number of the version; of files a digest of their names and contents.
    schema : str
        Digest of names and types of the columns.
    """

    format: str
    uri: str
    table: str
    version: str
    schema: str
    rows: int
    columns: tuple[ColumnType, ...]

    def to_bytes(self) -> bytes:
        """Return what is kept of it."""
        return MARK + json.encode(self)


def pin_of(data: bytes) -> Pin | None:
    """Return the pointer that kept bytes are; None if they are rows."""
    return json.decode(data[len(MARK) :], Pin, what="pointer") if data.startswith(MARK) else None


def pin(uri: str, query: str = "") -> Pin:
    """Look at a table, and return what points to it as it is now, or to the version that its address names.

    Raises
    ------
    NotFound, Unavailable
        If there is no such table or version, or it cannot be read.
    Invalid
        If it has no versions, or no rows.
    """
    place = place_of(uri, query)
    if place.kind not in _PINNED:
        hint = "delta:…, iceberg:…, files and objects of buckets can; take a snapshot of others"
        raise Invalid(f"{place.kind} cannot be pointed to", code="ingest.pin", hint=hint)
    if place.kind in LAKES:
        seen = lakes.look(place)
        address, table, version, rows = uri.partition("?")[0], seen.table, seen.version, seen.rows
        columns = _columns(canonical(seen.schema.empty_table(), str(place.kind)))
    else:
        read, version = _read_files(place)
        address, table, rows, columns = uri, "", read.num_rows, _columns(read)
    if rows == 0:
        raise Invalid(f"{uri} has no rows", code="data.no_rows", hint="is it the right table?")
    return Pin(
        format=str(place.kind), uri=address, table=table, version=version, schema=_schema(columns), rows=rows, columns=columns
    )


def read_pinned(pointer: Pin) -> pa.Table:
    """Read the very version that a pointer names.

    Raises
    ------
    NotFound
        If it is gone: vacuumed, expired, or the table was removed.
    Conflict
        If something else is there now.
    Unavailable
        If it cannot be read at present.
    """
    place = place_of(pointer.uri)
    if place.kind in LAKES:
        read = _of_lake(pointer, place)
    else:
        read, version = _read_files(place)
        if version != pointer.version:
            raise _other(pointer, "files came, went or changed")
    if read.num_rows != pointer.rows or _schema(_columns(read)) != pointer.schema:
        raise _other(pointer, f"it has {read.num_rows:,} rows, {pointer.rows:,} were recorded, or other columns")
    return read


def _of_lake(pointer: Pin, place: Place) -> pa.Table:
    at = Place(place.kind, f"{place.rest}?{lakes.VERSION}={pointer.version}")
    try:
        seen = lakes.look(at)
        if seen.table != pointer.table:
            raise _other(pointer, "the table was made anew")
        found = lakes.read_lake(at, {})
    except NotFound as error:
        hint = "keep versions longer than they are used (its retention), or take a snapshot, which copies the rows"
        raise NotFound(f"what was pinned cannot be read: {error.message}", code="data.pin_gone", hint=hint) from error
    assert found is not None, "without a state, it is read"
    return found.table


def _other(pointer: Pin, why: str) -> Conflict:
    hint = "what was pinned may be in a backup of it; `--pin` anew takes what is there now"
    return Conflict(f"{pointer.uri} is not what was pinned: {why}", code="data.pin_changed", hint=hint)


def _read_files(place: Place) -> tuple[pa.Table, str]:
    """Read files, and return them with a digest of their names and contents; of objects by their ETags."""
    if place.kind is Kind.BUCKET:
        objects = buckets.objects_at(place.rest)
        with tempfile.TemporaryDirectory(prefix="perenne-pinned-") as folder:
            files = [str(file) for file in buckets.fetch_objects(place.rest, objects, Path(folder))]
            root = str(Path(folder) / place.rest.partition("://")[2].partition("/")[2].rstrip("/"))
            return canonical(read_files(files, root)), key_of(objects)
    names = files_at(place.rest)
    before = _digests(names)
    read = canonical(read_files(names, place.rest))
    if _digests(names) != before:
        raise Conflict(f"{place.rest} is written to", code="ingest.moving", hint="try again when that has ended")
    return read, key_of(before)


def _digests(names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        with open(name, "rb") as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _columns(table: pa.Table) -> tuple[ColumnType, ...]:
    return tuple(ColumnType(field.name, datatype_of(field.type)) for field in table.schema)


def _schema(columns: tuple[ColumnType, ...]) -> str:
    return key_of([[column.name, column.type] for column in columns])
