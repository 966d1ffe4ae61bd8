"""Agreement, held against published examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha

N = float("nan")
FLEISS_1971 = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""The worked example of ten subjects, fourteen raters, five categories: kappa = 0.210."""
KRIPPENDORFF_2011 = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
"""Example C of "Computing Krippendorff's Alpha-Reliability": nominal 0.743, interval 0.849."""


def test_cohen_as_published() -> None:
    assert cohen_kappa([0] * 25 + [1] * 25, [0] * 20 + [1] * 5 + [0] * 10 + [1] * 15) == pytest.approx(0.4)
    two = [[0] * 70 + [1] * 30, [0] * 45 + [1] * 25 + [0] * 15 + [1] * 15]
    assert cohen_kappa(*two) == pytest.approx(0.1304, abs=1e-4)


def test_cohen_counts_only_what_both_labelled_and_is_undefined_without_a_difference() -> None:
    assert cohen_kappa([0, 1, -1, 1], [0, 1, 1, -1]) == 1
    assert np.isnan(cohen_kappa([0, 0], [0, 0])) and np.isnan(cohen_kappa([-1], [0])) and np.isnan(cohen_kappa([], []))


def test_fleiss_as_published() -> None:
    assert fleiss_kappa(FLEISS_1971) == pytest.approx(0.210, abs=5e-4)
    assert np.isnan(fleiss_kappa([[1, 0], [0, 1]])) and np.isnan(fleiss_kappa([[2, 0], [2, 0]]))


def test_krippendorff_as_published() -> None:
    assert krippendorff_alpha(KRIPPENDORFF_2011).value == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(KRIPPENDORFF_2011, interval=True).value == pytest.approx(0.849, abs=5e-4)


def test_krippendorff_of_two_observers_as_published() -> None:
    """Example A (binary, 0.095) and B (nominal, 0.692) of the same paper."""
    a = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
    assert krippendorff_alpha(a).value == pytest.approx(0.095, abs=5e-4)
    names = ["aabbdcccedda", "babbbccceddd"]
    assert krippendorff_alpha([[ord(name) for name in row] for row in names]).value == pytest.approx(0.692, abs=5e-4)


def test_alpha_is_undefined_where_nothing_can_be_said() -> None:
    for nothing in ([[1, 1], [1, 1]], [[1, N], [N, 1]], np.zeros((2, 0))):
        assert np.isnan(krippendorff_alpha(nothing, draws=20).value)


def test_limits_hold_the_value_and_narrow_with_more_items() -> None:
    random = np.random.default_rng(3)
    widths = []
    for items in (60, 2_000):
        truth = random.integers(0, 3, items)
        said = np.array([np.where(random.random(items) < 0.8, truth, random.integers(0, 3, items)) for _ in range(3)], float)
        found = krippendorff_alpha(said, draws=200)
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 3


def slow_alpha(table: np.ndarray, *, interval: bool) -> float:
    """The coefficient by its coincidence matrix, as the paper builds it."""
    known = np.unique(table[~np.isnan(table)])
    matrix = np.zeros((len(known), len(known)))
    for unit in table.T:
        values = unit[~np.isnan(unit)]
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                if i != j:
                    matrix[np.searchsorted(known, a), np.searchsorted(known, b)] += 1 / (len(values) - 1)
    distance = (known[:, None] - known[None, :]) ** 2 if interval else (known[:, None] != known[None, :]).astype(float)
    n = matrix.sum(0)
    expected = (np.outer(n, n) * distance).sum() / (n.sum() - 1)
    return float(1 - (matrix * distance).sum() / expected)


@settings(max_examples=25)
@given(st.data())
def test_alpha_is_that_of_the_coincidence_matrix(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(2, 4), st.integers(2, 8)))
    values = data.draw(st.lists(st.sampled_from([N, 0.0, 1.0, 2.5]), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    table = np.array(values).reshape(shape)
    paired = table[:, (~np.isnan(table)).sum(0) >= 2]
    if paired.size == 0 or len(np.unique(paired[~np.isnan(paired)])) < 2:
        assert np.isnan(krippendorff_alpha(table).value)
        return
    for interval in (False, True):
        assert krippendorff_alpha(table, interval=interval).value == pytest.approx(slow_alpha(paired, interval=interval))
