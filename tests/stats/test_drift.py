from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from tests.stats.streams import answered, fields_of, profile_of, reference_of, table

from perenne.stats import spread
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Task, take
from perenne.stats.drift import DriftVerdict, FeatureDrift, impact, judge, needed_rows, rule
from perenne.stats.numeric import UNSEEN
from perenne.stats.profile import Profile
from perenne.stats.spread import Bands, Baseline

ROWS = 20_000


def one(verdict: DriftVerdict, name: str) -> FeatureDrift:
    return next(feature for feature in verdict.features if feature.name == name)


def state(**given: float) -> str:
    """Apply the rule to one feature, quiet in everything not given."""
    values = {"js2": 0.0, "js_p": 1.0, "band_js": 0.0, "d": 0.0, "d_p": 1.0, "band_d": 0.0} | given
    return rule(*(np.array([value]) for value in values.values()))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "ok"),
        ({"js2": 0.0021, "js_p": 0.0004}, "alarm"),  # 2 C p = 0.0008
        ({"js2": 0.0021, "js_p": 0.0006}, "warn"),  # not significant at 0.001, but at 0.01
        ({"js2": 0.0021, "js_p": 0.02}, "ok"),  # material only
        ({"js2": 0.0019, "js_p": 0.0}, "ok"),  # significant only
        ({"js2": 0.0030, "js_p": 0.0, "band_js": 0.0031}, "warn"),  # inside the reference's own spread
        ({"js2": 0.0030, "js_p": 0.0006, "band_js": 0.0031}, "ok"),  # and hardly significant
        ({"d": 0.051, "d_p": 0.0004}, "alarm"),
        ({"d": 0.051, "d_p": 0.0006}, "warn"),
        ({"d": 0.049, "d_p": 0.0}, "ok"),
        ({"d": 0.060, "d_p": 0.0, "band_d": 0.061}, "warn"),
        ({"js2": 0.0021, "js_p": 0.02, "d": 0.049, "d_p": 0.0}, "ok"),  # material on one branch, significant on the other
        ({"js2": 0.5, "js_p": 0.02, "d": 0.2, "d_p": 0.02}, "ok"),
    ],
)
def test_each_branch_of_the_rule(given: dict[str, float], expected: str) -> None:
    assert state(**given) == expected


def test_the_more_features_the_smaller_the_p_that_is_needed() -> None:
    quiet = np.zeros(4), np.full(4, 1.0), np.zeros(4)
    js2, p = np.array([0.01, 0, 0, 0]), np.array([0.0002, 1, 1, 1])
    assert rule(js2, p, np.zeros(4), *quiet)[0] == "warn"
    assert rule(js2, p / 2, np.zeros(4), *quiet)[0] == "alarm"


CHANGES: dict[str, tuple[Callable[[np.random.Generator, Column], Column], str]] = {
    "shift": (lambda rng, x: x + 0.25, "median"),
    "scale": (lambda rng, x: x * 1.3, "middle half"),
    "null burst": (lambda rng, x: np.where(rng.random(len(x)) < 0.1, np.nan, x), "missing 0 % -> "),
    "stuck sensor": (lambda rng, x: np.where(rng.random(len(x)) < 0.15, 0.123, x), ""),
    "another unit": (lambda rng, x: x * 1000, ""),
    "infinite": (lambda rng, x: np.where(rng.random(len(x)) < 0.03, np.inf, x), "infinite 0 % -> 3"),
    "text": (lambda rng, x: np.array([f"{value:.2f} m" for value in x], object), "no number 0 % -> 100 %"),
    "all null": (lambda rng, x: np.full(len(x), None, object), "missing 0 % -> 100 %"),
    "constant": (lambda rng, x: np.full(len(x), 0.5), ""),
}


@pytest.fixture(scope="module")
def normal() -> Reference:
    return reference_of({"x": np.random.default_rng(0).normal(0, 1, ROWS), "other": np.random.default_rng(1).normal(0, 1, ROWS)})


