import contextlib

import numpy as np
import pytest
from tests.stats.streams import answered, fields_of, profile_of, reference_of, table

from perenne.core.errors import Invalid, NotFound
from perenne.stats.cells import KnownRange, Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.drift import judge
from perenne.stats.levels import MAX_HASHED, NAMED, CategoryCells, level_text
from perenne.stats.numeric import NON_FINITE, NULL, ORDINARY, UNSEEN, NumberCells


def number_cells(values: Column) -> NumberCells:
    return NumberCells.fit("x", FieldKind.NUMBER, values)


def cells_of(feature: NumberCells, *values: object) -> list[int]:
    return [int(cell) for cell in feature.encode(np.array([*values, None], object)[:-1])[0]]


def test_continuous_values_fill_quantile_cells_evenly() -> None:
    values = np.random.default_rng(0).normal(0, 1, 60_000)
    counts = np.bincount(number_cells(values).encode(values)[0], minlength=64)[:ORDINARY]
    assert (counts > 0).sum() == ORDINARY
    assert counts.max() < 3 * counts[counts > 0].mean()


@pytest.mark.parametrize("low_cluster", [0.7, 0.3])
def test_a_narrow_cluster_far_from_the_median_keeps_its_cells(low_cluster: float) -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(20_000) < low_cluster, rng.uniform(0, 1, 20_000), rng.uniform(1000, 1001, 20_000))
    counts = np.bincount(number_cells(values).encode(values)[0], minlength=64)[:ORDINARY]
    assert (counts > 0).sum() >= ORDINARY - 2
    assert counts.max() < 0.05 * len(values)


def test_cells_follow_the_order_of_values() -> None:
    rng = np.random.default_rng(3)
    for values in (
        rng.standard_cauchy(5000),
        np.round(rng.normal(50, 10, 5000)),
        rng.poisson(3, 5000).astype(float),
        1e9 + rng.normal(0, 1, 5000),
    ):
        feature = number_cells(values)
        probe = np.sort(np.concatenate([values, rng.choice(values, 500) + 1e-7, rng.choice(values, 500) * (1 + 1e-9)]))
        assert (np.diff(feature.encode(probe)[0].astype(int)) >= 0).all()


def test_an_atom_has_a_cell_of_its_own() -> None:
    rng = np.random.default_rng(0)
    feature = number_cells(np.where(rng.random(5000) < 0.3, 0.1, rng.normal(0, 1, 5000)))
    atom, just_above, just_below = cells_of(feature, 0.1, 0.1001, 0.0999)
    assert just_below < atom < just_above
    assert atom in feature.atom_cells()
    assert cells_of(feature, float(np.float32(0.1))) == [atom]


def test_two_atoms_in_one_code_are_told_apart() -> None:
    values = np.repeat([0.0, 1000.0, 1001.0, 1002.0], [600, 200, 100, 100])
    feature = number_cells(values)
    cells = cells_of(feature, 0, 500, 1000, 1000.5, 1001, 1001.5, 1002, 2000)
    assert cells == sorted(set(cells))


def test_few_values_that_repeat_are_all_atoms_and_a_new_value_falls_between() -> None:
    feature = number_cells(np.random.default_rng(0).integers(0, 12, 3000).astype(float))
    assert len(feature.atom_cells()) == 12
    assert cells_of(feature, 3.5)[0] not in feature.atom_cells()


def test_few_rows_do_not_make_a_continuous_feature_discrete() -> None:
    rng = np.random.default_rng(0)
    reference = reference_of({"x": rng.normal(0, 1, 25)})
    verdict = judge(reference, profile_of(reference, {"x": rng.normal(0, 1, 5000)}))
    assert len(reference.layout.features[0].atom_cells()) == 0  # type: ignore[union-attr]
    assert verdict.features[0].state != "alarm"


def test_fixed_cells_of_numbers() -> None:
    feature = number_cells(np.arange(1000.0))
    assert cells_of(feature, None, float("nan"), float("inf"), float("-inf"), 1e300, "no", [1], {}) == [
        NULL, NULL, NON_FINITE, NON_FINITE, NON_FINITE, UNSEEN, UNSEEN, UNSEEN,
    ]  # fmt: skip
    assert cells_of(feature, "12.0", True) == cells_of(feature, 12, 1)


