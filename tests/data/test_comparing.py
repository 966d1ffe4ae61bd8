"""Two profiles beside each other: the same rows never differ, a shift is found and said, cells are shared."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.data.comparing import ColumnDifference, Overlay, compare, overlay
from perenne.data.profiles import profile_table

ROWS = 4_000


def difference(before: Any, after: Any) -> ColumnDifference:
    found = compare(profile_table(pa.table({"x": before})), profile_table(pa.table({"x": after})))
    assert len(found) == 1
    return found[0]


def drawn(before: Any, after: Any) -> Overlay:
    found = overlay(*(profile_table(pa.table({"x": side})).columns[0] for side in (before, after)))
    assert found is not None
    return found


columns = st.one_of(
    st.lists(st.none() | st.floats(allow_nan=False, width=32), min_size=1, max_size=80),
    st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1, max_size=80),
    st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=80),
    st.lists(st.none() | st.booleans(), min_size=1, max_size=80),
)


@given(columns)
def test_the_same_rows_do_not_differ(values: list[Any]) -> None:
    found = difference(values, list(reversed(values)))
    assert found.change == ""
    assert found.js is None or found.js == pytest.approx(0, abs=1e-6)


@given(columns, st.randoms())
def test_shares_and_missing_add_up_to_all_rows(values: list[Any], chance: random.Random) -> None:
    before, after = (profile_table(pa.table({"x": side})).columns[0] for side in (values, chance.sample(values, len(values))))
    found = overlay(before, after)
    if found is None:
        return
    infinite = sum(isinstance(value, float) and not np.isfinite(value) for value in values) / len(values)
    assert found.reference is not None
    for shares, missing in zip((found.reference, found.current), found.missing, strict=True):
        assert missing is not None
        shown = sum(shares) + missing
        assert shown == pytest.approx(1, abs=1e-6) or shown == pytest.approx(1 - infinite, abs=1e-6)
        assert len(shares) == (len(found.levels) if found.levels is not None else len(found.edges or ()) - 1)


def test_a_shift_of_numbers_is_found_and_said() -> None:
    chance = np.random.default_rng(1)
    found = difference(chance.normal(0, 1, ROWS), chance.normal(1, 1, ROWS))
    assert found.psi is not None and found.psi > 0.5
    assert found.js is not None and found.js > 0.3
    assert "median" in found.words
    again = difference(chance.normal(0, 1, ROWS), chance.normal(0, 1, ROWS))
    assert again.psi is not None and again.psi < 0.03
    assert again.words == "about the same"


def test_values_beyond_the_first_range_have_cells_of_their_own() -> None:
    chance = np.random.default_rng(4)
    found = drawn(chance.uniform(0, 50, ROWS), np.concatenate([chance.uniform(0, 50, ROWS), chance.uniform(50, 110, ROWS)]))
    assert found.edges is not None and found.reference is not None
    far = [share for edge, share in zip(found.edges, found.current, strict=False) if edge >= 51]
    assert 4 <= len(far) <= 16
    assert max(far) < 0.2, "not all of them in one cell"
    assert not found.exact


def test_values_that_repeat_are_counted_exactly_in_other_cells() -> None:
    """A heap does not spread over two cells when the edges move a little."""
    chance = np.random.default_rng(2)
    before = np.concatenate([np.full(ROWS, 944.0), chance.uniform(0, 5_000, ROWS)])
    after = np.concatenate([np.full(ROWS, 944.0), chance.uniform(0, 5_050, ROWS)])
    found = difference(before, after)
    assert found.psi is not None and found.psi < 0.05


def test_few_numbers_are_shown_value_by_value() -> None:
    found = drawn([0, 0, 1], [0, 1, 3, None])
    assert found.levels == ("0", "1", "3")
    assert found.reference == pytest.approx((2 / 3, 1 / 3, 0))
    assert found.current == pytest.approx((0.25, 0.25, 0.25))
    assert found.missing[1] == 0.25
    assert found.exact


def test_a_few_numbers_that_never_come_again_are_a_histogram() -> None:
    values = np.random.default_rng(5).normal(size=20)
    assert drawn(values, values).levels is None
    assert drawn(np.repeat([1.5, 2.5], 10), np.repeat([1.5, 2.5], 10)).levels == ("1.5", "2.5")


def test_levels_that_one_side_does_not_name_are_with_the_others() -> None:
    many = [f"level {number:03}" for number in range(200) for _ in range(number + 1)]
    found = drawn(many, [*many, *["level 000"] * 5_000])
    assert found.levels is not None and found.levels[-1] == "(others)"
    assert "level 000" not in found.levels, "its count is not known on the first side"
    few = drawn(["a", "b"], ["a", "c"])
    assert few.levels == ("a", "b", "c")
    assert few.reference == (0.5, 0.5, 0)


def test_what_is_new_gone_or_retyped_is_said_and_not_measured() -> None:
    before, after = (
        pa.table({"x": [1, 2], "gone": [1, 2], "i": [1, 2]}),
        pa.table({"x": ["1", "b"], "new": [1, 2], "i": [1.5, 2]}),
    )
    found = {item.name: item for item in compare(profile_table(before), profile_table(after))}
    assert {name: item.change for name, item in found.items()} == {"x": "retyped", "new": "new", "i": "retyped", "gone": "gone"}
    assert found["x"].words == "was int64, is string"
    assert found["x"].psi is None
    assert found["i"].psi is not None


def test_missing_values_count_and_are_said() -> None:
    found = difference(["a"] * 90 + ["b"] * 10, ["a"] * 50 + ["b"] * 10 + [None] * 40)
    assert found.psi is not None and found.psi > 0.5
    assert "missing 0% → 40%" in found.words


def test_times_are_drawn_by_period_and_not_measured() -> None:
    day = 86_400_000_000
    before, after = (pa.array([start + day * n for n in range(60)], pa.timestamp("us")) for start in (0, 30 * day))
    found = difference(before, after)
    assert found.js is None
    assert found.words == "another span of time"
    both = drawn(before, after)
    assert both.levels is not None and both.levels[0] == "1970-01-01"
    assert len(both.levels) == 90


def test_one_column_alone_is_drawn_too() -> None:
    column = profile_table(pa.table({"x": np.random.default_rng(3).normal(size=500)})).columns[0]
    found = overlay(None, column)
    assert found is not None
    assert found.reference is None
    assert found.edges == column.numbers.edges if column.numbers else ()
    assert sum(found.current) == pytest.approx(1)
    assert overlay(None, profile_table(pa.table({"x": pa.array([None], pa.float64())})).columns[0]) is None