@pytest.mark.parametrize("kind", CHANGES)
def test_changes_of_a_number_alarm_and_are_told(normal: Reference, kind: str) -> None:
    rng = np.random.default_rng(7)
    change, words = CHANGES[kind]
    verdict = judge(normal, profile_of(normal, {"x": change(rng, rng.normal(0, 1, 3000)), "other": rng.normal(0, 1, 3000)}))
    assert verdict.state == "alarm"
    assert one(verdict, "x").state == "alarm" and one(verdict, "other").state == "ok"
    assert verdict.features[0].name == "x"
    assert words in one(verdict, "x").sentence and one(verdict, "x").sentence
    assert one(verdict, "other").sentence == ""


def test_a_sentence_names_the_repeated_value() -> None:
    rng = np.random.default_rng(0)
    reference = reference_of({"x": np.where(rng.random(ROWS) < 0.1, 0.0, rng.normal(3, 1, ROWS))})
    verdict = judge(reference, profile_of(reference, {"x": np.where(rng.random(3000) < 0.4, 0.0, rng.normal(3, 1, 3000))}))
    assert "exactly 0: 10 % -> 40 %" in verdict.features[0].sentence or "exactly 0: 10 % -> 39" in verdict.features[0].sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rng, c: np.where(rng.random(len(c)) < 0.04, "Mars", c), "new level 'Mars' "),
        (lambda rng, c: np.where(rng.random(len(c)) < 0.3, np.array([f"n{k}" for k in range(len(c))], object), c), "new levels "),
        (lambda rng, c: np.where(rng.random(len(c)) < 0.3, "level 1", c), "'level 1' "),
        (lambda rng, c: np.where(rng.random(len(c)) < 0.3, None, c), "missing 0 % -> "),
        (lambda rng, c: np.arange(len(c)) % 5 * 1.5, "new levels 80 %"),
    ],
)
def test_changes_of_a_category_alarm_and_are_told(change: Callable[[np.random.Generator, Column], Column], words: str) -> None:
    rng = np.random.default_rng(1)
    levels = np.array([f"level {place}" for place in range(8)] + ["0"], object)
    reference = reference_of({"c": levels[rng.integers(0, 9, ROWS)]})
    verdict = judge(reference, profile_of(reference, {"c": change(rng, levels[rng.integers(0, 9, 3000)])}))
    assert verdict.state == "alarm"
    assert words in verdict.features[0].sentence


def test_a_rare_level_that_grows_is_seen_among_many() -> None:
    rng = np.random.default_rng(1)
    levels = np.array([f"level {place}" for place in range(500)], object)
    reference = reference_of({"c": levels[np.minimum(rng.geometric(0.01, ROWS), 499)]})
    grown = np.where(rng.random(3000) < 0.1, "level 499", levels[np.minimum(rng.geometric(0.01, 3000), 499)])
    assert judge(reference, profile_of(reference, {"c": grown})).state == "alarm"


def test_trivial_shifts_do_not_alarm_however_many_rows_prove_them() -> None:
    rng = np.random.default_rng(3)
    reference = reference_of({"x": rng.normal(0, 1, 200_000)})
    verdict = judge(reference, profile_of(reference, {"x": rng.normal(0.02, 1, 200_000)}))
    assert verdict.features[0].ks_p < 1e-4
    assert verdict.state == "ok"


def test_a_season_the_reference_has_seen_does_not_alarm() -> None:
    rng = np.random.default_rng(5)

    def day(number: int, shift: float = 0.0) -> Column:
        return rng.normal(0.4 * np.sin(2 * np.pi * number / 7) + shift, 1, 500)

    reference = reference_of({"x": np.concatenate([day(number) for number in range(56)])}, chunks=56)
    seasonal = [judge(reference, profile_of(reference, {"x": day(number)})).state for number in range(56, 84)]
    assert "alarm" not in seasonal
    assert judge(reference, profile_of(reference, {"x": day(60, shift=1.5)})).state == "alarm"


