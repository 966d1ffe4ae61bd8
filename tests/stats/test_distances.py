import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from perenne.stats import distances

counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=40).filter(
    lambda pairs: all(sum(side) > 0 for side in zip(*pairs, strict=True))
)


def sides(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    reference, window = np.array(pairs).T
    return reference, window


@given(counts)
def test_js_distance_is_scipys(pairs: list[tuple[int, int]]) -> None:
    reference, window = sides(pairs)
    assert float(distances.js_distance(reference, window)) == pytest.approx(distance.jensenshannon(reference, window), abs=1e-7)


@given(counts)
def test_ks_is_scipys_on_the_raw_rows(pairs: list[tuple[int, int]]) -> None:
    reference, window = sides(pairs)
    values = np.arange(len(reference), dtype=float)
    exact = stats.ks_2samp(np.repeat(values, reference), np.repeat(values, window), method="asymp")
    assert float(distances.ks(reference, window)) == pytest.approx(exact.statistic, abs=1e-12)


@given(counts)
def test_wasserstein_is_scipys(pairs: list[tuple[int, int]]) -> None:
    reference, window = sides(pairs)
    values = np.cumsum(1.0 + np.arange(len(reference)))
    exact = stats.wasserstein_distance(values, values, reference, window)
    assert distances.wasserstein(values, reference, window, scale=2.0) == pytest.approx(exact / 2, abs=1e-9)


@given(
    counts.filter(
        lambda pairs: all(a + b >= 40 for a, b in pairs) and 0.1 < sum(a for a, _ in pairs) / sum(a + b for a, b in pairs) < 0.9
    )
)
def test_chi2_is_scipys_where_nothing_is_pooled(pairs: list[tuple[int, int]]) -> None:
    reference, window = sides(pairs)
    exact = stats.chi2_contingency(np.array([reference, window]), correction=False)
    statistic, freedom = distances.chi2(reference, window)
    assert (float(statistic), float(freedom)) == pytest.approx((exact.statistic, exact.dof))
    assert float(distances.chi2_p(statistic, freedom)) == pytest.approx(exact.pvalue)


def test_rare_cells_are_pooled_into_one() -> None:
    reference, window = np.array([1000, 900, 1, 2, 0]), np.array([90, 100, 1, 0, 1])
    pooled = stats.chi2_contingency(np.array([[1000, 900, 3], [90, 100, 2]]), correction=False)
    statistic, freedom = distances.chi2(reference, window)
    assert (float(statistic), float(freedom)) == pytest.approx((pooled.statistic, 2))


def test_ks_p_is_the_limit_law() -> None:
    for d in (0.01, 0.03, 0.05, 0.2):
        expected = stats.kstwobign.sf(d * np.sqrt(2000 * 3000 / 5000))
        assert float(distances.ks_p(d, 2000, 3000)) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert float(distances.ks_p(0.0, 10, 10)) == 1.0


@given(counts)
def test_distances_are_zero_for_equal_shares_and_symmetric(pairs: list[tuple[int, int]]) -> None:
    reference, window = sides(pairs)
    for measure in (distances.js_distance, distances.hellinger, distances.linf, distances.psi, distances.ks):
        assert float(measure(reference, reference)) == pytest.approx(0, abs=1e-7)
        assert float(measure(reference, window)) == pytest.approx(float(measure(window, reference)), abs=1e-9)


def test_psi_and_hellinger_by_hand() -> None:
    reference, window = np.array([30, 70]), np.array([60, 40])
    p, q = np.array([30.5, 70.5]) / 101, np.array([60.5, 40.5]) / 101
    assert float(distances.psi(reference, window)) == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    expected = np.sqrt(1 - np.sqrt(0.3 * 0.6) - np.sqrt(0.7 * 0.4))
    assert float(distances.hellinger(reference, window)) == pytest.approx(expected)
    assert float(distances.linf(reference, window)) == pytest.approx(0.3)


def test_excess_has_mean_zero_without_change() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(40))
    excess = [float(distances.js_excess(rng.multinomial(5000, shares), rng.multinomial(1000, shares))) for _ in range(400)]
    assert abs(np.mean(excess)) < 3e-4
    assert np.mean([float(distances.js_divergence(rng.multinomial(5000, shares), rng.multinomial(1000, shares)))]) > 3e-3


@pytest.mark.parametrize("reference", [[0, 0], [3, 4]])
@pytest.mark.parametrize("window", [[0, 0], [5, 1]])
def test_empty_sides_have_no_distance(reference: list[int], window: list[int]) -> None:
    if any(reference) and any(window):
        return
    a, b = np.array(reference), np.array(window)
    assert float(distances.js_excess(a, b)) == float(distances.js_divergence(a, b)) == float(distances.ks(a, b)) == 0
    statistic, freedom = distances.chi2(a, b)
    assert float(distances.chi2_p(statistic, freedom)) == 1.0
