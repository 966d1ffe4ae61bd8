"""Concentration of counts, against definitions over pairs of rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perenne.stats.concentration import entropy, gini, largest_share, top_rows

counts = st.lists(st.integers(0, 500), min_size=2, max_size=20).filter(any)


@settings(max_examples=30)
@given(counts)
def test_measures_are_their_definitions(given: list[int]) -> None:
    shares = np.array(given) / sum(given)
    assert entropy(given) == pytest.approx(stats.entropy(shares) / np.log(len(given)), abs=1e-12)
    differences = np.abs(np.subtract.outer(given, given)).sum()
    assert gini(given) == pytest.approx(differences / (2 * len(given) * sum(given)), abs=1e-9)
    assert largest_share(given) == shares.max()


def test_of_nothing_nothing_is_said() -> None:
    assert [measure([0, 0]) for measure in (entropy, gini, largest_share)] == [None, None, None]
    assert entropy([3]) is None, "one kind cannot be spread"
    assert top_rows(np.array([1, 2, 3]), np.array([0.0, 0.9, 0.95, 1.0]), 0.9) == 5
