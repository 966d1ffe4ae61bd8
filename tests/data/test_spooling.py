"""Rows in parts: the same table and the same bytes whether they are held or lie on disk, however they are cut."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data import snapshots
from perenne.data.snapshots import ROW_GROUP, read_snapshot, to_parquet, write_snapshot
from perenne.data.sources import read_source
from perenne.data.spooling import Spool
from perenne.storage.objects import ObjectStore

ROWS = pa.table(
    {
        "i": [1, None, 3, 4, 5],
        "f": [0.5, None, 2.5, 3.0, 4.0],
        "s": ["a", None, "", "b", "a"],
        "t": pa.array([0, None, 2, 3, 4], pa.timestamp("us")),
        "b": [True, None, False, True, True],
    }
)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), max_size=4).map(sorted), st.sampled_from([0, 60, 1 << 20]))
def test_parts_make_the_table_they_were_cut_from(cuts: list[int], held: int) -> None:
    with Spool(held) as spool:
        for start, end in zip([0, *cuts], [*cuts, 5], strict=True):
            spool.add("part", ROWS.slice(start, end - start))
        found = spool.table()
    assert found.equals(ROWS) and to_parquet(found) == to_parquet(ROWS)


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_columns_are_joined_by_name_and_types_agree_or_are_named(held: int) -> None:
    with Spool(held) as spool:
        spool.add("a", pa.table({"x": [1], "none": pa.nulls(1)}))
        spool.add("b", pa.table({"new": ["n"], "x": [0.5]}))
        spool.add("c", pa.table({"none": [7], "x": [2]}))
        found = spool.table()
        with pytest.raises(Invalid, match="column 'none' is int64 in c, string in d"):
            spool.add("d", pa.table({"none": ["text"]}))
    assert found.to_pydict() == {"x": [1.0, 0.5, 2.0], "none": [None, None, 7], "new": [None, "n", None]}


def test_row_groups_that_are_written_one_by_one_are_the_bytes_of_the_whole() -> None:
    rows = ROW_GROUP + 1_000
    table = pa.table({"i": pa.array(range(rows)), "s": pa.array([f"v{n % 7_000}" for n in range(rows)])})
    whole = io.BytesIO()
    pq.write_table(table, whole, compression="zstd", row_group_size=ROW_GROUP, store_schema=False, version="2.6")
    found, plain = to_parquet(pa.concat_tables([table.slice(0, 70_001), table.slice(70_001)])), whole.getvalue()
    start = len(plain) - 8 - int.from_bytes(plain[-8:-4], "little")
    assert found[:start] == plain[:start] and pq.read_metadata(io.BytesIO(found)).num_row_groups == 2


def test_a_table_too_large_to_be_made_in_memory_has_the_same_digest(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = write_snapshot(objects, ROWS)
    objects.delete(expected)
    monkeypatch.setattr(snapshots, "_HELD", 0)
    assert write_snapshot(objects, ROWS) == expected and read_snapshot(objects, expected).equals(ROWS)


def test_a_large_file_of_parquet_is_read_in_parts(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    file = f"{tmp_path}/a.parquet"
    pq.write_table(ROWS, file, row_group_size=2)
    monkeypatch.setattr("perenne.data.sources.HELD", 0)
    assert read_source(file).equals(ROWS)
