from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from perenne.stats import bits, distances
from perenne.stats.numeric import center_and_scale

N = 20_000

PAIRS: dict[str, Callable[[np.random.Generator, float], NDArray[np.float64]]] = {
    "normal": lambda rng, shift: rng.normal(shift, 1, N),
    "heavy tails": lambda rng, shift: rng.standard_cauchy(N) + shift,
    "lognormal": lambda rng, shift: rng.lognormal(shift, 2, N),
    "offset": lambda rng, shift: rng.normal(1e9 + shift, 1, N),
    "uniform at the offset": lambda rng, shift: rng.uniform(1e9 - 1, 1e9 + 1 + shift, N),
    "discrete": lambda rng, shift: rng.poisson(3 + shift, N).astype(float),
    "constant": lambda rng, shift: np.full(N, 7.0 + shift),
    "signed zeros": lambda rng, shift: rng.choice([0.0, -0.0, shift], N),
    "subnormal": lambda rng, shift: rng.choice([5e-324, 1e-310, 0.0, shift], N),
}


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_distances_agree_with_exact_ones(kind: str, shift: float) -> None:
    rng = np.random.default_rng(5)
    reference, window = PAIRS[kind](rng, 0.0), PAIRS[kind](rng, shift)
    center, scale = center_and_scale(reference)
    ordered = [bits.histogram(side, center, scale)[bits.ORDER] for side in (reference, window)]
    exact = stats.ks_2samp(reference, window).statistic
    assert float(distances.ks(*ordered)) == pytest.approx(exact, abs=2e-3 if "uniform" in kind else 1e-3)
    if kind == "subnormal" and shift:
        return  # in units of its spread the window is farther away than a float can say
    values = bits.MIDDLE[bits.ORDER]
    finite = np.isfinite(values)
    ours = distances.wasserstein(values[finite], ordered[0][finite], ordered[1][finite])
    standard = [(side - center) / scale for side in (reference, window)]
    deviation = standard[0].std() or 1.0
    assert ours / deviation == pytest.approx(stats.wasserstein_distance(*standard) / deviation, abs=4e-3)


def test_infinities_and_nan_have_codes_of_their_own() -> None:
    values = np.array([np.inf, -np.inf, np.nan, 1e300, 0.0, -0.0])
    codes = bits.codes(bits.standardise(values, 0.0, 1.0))
    assert codes[0] == codes[3] == bits.INFINITE_CODES[0]
    assert codes[1] == bits.INFINITE_CODES[1]
    assert codes[2] in bits.NAN_CODES
    assert codes[4] == codes[5] == 0


def test_codes_rise_with_values() -> None:
    values = np.sort(np.random.default_rng(0).standard_cauchy(5000)).astype(np.float32)
    ranks = bits.RANK[bits.codes(values)]
    assert (np.diff(ranks) >= 0).all()
    assert np.array_equal(bits.RANK[bits.ORDER], np.arange(bits.CODES))


def test_quantile_is_near_the_exact_one() -> None:
    values = np.random.default_rng(1).normal(100, 5, 50_000)
    counts = bits.histogram(values, 100.0, 5.0)
    for share in (0.05, 0.5, 0.9):
        assert bits.quantile(counts, 100.0, 5.0, share) == pytest.approx(np.quantile(values, share), abs=0.3)
    assert np.isnan(bits.quantile(np.zeros(bits.CODES, np.int64), 0.0, 1.0, 0.5))