@pytest.mark.parametrize("value", [0.0, -0.0, 7.5, 1e9, -1e300])
def test_a_constant_is_one_atom_between_two_gaps(value: float) -> None:
    feature = number_cells(np.full(100, value))
    step = abs(value) * 1e-3 or 1e-3
    assert cells_of(feature, value - step, value, value + step) == [0, 1, 2]


def test_signed_zeros_are_one_value() -> None:
    feature = number_cells(np.tile([0.0, -0.0, 1.0], 100))
    assert len(set(cells_of(feature, 0.0, -0.0))) == 1


def test_an_offset_with_repeated_values_is_not_squeezed_into_float32() -> None:
    feature = number_cells(1e9 + np.random.default_rng(0).integers(-1, 2, 1000).astype(float))
    assert not feature.narrow
    assert len(set(cells_of(feature, 1e9 - 1, 1e9, 1e9 + 1))) == 3


def test_values_at_the_ends_of_float64_make_no_trouble() -> None:
    values = np.array([1e308, -1e308, 5e-324, 0.0, -5e-324, np.inf, -np.inf, np.nan] * 50)
    feature = number_cells(values)
    cells = feature.encode(values)[0][:8]
    assert cells[5] == cells[6] == NON_FINITE
    assert cells[7] == NULL
    assert set(cells[:5].tolist()).isdisjoint({NULL, UNSEEN})


def test_all_null_then_anything_is_unseen() -> None:
    feature = number_cells(np.full(50, np.nan))
    assert cells_of(feature, 1.0, None) == [UNSEEN, NULL]


def test_a_time_is_watched_by_its_time_of_day() -> None:
    day = 86_400.0
    values = 1.36e9 + np.random.default_rng(0).uniform(0, 30 * day, 5000)
    reference = Reference.fit({"t": values}, [Field("t", FieldKind.TIME)], task=Task.REGRESSION)
    assert judge(reference, profile_of(reference, {"t": values + 100 * day})).state == "ok"
    assert judge(reference, profile_of(reference, {"t": np.floor(values / day) * day})).state == "alarm"
    assert reference.known("t", float(values.max() + day))
    assert not reference.known("t", float(values.min() - day))


def test_levels_by_count_then_buckets() -> None:
    levels = np.array([f"L{place:03d}" for place in range(200)], object)
    column = np.repeat(levels, np.arange(200, 0, -1) * 2)
    feature = CategoryCells.fit("c", column)
    assert feature.levels[:3] == ("L000", "L001", "L002")
    assert len(feature.levels) == NAMED
    rare = feature.encode(levels[NAMED:])
    assert rare.min() >= NAMED and rare.max() < ORDINARY and len(set(rare.tolist())) > 6
    assert feature.encode(np.array(["new", None, "L000"], object)).tolist() == [UNSEEN, NULL, 0]


def test_ties_of_levels_are_ordered_by_their_bytes() -> None:
    assert CategoryCells.fit("c", np.array(["é", "b", "a", "B"] * 3, object)).levels == ("B", "a", "b", "é")


def test_equal_letters_in_other_code_points_are_one_level() -> None:
    feature = CategoryCells.fit("c", np.array(["caf\u00e9", "tea"], object))
    assert feature.encode(np.array(["cafe\u0301"], object)).tolist() == feature.encode(np.array(["caf\u00e9"], object)).tolist()


def test_levels_of_other_types_are_read_as_text() -> None:
    feature = CategoryCells.fit("c", np.array(["1", "1", "true", "2.5"], object))
    given = np.array([1, 1.0, True, 2.5, float("nan"), np.str_("1"), [1]], object)
    cells = feature.encode(given)
    assert cells.tolist() == [0, 0, *feature.encode(np.array(["true", "2.5"], object)).tolist(), NULL, 0, UNSEEN]
    assert feature.encode(np.array([1.0, np.nan])).tolist() == [0, NULL]
    assert level_text("x") == "x"


def test_too_many_levels_cannot_be_told_from_new_ones() -> None:
    feature = CategoryCells.fit("c", np.array([f"id{place}" for place in range(MAX_HASHED + 1)], object))
    assert not feature.complete
    assert UNSEEN not in feature.encode(np.array(["never met", "id5"], object))


def test_what_the_lookup_remembers_is_bounded() -> None:
    feature = CategoryCells.fit("c", np.array(["a", "b"], object))
    feature.encode(np.array([f"{place}" for place in range(70_000)], object))
    feature.encode(np.array(["x" * 10_000], object))
    assert len(feature.lookup) <= 65_536
    assert "x" * 10_000 not in feature.lookup


