"""Features beside whole columns: centres of the reference, and profiles without their sums."""

import numpy as np
import pytest
from tests.stats.streams import fields_of, profile_of

from perenne.core.errors import Invalid
from perenne.stats.cells import Reference
from perenne.stats.columns import Task
from perenne.stats.drift import judge
from perenne.stats.layout import Watched
from perenne.stats.profile import Profile


def crossed(count: int, seed: int, *, turned: bool = False) -> dict[str, np.ndarray]:
    """Two columns that go together, or against each other: each looks the same by itself."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0, 1, count)
    second = (-1 if turned else 1) * first + rng.normal(0, 0.3, count)
    return {"a": first, "b": second}


def test_centres_see_a_combination_that_no_column_shows() -> None:
    rows, eight = crossed(6_000, 1), Watched(clusters=8)
    reference = Reference.fit(rows, fields_of(rows), chunks=12, task=Task.REGRESSION, watched=eight)
    again = Reference.from_bytes(reference.to_bytes())
    same = judge(again, profile_of(again, crossed(1_000, 2)))
    turned = judge(again, profile_of(again, crossed(1_000, 3, turned=True)))
    assert same.state == "ok"
    assert {feature.name for feature in turned.features if feature.state == "alarm"} == {"@cluster", "@distance"}
    assert again.to_bytes() == Reference.fit(rows, fields_of(rows), chunks=12, task=Task.REGRESSION, watched=eight).to_bytes()


def test_more_centres_than_different_rows_are_as_many_as_there_are() -> None:
    rows = {"a": np.array([1.0, 2.0] * 50)}
    reference = Reference.fit(rows, fields_of(rows), task=Task.REGRESSION, watched=Watched(clusters=8))
    assert reference.layout.clusters is not None and len(reference.layout.clusters.centres) == 2
    assert judge(reference, profile_of(reference, {"a": np.full(300, np.nan)})).state == "alarm"


def test_what_is_no_column_cannot_be_watched() -> None:
    rows = crossed(100, 1)
    for watched in (Watched(segments=("c",)), Watched(lists=("c",))):
        with pytest.raises(Invalid, match="'c'"):
            Reference.fit(rows, fields_of(rows), task=Task.REGRESSION, watched=watched)


def test_a_profile_without_its_sums_keeps_its_counts_and_says_so() -> None:
    rows = crossed(2_000, 1)
    reference = Reference.fit(rows, fields_of(rows), task=Task.REGRESSION, predictions=rows["a"])
    whole = profile_of(reference, crossed(500, 2))
    bare = Profile.from_bytes(whole.to_bytes(), reference)
    bare.drop_sums()
    assert len(bare.to_bytes()) < len(whole.to_bytes())
    again = Profile.from_bytes(bare.to_bytes(), reference)
    assert not again.summed and np.array_equal(again.counts, whole.counts) and not again.sums.any()
    again.merge(whole)
    assert not again.summed and again.rows == 1_000
    assert np.array_equal(again.counts, 2 * whole.counts)
