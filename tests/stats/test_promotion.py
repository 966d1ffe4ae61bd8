"""Promotion rules: the error rates that were measured for them, what rows cannot show, and a year's budget of chance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from perenne.stats.promotion import Contest, Demand, Shown, by_counts, by_draws, combined, draw_counts, next_alpha, power_of
from perenne.stats.sequential import log_e_value, mcnemar

SIMULATIONS = 400
ACCURACY, TOGETHER = 0.85, 0.8


def counts(rows: int, better: float, simulations: int, seed: int) -> NDArray[np.int64]:
    """Draw wins and losses of a challenger with so many points more, right in step with the champion as in the specification."""
    first, second = ACCURACY, ACCURACY + better
    deviation = math.sqrt(first * (1 - first) * second * (1 - second))
    both = first * second + TOGETHER * deviation
    shares = [second - both, first - both, 1 - first - second + 2 * both]
    drawn: NDArray[np.int64] = np.random.default_rng(seed).multinomial(rows, shares, size=simulations)[:, :2]
    return drawn


def promoted(rows: int, better: float, demand: Demand, seed: int = 1, simulations: int = SIMULATIONS) -> float:
    found = counts(rows, better, simulations, seed)
    passed = [by_counts(rows, int(b), int(c), demand, seed=place).shown is Shown.PASS for place, (b, c) in enumerate(found)]
    return float(np.mean(passed))


@pytest.mark.parametrize(
    ("demand", "rows", "expected"),
    [
        (Demand("superior"), 2_000, (0.033, 0.0, 0.55)),
        (Demand("superior"), 20_000, (0.049, 0.0, 1.0)),
        (Demand("non_inferior", margin=0.005), 2_000, (0.26, 0.005, 0.88)),
        (Demand("non_inferior", margin=0.005), 20_000, (0.92, 0.0, 1.0)),
    ],
)
def test_the_rules_err_as_often_as_was_measured(demand: Demand, rows: int, expected: tuple[float, float, float]) -> None:
    for better, share in zip((0.0, -0.01, 0.01), expected, strict=True):
        error = math.sqrt(max(share * (1 - share), 0.01) / SIMULATIONS) + 0.01
        assert promoted(rows, better, demand) == pytest.approx(share, abs=3 * error), better


def test_the_bootstrap_of_a_metric_errs_like_that_of_its_counts() -> None:
    """Accuracy by its draws: one-sided 95 %, as often as the paired bootstrap was measured to (0.043, 0.58)."""
    for better, share in ((0.0, 0.043), (0.01, 0.58)):
        shown = []
        for seed, (wins, losses) in enumerate(counts(2_000, better, 300, 3)):
            drawn = draw_counts(2_000, int(wins), int(losses), draws=400, seed=seed)
            shown.append(by_draws((wins - losses) / 2_000, drawn, 2_000, Demand()).shown is Shown.PASS)
        assert np.mean(shown) == pytest.approx(share, abs=3 * math.sqrt(share * (1 - share) / 300) + 0.01)


def test_looking_again_and_again_promotes_equal_models_seldom_and_better_ones_soon() -> None:
    """Twenty looks of 500 labelled rows, by the e-value: 0.011 of equal models, 0.88 of those one point better."""
    for better, share in ((0.0, 0.011), (0.01, 0.88)):
        reached = 0
        for seed in range(150):
            won = np.cumsum(counts(500, better, 20, seed), axis=0)
            reached += any(log_e_value(int(b), int(c)) >= math.log(20) for b, c in won)
        assert reached / 150 == pytest.approx(share, abs=3 * math.sqrt(share * (1 - share) / 150) + 0.01)


@given(st.integers(0, 60), st.integers(0, 60))
def test_few_pairs_are_counted_exactly_and_the_p_value_falls_with_wins(wins: int, losses: int) -> None:
    if wins + losses < 25 and wins + losses:
        exact = scipy_stats.binomtest(wins, wins + losses, alternative="greater").pvalue
        assert mcnemar(wins, losses) == pytest.approx(exact)
    assert mcnemar(wins + 1, losses) <= mcnemar(wins, losses) + 1e-2
    assert by_counts(1_000, wins, losses, Demand()).p == mcnemar(wins, losses)


def test_rows_that_could_not_show_the_effect_leave_it_unknown_and_say_how_many_are_missing() -> None:
    demand = Demand(min_effect=0.01)
    few = by_counts(300, 20, 4, demand)
    assert few.p is not None and few.p < 0.05 and few.shown is Shown.UNKNOWN
    assert few.power is not None and few.power < 0.5 and few.missing > 0 and "labelled rows are missing" in few.sentence
    enough = by_counts(300 + few.missing, 20, 4, demand)
    deviation = math.sqrt((few.wins or 0) + (few.losses or 0)) / math.sqrt(300)
    assert power_of(300 + few.missing, deviation, demand)[0] == pytest.approx(0.5, abs=0.02)
    assert enough.missing == 0
    small = by_counts(40_000, 1_200, 1_000, Demand(min_effect=0.01))
    assert small.p is not None and small.p < 1e-4 and small.shown is Shown.FAIL, "better, but by less than is worth a change"
    assert by_counts(20, 9, 0, Demand(minimum=30)).missing == 10
    assert by_counts(0, 0, 0, Demand()).shown is by_draws(float("nan"), np.full(10, np.nan), 50, Demand()).shown is Shown.UNKNOWN


def test_several_tests_pass_together_only_if_each_does() -> None:
    kinds: dict[Shown, Contest] = {
        Shown.PASS: by_counts(2_000, 90, 40, Demand()),
        Shown.FAIL: by_counts(2_000, 40, 90, Demand()),
        Shown.UNKNOWN: by_counts(10, 4, 0, Demand(minimum=30)),
    }
    assert {shown: contest.shown for shown, contest in kinds.items()} == {shown: shown for shown in kinds}
    for first, one in kinds.items():
        for second, other in kinds.items():
            worst = Shown.FAIL if Shown.FAIL in (first, second) else Shown.UNKNOWN if Shown.UNKNOWN in (first, second) else first
            assert combined([one, other]) is worst


@given(st.floats(0.001, 10), st.lists(st.integers(1, 200), min_size=1, max_size=60), st.floats(0.001, 0.4))
def test_a_quarters_tests_never_take_more_than_their_share(per_year: float, expected: list[int], alpha: float) -> None:
    spent = 0.0
    for done, count in enumerate(expected):
        taken = next_alpha(alpha, per_year, spent, done, count)
        assert 0 <= taken <= alpha
        spent += taken
    assert spent <= per_year / 4 + 1e-9
