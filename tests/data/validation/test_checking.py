from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.clock import DAY
from perenne.core.errors import Invalid
from perenne.data import profile_table
from perenne.data.model import Anomaly, Severity
from perenne.data.validation.checking import validate
from perenne.data.validation.inferring import infer_schema
from perenne.data.validation.rules import ColumnRules, Schema, TableRules
from perenne.data.validation.schema import read_schema, write_schema
from perenne.projects import expect

N = 10


TYPES: dict[str, Any] = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string()}


def checked(values: object, kind: str, severity: Severity = Severity.WARNING, **rules: Any) -> list[Anomaly]:
    columns = {"x": ColumnRules(type=kind, severity=severity, **rules)}
    return validate(pa.table({"x": values}), Schema(table=TableRules(), columns=columns))


def with_bad(good: Any, bad: Any, count: int) -> list[Any]:
    return [good] * (N - count) + [bad] * count


@pytest.mark.parametrize("count", [0, 1, N])
@pytest.mark.parametrize(
    ("check", "kind", "good", "bad", "rules"),
    [
        ("min", "int64", 5, 4, {"min": 5}),
        ("max", "int64", 5, 6, {"max": 5}),
        ("min", "float64", 0.5, -1e300, {"min": 0.5}),
        ("max", "float64", 0.5, float("inf"), {"max": 0.5}),
        ("domain", "string", "MA", "", {"domain": ("MA", "NY")}),
        ("domain", "string", "MA", "' or 1=1 --", {"domain": ("MA", "NY")}),
        ("regex", "string", "02134", "2134x", {"regex": "^[0-9]{5}$"}),
        ("max_length", "string", "\u00e9" * 5, "abcdef", {"max_length": 5}),
        ("nullable", "int64", 5, None, {"nullable": False}),
        ("null_max", "int64", 5, None, {"null_max": 0.05}),
    ],
)
def test_every_check_counts_what_breaks_it(check: str, kind: str, good: Any, bad: Any, rules: dict[str, Any], count: int) -> None:
    table: Any = pa.table({"x": with_bad(good, bad, count)}, schema=pa.schema({"x": TYPES[kind]}))
    found = checked(table["x"], kind, **rules)
    if count == 0:
        assert found == []
        return
    anomaly = found[0]
    assert [item.check for item in found] == [check]
    assert (anomaly.id, anomaly.column) == (f"x.{check}", "x")
    assert (anomaly.count, anomaly.fraction) == (count, count / N)
    assert [sample.row for sample in anomaly.sample_rows] == list(range(N - count + 1, N + 1))[:5]
    assert check.replace("_", " ") in anomaly.sentence


@pytest.mark.parametrize(
    ("kind", "values", "rules"),
    [
        ("int64", [1, None], {"min": 0, "max": 2}),
        ("float64", [1.0, None, np.nan], {"min": 0, "max": 2, "nan": True}),
        ("string", ["MA", None], {"domain": ("MA",), "regex": "MA", "max_length": 2}),
        ("int64", [None, 1, 2, None], {"unique": True}),
        ("timestamp", pa.array([1, None, 1, 2], pa.timestamp("us")), {"ascending": True}),
    ],
)
def test_a_missing_value_breaks_only_rules_on_missing_values(kind: str, values: Any, rules: dict[str, Any]) -> None:
    assert checked(values, kind, **rules) == []


def test_what_is_not_a_number_lies_in_no_range() -> None:
    found = checked([1.0, np.nan, None], "float64", min=0, max=2)
    assert [(item.check, item.count, item.sample_rows[0].row, item.sample_rows[0].value) for item in found] == [
        ("max", 1, 2, "NaN"),
        ("min", 1, 2, "NaN"),
    ]


def test_nan_is_missing() -> None:
    found = checked([1.0, np.nan, None], "float64", nullable=False)
    assert (found[0].count, found[0].severity) == (2, Severity.ERROR)


def test_rules_on_values_have_the_severity_of_their_column() -> None:
    assert checked([5], "int64", max=4)[0].severity is Severity.WARNING
    assert checked([5], "int64", Severity.ERROR, max=4)[0].severity is Severity.ERROR


def test_more_missing_than_allowed_is_a_warning_and_all_missing_an_error() -> None:
    assert checked([1, None, 2], "int64", null_max=0.5) == []
    assert checked([None, None, 2], "int64", null_max=0.5)[0].severity is Severity.WARNING
    found = checked(pa.nulls(3), "int64", null_max=0.5)
    assert [(item.check, item.severity) for item in found] == [("null_max", Severity.ERROR)]


def test_values_that_repeat_are_counted_beyond_the_first() -> None:
    found = checked(["a", "b", "a", "a", None, None], "string", unique=True)
    assert (found[0].count, [(item.row, item.value) for item in found[0].sample_rows]) == (2, [(3, "a"), (4, "a")])


def test_a_fall_in_an_ascending_column_is_named_by_its_row() -> None:
    found = checked(pa.array([3, None, 2, 5, 4], pa.timestamp("us")), "timestamp", ascending=True)
    assert [item.row for item in found[0].sample_rows] == [3, 5]


