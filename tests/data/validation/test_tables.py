"""Rules on a whole table: how many rows, which columns in which order, how old, between columns, elsewhere, and in Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Invalid
from perenne.data import profile_table
from perenne.data.model import Anomaly, Severity
from perenne.data.validation import rows, validate
from perenne.data.validation.schema import read_schema


def found(table: Any, text: str, **how: Any) -> dict[str, Anomaly]:
    return {item.id: item for item in validate(pa.table(table), read_schema(text), **how)}


def test_how_many_rows_there_are() -> None:
    text = "table: {{rows_min: {}, rows_max: {}, rows_change: {}}}\ncolumns: {{x: {{type: int64}}}}"
    table, baseline = {"x": [1, 2, 3]}, profile_table(pa.table({"x": [1] * 4}))
    assert found(table, text.format(3, 3, 0.25), baseline=baseline) == {}
    worse = found(table, text.format(4, 9, 0.2), baseline=baseline)
    assert {name: item.severity for name, item in worse.items()} == {"rows_min": "error", "rows_change": "error"}
    assert "the baseline's 4 rows, there are 3" in worse["rows_change"].expected
    assert set(found(table, text.format(1, 2, 0.2))) == {"rows_max"}


def test_columns_in_another_order_are_told_and_can_be_an_error() -> None:
    columns = "columns: {a: {type: int64}, b: {type: int64}, c: {type: int64}}"
    text = f"table: {{severity: {{reordered: error, new_column: error}}}}\n{columns}"
    told = found({"a": [1], "c": [1], "x": [1], "b": [1]}, text)
    assert {name: item.severity for name, item in told.items()} == {"reordered": "error", "x.new_column": "error"}
    assert told["reordered"].expected == "'b' before 'c'"
    assert found({"a": [1], "b": [1]}, text).keys() == {"c.missing_column"}


def test_the_newest_row_may_be_too_old() -> None:
    text = "table: {time: at, freshness: 26h}\ncolumns: {at: {type: timestamp}}"
    table = {"at": pa.array([0, 9 * DAY, None], pa.timestamp("us"))}
    assert found(table, text, now=9 * DAY + 26 * HOUR) == {}
    assert found(table, text) == {}
    told = found(table, text, now=9 * DAY + 26 * HOUR + 1)
    assert {name: item.severity for name, item in told.items()} == {"at.freshness": "error"}
    assert found({"at": pa.nulls(2, pa.timestamp("us"))}, text, now=0)["at.freshness"].expected.endswith("there is none")


@pytest.mark.parametrize("count", [0, 1, 10])
def test_a_rule_between_columns_counts_the_rows_that_break_it(count: int) -> None:
    text = "table: {}\ncolumns: {a: {type: int64}, b: {type: int64}}\nrules: {a is less: a < b}"
    told = found({"a": [5] * count + [1] * (10 - count), "b": [2] * 10}, text)
    assert [(item.id, item.check, item.count, item.severity) for item in told.values()] == (
        [("rule.a is less", "rule", count, Severity.ERROR)] if count else []
    )


def test_a_missing_value_keeps_a_rule_between_columns_whose_severity_can_be_said() -> None:
    text = "table: {}\ncolumns: {a: {type: int64}}\nrules: {small: {sql: a < 2, severity: warning}}"
    told = found({"a": [None, 1, 3]}, text)
    assert [(item.count, item.severity, item.sample_rows[0].row) for item in told.values()] == [(1, "warning", 3)]


def test_times_have_a_range_and_whole_numbers_levels() -> None:
    text = "table: {}\ncolumns: {t: {type: timestamp, min: 1970-01-02, max: 1970-01-03}, n: {type: int64, domain: [1, 2]}}"
    told = found({"t": pa.array([DAY - 1, DAY, 2 * DAY, 2 * DAY + 1], pa.timestamp("us")), "n": [1, 2, 3, None]}, text)
    assert {name: [sample.row for sample in item.sample_rows] for name, item in told.items()} == {
        "t.min": [1],
        "t.max": [4],
        "n.domain": [3],
    }
    assert found({"t": pa.nulls(1, pa.timestamp("us")), "n": [1]}, text) == {}


def test_lengths_and_severities_by_check() -> None:
    text = "table: {}\ncolumns: {s: {type: string, min_length: 2, max_length: 3, severity: {min_length: error}}}"
    told = found({"s": ["a", "ab", "abcd", "", None]}, text)
    assert {name: (item.count, item.severity) for name, item in told.items()} == {
        "s.min_length": (2, "error"),
        "s.max_length": (1, "warning"),
    }


SERVING = """
table: {key: [id], time: at}
columns: {id: {type: int64}, at: {type: timestamp}, label: {type: bool}}
environments: {serving: {absent: [label, at]}}
"""


def test_an_environment_lacks_columns() -> None:
    table = {"id": [1, 2]}
    assert found(table, SERVING).keys() == {"at.missing_column", "label.missing_column"}
    assert found(table, SERVING, environment="serving") == {}
    assert found({"id": [1], "label": [True]}, SERVING, environment="serving").keys() == {"label.new_column"}
    with pytest.raises(Invalid, match="environment: the schema has none called 'srving'"):
        found(table, SERVING, environment="srving")


NUMBERS = np.random.default_rng(0).normal(size=2_000)
LEVELS = np.random.default_rng(1).choice(["a", "b", "c"], 2_000, p=[0.5, 0.3, 0.2])


@pytest.mark.parametrize("check", ["drift", "skew"])
def test_distances_from_a_baseline(check: str) -> None:
    near = {"x": "{metric: js, threshold: 0.1}", "s": "{metric: linf, threshold: 0.05}", "b": "{metric: linf, threshold: 0.1}"}
    types = {"x": "float64", "s": "string", "b": "bool"}
    columns = "".join(f"  {name}: {{type: {types[name]}, {check}: {near[name]}}}\n" for name in near)
    text = f"table: {{}}\ncolumns:\n{columns}environments: {{serving: {{}}}}"
    how = {"environment": "serving" if check == "skew" else ""}
    table = {"x": NUMBERS, "s": LEVELS, "b": NUMBERS > 0}
    baseline = profile_table(pa.table(table))
    assert found(table, text, baseline=baseline, **how) == {}
    assert found({name: values[:900] for name, values in table.items()}, text, baseline=baseline, **how) == {}
    moved = {"x": NUMBERS + 0.5, "s": np.where(NUMBERS > 1, "new", LEVELS), "b": NUMBERS > 1}
    told = found(moved, text, baseline=baseline, **how)
    assert told.keys() == {f"x.{check}", f"s.{check}", f"b.{check}"}
    assert "the Jensen-Shannon distance from the baseline at most 0.1, it is 0." in told[f"x.{check}"].expected
    other = {"environment": "" if check == "skew" else "serving"}
    assert found(moved, text, baseline=baseline, **other) == {}
    assert found(moved, text, **how) == {}


def test_numbers_of_few_levels_are_held_level_by_level_and_missing_ones_count() -> None:
    text = "table: {}\ncolumns: {n: {type: int64, drift: {metric: linf, threshold: 0.2}}}"
    baseline = profile_table(pa.table({"n": [1, 1, 2, 2, 3, 3, -0, 0] * 5}))
    assert found({"n": [1, 2, 3, 0]}, text, baseline=baseline) == {}
    assert found({"n": [1, 2, 3, None]}, text, baseline=baseline)["n.drift"].expected.endswith("it is 0.25")
    assert found({"n": [1.0, 2.0, 3.0, 7.5]}, text, baseline=baseline).keys() == {"n.drift", "n.retyped"}


CHECKS = """
import pyarrow.compute as pc

