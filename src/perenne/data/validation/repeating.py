"""Rows that have the key of an earlier row; a key with a missing part repeats nothing.

Whole numbers that lie close together are found in one pass, with a table of the row in which each number came first; other keys
by a group, which puts aside what does not fit into memory.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from perenne.data.model import Anomaly, Sample, Severity
from perenne.data.tables import pc
from perenne.data.validation.rows import SAMPLES, Rows, anomaly

_WIDEST = 1 << 25
_SPREAD = 8
_FEW = 100_000


def repeats(rows: Rows, columns: Sequence[str], severity: Severity) -> Iterator[Anomaly]:
    """Find the rows that repeat a key; nothing if a column of it is not there."""
    if not columns or not set(columns) <= set(rows.positions):
        return
    low = _lowest(rows, columns)
    count, samples = _grouped(rows, columns) if low is None else _numbered(rows, columns[0], *low)
    if count:
        yield anomaly(", ".join(columns), "unique", "no value twice", count, rows.total, severity, samples)


def _lowest(rows: Rows, columns: Sequence[str]) -> tuple[int, int] | None:
    """Return the least number and how wide the numbers lie, if a table of them is worth its memory."""
    if len(columns) > 1 or rows.type_of(columns[0]) != "int64" or rows.total < _FEW or rows.total >= 1 << 31:
        return None
    column = rows.column(columns[0])
    low, high = rows.fetch(columns, f"select min({column}), max({column}) from t")[0]
    width = 0 if low is None else high - low + 1
    return (low, width) if 0 < width <= min(_WIDEST, _SPREAD * rows.total) else None


def _numbered(rows: Rows, name: str, low: int, width: int) -> tuple[int, list[Sample]]:
    first: NDArray[np.int32] = np.full(width, -1, np.int32)
    count, done = 0, 0
    samples: list[Sample] = []
    for batch in rows.batches([name]):
        column = batch.column(0)
        places = np.arange(done, done + len(column), dtype=np.int32)
        if column.null_count:
            places = places[np.asarray(pc.is_valid(column))]
        numbers = np.asarray(column.drop_null()) - low
        fresh = first[numbers] < 0
        # Of equal numbers the last one that is written stays, so the earliest row is written last.
        first[numbers[fresh][::-1]] = places[fresh][::-1]
        again = np.flatnonzero(first[numbers] != places)
        count += int(again.size)
        samples += [Sample(int(places[row]) + 1, str(numbers[row] + low)) for row in again[: SAMPLES - len(samples)]]
        done += len(column)
    return count, samples


def _grouped(rows: Rows, columns: Sequence[str]) -> tuple[int, list[Sample]]:
    names = [rows.column(column) for column in columns]
    known, group = " and ".join(f"{name} is not null" for name in names), ", ".join(names)
    repeating = f"select {group}, count(*) as n from t where {known} group by {group} having count(*) > 1"
    count = int(rows.fetch(columns, f"select coalesce(sum(n - 1), 0) from ({repeating})")[0][0])
    if not count:
        return 0, []
    query = (
        f"select r, concat_ws(', ', {group}) from t where {known} and ({group}) in (select ({group}) from ({repeating})) "
        f"qualify row_number() over (partition by {group} order by r) > 1 order by r limit {SAMPLES}"
    )
    return count, [Sample(row, text) for row, text in rows.fetch(columns, query)]
