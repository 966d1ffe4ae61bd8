import numpy as np
import pytest
from scipy import stats
from tests.stats.streams import fields_of

from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, Task
from perenne.stats.contribution import contributions, judge_contributions
from perenne.stats.drift import judge
from perenne.stats.profile import Profile


def inputs(rows: int, seed: int) -> dict[str, Column]:
    rng = np.random.default_rng(seed)
    levels = np.array(["low", "middle", "high"], object)
    return {
        "x": rng.normal(0, 1, rows),
        "u": rng.normal(0, 1, rows),
        "level": levels[rng.integers(0, 3, rows)],
        "idle": rng.normal(0, 1, rows),
    }


def answer(columns: Columns, *, sign: float = 1.0, seed: int = 0) -> Column:
    """A prediction that rises with x, is U-shaped in u and depends on the level; `idle` has no part in it."""
    noise = np.random.default_rng(seed + 1000).normal(0, 0.3, len(columns["x"]))
    step = 0.5 * (columns["level"] == "high") - 0.5 * (columns["level"] == "low")
    return np.asarray(sign * 0.8 * columns["x"] + columns["u"] ** 2 + step.astype(float) + noise)


def reference_of(rows: int = 20_000) -> Reference:
    columns = inputs(rows, 0)
    return Reference.fit(columns, fields_of(columns), chunks=10, predictions=answer(columns), task=Task.REGRESSION)


REFERENCE = reference_of()
X, U, LEVEL, IDLE = range(4)


def window(rows: int, seed: int = 1, sign: float = 1.0) -> Profile:
    columns = inputs(rows, seed)
    profile = Profile.empty(REFERENCE)
    profile.add(columns, answer(columns, sign=sign, seed=seed))
    return profile


def test_figures_are_those_of_the_rows() -> None:
    columns = inputs(20_000, 0)
    predictions = answer(columns)
    ratio, correlation = contributions(REFERENCE, REFERENCE.profile)
    assert correlation[X] == pytest.approx(stats.pearsonr(columns["x"], predictions).statistic, abs=2e-3)
    of_levels = [predictions[columns["level"] == level] for level in ("low", "middle", "high")]
    between = sum(len(part) * (part.mean() - predictions.mean()) ** 2 for part in of_levels)
    assert ratio[LEVEL] ** 2 == pytest.approx(between / (20_000 * predictions.var()), abs=2e-3)


def test_a_u_shape_is_a_relation_without_a_correlation() -> None:
    ratio, correlation = contributions(REFERENCE, REFERENCE.profile)
    assert ratio[U] > 0.5
    assert abs(correlation[U]) < 0.05


def test_no_relation_is_near_zero_in_small_windows() -> None:
    idle = [contributions(REFERENCE, window(300, seed))[0][IDLE] for seed in range(40)]
    assert np.mean(idle) < 0.1


def test_a_sign_that_turns_alarms_though_no_column_drifts() -> None:
    turned = window(3000, sign=-1.0)
    found = judge_contributions(REFERENCE, turned)
    assert (found[0].name, found[0].state) == ("x", "alarm")
    assert found[0].correlation_reference > 0.3 > -0.3 > found[0].correlation_window
    assert [one.name for one in found if one.state == "alarm"] == ["x"]
    assert all(feature.state == "ok" for feature in judge(REFERENCE, turned).features if not feature.name.startswith("@"))


def test_shuffled_rows_alarm() -> None:
    columns = inputs(3000, 5)
    profile = Profile.empty(REFERENCE)
    profile.add({name: np.random.default_rng(9).permutation(column) for name, column in columns.items()}, answer(columns))
    assert {one.name for one in judge_contributions(REFERENCE, profile) if one.state == "alarm"} == {"x", "u", "level"}


def test_clean_windows_do_not_alarm() -> None:
    verdicts = (judge_contributions(REFERENCE, window(rows, seed)) for rows in (300, 2000) for seed in range(60))
    assert sum(one.state == "alarm" for verdict in verdicts for one in verdict) <= 1


@pytest.mark.parametrize("rows", [0, 1, 3, 20])
def test_few_rows_never_alarm(rows: int) -> None:
    assert all(one.state == "ok" for one in judge_contributions(REFERENCE, window(rows, sign=-1.0 if rows < 4 else 1.0)))


def test_constant_predictions_have_no_relations() -> None:
    columns = inputs(500, 0)
    reference = Reference.fit(columns, fields_of(columns), predictions=np.full(500, 3.0), task=Task.REGRESSION)
    ratio, correlation = contributions(reference, reference.profile)
    assert (ratio == 0).all() and (correlation == 0).all()
    without = Reference.fit(columns, fields_of(columns), task=Task.REGRESSION)
    assert all(one.state == "ok" for one in judge_contributions(without, without.profile))
