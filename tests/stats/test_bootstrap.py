from dataclasses import dataclass

import numpy as np
import pytest

from perenne.stats.bootstrap import compare, interval
from perenne.stats.columns import Column, Task


@dataclass
class Said:
    predictions: Column
    scores: Column | None = None


def noisy(rng: np.random.Generator, y: Column, noise: float) -> Said:
    positive = 1 / (1 + np.exp(-(2.0 * y - 1 + rng.normal(0, noise, len(y)))))
    return Said((positive >= 0.5).astype(np.int64), np.column_stack([1 - positive, positive]))


def test_interval_has_the_width_theory_gives() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    predictions = np.where(rng.random(4000) < 0.8, y, 1 - y)
    found = interval("accuracy", Task.BINARY, y, predictions, draws=1000, level=0.9)
    deviation = np.sqrt(found.value * (1 - found.value) / 4000)
    assert found.value == np.mean(y == predictions)
    assert found.high - found.low == pytest.approx(2 * 1.645 * deviation, rel=0.1)
    assert found.low < found.value < found.high


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(100):
        y, numbers = np.zeros(200), rng.exponential(1, 200)
        found = interval("mae", Task.REGRESSION, y, numbers, draws=200, seed=seed, level=0.9)
        covered += found.low <= 1 <= found.high
    assert 0.82 <= covered / 100 <= 0.96


def test_rows_that_belong_together_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    days = np.repeat(np.arange(40), 50)
    errors = np.repeat(rng.exponential(1, 40), 50) + rng.normal(0, 0.01, 2000)
    rows = interval("mae", Task.REGRESSION, np.zeros(2000), errors)
    grouped = interval("mae", Task.REGRESSION, np.zeros(2000), errors, groups=days)
    assert grouped.high - grouped.low > 4 * (rows.high - rows.low)
    assert grouped.high - grouped.low == pytest.approx(
        2 * 1.96 * errors.reshape(40, 50).mean(axis=1).std() / np.sqrt(40), rel=0.3
    )


def test_same_seed_same_interval() -> None:
    rng = np.random.default_rng(3)
    y, said = rng.integers(0, 2, 500), rng.random((500, 2))
    first, second, third = (interval("roc_auc", Task.BINARY, y, y, said, seed=seed) for seed in (1, 1, 2))
    assert first == second != third


def test_undefined_and_empty_intervals_are_nan() -> None:
    for y in (np.ones(20, np.int64), np.ones(0, np.int64)):
        found = interval("roc_auc", Task.BINARY, y, y, np.full((len(y), 2), 0.5))
        assert np.isnan([found.value, found.low, found.high]).all()


def test_a_better_challenger_is_superior_and_a_worse_one_is_not() -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 3000)
    weak, strong = noisy(rng, y, 2.0), noisy(rng, y, 1.0)
    for metric in ("roc_auc", "log_loss", "accuracy", "brier"):
        up, down = (compare(metric, Task.BINARY, y, *pair, draws=300) for pair in ((weak, strong), (strong, weak)))
        assert up.difference > 0 > down.difference
        assert up.p_superior < 0.01 < 0.99 < up.p_worse
        assert down.p_worse < 0.01 < 0.99 < down.p_superior
        assert up.low <= up.difference <= up.high
        assert (up.champion, up.challenger) == (down.challenger, down.champion)
        assert up.rows == 3000


def test_pairing_sees_a_small_difference_between_models_that_mostly_agree() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 4000)
    champion = np.where(rng.random(4000) < 0.85, y, 1 - y)
    wrong = np.flatnonzero(champion != y)
    challenger = champion.copy()
    challenger[wrong[:40]] = y[wrong[:40]]
    found = compare("accuracy", Task.BINARY, y, Said(champion), Said(challenger), draws=500)
    assert found.difference == pytest.approx(0.01)
    assert found.p_superior < 0.01
    apart = [interval("accuracy", Task.BINARY, y, said) for said in (champion, challenger)]
    assert apart[0].high > apart[1].low  # side by side the intervals overlap


def test_a_margin_lets_an_equal_model_pass_as_no_worse() -> None:
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 5000)
    champion, challenger = noisy(rng, y, 1.5), noisy(rng, y, 1.5)
    strict, lenient = (
        compare("accuracy", Task.BINARY, y, champion, challenger, margin=margin, draws=400) for margin in (0.0, 0.05)
    )
    assert lenient.p_non_inferior < 0.01
    assert strict.p_non_inferior == strict.p_superior > 0.01


def test_the_same_answers_differ_by_nothing() -> None:
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, 100)
    said = noisy(rng, y, 1.0)
    found = compare("roc_auc", Task.BINARY, y, said, said)
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert found.p_superior == found.p_worse == 1.0


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_never_speak_for_the_challenger(rows: int) -> None:
    y = np.ones(rows, np.int64)
    found = compare("roc_auc", Task.BINARY, y, Said(y, np.full((rows, 2), 0.5)), Said(y, np.full((rows, 2), 0.6)))
    assert found.p_superior == 1.0
    assert found.rows == rows


def test_equal_models_are_promoted_as_often_as_alpha_says() -> None:
    """Specification of automation, 7.2: one-sided 95 %, n = 2,000: 0.043 of equal models, 0.58 of better ones."""
    promoted = {0.0: 0, 0.01: 0}
    for gain in promoted:
        for seed in range(80):
            rng = np.random.default_rng(seed)
            p11 = 0.85 * (0.85 + gain) + 0.8 * np.sqrt(0.85 * 0.15 * (0.85 + gain) * (0.15 - gain))
            shares = [p11, 0.85 - p11, 0.85 + gain - p11]
            cell = rng.choice(4, 2000, p=[*shares, 1 - sum(shares)])
            y = np.ones(2000, np.int64)
            champion, challenger = np.isin(cell, (0, 1)).astype(int), np.isin(cell, (0, 2)).astype(int)
            found = compare("accuracy", Task.BINARY, y, Said(champion), Said(challenger), draws=200, seed=seed)
            promoted[gain] += found.p_superior <= 0.05
    assert promoted[0.0] / 80 < 0.13
    assert 0.4 < promoted[0.01] / 80 < 0.85