def test_new_missing_and_retyped_columns() -> None:
    schema = infer_schema(profile_table(pa.table({"a": [1, 2], "b": ["x", "y"], "c": [1, 2], "d": [1, 2]})))
    found = validate(pa.table({"b": [1, 2], "c": [1.5, 2.0], "d": ["1", "2"], "e": [1, 2]}), schema)
    assert {(item.id, item.severity) for item in found} == {
        ("a.missing_column", Severity.ERROR),
        ("b.retyped", Severity.ERROR),
        ("d.retyped", Severity.ERROR),
        ("c.retyped", Severity.WARNING),
        ("e.new_column", Severity.WARNING),
    }
    assert [item.severity for item in found] == sorted((item.severity for item in found), key=list(Severity).index)


def test_too_few_rows() -> None:
    found = validate(pa.table({"x": [1]}), Schema(table=TableRules(rows_min=2), columns={"x": ColumnRules(type="int64")}))
    assert (found[0].id, found[0].severity) == ("rows_min", Severity.ERROR)


KEYS = pa.table({"a": [1, 1, 1, None], "b": ["x", "y", "x", "x"], "v": [1.0, 2.0, 3.0, 4.0]})


def test_a_key_must_be_there_and_name_one_row() -> None:
    schema = infer_schema(profile_table(KEYS.slice(0, 2)), key=("a", "b"))
    found = {item.id: item for item in validate(KEYS, schema)}
    assert found["a, b.unique"].count == 1
    assert [(item.row, item.value) for item in found["a, b.unique"].sample_rows] == [(3, "1, x")]
    assert found["a.nullable"].severity is Severity.ERROR
    assert [item.id for item in validate(KEYS, infer_schema(profile_table(KEYS)), key="v")] == []
    assert {item.id for item in validate(KEYS, infer_schema(profile_table(KEYS)), key="id")} == {"id.missing_column"}


def test_rows_from_the_future_are_an_error() -> None:
    times = pa.array([0, DAY, DAY + 1, None], pa.timestamp("us"))
    schema = infer_schema(profile_table(pa.table({"t": times})), time="t")
    table = pa.table({"t": times})
    assert validate(table, schema) == []
    found = validate(table, schema, until=DAY)
    assert [(item.id, item.count, item.severity) for item in found] == [("t.future", 1, Severity.ERROR)]
    assert found[0].sample_rows[0].row == 3
    assert validate(table, schema, until=DAY + 1) == []


def expected(table: pa.Table, expectations: Iterable[expect.Expectation]) -> dict[str, Anomaly]:
    return {item.id: item for item in validate(table, profile_table(table), expectations=expectations)}


def test_expectations_of_a_project() -> None:
    found = expected(
        KEYS,
        [
            expect.unique("a", "b"),
            expect.unique("v"),
            expect.not_null("a"),
            expect.holds("small", "v < 2.5"),
            expect.holds("known", "a = 1"),
            expect.unique("gone"),
        ],
    )
    assert set(found) == {"a, b.unique", "a.nullable", "holds.small", "gone.missing_column"}
    assert [item.row for item in found["holds.small"].sample_rows] == [3, 4]
    assert all(item.severity is Severity.ERROR for item in found.values())


@pytest.mark.parametrize(
    "predicate",
    [
        "v <",
        "w > 1",
        "v > 1; drop table t",
        "v > (select count(*) from read_csv('/etc/passwd'))",
        "'a' + v > 1",
        "",
    ],
)
def test_a_condition_that_is_no_sql_on_the_columns_is_refused_by_name(predicate: str) -> None:
    with pytest.raises(Invalid, match="expectation 'mine'") as caught:
        expected(KEYS, [expect.holds("mine", predicate)])
    assert caught.value.code == "data.expectation"


def test_hostile_names_trouble_nothing() -> None:
    names = ['say "x"', "<script>", "line\nbreak", "'; drop table t; --", "c1", "r", "R", "\u00e9", ""]
    table = pa.table([pa.array([1, 2, 2])] * len(names), names=names)
    schema = infer_schema(profile_table(table), key=names[:2])
    assert read_schema(write_schema(schema)) == schema
    found = validate(table, schema, expectations=[expect.holds("big", '"say ""x""" > 1 and "<script>" > 1 and r > 1')])
    assert {item.id for item in found} == {'say "x", <script>.unique', "holds.big"}


any_columns = st.lists(
    st.one_of(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20),
        st.lists(st.none() | st.floats(), min_size=1, max_size=20),
        st.lists(st.none() | st.sampled_from(["a", "b", "", "NA", "\u00e9"]), min_size=1, max_size=20),
        st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=20),
        st.lists(st.none() | st.booleans(), min_size=1, max_size=20),
        st.lists(st.none() | st.datetimes(), min_size=1, max_size=20),
    ),
    min_size=1,
    max_size=4,
)


@given(any_columns)
def test_data_keeps_its_own_schema(values: list[list[Any]]) -> None:
    rows = min(map(len, values))
    table = pa.table({f"c{position}": column[:rows] for position, column in enumerate(values)})
    schema = infer_schema(profile_table(table), time="c0" if pa.types.is_timestamp(table.schema.field(0).type) else None)
    assert validate(table, schema) == []
    assert validate(table, read_schema(write_schema(schema))) == []


def test_a_wide_table_is_checked_whole() -> None:
    table = pa.Table.from_arrays([pa.array([1.0, 2.0, None])] * 300, [f"c{position}" for position in range(300)])
    schema = infer_schema(profile_table(table))
    worse = table.set_column(299, "c299", pa.array([1.0, 99.0, None]))
    assert [item.id for item in validate(worse, schema)] == ["c299.max"]
