import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from scipy.special import rel_entr

from perenne.core.errors import Invalid
from perenne.stats import distances, ranks
from perenne.stats.columns import Column, FieldKind
from perenne.stats.named import _COMPUTE, compare_rows
from perenne.stats.names import ALIASES, ROWS, STATISTICS, Chosen, checked, own_name, resolve

few = settings(max_examples=15, deadline=None)
counts = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=12).filter(
    lambda pairs: all(sum(side) > 10 for side in zip(*pairs, strict=True))
)

EVIDENTLY = (
    *("anderson", "chisquare", "cramer_von_mises", "ed", "es", "fisher_exact", "g_test", "hellinger", "jensenshannon", "kl_div"),
    *("ks", "mannw", "empirical_mmd", "psi", "t_test", "TVD", "wasserstein", "z"),
)
NANNYML = ("kolmogorov_smirnov", "chi2", "jensen_shannon", "wasserstein", "hellinger", "l_infinity")
SNOWFLAKE = ("JENSEN_SHANNON", "DIFFERENCE_OF_MEANS", "WASSERSTEIN", "POPULATION_STABILITY_INDEX")


def sides(pairs: list[tuple[int, int]]) -> tuple[Column, Column]:
    reference, window = np.array(pairs).T
    return reference, window


def rows_of(side: Column) -> Column:
    return np.repeat(np.arange(len(side), dtype=float), side)


@few
@given(counts)
def test_distances_and_ranks_are_scipys(pairs: list[tuple[int, int]]) -> None:
    reference, window = sides(pairs)
    used = reference + window > 0
    p, q = ((side[used] + 0.5) / (side[used] + 0.5).sum() for side in (reference, window))
    assert float(distances.kl(reference, window)) == pytest.approx(float(rel_entr(q, p).sum()), abs=1e-12)
    apart = distance.cityblock(reference / reference.sum(), window / window.sum())
    assert float(distances.tv(reference, window)) == pytest.approx(apart / 2)
    area, p_rank = (float(part) for part in distances.rank_sum(reference, window))
    found = stats.mannwhitneyu(rows_of(window), rows_of(reference), use_continuity=False, method="asymptotic")
    assert area == pytest.approx(found.statistic / reference.sum() / window.sum())
    if np.isfinite(found.pvalue):
        assert p_rank == pytest.approx(found.pvalue)


def test_g_is_scipys_and_rare_cells_are_pooled() -> None:
    reference, window = np.array([500, 300, 80, 60]), np.array([240, 200, 50, 20])
    exact = stats.chi2_contingency(np.array([reference, window]), correction=False, lambda_="log-likelihood")
    value, freedom = distances.g_test(reference, window)
    assert (float(value), float(freedom)) == pytest.approx((exact.statistic, exact.dof))
    rare = np.array([1, 2, 0]), np.array([0, 0, 1])
    pooled = distances.g_test(np.append(reference, 3), np.append(window, 1))
    spread = distances.g_test(np.concatenate([reference, rare[0]]), np.concatenate([window, rare[1]]))
    assert float(spread[0]) == pytest.approx(float(pooled[0])) and float(spread[1]) == float(pooled[1]) == 4


def test_tests_of_ordered_cells_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 1, 3000), rng.normal(0.08, 1, 2000)
    values = np.sort(np.concatenate([x, y]))
    reference, window = (np.isin(values, side).astype(int) for side in (x, y))
    exact = stats.cramervonmises_2samp(x, y, method="asymptotic")
    found = ranks.cramer_von_mises(reference, window)
    assert found[0] == pytest.approx(exact.statistic) and found[1] == pytest.approx(exact.pvalue, rel=0.01)
    anderson = stats.anderson_ksamp([x, y], variant="continuous", method=stats.PermutationMethod(n_resamples=199, rng=rng))
    assert ranks.anderson_darling(reference, window)[1] == pytest.approx(anderson.pvalue, abs=0.1)
    assert [ranks.cramer_von_mises_p(value) for value in (0.001, 9.0)] == [1.0, 0.0]
    tails = [ranks.anderson_darling_p(value) for value in (0.01, 0.5, 1.9, 2.1, 5.0, 12.0, 400.0)]
    assert tails == sorted(tails, reverse=True) and tails[0] == 1.0 and tails[-1] == 0.0


@pytest.fixture(scope="module")
def samples() -> tuple[Column, Column]:
    rng = np.random.default_rng(5)
    return rng.gamma(3, 2, 6000), rng.gamma(3.4, 2.1, 1500)


