"""ADWIN beside River 0.26.1, whose answers were recorded with `river.drift.ADWIN()` in an environment of its own."""

import msgspec
import numpy as np
import pytest

from perenne.stats.adwin import Adwin
from perenne.stats.columns import Column


def errors(seed: int, *parts: tuple[int, float]) -> Column:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(rows) < rate for rows, rate in parts]).astype(float)


# The labels at which River saw a change, and the mean of its window at the end.
RIVER = [
    (errors(1, (4000, 0.1), (4000, 0.25)), [4191], 0.240021),
    (errors(2, (4000, 0.3), (4000, 0.1)), [4191], 0.101366),
    (errors(3, (8000, 0.15)), [], 0.1575),
    (errors(4, (3000, 0.05), (3000, 0.2), (3000, 0.5)), [3135, 6111], 0.500346),
]


@pytest.mark.parametrize(("values", "places", "mean"), RIVER)
def test_changes_are_seen_where_river_sees_them(values: Column, places: list[int], mean: float) -> None:
    detector = Adwin()
    assert [change.place for change in detector.update(values)] == places
    assert detector.mean == pytest.approx(mean, abs=0.005)


def test_values_between_zero_and_one_are_seen_where_river_sees_them() -> None:
    rng = np.random.default_rng(5)
    detector = Adwin()
    (change,) = detector.update(np.concatenate([rng.beta(2, 8, 3000), rng.beta(3, 6, 3000)]))
    assert change.place == 3071
    assert detector.mean == pytest.approx(0.33256, abs=0.005)
    assert change.worse


def test_an_improvement_is_no_worsening() -> None:
    (change,) = Adwin().update(RIVER[1][0])
    assert not change.worse
    assert change.before > 0.25 > change.after


def test_it_goes_on_where_it_was_kept_and_its_state_stays_small() -> None:
    values = RIVER[3][0]
    whole, kept = Adwin(), Adwin()
    whole.update(values)
    for part in np.array_split(values, 17):
        kept = msgspec.json.decode(msgspec.json.encode(kept), type=Adwin)
        kept.update(part)
    assert kept == whole
    assert len(msgspec.json.encode(kept)) < 3_000
    assert whole.width == pytest.approx(3000, abs=40)


def test_a_steady_stream_hardly_ever_changes() -> None:
    assert sum(len(Adwin().update(errors(seed, (3000, 0.12)))) for seed in range(12)) <= 1
