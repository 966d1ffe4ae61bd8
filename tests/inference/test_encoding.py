from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.cases import CLASSES, FIELDS, make_columns, make_target

from perenne.core.errors import Invalid
from perenne.inference import Encoder
from perenne.stats.columns import Columns, Field, FieldKind, Task, take


def fitted(task: Task = Task.BINARY, rows: int = 400) -> tuple[Encoder, Columns]:
    columns = make_columns(rows)
    return Encoder.fit(columns, make_target(columns, task), FIELDS, task, len(CLASSES[task])), columns


def category(values: Sequence[str | None]) -> np.ndarray:
    return np.array(values, object)


def test_numbers_pass_and_missing_ones_stay_missing() -> None:
    encoder, columns = fitted()
    matrix = encoder.transform(columns)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert np.array_equal(matrix[:, 1], columns["delay"].astype(np.float32), equal_nan=True)


def test_names_follow_the_fields() -> None:
    assert fitted()[0].names == [
        "distance",
        "delay",
        "carrier",
        "scheduled.month",
        "scheduled.weekday",
        "scheduled.hour",
        "scheduled.days",
        "constant",
    ]


def test_a_level_is_its_smoothed_mean_and_an_unseen_one_the_overall_mean() -> None:
    field = (Field("c", FieldKind.CATEGORY),)
    columns = {"c": category(["a"] * 30 + ["b"] * 10)}
    y = np.array([1] * 30 + [0] * 10)
    encoder = Encoder.fit(columns, y, field, Task.BINARY)
    found = encoder.transform({"c": category(["a", "b", "c", None])})[:, 0]
    assert found == pytest.approx([(30 + 7.5) / 40, 7.5 / 20, 0.75, 0.75])


def test_missing_is_a_level_of_its_own() -> None:
    columns = {"c": category(["a"] * 30 + [None] * 30)}
    y = np.array([0] * 30 + [1] * 30)
    encoder = Encoder.fit(columns, y, (Field("c", FieldKind.CATEGORY),), Task.BINARY)
    assert encoder.transform({"c": category([None])})[0, 0] == pytest.approx((30 + 5) / 40)


def test_each_class_has_its_column_and_many_classes_give_the_frequency() -> None:
    field = (Field("c", FieldKind.CATEGORY),)
    columns = {"c": category(["a", "a", "a", "b"] * 12)}
    three = Encoder.fit(columns, np.arange(48) % 3, field, Task.MULTICLASS, 3)
    assert three.names == ["c[0]", "c[1]", "c[2]"]
    assert three.transform(columns).sum(axis=1) == pytest.approx(1.0)
    many = Encoder.fit(columns, np.arange(48) % 12, field, Task.MULTICLASS, 12)
    assert many.names == ["c"]
    assert many.transform({"c": category(["a", "b", "c", None])})[:, 0] == pytest.approx([0.75, 0.25, 0.0, 0.0])


def test_the_rarest_levels_count_as_unseen() -> None:
    levels = [f"level {index:05}" for index in range(50_001)]
    columns = {"c": category([*levels, *levels[1:]])}
    y = np.zeros(len(columns["c"]))
    y[0] = 1.0
    encoder = Encoder.fit(columns, y, (Field("c", FieldKind.CATEGORY),), Task.REGRESSION)
    rare, never = encoder.transform({"c": category([levels[0], "never"])})[:, 0]
    assert rare == never