def even(table):
    return pc.equal(pc.bit_wise_and(table["x"], 1), 0)

def listed(table):
    return [value is None or value < 5 for value in table["x"].to_pylist()]

def fails(table):
    return table["nothing"]

def one(table):
    return [True]

def words(table):
    return ["yes"] * len(table)
"""


def checks(tmp_path: Path, function: str, **how: Any) -> dict[str, Anomaly]:
    (tmp_path / "own_checks.py").write_text(CHECKS)
    text = f"table: {{}}\ncolumns: {{x: {{type: int64}}}}\nchecks: {{mine: 'own_checks:{function}'}}"
    return found({"x": [2, 3, None, 4, 5, 7]}, text, root=tmp_path, **how)


def test_checks_in_python_see_all_rows_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BATCH", 2)
    told = checks(tmp_path, "even")
    assert [(item.id, item.count, [sample.row for sample in item.sample_rows]) for item in told.values()] == [
        ("check.mine", 3, [2, 5, 6])
    ]
    assert checks(tmp_path, "listed")["check.mine"].count == 2


@pytest.mark.parametrize(
    ("function", "words"),
    [("fails", "KeyError"), ("one", "answered 1 times for 6 rows"), ("words", "answered string"), ("gone", "AttributeError")],
)
def test_a_check_that_is_none_is_refused_by_name(tmp_path: Path, function: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        checks(tmp_path, function)
    assert "check 'mine'" in caught.value.message


def test_a_check_needs_a_project(tmp_path: Path) -> None:
    text = "table: {}\ncolumns: {x: {type: int64}}\nchecks: {mine: 'os:getcwd'}"
    with pytest.raises(Invalid, match="there is no project here"):
        found({"x": [1]}, text)
