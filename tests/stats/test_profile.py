import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stats.streams import answered, fields_of, profile_of, reference_of, table

from perenne.core.errors import Invalid
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, Task, row_count, take
from perenne.stats.layout import FIXED
from perenne.stats.numeric import NON_FINITE, NULL, UNSEEN
from perenne.stats.profile import Profile

COLUMNS, SCORES, PREDICTIONS, LABELS = answered(2000)
BINARY = Reference.fit(
    COLUMNS,
    fields_of(COLUMNS),
    chunks=8,
    scores=SCORES,
    predictions=PREDICTIONS,
    labels=LABELS,
    task=Task.BINARY,
    classes=("no", "yes"),
    threshold=0.3,
)


def window(rows: int, seed: int) -> tuple[dict[str, Column], Column, Column]:
    """Draw rows that use every cell: new levels, infinities, nulls, odd scores."""
    columns, scores, predictions, _ = answered(rows, seed)
    rng = np.random.default_rng(seed)
    columns["x"] = np.where(rng.random(rows) < 0.1, rng.choice([np.inf, -np.inf, np.nan, 1e30], rows), columns["x"])
    columns["level"] = np.where(
        rng.random(rows) < 0.2, np.array([f"new {place}" for place in rng.integers(0, 9, rows)], object), columns["level"]
    )
    scores = np.where(rng.random((rows, 1)) < 0.05, rng.choice([np.nan, -0.1, 1.5], (rows, 1)), scores)
    return columns, predictions, scores


@st.composite
def splits(draw: st.DrawFn) -> tuple[int, list[int], list[int], int]:
    rows = draw(st.integers(0, 120))
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=6)))
    order = draw(st.permutations(range(len(cuts) + 1)))
    return rows, cuts, list(order), draw(st.integers(0, 5))


@settings(deadline=None, max_examples=60)
@given(splits())
def test_any_split_order_and_grouping_gives_the_same_bytes(split: tuple[int, list[int], list[int], int]) -> None:
    rows, cuts, order, seed = split
    columns, predictions, scores = window(rows, seed)
    whole = Profile.empty(BINARY)
    whole.add(columns, predictions, scores)
    parts = []
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        part, shuffled = Profile.empty(BINARY), np.random.default_rng(seed).permutation(np.arange(start, end))
        part.add(take(columns, shuffled), predictions[shuffled], scores[shuffled])
        parts.append(Profile.from_bytes(part.to_bytes(), BINARY))
    left, right = Profile.empty(BINARY), Profile.empty(BINARY)
    for place, number in enumerate(order):
        (left if place % 2 else right).merge(parts[number])
    left.merge(right)
    assert left.rows == rows
    assert left.to_bytes() == whole.to_bytes()


def test_every_row_is_in_one_cell_of_each_feature() -> None:
    columns, predictions, scores = window(500, 3)
    profile = Profile.empty(BINARY)
    profile.add(columns, predictions, scores)
    assert (profile.counts.sum(axis=1) == 500).all()
    assert profile.scores.sum() + profile.strays.sum() == 500
    place = BINARY.place
    assert profile.counts[place("x"), NON_FINITE] == np.isinf(columns["x"]).sum()
    assert profile.counts[place("x"), NULL] == np.isnan(columns["x"]).sum()
    assert profile.counts[place("level"), UNSEEN] == sum(level.startswith("new") for level in columns["level"])
    assert profile.strays[0] == (~((scores[:, 1] >= 0) & (scores[:, 1] <= 1))).sum()


def test_sums_are_those_of_the_rows() -> None:
    columns, scores, predictions, _ = answered(40_000, 9)
    profile = Profile.empty(BINARY)
    profile.add(columns, predictions, scores)
    exact = np.rint(scores[:, 1] * FIXED)
    assert (profile.sums[:, :, 0].sum(axis=1) == exact.sum()).all()
    assert (profile.sums[:, :, 1].sum(axis=1) == np.rint(scores[:, 1] ** 2 * FIXED).sum()).all()
    feature = BINARY.layout.features[0]
    x = np.clip((columns["x"] - feature.center) / feature.scale, -64, 64)  # type: ignore[union-attr]
    moments = profile.moments[0] / FIXED / 40_000
    assert moments == pytest.approx([x.mean(), (x**2).mean(), (x * scores[:, 1]).mean()], abs=1e-4)


def test_a_threshold_inside_a_bin_is_an_edge() -> None:
    edges = BINARY.layout.score_edges
    assert len(edges) == 258 and 0.3 in edges
    profile = Profile.empty(BINARY)
    below = np.array([0.0, 0.2999999, 0.3, 0.3000001, 0.31, 1.0])
    profile.add({}, (below >= 0.3).astype(int), np.column_stack([1 - below, below]))
    assert profile.scores[0][edges[:-1] >= 0.3].sum() == 4
    assert profile.scores[0][edges[:-1] < 0.3].sum() == 2