def test_statistics_of_moments_are_scipys(samples: tuple[Column, Column]) -> None:
    x, y = samples
    welch = compare_rows(x, y, "t_test")
    exact = stats.ttest_ind(y, x, equal_var=False)
    assert welch.value == pytest.approx(exact.statistic, rel=1e-3)
    assert welch.p is not None and np.log(welch.p) == pytest.approx(np.log(exact.pvalue), rel=1e-3)
    assert compare_rows(x, y, "DIFFERENCE_OF_MEANS").value == pytest.approx((y.mean() - x.mean()) / x.std(), rel=1e-3)
    assert compare_rows(x, y, "variance_ratio").value == pytest.approx(y.var(ddof=1) / x.var(ddof=1), rel=1e-3)


def test_wasserstein_from_cells_is_near_that_of_the_rows(samples: tuple[Column, Column]) -> None:
    x, y = samples
    exact = stats.wasserstein_distance(x, y) / x.std()
    assert compare_rows(x, y, "wasserstein").value == pytest.approx(exact, rel=0.05)
    beyond = stats.wasserstein_distance(x, 3 * x) / x.std()  # outermost cells do not tell how far, the means do
    assert compare_rows(x, 3 * x, "wasserstein").value == pytest.approx(beyond, rel=0.05)
    assert compare_rows(x, x, "wasserstein").value == pytest.approx(0, abs=1e-9)


def test_shares_are_scipys() -> None:
    old, new = np.repeat(["a", "b"], [900, 100]).astype(object), np.repeat(["a", "b"], [160, 40]).astype(object)
    fisher = compare_rows(old, new, "fisher_exact", FieldKind.CATEGORY)
    exact = stats.fisher_exact(np.array([[160, 40], [900, 100]]))
    assert (fisher.value, fisher.p) == pytest.approx((exact.statistic, exact.pvalue))
    z = compare_rows(old, new, "z", FieldKind.CATEGORY)
    plain = stats.chi2_contingency([[900, 100], [160, 40]], correction=False)
    assert (z.value**2, z.p) == pytest.approx((plain.statistic, plain.pvalue))


def test_every_statistic_is_quiet_without_change_and_speaks_of_a_large_one(samples: tuple[Column, Column]) -> None:
    x, _ = samples
    rng = np.random.default_rng(0)
    again = rng.gamma(3, 2, 1500)
    broken = np.where(rng.random(1500) < 0.3, 50.0, again * 2)
    broken[:150], broken[150:300] = np.nan, np.inf
    quiet = {"unseen_share"}  # numbers all
    for name in STATISTICS:
        assert compare_rows(x, again, name).verdict == "ok", name
        assert compare_rows(x, broken, name).verdict == ("ok" if name in quiet else "alarm"), name
    assert compare_rows(x, broken, "es").verdict == "alarm" and compare_rows(x, again, "es").verdict == "ok"
    assert compare_rows(x, np.full(50, np.nan), "ks").verdict == "unknown"
    assert compare_rows(x, np.array(["none"] * 50, object), "unseen_share").verdict == "alarm"


def test_levels_have_no_order() -> None:
    column = np.array(["a", "b"] * 50, object)
    assert compare_rows(column, column, "psi", FieldKind.CATEGORY).value == 0
    with pytest.raises(Invalid, match="'ks' needs numbers"):
        compare_rows(column, column, "ks", FieldKind.CATEGORY)


def test_all_names_of_others_are_understood() -> None:
    assert set(_COMPUTE) == set(STATISTICS)
    assert set(ALIASES.values()) <= set(STATISTICS) | set(ROWS)
    for name in (*EVIDENTLY, *NANNYML, *SNOWFLAKE, "linf", "JENSEN_SHANNON_DIVERGENCE", "Kolmogorov-Smirnov"):
        assert own_name(name) in {**STATISTICS, **ROWS}
    assert own_name("Difference of means") == "mean_difference"


@pytest.mark.parametrize(
    ("written", "code", "words"),
    [
        ("wassersten", "statistic.unknown", "did you mean 'wasserstein'?"),
        ("?!", "statistic.unknown", "there are psi"),
        ("psi(much)", "statistic.threshold", "in brackets"),
        ("psi(0)", "statistic.threshold", "above 0"),
        ("psi(nan)", "statistic.threshold", "above 0"),
        ("ks(1.5)", "statistic.threshold", "between 0 and 1"),
        ("psi(0.2", "statistic.unknown", ""),
        ("empirical_mmd", "statistic.needs_rows", "multivariate"),
    ],
)
def test_a_name_that_is_none_is_refused_with_a_hint(written: str, code: str, words: str) -> None:
    with pytest.raises(Invalid) as raised:
        resolve(written)
    assert raised.value.code == code and words in (raised.value.hint or "")


def test_a_choice_is_written_and_read() -> None:
    assert resolve(str(resolve(" jensenshannon ( 0.15 ) "))) == Chosen("js_distance", 0.15)
    assert checked(Chosen("TVD", 1)) == Chosen("tv", 1.0)
