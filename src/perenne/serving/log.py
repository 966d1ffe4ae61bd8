"""Reading the row log back: for `perenne why`, for joining labels that come late, and for whoever wants the rows.

Files of the log never change, so what their footers say is read once: an hour whose predictions are asked for again and again is
listed each time, and only the files are opened that may hold them.
"""

import functools
import operator
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import unquote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perenne.core import json
from perenne.core.clock import HOUR, SECOND, parse_time
from perenne.core.errors import Invalid
from perenne.core.ids import is_id, time_of_id
from perenne.serving.elsewhere_log import log_elsewhere
from perenne.serving.row_log import hour_folder

PARTS, REPLACED = b"perenne.parts", b"perenne.replaced"
_SORTED = ("arrival", "request_id", "row", "variant")
T = TypeVar("T")
_ATTEMPTS = 10
_DRAWN = "drawn"
_SKEW = 2 * SECOND
_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("arrival", "ascending"),
    ("request_id", "ascending"),
    ("row", "ascending"),
    ("variant", "descending"),
]


def read_predictions(
    logs: Path,
    prediction_ids: Sequence[str] | None = None,
    *,
    arrived: tuple[int, int] | None = None,
    version: str | None = None,
    variant: str | None = None,
    columns: Sequence[str] | None = None,
    newest: int | None = None,
    sift: "Sift | None" = None,
) -> pa.Table:
    """Read logged predictions; only the folders of the hours asked for are opened.

    Parameters
    ----------
    logs : Path
        The folder of logs.
    prediction_ids : sequence of str, optional
        These predictions only; each may have a row per variant that answered it.
    arrived : (int, int), optional
        From and before which instant they arrived, microseconds since 1970.
    version : str, optional
        `name@number`.
    variant : str, optional
        `champion`, `challenger`, `previous` or `constant`.
    columns : sequence of str, optional
        Which columns; all if not given.
    newest : int, optional
        At least so many of the newest ones, if there are, and not all: no older folder is opened, nor the older part of a file.
    sift : Sift, optional
        What else is asked of them.

    Returns
    -------
    Table
        In order of arrival, request and row, challengers after who answered. What the observer has not written yet is not in it.

    Raises
    ------
    Invalid
        If a prediction id is none.
    """
    hours = None if prediction_ids is None else {hour for text in prediction_ids for hour in _hours_of(text)}
    ids = None if prediction_ids is None else sorted(prediction_ids)
    sift = sift or Sift()
    wanted = _filter(prediction_ids, arrived, variant, sift)

    def read(folder: Path) -> list[pa.Table]:
        if newest is not None:
            return [_end(path, newest, variant, columns) for path in hour_files(folder)]
        files = [path for path in hour_files(folder) if (ids is None or _may_hold(path, ids)) and _may_have(path, sift)]
        return [_drawn(path, _read(path, columns, wanted, sift), sift.sample) for path in files]

    tables = _gathered(_folders(logs, version, hours, arrived), read, newest, sift.sample)
    if not tables:
        return pa.table({name: pa.array([], pa.string()) for name in columns or ("prediction_id",)})
    whole = pa.concat_tables(tables, promote_options="permissive").sort_by(_ORDER)
    if sift.sample is not None:
        return whole.select([name for name in columns or whole.column_names if name in whole.column_names and name != _DRAWN])
    return whole if columns is None else whole.select(list(columns))


class Sift(msgspec.Struct, frozen=True, kw_only=True):
    """What else is asked of logged rows.

    Attributes
    ----------
    happened : (int, int), optional
        From and before which instant their event time is; files without any are passed over by their statistics.
    where : mapping
        By column which texts are wanted.
    known : sequence of str
        Columns without which a file is passed over.
    sample : int, optional
        At most so many, by chance, and the same ones each time; what is held in memory has a bound.
    """

    happened: tuple[int, int] | None = None
    where: Mapping[str, Sequence[str]] = {}
    known: Sequence[str] = ()
    sample: int | None = None


def _gathered(
    folders: Iterable[Path], read: Callable[[Path], list[pa.Table]], newest: int | None, sample: int | None
) -> list[pa.Table]:
    """Read folder after folder, until there are enough; of a sample no more is held than it needs."""
    tables: list[pa.Table] = []
    for folder in folders if newest is None else sorted(folders, key=hour_of, reverse=True):
        if newest is not None and sum(table.num_rows for table in tables) >= newest:
            break
        tables += [table for table in _steadily(folder, read) if table.num_rows]
        if sample is not None and len(tables) > 1:
            tables = [_first(pa.concat_tables(tables, promote_options="permissive"), sample)]
    return tables


