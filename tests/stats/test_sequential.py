import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from perenne.stats.sequential import (
    LEAST_COMPARED,
    LEAST_HITS,
    Cusum,
    difference_interval,
    e_value,
    log_e_value,
    mcnemar,
    mean_interval,
    rate_interval,
    spent,
)

counts = st.integers(0, 400)


@given(counts, counts)
def test_log_e_value_is_the_formula(wins: int, losses: int) -> None:
    tail = special.betainc(losses + 1, wins + 1, 0.5)  # P(Beta(wins + 1, losses + 1) > 1/2)
    if tail > 1e-250:
        exact = (wins + losses + 1) * math.log(2) + special.betaln(wins + 1, losses + 1) + math.log(tail)
        assert log_e_value(wins, losses) == pytest.approx(exact, abs=1e-8)


def test_log_e_value_is_the_integral_over_win_rates() -> None:
    from scipy.integrate import quad

    for wins, losses in ((3, 1), (12, 5), (2, 9)):
        mixture, _ = quad(lambda p, b=wins, c=losses: 2 * p**b * (1 - p) ** c, 0.5, 1)
        assert log_e_value(wins, losses) == pytest.approx(math.log(mixture * 2 ** (wins + losses)))


def test_log_e_value_neither_under_nor_overflows() -> None:
    assert log_e_value(0, 100_000) < -10
    assert log_e_value(100_000, 0) == pytest.approx(100_000 * math.log(2), rel=1e-3)
    assert e_value(100_000, 0) == math.inf
    assert 0 <= e_value(0, 100_000) < 1e-4


@given(counts, counts)
def test_a_win_speaks_for_the_challenger(wins: int, losses: int) -> None:
    assert log_e_value(wins + 1, losses) > log_e_value(wins, losses) > log_e_value(wins, losses + 1)


def test_under_equality_the_e_value_is_one_on_average() -> None:
    for pairs in (1, 5, 30):
        mean = sum(math.comb(pairs, wins) / 2**pairs * e_value(wins, pairs - wins) for wins in range(pairs + 1))
        assert mean == pytest.approx(1)


def promotions(gain: float, streams: int, seed: int) -> tuple[float, float]:
    """Look 20 times, every 500 labels, at models of accuracy 0.85 whose answers correlate with 0.8."""
    p11 = 0.85 * (0.85 + gain) + 0.8 * math.sqrt(0.85 * 0.15 * (0.85 + gain) * (0.15 - gain))
    win, loss = 0.85 + gain - p11, 0.85 - p11
    drawn = np.random.default_rng(seed).multinomial(500, [win, loss, 1 - win - loss], (streams, 20)).cumsum(axis=1)
    when = []
    for stream in drawn.tolist():
        look = next((look for look, (wins, losses, _) in enumerate(stream, 1) if log_e_value(wins, losses) >= math.log(20)), None)
        if look is not None:
            when.append(500 * look)
    return len(when) / streams, float(np.median(when or [0]))


@pytest.mark.parametrize(
    ("gain", "at_least", "at_most", "rows"),
    [(0.0, 0.0, 0.03, None), (0.01, 0.85, 1.0, (3500, 5000)), (0.02, 0.99, 1.0, (1000, 1500))],
)
def test_many_looks_promote_as_specified(gain: float, at_least: float, at_most: float, rows: tuple[int, int] | None) -> None:
    """Specification of automation, 7.3: 0.011 of equal models; 0.88 with a median of 4,500 rows; 1.0 with 1,500 rows."""
    share, median = promotions(gain, 300, seed=1)
    assert at_least <= share <= at_most
    if rows:
        assert rows[0] <= median <= rows[1]


@pytest.mark.long
def test_many_looks_promote_equal_models_as_rarely_as_specified() -> None:
    assert promotions(0.0, 20_000, seed=2)[0] == pytest.approx(0.011, abs=0.004)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_sign_test(wins: int, losses: int) -> None:
    if wins + losses < 25:
        exact = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue if wins + losses else 1.0
        assert mcnemar(wins, losses) == pytest.approx(exact)
    else:
        assert mcnemar(wins, losses) == pytest.approx(stats.norm.sf((wins - losses - 1) / math.sqrt(wins + losses)), abs=1e-12)


def test_cusum_by_hand() -> None:
    cusum = Cusum(0.2)
    up, down = math.log(1.5), math.log(0.7 / 0.8)
    assert cusum.update([1, 1, 0]) is None
    assert cusum.score == pytest.approx(2 * up + down)
    assert cusum.update([0] * 10) is None
    assert cusum.score == 0.0
    assert cusum.update([1] * 40) == math.floor(7 / up)
    assert cusum.alarms == 2  # started anew after the first


