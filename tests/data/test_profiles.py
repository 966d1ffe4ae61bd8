from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.data import DataProfile, profile_table
from perenne.data.profiles import SAMPLE
from perenne.data.relations import cramers_v
from perenne.stats.columns import Column

# Anscombe, F. J. (1973). Graphs in statistical analysis. The American Statistician 27(1).
X = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
QUARTET = {
    "line": (X, [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]),
    "curve": (X, [9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74]),
    "outlier": (X, [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73]),
    "lever": ([8, 8, 8, 8, 8, 8, 8, 19, 8, 8, 8], [6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.50, 5.56, 7.91, 6.89]),
}


def profile(**columns: Any) -> DataProfile:
    return profile_table(pa.table(columns))


def test_anscombes_quartet_is_told_apart() -> None:
    found = {name: profile(x=[float(value) for value in x], y=y) for name, (x, y) in QUARTET.items()}
    summaries = set()
    for item in found.values():
        x, y, pair = item.column("x").numbers, item.column("y").numbers, item.pairs[0]
        assert x is not None and y is not None
        summaries.add((round(x.mean, 2), round(x.sd, 2), round(y.mean, 2), round(y.sd, 2), round(pair.pearson, 2)))
    assert summaries == {(9.0, 3.32, 7.5, 2.03, 0.82)}
    assert {name: item.pairs[0].reason for name, item in found.items()} == {
        "line": "strong", "curve": "shape", "outlier": "shape", "lever": "shape",
    }  # fmt: skip
    assert len({item.pairs[0].counts for item in found.values()}) == 4
    outlying = [name for name, item in found.items() if any("outliers" in column.flags for column in item.columns)]
    assert outlying == ["curve", "outlier", "lever"]


def test_every_figure_of_a_column_of_numbers() -> None:
    values = [3.0, -1.0, 0.0, 0.0, 7.5, None, np.inf, np.nan]
    column = profile(x=values).column("x")
    assert (column.count, column.nulls, column.distinct) == (6, 2, 5)
    assert column.top[0].value == "0.0" and column.top[0].count == 2
    numbers = column.numbers
    assert numbers is not None
    finite = np.array([3.0, -1.0, 0.0, 0.0, 7.5])
    deviations = finite - finite.mean()
    assert (numbers.min, numbers.max, numbers.zeros, numbers.negatives, numbers.infinite) == (-1.0, 7.5, 2, 1, 1)
    assert numbers.mean == pytest.approx(1.9)
    assert numbers.sd == pytest.approx(np.std(finite, ddof=1))
    assert numbers.skewness == pytest.approx(np.mean(deviations**3) / np.var(finite) ** 1.5)
    assert numbers.kurtosis == pytest.approx(np.mean(deviations**4) / np.var(finite) ** 2 - 3)
    assert numbers.quantiles[3] == 0.0
    assert sum(numbers.counts) == 5


def test_flags_tell_what_to_look_at() -> None:
    rng = np.random.default_rng(1)
    normal = rng.normal(size=2_000)
    found = profile_table(
        pa.table(
            {
                "normal": rng.uniform(-1, 1, 2_000),
                "two_humps": np.where(rng.random(2_000) < 0.5, normal - 5, normal + 5),
                "rounded": rng.integers(0, 20, 2_000) * 5 + (rng.random(2_000) < 0.3),
                "mostly_zero": np.where(rng.random(2_000) < 0.5, 0.0, rng.random(2_000)),
                "tail": np.exp(normal * 2),
                "one": np.ones(2_000),
                "row": np.arange(2_000),
                "name": [f"n{row}" for row in range(2_000)],
                "nothing": pa.nulls(2_000, pa.float64()),
            }
        )
    )
    assert {column.name: column.flags for column in found.columns} == {
        "normal": (),
        "two_humps": ("several_modes",),
        "rounded": ("heaped",),
        "mostly_zero": ("spike",),
        "tail": ("outliers",),
        "one": ("constant",),
        "row": ("id",),
        "name": ("id",),
        "nothing": ("all_missing",),
    }


def test_texts_and_times() -> None:
    at = np.array(["2013-01-01", "2013-01-02", "2013-01-02", "2013-01-09"], "datetime64[us]")
    found = profile(s=["N14228", "N2", "N2", None], t=at, back=at[::-1].copy(), b=[True, False, None, True])
    text, times = found.column("s").text, found.column("t").times
    assert text is not None and times is not None
    assert (text.min_length, text.max_length) == (2, 6)
    assert text.mean_length == pytest.approx(10 / 3)
    assert text.entropy == pytest.approx(-(1 / 3) * np.log2(1 / 3) - (2 / 3) * np.log2(2 / 3))
    assert [(shape.value, shape.count) for shape in text.shapes] == [("A9", 2), ("A99999", 1)]
    assert (times.ascending, times.longest_gap, times.period) == (True, 7 * 86_400_000_000, "day")
    assert [(item.value, item.count) for item in times.counts] == [("2013-01-01", 1), ("2013-01-02", 2), ("2013-01-09", 1)]
    assert found.column("back").times.ascending is False  # type: ignore[union-attr]
    assert [item.value for item in found.column("b").top] == ["true", "false"]