def test_reference_against_itself_is_ok() -> None:
    columns = table(np.random.default_rng(2), 5000)
    reference = reference_of(columns)
    verdict = judge(reference, reference.profile)
    assert verdict.state == "ok"
    assert all(feature.js2 <= 0 for feature in verdict.features)


@pytest.mark.parametrize("rows", [0, 1, 199])
def test_few_rows_are_too_few(normal: Reference, rows: int) -> None:
    verdict = judge(normal, profile_of(normal, {"x": np.full(rows, 50.0), "other": np.zeros(rows)}))
    assert (verdict.state, verdict.rows) == ("too_few", rows)
    assert verdict.needed_rows > 200
    assert len(verdict.features) == 2


def test_missing_columns_are_null_and_new_ones_ignored(normal: Reference) -> None:
    verdict = judge(normal, profile_of(normal, {"new": np.zeros(500), "other": np.random.default_rng(0).normal(0, 1, 500)}))
    assert one(verdict, "x").missing_window == 1.0 and one(verdict, "x").state == "alarm"
    assert one(verdict, "other").state == "ok"


def test_figures_of_a_feature_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(4)
    base, now = rng.gamma(2, 1, 30_000), rng.gamma(2.3, 1, 4000)
    now[:400] = np.nan
    reference = reference_of({"x": base})
    found = judge(reference, profile_of(reference, {"x": now})).features[0]
    exact = stats.ks_2samp(base, now[400:])
    assert found.ks_d == pytest.approx(exact.statistic, abs=0.01)  # at 60 cells
    assert np.log(found.ks_p) == pytest.approx(np.log(exact.pvalue), rel=0.15)
    assert (found.missing_reference, found.missing_window) == (0.0, 0.1)


def test_needed_rows_is_where_the_smallest_material_shift_becomes_significant() -> None:
    from perenne.stats.distances import ks_p

    for features, n in ((1, 5000), (16, 30_000), (200, 1_000_000)):
        m = needed_rows(features, n)
        assert 4 * features * float(ks_p(0.05, n, m)) < 0.001 < 4 * features * float(ks_p(0.05, n, m - 20))
    assert needed_rows(16, 500) == 0  # no window is large enough for so small a reference


def test_new_levels_are_expected_at_the_rate_of_single_ones() -> None:
    rng = np.random.default_rng(0)

    def planes(rows: int) -> Column:
        return np.array([f"N{place}" for place in np.minimum(rng.zipf(1.2, rows), 10**9)], object)

    reference = reference_of({"plane": planes(8000)}, chunks=20)
    profile = profile_of(reference, {"plane": planes(2000)})
    assert profile.counts[0, UNSEEN] > 200
    assert judge(reference, profile).state == "ok"


def test_expected_new_levels_never_exceed_those_met() -> None:
    counts = np.zeros((2, 64), np.int64)
    counts[:, 0], counts[:, 50] = 900, 100
    singles = np.zeros((2, 64), np.int64)
    singles[:, 50] = 80
    window = np.zeros((2, 64), np.int64)
    window[:, 0], window[1, 0], window[1, UNSEEN] = 500, 480, 20
    expected = spread.expect_new_levels(Baseline(counts, singles), window)
    assert expected[0].tolist() == counts[0].tolist()
    assert expected[1, UNSEEN] == pytest.approx(40) and expected[1, 50] == pytest.approx(60)
    assert expected.sum(axis=1).tolist() == [1000, 1000]


def test_the_band_is_that_of_the_nearest_smaller_window() -> None:
    bands = Bands(np.array([200, 800]), np.array([[0.02], [0.01]]), np.array([[0.2], [0.1]]))
    assert [float(bands.at(rows)[0][0]) for rows in (50, 200, 799, 800, 10**6)] == [0.02, 0.02, 0.02, 0.01, 0.01]
    assert float(Bands(np.zeros(0, np.int64), np.zeros((0, 1)), np.zeros((0, 1))).at(500)[1][0]) == 0.0


