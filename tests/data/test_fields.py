from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data.fields import infer_fields, task_of, to_columns
from perenne.data.model import FieldGuess, Kind, Role
from perenne.stats.columns import Field, FieldKind, Task

N = 60
PROSE = [f"the passenger in row {row} asked for a blanket and some tea" for row in range(N)]


def guess(values: Any, name: str = "x") -> FieldGuess:
    return infer_fields(pa.table({name: values}))[0]


@pytest.mark.parametrize(
    ("values", "kind", "role"),
    [
        (np.linspace(0, 1, N), Kind.NUMBER, Role.FEATURE),
        ([1, 2, 3] * 20, Kind.NUMBER, Role.FEATURE),
        (["a", "b", None] * 20, Kind.CATEGORY, Role.FEATURE),
        ([True, False] * 30, Kind.CATEGORY, Role.FEATURE),
        (pa.array(range(N), pa.timestamp("us")), Kind.TIME, Role.FEATURE),
        ([f"2013-01-{1 + row % 28:02}" for row in range(N)], Kind.TIME, Role.FEATURE),
        (PROSE, Kind.TEXT, Role.IGNORED),
        ([f"N{row:05}" for row in range(N)], Kind.CATEGORY, Role.IGNORED),
        (range(N), Kind.NUMBER, Role.IGNORED),
        ([7] * N, Kind.NUMBER, Role.IGNORED),
        (["x"] * N, Kind.CATEGORY, Role.IGNORED),
        (["x", None] * 30, Kind.CATEGORY, Role.FEATURE),
        (pa.nulls(N, pa.float64()), Kind.NUMBER, Role.IGNORED),
        (["a", "b", "c"], Kind.CATEGORY, Role.FEATURE),
    ],
)
def test_what_a_column_is(values: Any, kind: Kind, role: Role) -> None:
    found = guess(list(values) if isinstance(values, range) else values)
    assert (found.kind, found.role) == (kind, role), found
    assert found.reason


def test_whole_numbers_called_an_id_are_left_out_if_all_differ() -> None:
    numbers = [int(number) for number in np.random.default_rng(0).permutation(10_000)[:N]]
    assert guess(numbers, "flight_id").role is Role.IGNORED
    assert guess(numbers, "paid").role is Role.FEATURE
    assert guess([*numbers[1:], numbers[1]], "flight_id").role is Role.FEATURE


def test_free_text_is_left_out_with_a_word_and_is_no_field() -> None:
    found = guess(PROSE)
    assert "free text" in found.reason
    with pytest.raises(Invalid, match="free text"):
        _ = found.field


def test_named_parts_are_played() -> None:
    table = pa.table({"y": PROSE, "t": ["2013-01-01"] * N, "k": range(N), "no": [1.5, 2.5] * 30, "x": [1.5, 2.5] * 30})
    found = {guess.name: guess for guess in infer_fields(table, target="y", time="t", key="k", exclude=["no"])}
    assert [found[name].role for name in "ytk"] == [Role.TARGET, Role.TIME, Role.KEY]
    assert found["y"].kind is Kind.CATEGORY
    assert found["no"].role is Role.IGNORED
    assert found["x"].field == Field("x", FieldKind.NUMBER, "float64")


def test_a_missing_target_names_those_that_come_close() -> None:
    with pytest.raises(Invalid, match="'lat'") as caught:
        infer_fields(pa.table({"late": [1], "x": [1]}), target="lat")
    assert caught.value.code == "data.target_missing"
    assert "'late'" in caught.value.hint


