import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.auth.principals import Principal
from perenne.core.clock import DAY, parse_time
from perenne.core.errors import Invalid
from perenne.data.model import SourceFile
from perenne.data.service import take_snapshot
from perenne.data.snapshots import read_snapshot
from perenne.data.windows import rows_within
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore

windows = st.tuples(st.integers(-10, 30), st.integers(-10, 30)).map(sorted).map(tuple)


def table_of(times: list[int | None]) -> pa.Table:
    return pa.table({"t": pa.array(times, pa.timestamp("us")), "row": range(len(times))})


def taken(times: list[int | None], window: tuple[int, int]) -> list[int] | None:
    try:
        rows, _ = rows_within(table_of(times), "t", window)
    except Invalid:
        return None
    found: list[Any] = rows.column("row").to_pylist()
    return found


@given(st.lists(st.none() | st.integers(0, 20), min_size=1, max_size=12), windows, windows)
def test_a_file_serves_exactly_the_windows_that_take_the_same_rows(
    times: list[int | None], window: tuple[int, int], other: tuple[int, int]
) -> None:
    expected = [row for row, time in enumerate(times) if time is not None and window[0] <= time < window[1]]
    assert taken(times, window) == (expected or None)
    if expected:
        _, cuts = rows_within(table_of(times), "t", window)
        file = SourceFile("f", "", 1, 1, 1, "digest", **cuts._asdict())
        assert file.serves(window)
        assert file.serves(other) == (taken(times, other) == expected)
        assert not file.serves(None)


def test_a_window_without_rows_says_where_they_are() -> None:
    with pytest.raises(Invalid, match="no row from 1970-01-03") as caught:
        rows_within(table_of([0, DAY]), "t", (2 * DAY, 3 * DAY))
    assert caught.value.hint == "its times are from 1970-01-01T00:00:00.000Z to 1970-01-02T00:00:00.000Z"
    with pytest.raises(Invalid, match="no row"):
        rows_within(table_of([None]), "t", (0, 1))


def test_a_moving_window_over_an_unchanged_file_is_not_read_again(
    database: Database, objects: ObjectStore, actor: Principal, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("at,x\n2013-01-01,1\n2013-01-02,2\n2013-01-05,3\n")
    start, end = parse_time("2013-01-01"), parse_time("2013-01-03")

    def take(window: tuple[int, int]) -> list[int]:
        snapshot = take_snapshot(database, objects, actor, file, dataset="t", time="at", window=window)
        found: list[Any] = read_snapshot(objects, snapshot.id).column("x").to_pylist()
        return found

    assert take((start, end)) == [1, 2]
    state = file.stat()
    file.write_text("at,x\n2013-01-01,7\n2013-01-02,8\n2013-01-05,9\n")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert take((start - DAY, end + DAY)) == [1, 2]
    assert take((start, end + 3 * DAY)) == [7, 8, 9]
    assert take((start, end)) == [7, 8]