def test_the_band_is_mean_plus_four_deviations_of_the_parts_left_out() -> None:
    rng = np.random.default_rng(0)
    columns = {"x": np.concatenate([rng.normal(shift, 1, 400) for shift in rng.normal(0, 0.3, 8)])}
    reference = reference_of(columns, chunks=8)
    total = sum(chunk.counts for chunk in reference.chunks)
    apart = [
        spread.compare(reference.layout.features, Baseline(total - chunk.counts, np.zeros((1, 64), np.int64)), chunk.counts)[:2]
        for chunk in reference.chunks
    ]
    js, d = np.array(apart)[:, :, 0].T
    assert reference.bands.rows.tolist() == [400, 800]
    assert float(reference.bands.js[0, 0]) == pytest.approx(js.mean() + 4 * js.std())
    assert float(reference.bands.d[0, 0]) == pytest.approx(d.mean() + 4 * d.std())
    assert len(reference_of(columns, chunks=3).bands.rows) == 0


def test_impact_is_what_the_shift_alone_would_do() -> None:
    columns, scores, predictions, _ = answered(30_000)
    reference = Reference.fit(
        columns, fields_of(columns), scores=scores, predictions=predictions, task=Task.BINARY, classes=("no", "yes")
    )
    chosen = np.random.default_rng(1).random(30_000) < np.where(columns["x"] > 0, 0.6, 0.2)
    profile = Profile.empty(reference)
    profile.add(take(columns, chosen), predictions[chosen], scores[chosen])
    change = scores[chosen, 1].mean() - scores[:, 1].mean()
    impacts = dict(zip((feature.name for feature in reference.layout.features), impact(reference, profile).tolist(), strict=True))
    assert impacts["x"] == pytest.approx(change, rel=0.03)
    assert abs(impacts["level"]) < 0.01 * change
    assert judge(reference, profile).features[0].name in {"x", "@score", "@prediction"}


def test_impact_of_a_regression_is_in_its_units() -> None:
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(0, 1, 20_000)}
    reference = Reference.fit(columns, fields_of(columns), predictions=500 + 80 * columns["x"], task=Task.REGRESSION)
    shifted = {"x": rng.normal(0.5, 1, 20_000)}
    profile = Profile.empty(reference)
    profile.add(shifted, 500 + 80 * shifted["x"])
    assert float(impact(reference, profile)[0]) == pytest.approx(40, rel=0.1)  # within a group of cells the shift is lost


def clean_alarms(references: int, windows: int) -> tuple[int, int]:
    """Judge windows of the reference's own source; return alarms and windows."""
    alarms = judged = 0
    for seed in range(references):
        rng = np.random.default_rng(seed)
        features = 16 if seed % 4 else 60
        reference = reference_of(table(rng, 2000 if seed % 2 else 12_000, features), chunks=12 if seed % 3 else 56)
        for number in range(windows):
            rows = (200, 300, 1000, 4000)[number % 4]
            alarms += judge(reference, profile_of(reference, table(rng, rows, features))).state == "alarm"
            judged += 1
    return alarms, judged


def test_clean_windows_hardly_ever_alarm() -> None:
    alarms, judged = clean_alarms(references=6, windows=8)
    assert judged == 48
    assert alarms <= 1


@pytest.mark.long
def test_clean_windows_hardly_ever_alarm_in_ten_thousand() -> None:
    alarms, judged = clean_alarms(references=100, windows=100)
    assert alarms <= 0.01 * judged


def test_values_that_moved_are_found_by_their_ranks_with_half_the_rows() -> None:
    found = by_ks = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        columns = {f"x{place}": rng.normal(0, 1, 3000) for place in range(16)}
        reference = reference_of(columns)
        moved = one(
            judge(reference, profile_of(reference, {name: rng.normal(0.3 * (name == "x0"), 1, 300) for name in columns})), "x0"
        )
        found += moved.state == "alarm"
        by_ks += 4 * 16 * moved.ks_p < 0.001 and moved.ks_d > 0.05
    assert found > by_ks and found >= 8