@pytest.mark.parametrize("values", [[1, 2], ["2013-01-01", "yesterday"], [None, "soon"]])
def test_a_time_column_without_times_is_refused(values: list[Any]) -> None:
    with pytest.raises(Invalid, match="column 't'"):
        infer_fields(pa.table({"t": values}), time="t")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1, None], Task.BINARY),
        ([0.5, 1.5], Task.BINARY),
        (["no", "yes"], Task.BINARY),
        ([True, False], Task.BINARY),
        (["a", "b", "c"], Task.MULTICLASS),
        ([1, 2, 3] * 5, Task.MULTICLASS),
        ([1.0, 2.0, 3.0] * 5, Task.MULTICLASS),
        ([1, 2, 3], Task.REGRESSION),
        ([1.0, 2.5, 3.0] * 5, Task.REGRESSION),
        (list(range(21)) * 5, Task.REGRESSION),
    ],
)
def test_what_a_target_asks_for(values: list[Any], task: Task) -> None:
    assert task_of(pa.chunked_array([values])) is task


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (pa.nulls(3, pa.string()), "data.no_labels"),
        (pa.array(["late", "late", None]), "data.one_class"),
        (pa.array([1.0]), "data.one_class"),
        (pa.array([f"c{position}" for position in range(101)]), "data.too_many_classes"),
        (pa.array([1, 2, 3], pa.timestamp("us")), "data.target_type"),
    ],
)
def test_a_target_from_which_nothing_can_be_learned_is_refused(values: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        task_of(pa.chunked_array([values]))
    assert caught.value.code == code


def test_columns_are_of_the_one_shape() -> None:
    table = pa.table(
        {
            "n": [1, None, 3],
            "f": [1.5, np.nan, np.inf],
            "b": [True, None, False],
            "s": ["x", None, ""],
            "i": [7, None, 8],
            "w": [7.0, None, 8.5],
            "t": pa.array([0, None, 1_500_000], pa.timestamp("us")),
            "iso": ["1970-01-01T00:00:01Z", None, "1970-01-02T00:00:00Z"],
            "old": pa.array([-1_000_000, 0, 253_402_300_799_000_000], pa.timestamp("us")),
        }
    )
    kinds = {"n": "number", "f": "number", "b": "category", "s": "category", "i": "category", "w": "category"}
    fields = [Field(name, FieldKind(kinds.get(name, "time"))) for name in table.column_names]
    found = to_columns(table, fields)
    assert list(found) == table.column_names
    for name in ("n", "f", "t", "iso", "old"):
        assert found[name].dtype == np.float64
    for name in ("b", "s", "i", "w"):
        assert found[name].dtype == object
    np.testing.assert_array_equal(found["n"], [1, np.nan, 3])
    np.testing.assert_array_equal(found["f"], [1.5, np.nan, np.inf])
    assert found["b"].tolist() == ["true", None, "false"]
    assert found["s"].tolist() == ["x", None, ""]
    assert found["i"].tolist() == ["7", None, "8"]
    assert found["w"].tolist() == ["7", None, "8.5"]
    np.testing.assert_array_equal(found["t"], [0, np.nan, 1.5])
    np.testing.assert_array_equal(found["iso"], [1, np.nan, 86_400])
    np.testing.assert_array_equal(found["old"], [-1, 0, 253_402_300_799])


def test_arrays_may_be_written_to() -> None:
    found = to_columns(pa.table({"x": [1.0, 2.0]}), [Field("x", FieldKind.NUMBER)])
    found["x"][0] = 5
    assert found["x"].tolist() == [5, 2]


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (["1", "x"], FieldKind.NUMBER, "row 2: 'x' is no number"),
        (["2013-01-01", "soon"], FieldKind.TIME, "row 2: 'soon' is no time"),
        ([1, 2], FieldKind.TIME, "is no time"),
        (pa.array([1], pa.timestamp("us")), FieldKind.NUMBER, "is no number"),
    ],
)
def test_a_value_that_is_not_what_its_field_says_is_named(values: Any, kind: FieldKind, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        to_columns(pa.table({"x": values}), [Field("x", kind)])


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(Invalid, match="'y'"):
        to_columns(pa.table({"x": [1]}), [Field("y", FieldKind.NUMBER)])


@given(st.lists(st.none() | st.text(max_size=4), max_size=30))
def test_levels_are_the_texts(values: list[str | None]) -> None:
    table = pa.table({"x": pa.array(values, pa.string())})
    assert to_columns(table, [Field("x", FieldKind.CATEGORY)])["x"].tolist() == values
