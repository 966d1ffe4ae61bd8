"""Following rows that others write: what is new or changed since the last look, without keeping it as a snapshot.

Rows that were handed out before may come again: all of a file that grew, and of a database those after an earlier watermark, so
that rows which came late are found. Whoever follows knows its rows by what is in them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from perenne.core import json
from perenne.data.ingest import databases, web
from perenne.data.ingest.fetching import read_now as rows_at
from perenne.data.origins import buckets, lakes
from perenne.data.origins.files import files_at, read_as, read_files, states_of
from perenne.data.origins.places import DATABASES, Kind, absolute, place_of, without_secrets

__all__ = ["Followed", "absolute", "follow", "passed", "rows_at", "without_secrets"]

CHECKPOINTS = "checkpoints"
_KEPT = 64
Reader: TypeAlias = Callable[[list[str]], pa.Table]


class Followed(NamedTuple):
    """Rows that may be new, and what tells at the next look where to go on."""

    table: pa.Table
    state: dict[str, str]


class Checkpoint(NamedTuple):
    """A watermark as the database gave it, and up to which instant (microseconds) rows had come by then."""

    watermark: str
    instant: int


def follow(
    uri: str, query: str, state: Mapping[str, str], *, watermark: str, since: int, columns: Mapping[str, str] = {}
) -> Followed | None:
    """Read what may be new; None if nothing is.

    Parameters
    ----------
    uri, query : str
        As `place_of` reads them; the address with its secret.
    state : mapping
        What the last look gave.
    watermark : str
        For a database, the column that grows.
    since : int
        For a database, rows of before this instant (microseconds) need not come again.
    columns : mapping
        The types that columns had when they first came.

    Raises
    ------
    PerenneError
        If it cannot be read; the message names what is wrong and no secret.
    """
    place = place_of(uri, query)
    if place.kind in DATABASES:
        known = _start(_checkpoints(state), since)
        from_there = {databases.WATERMARK: known.watermark} if known else {}
        asked = databases.ask(place, query, watermark=watermark, state=from_there)
        return Followed(asked.table, {**state, **asked.state}) if asked.table.num_rows else None
    if place.kind in (Kind.DELTA, Kind.ICEBERG):
        pinned = lakes.read_lake(place, state)
        return None if pinned is None else Followed(pinned.table, dict(pinned.state))
    if place.kind is Kind.FILES:
        now = states_of(files_at(place.rest))
        return _changed(now, state, lambda names: read_files(names, place.rest, columns))
    with web.workplace() as name:
        folder = Path(name)
        if place.kind is Kind.WEB:
            got = web.download(place.rest, state, folder)
            return None if got is None else Followed(read_as(got.file, columns), got.state)
        objects = buckets.objects_at(place.rest)

        def fetched(names: Sequence[str]) -> pa.Table:
            files = buckets.fetch_objects(place.rest, {name: objects[name] for name in names}, folder)
            return read_files([str(file) for file in files], str(folder), columns)

        return _changed(objects, state, fetched)


def _changed(now: Mapping[str, str], before: Mapping[str, str], read: Reader) -> Followed | None:
    """Read the files that are new or changed."""
    names = [name for name, tag in now.items() if before.get(name) != tag]
    return Followed(read(names), dict(now)) if names else None


def _checkpoints(state: Mapping[str, str]) -> list[Checkpoint]:
    return json.decode(state.get(CHECKPOINTS, "[]").encode(), list[Checkpoint], what="checkpoints")


def _start(known: Sequence[Checkpoint], since: int) -> Checkpoint | None:
    """Return the newest checkpoint that lies before an instant, so that all rows from then on come again."""
    return max((point for point in known if point.instant <= since), key=lambda point: point.instant, default=None)


def passed(state: Mapping[str, str], instant: int, since: int) -> dict[str, str]:
    """Return a state with a checkpoint more: up to which instant rows have come by its watermark.

    >>> once = passed({"watermark": "7"}, 500, 0)
    >>> passed({**once, "watermark": "9"}, 900, 600)["checkpoints"]
    '[["7",500],["9",900]]'
    """
    if databases.WATERMARK not in state:
        return dict(state)
    known = _checkpoints(state)
    first = _start(known, since)
    kept = [point for point in known if first is None or point.instant >= first.instant]
    if not kept or kept[-1].instant < instant:
        kept.append(Checkpoint(state[databases.WATERMARK], instant))
    if len(kept) > _KEPT:
        kept = [kept[0], *kept[1:-1:2], kept[-1]]
    return {**state, CHECKPOINTS: json.encode(kept).decode()}
