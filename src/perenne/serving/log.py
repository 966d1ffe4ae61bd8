"""Reading the row log back: for `perenne why`, for joining labels that come late, and for whoever wants the rows."""

import functools
import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perenne.core.clock import HOUR, SECOND, parse_time
from perenne.core.errors import Invalid
from perenne.core.ids import is_id, time_of_id

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
    wanted, tables = _filter(prediction_ids, arrived, variant), []
    for folder in _folders(logs, version, hours, arrived):
        for path in sorted(folder.glob("part-*.parquet")):
            table = pq.read_table(path, partitioning=None, filters=wanted)
            if table.num_rows:
                tables.append(table)
    if not tables:
        return pa.table({name: pa.array([], pa.string()) for name in columns or ("prediction_id",)})
    whole = pa.concat_tables(tables, promote_options="permissive").sort_by(_ORDER)
    return whole if columns is None else whole.select(list(columns))


def _hours_of(prediction_id: str) -> Iterable[int]:
    request_id, _, row = prediction_id.rpartition("-")
    if not is_id(request_id) or not row.isdecimal():
        raise Invalid(f"{prediction_id[:100]!r} is no prediction id", code="prediction.id", hint="it is in every answer")
    arrival = time_of_id(request_id)
    return {(arrival + shift) // HOUR * HOUR for shift in (-_SKEW, _SKEW)}


def _folders(logs: Path, version: str | None, hours: set[int] | None, arrived: tuple[int, int] | None) -> Iterable[Path]:
    for folder in sorted((logs / "inference").glob("model=*/version=*/date=*/hour=*")):
        model, number, date, hour = (unquote(part.partition("=")[2]) for part in folder.parts[-4:])
        start = parse_time(f"{date}T{hour}:00:00Z")
        if version is not None and version != f"{model}@{number}":
            continue
        if hours is not None and start not in hours:
            continue
        if arrived is not None and not (arrived[0] - HOUR < start < arrived[1]):
            continue
        yield folder


def _filter(prediction_ids: Sequence[str] | None, arrived: tuple[int, int] | None, variant: str | None) -> "pc.Expression | None":
    """Say which rows are wanted, so that parts without any are not read beyond their statistics."""
    wanted = []
    if prediction_ids is not None:
        wanted.append(pc.field("prediction_id").isin(list(prediction_ids)))
    if arrived is not None:
        start, end = (pa.scalar(instant, pa.timestamp("us", tz="UTC")) for instant in arrived)
        wanted.append((pc.field("arrival") >= start) & (pc.field("arrival") < end))
    if variant is not None:
        wanted.append(pc.field("variant") == variant)
    return functools.reduce(operator.and_, wanted) if wanted else None