@pytest.mark.parametrize("table", [{"x": [1.0], "s": ["a"]}, {"x": pa.array([], pa.float64()), "s": pa.array([], pa.string())}])
def test_one_row_and_no_rows_are_described(table: dict[str, object]) -> None:
    found = profile_table(pa.table(table), target="x")
    assert found.rows == len(found.columns[0].top)


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match="'lat'") as caught:
        profile_table(pa.table({"late": [1]}), target="lat")
    assert caught.value.code == "data.target_missing"


def test_rows_that_repeat_are_counted() -> None:
    found = profile(x=[1.0, 1.0, None, None, -0.0, 0.0], s=["a", "a", None, None, "b", "b"])
    assert found.duplicate_rows == 3
    assert profile(x=[None, 0.0], s=["a", "a"]).duplicate_rows == 0
    assert profile(x=[1, 2], s=[2, 1]).duplicate_rows == 0


def test_how_much_columns_tell_of_a_class() -> None:
    rng = np.random.default_rng(2)
    late = rng.random(5_000) < 0.3
    columns: dict[str, Any] = {
        "late": late,
        "same": np.where(late, "yes", "no"),
        "bowl": np.where(late, rng.choice([-1, 1], 5_000) * 3.0, 0.0) + rng.normal(size=5_000) * 0.1,
        "noise": rng.random(5_000),
        "many": [f"l{level}" for level in rng.integers(0, 500, 5_000)],
        "gone": np.where(late, np.nan, 1.0),
    }
    found = profile_table(pa.table(columns), target="late")
    told = {column.name: column.target.value for column in found.columns if column.target is not None}
    assert set(told) == {"same", "bowl", "noise", "many", "gone"}
    assert min(told["same"], told["bowl"], told["gone"]) > 0.98
    assert max(told["noise"], told["many"]) < 0.1
    assert [column.name for column in found.columns if "leak" in column.flags] == ["same", "bowl", "gone"]
    relation = found.column("same").target
    assert relation is not None
    assert [(item.label, item.mean) for item in relation.bins] == [("no", 0.0), ("yes", 1.0)]


def test_how_much_columns_tell_of_a_number() -> None:
    x = np.linspace(-1, 1, 3_000)
    found = profile_table(pa.table({"y": x**2, "x": x, "noise": np.random.default_rng(3).random(3_000)}), target="y")
    relation, noise = found.column("x").target, found.column("noise").target
    assert relation is not None and noise is not None
    assert relation.measure == "correlation_ratio"
    assert relation.value > 0.98 > 0.2 > noise.value
    assert sum(item.rows for item in relation.bins) == 3_000


def test_cramers_v_of_independent_and_of_equal_classes() -> None:
    assert cramers_v(np.array([[25, 25], [25, 25]])) == 0.0
    assert cramers_v(np.array([[10, 0, 0], [0, 10, 0], [0, 0, 10]])) == pytest.approx(1.0)
    assert cramers_v(np.array([[10, 5]])) == 0.0


def test_relations_are_of_a_sample_and_everything_else_of_all_rows() -> None:
    rows = SAMPLE + 5_000
    found = profile_table(pa.table({"x": np.arange(rows) % 7, "y": np.arange(rows) % 2}), target="y")
    assert (found.rows, found.sample) == (rows, SAMPLE)
    assert found.column("x").count == rows
    assert found == profile_table(pa.table({"x": np.arange(rows) % 7, "y": np.arange(rows) % 2}), target="y")


def test_hostile_names_and_values_are_kept_as_they_are() -> None:
    name, value = "<script>\n\"';--", "<img src=x onerror=alert(1)>"
    found = json.decode(json.encode(profile(**{name: [value, value]})), DataProfile)
    assert found.columns[0].name == name
    assert found.columns[0].top[0].value == value


any_column = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=15),
    st.lists(st.none() | st.floats(), min_size=1, max_size=15),
    st.lists(st.none() | st.text(max_size=4), min_size=1, max_size=15),
    st.lists(st.none() | st.booleans(), min_size=1, max_size=15),
)