@settings(deadline=None)
@given(st.integers(-60_000_000_000_000, 200_000_000_000_000))
def test_times_are_those_of_the_calendar(milliseconds: int) -> None:
    seconds = milliseconds / 1_000
    encoder = Encoder.fit({"t": np.array([0.0])}, np.array([0]), (Field("t", FieldKind.TIME),), Task.BINARY)
    month, weekday, hour, days = encoder.transform({"t": np.array([seconds])})[0]
    day = datetime.fromtimestamp(seconds // 86_400 * 86_400, UTC)
    assert (month, weekday) == (day.month, day.weekday())
    assert hour == pytest.approx(seconds % 86_400 / 3_600, abs=1e-4)
    assert days == np.float32(seconds / 86_400)


def test_infinite_and_overlong_numbers_count_as_missing() -> None:
    encoder, _ = fitted()
    for rows in (1, 100):
        columns = {
            name: np.resize(np.array([np.inf, -np.inf, 1e300]), rows) for name in ("distance", "delay", "scheduled", "constant")
        }
        matrix = encoder.transform(columns)
        assert np.isnan(np.delete(matrix, 2, axis=1)).all()
        assert np.isfinite(matrix[:, 2]).all()


@pytest.mark.parametrize("rows", [1, 40])
def test_a_vanished_column_is_a_missing_one(rows: int) -> None:
    encoder, columns = fitted()
    columns = take(columns, slice(0, rows))
    missing = {"distance": np.full(rows, np.nan), "carrier": category([None] * rows), "scheduled": np.full(rows, np.nan)}
    for name, values in missing.items():
        without = encoder.transform({other: column for other, column in columns.items() if other != name})
        assert np.array_equal(without, encoder.transform({**columns, name: values}), equal_nan=True)


def test_no_rows_give_an_empty_matrix_and_other_columns_are_ignored() -> None:
    encoder, columns = fitted()
    assert encoder.transform(take(columns, slice(0, 0))).shape == (0, 8)
    assert encoder.transform({}).shape == (0, 8)
    assert encoder.transform({"other": np.zeros(3)}).shape == (3, 8)


values = st.fixed_dictionaries(
    {
        "distance": st.floats(),
        "delay": st.floats(width=32),
        "carrier": st.sampled_from(["AA", "UA", "unseen", "", None]),
        "scheduled": st.floats(-1e13, 1e13) | st.just(np.nan),
        "constant": st.floats(),
    }
)


@pytest.mark.parametrize("task", CLASSES)
@settings(max_examples=25, deadline=None)
@given(rows=st.lists(values, min_size=16, max_size=40))
def test_a_row_is_encoded_alone_as_among_others(task: Task, rows: list[dict[str, object]]) -> None:
    encoder, _ = ENCODERS[task]
    columns = {
        field.name: np.array([row[field.name] for row in rows], object if field.kind is FieldKind.CATEGORY else np.float64)
        for field in FIELDS
    }
    alone = np.concatenate([encoder.transform(take(columns, slice(row, row + 1))) for row in range(len(rows))])
    assert np.array_equal(alone, encoder.transform(columns), equal_nan=True)


ENCODERS = {task: fitted(task) for task in CLASSES}


@pytest.mark.parametrize("task", CLASSES)
def test_json_keeps_everything(task: Task) -> None:
    encoder, columns = ENCODERS[task]
    again = Encoder.from_json(encoder.to_json())
    assert again.to_json() == encoder.to_json()
    assert again.names == encoder.names
    assert np.array_equal(again.transform(columns), encoder.transform(columns), equal_nan=True)


def test_json_of_something_else_is_refused() -> None:
    with pytest.raises(Invalid, match=r"encoder\.json"):
        Encoder.from_json(b'{"columns": [{"type": "text"}]}')


@pytest.mark.parametrize(
    ("name", "column", "code"),
    [
        ("distance", np.array(["1"], object), "inference.column_type"),
        ("distance", np.zeros(2), "inference.column_length"),
        ("carrier", np.array([1.0]), "inference.column_type"),
        ("carrier", np.array([None, None], object)[:, None], "inference.column_length"),
        ("scheduled", np.array(["2013-01-01"], "datetime64[s]"), "inference.column_type"),
    ],
)
def test_a_wrong_column_is_named(name: str, column: np.ndarray, code: str) -> None:
    encoder, columns = fitted()
    with pytest.raises(Invalid, match=name) as caught:
        encoder.transform({"constant": np.zeros(1), **take(columns, slice(0, 1)), name: column})
    assert caught.value.code == code


def test_a_value_that_is_no_text_is_refused_however_many_rows() -> None:
    encoder, _ = fitted()
    for rows in (1, 30):
        column = np.empty(rows, object)
        column[:] = [["a list"]] * rows
        with pytest.raises(Invalid, match="carrier"):
            encoder.transform({"carrier": column})


@pytest.mark.parametrize("y", [np.array([]), np.array([0.0, np.nan]), np.array(["a", "b"])])
def test_a_target_must_be_numbers(y: np.ndarray) -> None:
    with pytest.raises(Invalid) as caught:
        Encoder.fit({"c": category(["a"] * len(y))}, y, (Field("c", FieldKind.CATEGORY),), Task.REGRESSION)
    assert caught.value.code == "inference.target"


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({}, "inference.column_missing"),
        ({"c": category(["a"])}, "inference.column_length"),
        ({"c": np.array([1, 2], object)}, "inference.column_type"),
    ],
)
def test_training_columns_are_checked(columns: Columns, code: str) -> None:
    with pytest.raises(Invalid, match="'c'") as caught:
        Encoder.fit(columns, np.array([0, 1]), (Field("c", FieldKind.CATEGORY),), Task.BINARY)
    assert caught.value.code == code


@pytest.mark.parametrize("levels", [2, 50, 1_000, 4_000])
def test_a_random_category_tells_nothing_about_its_own_row(levels: int) -> None:
    from sklearn.metrics import roc_auc_score

    rows = 4_000
    random = np.random.default_rng(levels)
    column = category([f"{level}" for level in random.integers(0, levels, rows)])
    y = random.integers(0, 2, rows)
    encoder, matrix = Encoder.fit_transform({"c": column}, y, (Field("c", FieldKind.CATEGORY),), Task.BINARY)
    assert abs(roc_auc_score(y, matrix[:, 0]) - 0.5) < 0.05
    if levels >= 1_000:  # (the same column encoded naively gives the target away)
        assert roc_auc_score(y, encoder.transform({"c": column})[:, 0]) > 0.7


def test_crossfitting_keeps_what_a_category_does_tell() -> None:
    columns = make_columns(2_000)
    y = make_target(columns, Task.BINARY)
    encoder, matrix = Encoder.fit_transform(columns, y, FIELDS, Task.BINARY)
    assert np.abs(matrix[:, 2] - encoder.transform(columns)[:, 2]).max() < 0.05


def test_the_seed_decides_the_folds_and_the_encoder_knows_none() -> None:
    columns = make_columns(300)
    y = make_target(columns, Task.BINARY)
    first, one = Encoder.fit_transform(columns, y, FIELDS, Task.BINARY, seed=1)
    second, other = Encoder.fit_transform(columns, y, FIELDS, Task.BINARY, seed=2)
    assert first.to_json() == second.to_json() == Encoder.fit(columns, y, FIELDS, Task.BINARY).to_json()
    assert not np.array_equal(one, other, equal_nan=True)
    assert np.array_equal(one, Encoder.fit_transform(columns, y, FIELDS, Task.BINARY, seed=1)[1], equal_nan=True)