def test_labels_places_and_texts_are_one() -> None:
    profiles = []
    for predictions in (np.array([0, 1, 1]), np.array(["no", "yes", "yes"]), np.array(["no", "yes", "yes"], object)):
        profile = Profile.empty(BINARY)
        profile.add(take(COLUMNS, slice(3)), predictions, SCORES[:3])
        profiles.append(profile.to_bytes())
    assert len(set(profiles)) == 1


def test_a_few_new_levels_are_named() -> None:
    columns = {"level": np.array(["level 1", "Mars", "Mars", "Venus", None], object)}
    profile = profile_of(reference_of({"level": COLUMNS["level"]}), columns)
    assert {(level.text, level.rows) for level in profile.new_levels[0].values()} == {("Mars", 2), ("Venus", 1)}


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"x": np.array([])},
        {"unknown": np.array([1.0])},
        {"x": np.array(["text", None, "3.5"], object)},
        {"level": np.array([1.5, np.nan])},
        {"level": np.array([["nested"], {"a": 1}, 3], object)},
        {"x": np.array([True, False]), "level": np.array([True, False])},
        {"x": np.array([10**400, -(10**400), b"bytes", 1 + 2j], object)},
    ],
)
def test_retyped_and_missing_columns_are_counted(columns: Columns) -> None:
    profile = profile_of(BINARY, columns)
    assert profile.rows == row_count(columns)
    assert (profile.counts.sum(axis=1) == profile.rows).all()
    assert Profile.from_bytes(profile.to_bytes(), BINARY).to_bytes() == profile.to_bytes()


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(Invalid, match="'level' has 2 rows"):
        profile_of(BINARY, {"x": np.zeros(3), "level": np.array(["a", "b"], object)})


def test_header_adds_up() -> None:
    first, second = Profile.empty(BINARY), Profile.empty(BINARY)
    first.dropped, first.first, first.last = 3, 100, 200
    second.dropped, second.first, second.last = 4, 50, 150
    first.merge(second)
    first.merge(Profile.empty(BINARY))
    again = Profile.from_bytes(first.to_bytes(), BINARY)
    assert (again.dropped, again.first, again.last) == (7, 50, 200)


def test_counters_widen_before_they_overflow() -> None:
    profile = profile_of(BINARY, take(COLUMNS, slice(100)))
    narrow = len(profile.to_bytes())
    for _ in range(40):
        profile.merge(profile)
    again = Profile.from_bytes(profile.to_bytes(), BINARY)
    assert again.rows == 100 * 2**40
    assert (again.counts == profile.counts).all() and (again.sums == profile.sums).all()
    assert len(profile.to_bytes()) > narrow


def test_another_reference_is_refused() -> None:
    other = reference_of({"x": np.arange(50.0)})
    profile = profile_of(other, {"x": np.arange(5.0)})
    with pytest.raises(Invalid) as mismatch:
        Profile.from_bytes(profile.to_bytes(), BINARY)
    assert mismatch.value.code == "profile.reference_mismatch"
    with pytest.raises(Invalid):
        Profile.empty(BINARY).merge(profile)


def test_damaged_bytes_are_refused_or_read_but_never_crash() -> None:
    data = profile_of(BINARY, take(COLUMNS, slice(200))).to_bytes()
    for broken in (b"", b"PPRF", data[:50], data[:-10], b"XXXX" + data[4:], data[:100] + bytes(200)):
        with pytest.raises(Invalid):
            Profile.from_bytes(broken, BINARY)


def test_a_bomb_is_not_unpacked() -> None:
    import zlib

    data = profile_of(BINARY, {}).to_bytes()
    header = data[: data.index(b"\x78\x9c", 70)]
    with pytest.raises(Invalid):
        Profile.from_bytes(header + zlib.compress(bytes(50_000_000), 9), BINARY)


def test_windows_are_small() -> None:
    columns = table(np.random.default_rng(0), 20_000, features=50)
    reference = reference_of(columns)
    assert len(profile_of(reference, take(columns, slice(2000))).to_bytes()) < 12_000


def test_profiles_need_numpy_only() -> None:
    script = """
import sys
import perenne.stats.profile
loaded = {name.partition(".")[0] for name in sys.modules}
unwanted = loaded & {"scipy", "sklearn", "sqlalchemy", "duckdb", "pyarrow", "onnxruntime", "starlette", "pandas", "click"}
sys.exit(", ".join(sorted(unwanted)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