@given(st.lists(any_column, min_size=1, max_size=4), st.booleans())
def test_any_table_is_described_and_survives_json(values: list[list[object]], with_target: bool) -> None:
    rows = min(map(len, values))
    table = pa.table({f"c{position}": column[:rows] for position, column in enumerate(values)})
    found = profile_table(table, target="c0" if with_target else None)
    assert json.decode(json.encode(found), DataProfile).rows == rows
    for column in found.columns:
        assert column.count + column.nulls == rows
        assert column.distinct <= column.count
        assert column.numbers is None or column.numbers.min <= column.numbers.quantiles[3] <= column.numbers.max


def test_a_time_is_told_by_its_date_where_it_tells_of_the_target() -> None:
    times = pa.array([number * 3_600_000_000 for number in range(400)], pa.timestamp("us"))
    profile = profile_table(pa.table({"at": times, "late": [number % 2 for number in range(400)]}), target="late")
    relation = profile.column("at").target
    assert relation is not None
    assert relation.bins[0].label == "up to 1970-01-01 19:00"


def test_a_time_that_no_calendar_reaches_is_described_too() -> None:
    times = pa.array([2**62 - number for number in range(400)], pa.timestamp("us"))
    profile = profile_table(pa.table({"at": times, "late": [number % 2 for number in range(400)]}), target="late")
    assert profile.column("at").target is not None


def test_each_set_of_the_quartet_is_flagged_in_its_own_way() -> None:
    found = {name: profile(x=[float(value) for value in x], y=y).pairs[0] for name, (x, y) in QUARTET.items()}
    assert {name: pair.flags for name, pair in found.items()} == {
        "line": (), "curve": ("curve",), "outlier": ("outlier",), "lever": ("lever",),
    }  # fmt: skip
    lines = [pair.residuals for pair in found.values()]
    assert {(round(line.slope, 2), round(line.intercept, 1)) for line in lines if line is not None} == {(0.5, 3.0)}
    assert len({line.counts for line in lines if line is not None}) == 4


def like(shape: Column, r: float = -0.06) -> pa.Table:
    """Move, turn and stretch points until means, spreads and correlation are those of the Datasaurus."""
    centred = shape - shape.mean(0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred.T))).T
    wanted = np.array([[16.77**2, r * 16.77 * 26.94], [r * 16.77 * 26.94, 26.94**2]])
    moved = white @ np.linalg.cholesky(wanted).T + [54.26, 47.83]
    return pa.table({"x": moved[:, 0], "y": moved[:, 1]})


def shapes() -> dict[str, pa.Table]:
    """Sets in the manner of Matejka and Fitzmaurice (2017): one summary, many pictures."""
    rng, n = np.random.default_rng(7), 600
    angle, noise = rng.uniform(0, 2 * np.pi, n), rng.normal(size=(n, 2)) * 0.03
    across = rng.uniform(-1, 1, n)
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    return {
        "cloud": like(rng.normal(size=(n, 2))),
        "circle": like(np.column_stack([np.cos(angle), np.sin(angle)]) + noise),
        "cross": like(np.column_stack([across, across * rng.choice([-1, 1], n)]) + noise),
        "bowl": like(np.column_stack([across, across**2]) + noise),
        "dots": like(corners[rng.integers(0, 4, n)] + noise),
    }


def test_sets_of_one_summary_and_many_pictures_are_told_apart() -> None:
    found = {name: profile_table(table) for name, table in shapes().items()}
    summaries = {
        (round(x.mean, 2), round(x.sd, 2), round(y.mean, 2), round(y.sd, 2))
        for x, y in ((item.column("x").numbers, item.column("y").numbers) for item in found.values())
        if x is not None and y is not None
    }
    assert summaries == {(54.26, 16.77, 47.83, 26.94)}
    told = {
        name: (item.pairs[0].flags if item.pairs else (), item.column("x").flags, item.column("y").flags)
        for name, item in found.items()
    }
    assert told["cloud"][0] == ()
    assert "hidden" in told["circle"][0] and "hidden" in told["cross"][0]
    assert "curve" in told["bowl"][0] and "curve" not in told["circle"][0]
    assert "several_modes" in told["dots"][1] and "several_modes" in told["dots"][2]
    assert len(set(told.values())) == len(told)
    assert len({str(item.pairs[0].counts) for item in found.values() if item.pairs}) >= 3


def test_not_a_number_is_told_apart_from_missing() -> None:
    column = profile(x=pa.array([1.0, float("nan"), None, float("inf")])).column("x")
    assert (column.count, column.nulls, column.nans) == (2, 2, 1)
    assert column.numbers is not None and column.numbers.infinite == 1


def test_the_ends_of_a_column_name_their_rows() -> None:
    numbers = profile(x=[5, None, 1, 9, 1, 7]).column("x").numbers
    assert numbers is not None
    assert [(item.row, item.value) for item in numbers.lowest] == [(3, 1.0), (1, 5.0), (6, 7.0), (4, 9.0)]
    assert [(item.row, item.value) for item in numbers.highest][:2] == [(4, 9.0), (6, 7.0)]
    assert (numbers.sketch[0], numbers.sketch[-1]) == (1.0, 9.0)


