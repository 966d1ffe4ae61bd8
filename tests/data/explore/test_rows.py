"""Rows that came and went: by a key, as wholes, and when nothing can be told."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data import profile_table
from perenne.data.explore.rows import compare_rows, key_of

rows_of = st.dictionaries(
    st.integers(0, 12), st.tuples(st.none() | st.integers(0, 2), st.sampled_from(["a", "b", None])), max_size=10
)


def table(rows: dict[int, tuple[int | None, str | None]]) -> pa.Table:
    return pa.table(
        {
            "k": pa.array(list(rows), pa.int64()),
            "x": pa.array([value[0] for value in rows.values()], pa.float64()),
            "s": pa.array([value[1] for value in rows.values()], pa.string()),
        }
    )


@given(rows_of, rows_of)
@settings(max_examples=25)
def test_counts_by_key_are_those_of_dictionaries(
    before: dict[int, tuple[int | None, str | None]], after: dict[int, tuple[int | None, str | None]]
) -> None:
    found = compare_rows(table(before), table(after), ["k"])
    both = before.keys() & after.keys()
    changed = {key for key in both if before[key] != after[key]}
    assert (found.added, found.removed) == (len(after.keys() - both), len(before.keys() - both))
    assert (found.changed, found.same) == (len(changed), len(both) - len(changed))
    told = {item.name: item.rows for item in found.columns}
    assert told.get("x", 0) == sum(before[key][0] != after[key][0] for key in both)
    assert told.get("s", 0) == sum(before[key][1] != after[key][1] for key in both)


def test_without_a_key_rows_are_compared_as_wholes() -> None:
    before = pa.table({"x": [1.0, 1.0, 2.0, None], "s": ["a", "a", None, None]})
    after = pa.table({"x": [1, 2, 2, None], "s": ["a", None, None, None]})
    found = compare_rows(before, after)
    assert (found.added, found.removed, found.same, found.changed) == (1, 1, 3, 0)


def test_columns_of_one_side_are_left_out_and_named() -> None:
    before, after = (
        pa.table({"k": [1, 2], "gone": [1, 2], "kind": ["1", "2"]}),
        pa.table({"k": [2, 3], "new": [1, 2], "kind": [1, 2]}),
    )
    found = compare_rows(before, after, ["k"])
    assert set(found.left_out) == {"gone", "new", "kind"}
    assert (found.added, found.removed, found.same) == (1, 1, 1)


@pytest.mark.parametrize("key", [["nothing"], ["twice"], ["holes"]])
def test_a_key_that_names_no_row_is_refused(key: list[str]) -> None:
    made = pa.table({"k": [1, 2], "twice": [1, 1], "holes": [None, 1]})
    with pytest.raises(Invalid) as caught:
        compare_rows(made, made, key)
    assert caught.value.code == "data.key"


def test_tables_without_a_common_column_are_refused() -> None:
    with pytest.raises(Invalid):
        compare_rows(pa.table({"a": [1]}), pa.table({"b": [1]}))


def test_a_key_is_found_where_both_sides_have_one() -> None:
    made = pa.table({"x": np.arange(40) % 3, "row_id": np.arange(40)})
    assert key_of(profile_table(made), profile_table(made)) == ("row_id",)
    assert key_of(profile_table(made.select(["x"])), profile_table(made)) == ()
