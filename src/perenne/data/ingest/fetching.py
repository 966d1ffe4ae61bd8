"""Reading a source, whatever it is: only if something changed, by what its columns were, added to what is there if it grows."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from perenne.data.ingest import buckets, databases, lakes, web
from perenne.data.ingest.files import files_at, read_as, read_files, states_of
from perenne.data.ingest.growing import Grown, grow, grow_by, late
from perenne.data.ingest.model import Mode, Source
from perenne.data.ingest.places import DATABASES, Kind, Place, place_of


class Fetched(NamedTuple):
    """What was read, how much of it is new, what tells that it changed, and what a person should know."""

    table: pa.Table
    added: int
    state: dict[str, str]
    notes: tuple[str, ...] = ()


def fetch(source: Source, uri: str, before: pa.Table | None) -> Fetched | None:
    """Read a source; None if nothing changed since `source.state`.

    Parameters
    ----------
    uri : str
        Its address with its secret.
    before : pyarrow.Table or None
        The rows of the newest snapshot, for a source that grows.

    Raises
    ------
    PerenneError
        If it cannot be read; the message names what is wrong and no secret.
    """
    place = place_of(uri, source.query)
    if place.kind in DATABASES:
        return _from_database(source, place, before)
    if source.mode is Mode.APPEND and not source.watermark:
        return _new_files(source, place, before)
    read = _read(source, place)
    if read is None:
        return None
    table, state = read
    if source.mode is Mode.FULL:
        return Fetched(table, table.num_rows, state)
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


def _new_files(source: Source, place: Place, before: pa.Table | None) -> Fetched | None:
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
    grown = _grown_by_files(source, place, new, before)
    return Fetched(grown.table, grown.added, source.state | new, notes)


def _grown_by_files(source: Source, place: Place, new: Mapping[str, str], before: pa.Table | None) -> Grown:
    if place.kind is not Kind.BUCKET:
        return grow(before, read_files(list(new), place.rest, _columns(source)), source.dataset)
    with web.workplace() as name:
        files = [str(file) for file in buckets.fetch_objects(place.rest, new, Path(name))]
        return grow(before, read_files(files, str(Path(name) / _below(place.rest)), _columns(source)), source.dataset)


def _from_database(source: Source, place: Place, before: pa.Table | None) -> Fetched:
    if source.mode is Mode.FULL:
        asked = databases.ask(place, source.query)
        return Fetched(asked.table, asked.table.num_rows, {})
    asked = databases.ask(place, source.query, watermark=source.watermark, state=source.state)
    grown = grow(before, asked.table, source.dataset)
    notes = () if asked.earlier is None or before is None else late(asked.earlier - before.num_rows)
    return Fetched(grown.table, grown.added, asked.state, notes)