def _read(path: Path, columns: Sequence[str] | None, wanted: "pc.Expression | None", sift: Sift) -> pa.Table:
    """Read the rows of a file that are wanted, and no more columns than are needed."""
    chosen = None if columns is None else [name for name in _names_of(path) if name in {*columns, *sift.where, *_SORTED}]
    return pq.read_table(path, partitioning=None, filters=wanted, columns=chosen)


def _drawn(path: Path, table: pa.Table, sample: int | None) -> pa.Table:
    """Draw rows of a file: each has a number of its own, and those with the smallest stay."""
    if sample is None:
        return table
    lots = np.random.default_rng(zlib.crc32(path.name.encode())).random(table.num_rows)
    return _first(table.append_column(_DRAWN, pa.array(lots)), sample)


def _first(table: pa.Table, sample: int) -> pa.Table:
    return table.sort_by(_DRAWN).slice(0, sample) if table.num_rows > sample else table


def _end(path: Path, rows: int, variant: str | None, columns: Sequence[str] | None) -> pa.Table:
    """Read the last row groups of a file: from the first one on after which there are enough rows of a variant."""
    with pq.ParquetFile(path) as file:
        found: list[pa.Table] = []
        for group in reversed(range(file.metadata.num_row_groups)):
            table = file.read_row_group(group, columns=None if columns is None else sorted({*columns, *_SORTED, "variant"}))
            found.insert(0, table if variant is None else table.filter(pc.field("variant") == variant))
            if sum(part.num_rows for part in found) >= rows:
                break
        return pa.concat_tables(found) if found else file.schema_arrow.empty_table()


