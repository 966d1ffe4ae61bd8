"""The combination of inputs, watched as a feature: found when two inputs no longer go together, silent otherwise."""

import numpy as np
import pytest
from tests.stats.streams import fields_of, profile_of, table

from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Task
from perenne.stats.drift import judge
from perenne.stats.joint import TOGETHER
from perenne.stats.layout import Watched


def draw(rng: np.random.Generator, rows: int, together: float, columns: int = 8) -> dict[str, Column]:
    x = rng.normal(0, 1, (columns, rows))
    x[1] = together * x[0] + np.sqrt(1 - together**2) * x[1]
    drawn = {f"x{place}": np.exp(column) if place == 2 else column for place, column in enumerate(x)}
    known = np.where(rng.random(rows) < 0.9, x[3] > 0, x[3] <= 0)
    return drawn | {"level": np.where(known, "up", "down").astype(object)}


def watched(columns: dict[str, Column], chunks: int = 12) -> Reference:
    return Reference.fit(columns, fields_of(columns), chunks=chunks, task=Task.REGRESSION, watched=Watched(together=True))


def alarms(reference: Reference, columns: dict[str, Column]) -> set[str]:
    return {feature.name for feature in judge(reference, profile_of(reference, columns)).features if feature.state == "alarm"}


def test_a_change_of_correlation_alone_is_found() -> None:
    rng = np.random.default_rng(0)
    reference = watched(draw(rng, 8000, 0.9))
    for together in (0.0, -0.9, 0.5):
        assert alarms(reference, draw(rng, 2000, together)) == {TOGETHER}
    apart = draw(rng, 2000, 0.9)
    apart["level"] = rng.permutation(apart["level"])  # a level that no longer goes with a number
    assert alarms(reference, apart) == {TOGETHER}


@pytest.mark.parametrize("rows", [600, 6000])
def test_no_change_stays_silent_over_many_seeds(rows: int) -> None:
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        reference = watched(table(rng, rows))
        for size in (300, 3000):
            found += [name for name in alarms(reference, table(rng, size)) if name == TOGETHER]
    assert not found


@pytest.mark.long
def test_no_change_stays_silent_over_very_many_seeds() -> None:
    found = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        reference = watched(table(rng, (600, 3000, 12_000)[seed % 3], (4, 16, 60)[seed % 3]))
        found += TOGETHER in alarms(reference, table(rng, (300, 1000, 5000)[seed % 3], (4, 16, 60)[seed % 3]))
    assert found <= 5


def test_it_travels_with_the_reference_and_needs_two_inputs_that_vary() -> None:
    rng = np.random.default_rng(1)
    reference = watched(draw(rng, 4000, 0.9))
    again, window = Reference.from_bytes(reference.to_bytes()), draw(rng, 1000, -0.9)
    assert profile_of(again, window).to_bytes() == profile_of(reference, window).to_bytes()
    assert alarms(again, window) == {TOGETHER}
    del window["x4"]
    assert alarms(again, window) >= {"x4"}  # a column that is missing is taken to be in the middle
    one = watched({"x": rng.normal(0, 1, 500), "constant": np.ones(500)})
    assert [feature.name for feature in one.layout.features] == ["x", "constant"]


def test_of_a_wide_table_some_inputs_take_part_and_of_few_rows_fewer() -> None:
    rng = np.random.default_rng(2)

    def axes(rows: int, columns: int) -> int:
        joint = watched({f"x{place}": rng.normal(0, 1, rows) for place in range(columns)}, chunks=4).layout.joint
        return 0 if joint is None else len(joint.features)

    assert (axes(20_000, 80), axes(500, 80), axes(60, 80)) == (64, 5, 0)