def test_cusum_continues_where_it_was_kept() -> None:
    errors = (np.random.default_rng(0).random(3000) < 0.14).astype(int)
    whole, parts = Cusum(0.1), Cusum(0.1)
    whole.update(errors)
    for part in np.array_split(errors, 13):
        parts = Cusum(parts.rate, parts.score, parts.alarms)
        parts.update(part)
    assert (parts.score, parts.alarms) == (whole.score, whole.alarms)


def test_cusum_finds_a_worsening_and_leaves_a_steady_rate_alone() -> None:
    """Specification of monitoring, 9: 0.14 false alarms in 10,000 clean labels, none missed, found after about 760."""
    false, delays = 0, []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cusum = Cusum.from_counts(1000, 10_000)
        cusum.update(rng.random(10_000) < 0.1)
        false += cusum.alarms
        found = Cusum.from_counts(1000, 10_000).update(rng.random(10_000) < 0.17)
        assert found is not None
        delays.append(found)
    assert false / 30 < 0.6
    assert np.mean(delays) < 800


@pytest.mark.parametrize(("errors", "labels"), [(0, 0), (0, 1000), (1000, 1000), (1, 1)])
def test_cusum_of_an_extreme_reference_works(errors: int, labels: int) -> None:
    cusum = Cusum.from_counts(errors, labels)
    assert 0 < cusum.rate < 1
    first = cusum.update(np.ones(200, int))
    assert first is None or first >= 0
    assert cusum.update([]) is None


ROWS = 100_000


def covering(streams: int, share: float, rate: float, seed: int) -> float:
    """Compare callers between whom there is no difference, at every row from the first comparison on; tell how often 0 stays in.

    The interval is the mean plus or minus its standard deviation times a width that depends on the number of rows alone.
    """
    width = np.array([mean_interval(t, 0.0, float(t), 0.05)[1] for t in range(2, ROWS + 1)])
    t, kept = np.arange(1, ROWS + 1), 0
    for stream in range(streams):
        rng = np.random.default_rng((seed, stream))
        held, outcome = rng.random(ROWS) < share, rng.random(ROWS) < rate
        weighted = outcome.astype(np.float64) * np.where(held, -1 / share, 1 / (1 - share))
        mean, squares = np.cumsum(weighted) / t, (np.cumsum(weighted**2) + 3 * min(share, 1 - share) ** -2) / t
        deviation = np.sqrt(np.maximum(0.0, squares - mean**2))
        rows = np.minimum(np.cumsum(held), np.cumsum(~held)) >= LEAST_COMPARED
        begun = rows & (np.minimum(np.cumsum(held & outcome), np.cumsum(~held & outcome)) >= LEAST_HITS)
        kept += bool((np.abs(mean[1:]) <= deviation[1:] * width)[begun[1:]].all())
        if stream == 0:
            at = ROWS
            found = difference_interval(weighted[:at][~held[:at]], -weighted[:at][held[:at]], 0.05)
            assert begun[at - 1] and found is not None and found[0] == pytest.approx(mean[at - 1])
            assert found[2] - found[0] == pytest.approx(deviation[at - 1] * width[at - 2])
    return kept / streams


def test_callers_without_a_difference_are_told_apart_by_no_look_in_a_hundred_thousand() -> None:
    assert covering(60, 0.05, 0.1, 1) >= 0.95


@pytest.mark.long
@pytest.mark.parametrize(("share", "rate"), [(0.02, 0.1), (0.02, 0.3), (0.05, 0.1), (0.5, 0.5), (0.3, 0.02)])
def test_callers_without_a_difference_are_told_apart_seldom_enough(share: float, rate: float) -> None:
    assert covering(1_000, share, rate, 7) >= 0.95


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_a_share_is_covered_at_every_look_at_once(rate: float) -> None:
    """The rate leaves the interval when its mixture likelihood ratio passes 1/alpha, which is what is simulated here."""
    alpha, rows, streams = 0.05, 2_000, 400
    hits = np.cumsum(np.random.default_rng(3).random((streams, rows)) < rate, axis=1)
    trials = np.arange(1, rows + 1)
    ratio = special.betaln(hits + 1, trials - hits + 1) - hits * math.log(rate) - (trials - hits) * math.log1p(-rate)
    outside = ratio >= -math.log(alpha)
    assert outside.any(axis=1).mean() <= alpha
    for stream, row in ((0, 9), (1, 99), (2, 999), *zip(*(place[:5] for place in np.nonzero(outside)), strict=True)):
        low, high = rate_interval(int(hits[stream, row]), row + 1, alpha)
        assert (low <= rate <= high) == (not outside[stream, row])


def test_a_chance_is_spent_once() -> None:
    assert sum(spent(1e-3, look) for look in range(1, 10_000)) < 1e-3 < 2 * spent(1e-3, 1)
