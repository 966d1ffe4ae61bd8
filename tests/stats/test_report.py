import numpy as np
import pyarrow as pa
import pytest

from perenne.stats.cells import Reference
from perenne.stats.columns import Task
from perenne.stats.profile import Profile
from perenne.stats.report import compare_tables, count, fields_of


def drawn(seed: int, rows: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    levels = rng.choice(np.array(["a", "b", "c"], object), rows)
    levels[::50] = None
    return pa.table({
        "x": rng.normal(shift, 1, rows),
        "whole": rng.poisson(3, rows),
        "gaps": pa.array(rng.normal(5, 2, rows), mask=rng.random(rows) < 0.1),
        "spiked": np.where(rng.random(rows) < 0.3, 0.5, rng.lognormal(0, 1, rows)).astype(np.float32),
        "level": pa.array(levels).dictionary_encode(),
        "flag": rng.random(rows) < 0.2,
        "when": pa.array(np.arange(rows), pa.timestamp("us")),
    })  # fmt: skip


def test_two_tables_are_compared_by_the_rule() -> None:
    reference = drawn(0, 30_000)
    assert compare_tables(reference, drawn(1, 5000)).state == "ok"
    verdict = compare_tables(reference, drawn(2, 5000, shift=0.4))
    assert [feature.name for feature in verdict.features if feature.state == "alarm"] == ["x"]
    assert verdict.features[0].sentence.startswith("median ")
    assert len(verdict.features) == 6  # a time is no feature
    gone = compare_tables(reference, drawn(3, 2000).drop_columns(["level"]))
    assert [feature.name for feature in gone.features if feature.state == "alarm"] == ["level"]
    assert compare_tables(reference, drawn(1, 50)).state == "too_few"


@pytest.mark.parametrize("rows", [0, 1, 70_000])
def test_counts_are_those_of_a_profile(rows: int) -> None:
    table, window = drawn(0, 5000), drawn(1, rows)
    fields = fields_of(table)

    def columns(given: pa.Table) -> dict[str, np.ndarray]:
        return {
            field.name: np.array([*given[field.name].to_pylist(), None], object)[:-1]
            if field.kind.value == "category"
            else given[field.name].to_numpy().astype(float)
            for field in fields
        }

    cells = Reference.fit(columns(table), fields, chunks=1, task=Task.REGRESSION)
    profile = Profile.empty(cells)
    profile.add(columns(window))
    assert count(cells, window).counts.tolist() == profile.counts.tolist()
