import numpy as np
import pytest
from tests.stats.streams import answered, reference_of

from perenne.stats.columns import Column
from perenne.stats.slices import in_words, worst_slices

COLUMNS, *_ = answered(8000)
REFERENCE = reference_of(COLUMNS)


def losses(worse: Column, rate: float = 0.5, seed: int = 0) -> Column:
    rng = np.random.default_rng(seed)
    return (rng.random(len(worse)) < np.where(worse, rate, 0.1)).astype(float)


def test_the_slice_that_is_worse_comes_first() -> None:
    found = worst_slices(REFERENCE, COLUMNS, losses(COLUMNS["level"] == "level 2"))
    assert (found[0].feature, found[0].where) == ("level", "'level 2'")
    assert found[0].mean == pytest.approx(0.5, abs=0.05)
    assert found[0].excess == pytest.approx((found[0].mean - found[0].overall) * found[0].rows)
    assert found[0].p < 1e-6


def test_missing_values_are_a_slice() -> None:
    found = worst_slices(REFERENCE, COLUMNS, losses(np.isnan(COLUMNS["nulls"])))
    assert (found[0].feature, found[0].where) == ("nulls", "missing")


def test_a_range_of_numbers_is_a_slice() -> None:
    found = worst_slices(REFERENCE, COLUMNS, losses(COLUMNS["x"] > 1.6))
    assert found[0].feature == "x"
    assert "or more" in found[0].where


def test_chance_alone_is_hardly_ever_a_slice() -> None:
    nothing = np.zeros(8000, bool)
    assert sum(bool(worst_slices(REFERENCE, COLUMNS, losses(nothing, seed=seed))) for seed in range(20)) <= 1


@pytest.mark.parametrize("rows", [0, 1, 49])
def test_few_rows_have_no_slices(rows: int) -> None:
    columns = {name: column[:rows] for name, column in COLUMNS.items()}
    assert worst_slices(REFERENCE, columns, np.ones(rows)) == []


def test_rows_without_a_loss_are_left_out() -> None:
    loss = losses(COLUMNS["level"] == "level 2")
    loss[COLUMNS["level"] == "level 2"] = np.nan
    assert all(piece.where != "'level 2'" for piece in worst_slices(REFERENCE, COLUMNS, loss))


def test_cells_in_words() -> None:
    levels = np.array([f"L{place:03d}" for place in range(100)] * 3, object)
    reference = reference_of({"n": np.repeat([0.0, 5.0, 7.0], 100), "c": levels})
    number, category = reference.layout.features
    assert [in_words(number, cell) for cell in (0, 1, 2, 6, 60, 61, 63)] == [
        "below 0", "0", "0 to 5", "7 or more", "missing", "infinite", "no number",
    ]  # fmt: skip
    assert [in_words(category, cell) for cell in (0, 55, 63)] == ["'L000'", "a rare level", "a new level"]
