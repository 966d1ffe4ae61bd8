"""Reading a source, whatever it is: only if something changed, by what its columns were, added to what is there if it grows."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.ingest import databases, web
from perenne.data.ingest.expected import differences
from perenne.data.ingest.growing import grow, grow_by, late
from perenne.data.ingest.model import Mode, Source
from perenne.data.model import Anomaly, ColumnType
from perenne.data.origins import buckets, lakes
from perenne.data.origins.files import files_at, read_as, read_files, states_of
from perenne.data.origins.places import DATABASES, Kind, Place, place_of, without_secrets
from perenne.data.sources import read_source
from perenne.projects import Sql


class Fetched(NamedTuple):
    """What was read, how much of it is new, what tells that it changed, and what a person should know.

    With anomalies, the table is what was read alone.
    """

    table: pa.Table
    added: int
    state: dict[str, str]
    notes: tuple[str, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


def fetch(source: Source, uri: str, before: pa.Table | None, *, accept: bool = False) -> Fetched | None:
    """Read a source; None if nothing changed since `source.state`.

    Parameters
    ----------
    uri : str
        Its address with its secret.
    before : pyarrow.Table or None
        The rows of the newest snapshot, for a source that grows.
    accept : bool
        Whether columns may differ from those that were written down.

    Raises
    ------
    PerenneError
        If it cannot be read; the message names what is wrong and no secret.
    """
    place = place_of(uri, source.query)
    columns = () if accept else source.columns
    if place.kind in DATABASES:
        asked = databases.ask(place, source.query, watermark=source.watermark, state=source.state)
        return _judged(asked.table, columns, lambda: _of_database(source, asked, before))
    if source.mode is Mode.APPEND and not source.watermark:
        return _new_files(source, place, before, columns)
    read = _read(source, place)
    if read is None:
        return None
    table, state = read
    if source.mode is Mode.FULL:
        return _judged(table, columns, lambda: Fetched(table, table.num_rows, state))
    return _judged(table, columns, lambda: _above(source, table, state, before))


def _judged(read: pa.Table, columns: tuple[ColumnType, ...], go_on: Callable[[], Fetched]) -> Fetched:
    """Go on with rows that are what was written down; else hand on how they differ."""
    anomalies = tuple(differences(columns, read)) if read.num_rows else ()
    return Fetched(read, 0, {}, anomalies=anomalies) if anomalies else go_on()


def _above(source: Source, table: pa.Table, state: dict[str, str], before: pa.Table | None) -> Fetched:
    grown = grow_by(before, table, source.watermark, source.state.get(databases.WATERMARK, ""), source.dataset)
    return Fetched(grown.table, grown.added, state | {databases.WATERMARK: grown.watermark}, grown.notes)


def _columns(source: Source) -> Mapping[str, str]:
    return {column.name: column.type for column in source.columns}


def _read(source: Source, place: Place) -> tuple[pa.Table, dict[str, str]] | None:
    """Read all that is there now, and what tells whether it changes; None if it did not."""
    if place.kind in (Kind.DELTA, Kind.ICEBERG):
        pinned = lakes.read_lake(place, source.state)
        return None if pinned is None else (pinned.table, pinned.state)
    if place.kind is Kind.FILES:
        files = files_at(place.rest)
        state = states_of(files)
        return None if _same(state, source.state) else (read_files(files, place.rest, _columns(source)), state)
    with web.workplace() as name:
        folder = Path(name)
        if place.kind is Kind.WEB:
            got = web.download(place.rest, source.state, folder, trusted=source.trusted)
            return None if got is None else (read_as(got.file, _columns(source)), got.state)
        objects = buckets.objects_at(place.rest)
        if _same(objects, source.state):
            return None
        files = [str(file) for file in buckets.fetch_objects(place.rest, objects, folder)]
        return read_files(files, str(folder / _below(place.rest)), _columns(source)), objects


def _same(now: Mapping[str, str], before: Mapping[str, str]) -> bool:
    return dict(now) == {name: value for name, value in before.items() if name != databases.WATERMARK}


def _below(uri: str) -> str:
    return uri.partition("://")[2].partition("/")[2].rstrip("/")


def _new_files(source: Source, place: Place, before: pa.Table | None, columns: tuple[ColumnType, ...]) -> Fetched | None:
    """Read only the files that were not there before; those that changed or went are said, and left as they were taken."""
    now = buckets.objects_at(place.rest) if place.kind is Kind.BUCKET else states_of(files_at(place.rest))
    new = {name: value for name, value in now.items() if name not in source.state}
    changed = [name for name, value in now.items() if source.state.get(name, value) != value]
    gone = [name for name in source.state if name not in now]
    notes = tuple(
        f"{len(names):,} files {said} and were left as they were taken, such as {names[0]}"
        for names, said in ((changed, "changed"), (gone, "are gone"))
        if names
    )
    if not new:
        return Fetched(before, 0, source.state, notes) if notes and before is not None else None
    read = _read_new(source, place, new)

    def add() -> Fetched:
        grown = grow(before, read, source.dataset)
        return Fetched(grown.table, grown.added, source.state | new, notes)

    return _judged(read, columns, add)


def _read_new(source: Source, place: Place, new: Mapping[str, str]) -> pa.Table:
    if place.kind is not Kind.BUCKET:
        return read_files(list(new), place.rest, _columns(source))
    with web.workplace() as name:
        files = [str(file) for file in buckets.fetch_objects(place.rest, new, Path(name))]
        return read_files(files, str(Path(name) / _below(place.rest)), _columns(source))


def _of_database(source: Source, asked: databases.Asked, before: pa.Table | None) -> Fetched:
    if source.mode is Mode.FULL:
        return Fetched(asked.table, asked.table.num_rows, {})
    grown = grow(before, asked.table, source.dataset)
    notes = () if asked.earlier is None or before is None else late(asked.earlier - before.num_rows)
    return Fetched(grown.table, grown.added, asked.state, notes)


def read_now(source: Any, kinds: Mapping[str, str] | None = None) -> pa.Table:
    """Read what a project names as its rows: a file, a table, a folder or pattern of files, an address, or a query.

    Parameters
    ----------
    source : path, str, table or Sql
        As for `read_source`, or any address that `ingest` reads; `$NAME` in a database's is taken from the environment.
    kinds : mapping, optional
        As for `read_source`; for single files and tables only.

    Raises
    ------
    NotFound, Invalid, Unavailable
        If it cannot be read, or has no rows.
    """
    if isinstance(source, Sql):
        place = place_of(os.path.expandvars(source.uri), source.query)
        return _some(databases.ask(place, source.query).table, source.uri)
    if not isinstance(source, str | Path) or Path(source).is_file():
        return read_source(source, kinds=kinds)
    place = place_of(str(source))
    if place.kind is Kind.FILES and not Path(place.rest).exists() and not set("*?[") & set(place.rest):
        return read_source(source, kinds=kinds)
    read = _read(Source("rows", str(source)), place)
    assert read is not None, "without a state, everything is new"
    return _some(read[0], str(source))


def _some(table: pa.Table, name: str) -> pa.Table:
    if table.num_rows == 0:
        raise Invalid(f"{without_secrets(name)} has no rows", code="data.no_rows", hint="is the query or the pattern right?")
    return table