def _hours_of(prediction_id: str) -> Iterable[int]:
    request_id, _, row = prediction_id.rpartition("-")
    if not is_id(request_id) or not row.isdecimal():
        raise Invalid(f"{prediction_id[:100]!r} is no prediction id", code="prediction.id", hint="it is in every answer")
    arrival = time_of_id(request_id)
    return {(arrival + shift) // HOUR * HOUR for shift in (-_SKEW, _SKEW)}


def _folders(logs: Path, version: str | None, hours: set[int] | None, arrived: tuple[int, int] | None) -> Iterable[Path]:
    for found in sorted((logs / "inference").glob("model=*/version=*")):
        model, number = (unquote(part.partition("=")[2]) for part in found.parts[-2:])
        if version is not None and version != f"{model}@{number}":
            continue
        if hours is None:
            folders = sorted(found.glob("date=*/hour=*"))
        else:
            folders = [hour_folder(logs, f"{model}@{number}", hour) for hour in sorted(hours)]
        for folder in folders:
            if folder.is_dir() and (arrived is None or arrived[0] - HOUR < hour_of(folder) < arrived[1]):
                yield folder


class LogPart(NamedTuple):
    """Rows that were logged together: under which name, in which file, from which row on, how many (None: all of the file)."""

    name: str
    path: Path
    first: int = 0
    rows: int | None = None

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns, those of them that there are. Raises FileNotFoundError if the hour was compacted meanwhile."""
        with pq.ParquetFile(self.path) as file:
            present = [name for name in columns if name in file.schema_arrow.names]
            return file.read(present) if self.rows is None else self._slice(file, present, self.rows)

    @staticmethod
    def write_elsewhere(logs: Path, **rows: Any) -> None:
        """Write rows that others answered as a part of the log; see `log_elsewhere`."""
        log_elsewhere(logs, **rows)

    def _slice(self, file: pq.ParquetFile, columns: list[str], rows: int) -> pa.Table:
        """Read the row groups in which these rows are, and no others."""
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        starts = [sum(sizes[:group]) for group in range(len(sizes) + 1)]
        first, last = bisect_right(starts, self.first) - 1, bisect_left(starts, self.first + rows)
        table = file.read_row_groups(list(range(first, last)), columns=columns)
        return table.slice(self.first - starts[first], rows)


def log_parts(logs: Path, version: str, since: int = 0) -> Iterator[list[LogPart]]:
    """Go through the parts of a version's log by hour, oldest first; hours left alone since then (microseconds) are passed over.

    A part keeps its name when its hour is compacted.
    """

    def parts(folder: Path) -> list[LogPart]:
        return [part for path in hour_files(folder) for part in parts_of(path)]

    for folder in _folders(logs, version, None, None):
        if folder.stat().st_mtime_ns // 1_000 >= since:
            yield _steadily(folder, parts)


def hour_files(folder: Path) -> list[Path]:
    """Return the files that hold an hour's rows, each row in exactly one of them."""
    files = sorted(path for path in folder.glob("[!.]*.parquet") if path.name.startswith(("part-", "hour-")))
    covered = {name for path in files if path.name.startswith("hour-") for name in covered_by(path)}
    return [path for path in files if path.name not in covered]


def hour_of(folder: Path) -> int:
    """Return the hour whose rows a folder holds, microseconds since 1970."""
    date, hour = (part.partition("=")[2] for part in folder.parts[-2:])
    return parse_time(f"{date}T{hour}:00:00Z")


@functools.lru_cache(maxsize=10_000)
def parts_of(path: Path) -> tuple[LogPart, ...]:
    """Return the parts a file holds, in the order of its rows."""
    if not path.name.startswith("hour-"):
        return (LogPart(path.name, path),)
    found, first = [], 0
    for name, rows in json.decode(_notes(path)[PARTS], list[tuple[str, int]], what=path.name):
        found.append(LogPart(name, path, first, rows))
        first += rows
    return tuple(found)


@functools.lru_cache(maxsize=10_000)
def covered_by(path: Path) -> frozenset[str]:
    """Return the names of the files whose rows a compacted file holds."""
    notes = _notes(path)
    parts = json.decode(notes[PARTS], list[tuple[str, int]], what=path.name)
    return frozenset([*(name for name, _ in parts), *json.decode(notes[REPLACED], list[str], what=path.name)])


def _notes(path: Path) -> dict[bytes, bytes]:
    return pq.read_metadata(path).metadata or {}


@functools.lru_cache(maxsize=100_000)
def _range_of(path: Path) -> tuple[str, str] | None:
    """Return the first and the last prediction id of a file, as its statistics have them; None if they do not say."""
    metadata = pq.read_metadata(path)
    place = metadata.schema.to_arrow_schema().get_field_index("prediction_id")
    groups = range(metadata.num_row_groups)
    statistics: list[Any] = [metadata.row_group(group).column(place).statistics for group in groups]
    if not statistics or not all(found is not None and found.has_min_max for found in statistics):
        return None
    return min(found.min for found in statistics), max(found.max for found in statistics)


def _may_hold(path: Path, ids: Sequence[str]) -> bool:
    """Tell whether a file may hold one of some prediction ids, which are in order."""
    present = _range_of(path)
    return present is None or bisect_left(ids, present[0]) < bisect_right(ids, present[1])


def _may_have(path: Path, sift: Sift) -> bool:
    """Tell whether a file has the columns it needs, and may have rows of a time."""
    if any(name not in _names_of(path) for name in (*sift.where, *sift.known)):
        return False
    spanned = None if sift.happened is None else _times_of(path)
    return sift.happened is None or spanned is None or (spanned[0] < sift.happened[1] and sift.happened[0] <= spanned[1])


@functools.lru_cache(maxsize=10_000)
def _names_of(path: Path) -> tuple[str, ...]:
    return tuple(pq.read_schema(path).names)


@functools.lru_cache(maxsize=100_000)
def _times_of(path: Path) -> tuple[int, int] | None:
    """Return the first and the last event time of a file, as its statistics have them; None if they do not say."""
    metadata = pq.read_metadata(path)
    place = metadata.schema.to_arrow_schema().get_field_index("event_time")
    groups = range(metadata.num_row_groups)
    statistics: list[Any] = [metadata.row_group(group).column(place).statistics for group in groups]
    if place < 0 or not statistics or not all(found is not None and found.has_min_max for found in statistics):
        return None
    first, last = min(found.min for found in statistics), max(found.max for found in statistics)
    return _microseconds(first), _microseconds(last)


def _microseconds(instant: datetime) -> int:
    return round((instant - datetime.fromtimestamp(0, UTC)) / timedelta(microseconds=1))


def _steadily(folder: Path, read: Callable[[Path], T]) -> T:
    """Read a folder; anew if it is compacted at that moment and a file goes away."""
    for _ in range(_ATTEMPTS):
        try:
            return read(folder)
        except FileNotFoundError:
            continue
    return read(folder)


def _filter(
    prediction_ids: Sequence[str] | None,
    arrived: tuple[int, int] | None,
    variant: str | None,
    sift: Sift,
) -> "pc.Expression | None":
    """Say which rows are wanted, so that parts without any are not read beyond their statistics."""
    wanted = []
    if prediction_ids is not None:
        wanted.append(pc.field("prediction_id").isin(list(prediction_ids)))
    for column, span in (("arrival", arrived), ("event_time", sift.happened)):
        if span is not None:
            start, end = (pa.scalar(instant, pa.timestamp("us", tz="UTC")) for instant in span)
            wanted.append((pc.field(column) >= start) & (pc.field(column) < end))
    wanted += [pc.field(name).isin(list(texts)) for name, texts in sift.where.items()]
    if variant is not None:
        wanted.append(pc.field("variant") == variant)
    return functools.reduce(operator.and_, wanted) if wanted else None