def test_reference_survives_its_bytes() -> None:
    columns, scores, predictions, labels = answered(2000)
    reference = Reference.fit(
        columns,
        fields_of(columns),
        scores=scores,
        predictions=predictions,
        labels=labels,
        task=Task.BINARY,
        classes=("no", "yes"),
        threshold=0.4,
    )
    data = reference.to_bytes()
    again = Reference.from_bytes(data)
    assert again.digest == reference.digest
    again._data = None
    assert again.to_bytes() == data
    fresh, scores, predictions, _ = answered(500, seed=1)
    profiles = [profile_of(side, {}) for side in (reference, again)]
    for profile in profiles:
        profile.add(fresh, predictions, scores)
    assert profiles[0].to_bytes() == profiles[1].to_bytes()
    assert judge(reference, profiles[0]) == judge(again, profiles[1])
    assert [feature.name for feature in again.layout.features] == ["x", "nulls", "level", "@prediction", "@score"]


def test_reference_is_the_same_for_the_same_rows() -> None:
    columns, *_ = answered(500)
    assert reference_of(columns).digest == reference_of(columns).digest
    assert reference_of(columns).digest != reference_of({**columns, "x": columns["x"] + 1e-3}).digest


def test_pseudo_features_by_task() -> None:
    rng = np.random.default_rng(0)
    columns, many = {"x": rng.normal(0, 1, 300)}, rng.dirichlet(np.ones(3), 300)
    several = Reference.fit(
        columns, fields_of(columns), task=Task.MULTICLASS, classes=("a", 1, True), scores=many, predictions=many.argmax(axis=1)
    )
    assert several.layout.classes == ("a", "1", "true")
    assert set(several.known_range("@prediction").levels) == {"a", "1", "true"}
    assert several.known_range("@score").minimum == pytest.approx(many.max(axis=1).min())
    assert several.profile.scores.shape == (4, 256)
    number = Reference.fit(columns, fields_of(columns), task=Task.REGRESSION, predictions=columns["x"] * 2, scores=many)
    assert [feature.name for feature in number.layout.features] == ["x", "@prediction"]
    assert number.profile.scores.shape[0] == 0


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5])
def test_tiny_references_make_profiles_and_verdicts(rows: int) -> None:
    columns = {name: column[:rows] for name, column in table(np.random.default_rng(0), 10).items()}
    reference = Reference.from_bytes(reference_of(columns).to_bytes())
    for window in (columns, table(np.random.default_rng(1), 1000), {}):
        verdict = judge(reference, profile_of(reference, window))
        assert verdict.state in {"too_few", "ok", "warn", "alarm"}
        assert len(verdict.features) == len(columns)


def test_known_range_and_typical_values() -> None:
    columns, *_ = answered(1000)
    reference = reference_of(columns)
    span = reference.known_range("x")
    assert (span.minimum, span.maximum) == (columns["x"].min(), columns["x"].max())
    assert (
        reference.known("x", 0.0)
        and not reference.known("x", 99.0)
        and not reference.known("x", "ten")
        and not reference.known("x", None)
    )
    assert reference.known("nulls", None)
    assert reference.known("level", "level 3") and not reference.known("level", "level 9") and not reference.known("level", None)
    assert reference.typical("x") == np.median(columns["x"])
    assert reference.typical("level") == reference.known_range("level").levels[0]
    empty = reference_of({"x": np.full(5, np.nan), "c": np.full(5, None, object)})
    assert (empty.typical("x"), empty.typical("c")) == (None, None)
    assert (empty.known_range("x"), empty.known_range("c")) == (KnownRange(), KnownRange())
    assert not empty.known("x", 1.0)
    with pytest.raises(NotFound):
        reference.typical("y")


def test_names_of_pseudo_features_are_taken() -> None:
    with pytest.raises(Invalid, match="@score"):
        reference_of({"@score": np.zeros(3)})


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"PK\x03\x04 broken"])
def test_other_bytes_are_no_reference(data: bytes) -> None:
    with pytest.raises(Invalid, match="no reference"):
        Reference.from_bytes(data)


def test_a_damaged_reference_is_refused() -> None:
    data = bytearray(reference_of({"x": np.arange(100.0)}).to_bytes())
    for place in range(0, len(data), 97):
        damaged = data.copy()
        damaged[place] ^= 0xFF
        with contextlib.suppress(Invalid):
            assert Reference.from_bytes(bytes(damaged)).layout.features
