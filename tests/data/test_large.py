"""A file that is not held: its profile has the same figures as one that is."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perenne.core.errors import Invalid
from perenne.data.large import is_large, profile_file
from perenne.data.model import ColumnProfile
from perenne.data.profiles import profile_table
from perenne.data.sketches import merge

ROWS = 25_000


def table() -> pa.Table:
    rng = np.random.default_rng(5)
    normal = rng.normal(50, 10, ROWS)
    return pa.table(
        {
            "x": pa.array(normal, mask=rng.random(ROWS) < 0.1),
            "wild": np.where(rng.random(ROWS) < 0.01, np.inf, np.where(rng.random(ROWS) < 0.01, np.nan, normal**9)),
            "whole": rng.integers(-40, 40, ROWS) * 5,
            "plan": pa.array(
                np.array(["basic", "pro", " ", "enterprise"])[rng.integers(0, 4, ROWS)], mask=rng.random(ROWS) < 0.2
            ),
            "name": [f"N{number:05d}" for number in rng.integers(0, 90_000, ROWS)],
            "at": pa.array(np.sort(rng.integers(0, 10**6, ROWS)) * 1_000_000, pa.timestamp("us")),
            "yes": rng.random(ROWS) < 0.3,
            "nothing": pa.nulls(ROWS, pa.float64()),
        }
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "it's large.parquet"
    pq.write_table(table(), path, row_group_size=7_000)
    return path


def figures(column: ColumnProfile) -> dict[str, Any]:
    parts = {"numbers": column.numbers, "text": column.text, "times": column.times}
    found = {f"{part}.{name}": getattr(value, name) for part, value in parts.items() if value for name in value.__struct_fields__}
    return found | {name: getattr(column, name) for name in column.__struct_fields__ if name not in parts}


def test_batches_give_the_figures_of_the_whole(file: Path) -> None:
    held, passed = profile_table(table(), target="yes", created=500_000 * 10**6), None
    passed = profile_file(file, target="yes", created=500_000 * 10**6, batch=3_001)
    assert (passed.rows, passed.duplicate_rows, passed.sample) == (held.rows, held.duplicate_rows, held.sample)
    assert passed.pairs == held.pairs and passed.associations == held.associations
    assert passed.sql and "duckdb" in passed.engine
    for mine, theirs in zip(held.columns, passed.columns, strict=True):
        expected, found = figures(mine), figures(theirs)
        for name in ("numbers.modes", "text.mean_length", "text.entropy", "text.shapes"):
            expected.pop(name, None), found.pop(name, None)
        for name, value in expected.items():
            if isinstance(value, float) or name in {"numbers.quantiles", "numbers.edges", "numbers.counts", "numbers.sketch"}:
                assert found[name] == pytest.approx(value, rel=0.02, abs=1e-3) or name == "numbers.counts", (mine.name, name)
            else:
                assert found[name] == value, (mine.name, name)


def test_beyond_what_is_kept_only_what_is_said_to_be_an_estimate_is_one(file: Path) -> None:
    held, passed = profile_table(table()), profile_file(file, batch=3_001, exact=500)
    assert {column.name for column in passed.columns if column.approximate} == {"x", "wild", "name", "at"}
    for mine, theirs in zip(held.columns, passed.columns, strict=True):
        assert (mine.count, mine.nulls, mine.nans) == (theirs.count, theirs.nulls, theirs.nans)
        assert theirs.distinct == pytest.approx(mine.distinct, rel=0.05)
        assert [item.count for item in theirs.top[:1]] == [item.count for item in mine.top[:1]] or theirs.approximate
        if mine.numbers is not None and theirs.numbers is not None:
            assert theirs.numbers.quantiles == pytest.approx(mine.numbers.quantiles, rel=5e-3)
            assert (theirs.numbers.min, theirs.numbers.max) == (mine.numbers.min, mine.numbers.max)
            assert theirs.numbers.skewness == pytest.approx(mine.numbers.skewness, rel=1e-9)
            assert sum(theirs.numbers.counts) == sum(mine.numbers.counts)


def test_rows_that_repeat_are_counted_in_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"x": [1.0, 1.0, None, None, 2.0], "s": ["a", "a", None, None, "b"]}), path)
    assert profile_file(path).duplicate_rows == 2


def test_a_file_is_large_by_what_it_unpacks_to(file: Path, tmp_path: Path) -> None:
    assert is_large(file, limit=100_000) and not is_large(file)
    text = tmp_path / "rows.csv"
    text.write_text("x\n1\n")
    assert not is_large(text, limit=1)


def test_a_broken_file_and_a_missing_target_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        profile_file(file, target="no")
    assert caught.value.code == "data.target_missing"
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(Invalid, match=r"broken\.parquet is broken"):
        is_large(broken)


def test_sketches_of_parts_make_the_sketch_of_the_whole() -> None:
    rng = np.random.default_rng(3)
    parts = [rng.normal(0, 1, 4_000), rng.exponential(3, 9_000), np.full(2_000, 1.5)]
    sketches = [profile_table(pa.table({"x": part})).column("x").numbers for part in parts]
    merged = merge([(len(part), sketch.sketch) for part, sketch in zip(parts, sketches, strict=True) if sketch is not None])
    everything = np.sort(np.concatenate(parts))
    for share, value in zip(np.linspace(0, 1, len(merged)), merged, strict=True):
        low, high = (np.searchsorted(everything, value, side) / everything.size for side in ("left", "right"))
        assert low - 0.02 <= share <= high + 0.02
    assert (merged[0], merged[-1]) == (everything[0], everything[-1])
    assert merge([]) == () and merge([(0, ())]) == ()