def test_decimals_and_days_long_ago_are_described_and_lists_are_refused() -> None:
    found = profile(
        price=pa.array([Decimal("1.50"), Decimal("2.25")]),
        day=pa.array([date(1677, 9, 22), date(1899, 12, 31)]),
    )
    assert found.column("price").numbers.max == 2.25  # type: ignore[union-attr]
    times = found.column("day").times
    assert times is not None and times.min < times.max < 0
    with pytest.raises(Invalid) as caught:
        profile(x=pa.array([[1], [2]]))
    assert caught.value.code == "data.nested_type"


def test_what_is_missing_together_is_told_and_where() -> None:
    rows = 96
    late = np.arange(rows) >= 72
    found = profile(
        a=pa.array(np.ones(rows), mask=late),
        b=pa.array(np.ones(rows), mask=late),
        c=pa.array(np.ones(rows), mask=np.arange(rows) == 0),
    ).missing
    assert found is not None
    assert [(item.columns, item.rows) for item in found.patterns] == [(("a", "b"), 24), (("c",), 1)]
    assert found.complete == 71
    assert sum(found.rows) == rows and len(found.rows) == len(found.counts[0])
    assert found.counts[0][-1] == found.rows[-1] and found.counts[0][0] == 0
    assert profile(a=[1, 2]).missing is None


def test_rows_that_come_most_often_are_named() -> None:
    found = profile(x=[3, 1, 3, 2, 1, 3]).repeated
    assert [(item.row, item.times) for item in found] == [(1, 3), (2, 2)]


def test_steps_gaps_and_times_in_the_future() -> None:
    hour = 3_600_000_000
    times = [0, hour, 2 * hour, 3 * hour, 3 * hour, 9 * hour, 10 * hour]
    table = pa.table({"at": pa.array(times, pa.timestamp("us"))})
    found = profile_table(table, created=9 * hour).column("at")
    assert found.times is not None and "future" in found.flags
    assert (found.times.step, found.times.repeats, found.times.future) == (hour, 1, 1)
    assert found.times.regular == pytest.approx(4 / 5)
    assert [(gap.start, gap.end) for gap in found.times.gaps] == [(3 * hour, 9 * hour)]
    assert profile_table(table).column("at").times.future is None  # type: ignore[union-attr]


def test_rare_levels_and_blank_texts() -> None:
    found = profile(s=["a"] * 150 + ["b"] * 148 + ["c", " "]).column("s")
    assert found.text is not None
    assert (found.text.rare, found.text.rare_rows, found.text.blank) == (2, 2, 1)
    assert {"rare", "blank"} <= set(found.flags)


def test_columns_of_all_kinds_are_held_against_each_other() -> None:
    rng = np.random.default_rng(8)
    level = rng.integers(0, 3, 3_000)
    found = profile(
        level=np.array(["a", "b", "c"])[level],
        copy=np.array(["x", "y", "z"])[level],
        number=level * 10.0 + rng.normal(size=3_000),
        noise=rng.normal(size=3_000),
    ).associations
    assert found is not None
    wanted = [("level", "copy"), ("level", "number"), ("number", "noise"), ("level", "noise")]
    told = {pair: found.strength[place] for pair in wanted if (place := found.place(*pair)) is not None}
    assert told["level", "copy"] > 0.99 and told["level", "number"] > 0.98
    assert told["number", "noise"] < 0.1 and told["level", "noise"] < 0.1
    place = found.place("number", "noise")
    assert place is not None and found.pearson[place] is not None
    assert found.pearson[found.place("level", "copy") or 0] is None


def test_a_spread_that_grows_is_said() -> None:
    x = np.random.default_rng(9).uniform(1, 10, 4_000)
    pair = profile(x=x, y=3 * x + np.random.default_rng(10).normal(size=4_000) * x).pairs[0]
    assert pair.flags == ("fan",)
    assert pair.residuals is not None and pair.residuals.slope == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("email", ["ada@example.org", "bob.c@mail.example"]),
        ("card", ["4111 1111 1111 1111", "5500-0000-0000-0004"]),
        ("iban", ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"]),
        ("", ["4111 1111 1111 1112", "5500-0000-0000-0005"]),
        ("", ["order 12345678", "order 87654321"]),
    ],
    ids=["email", "card", "iban", "no card", "order"],
)
def test_personal_data_is_found_by_pattern_and_check_digit(kind: str, values: list[str]) -> None:
    found = profile(s=values * 5).column("s")
    assert found.personal == kind
    assert ("personal" in found.flags) is bool(kind)
