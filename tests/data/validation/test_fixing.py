"""A schema follows the data, if a person says so; its file keeps comments, order and the way it is written."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data import profile_table
from perenne.data.validation import validate
from perenne.data.validation.editing import extend_at, remove_at, reorder, set_at
from perenne.data.validation.fixing import Proposal, propose
from perenne.data.validation.inferring import infer_schema
from perenne.data.validation.rows import TableRows
from perenne.data.validation.schema import read_schema, write_schema

TEXT = """\
# Reviewed by ada, 2013-04-01.
table: {rows_min: 3, key: [id]}   # at least a handful

columns:
  # the customer's number
  id: {type: int64}
  age: {type: int64, min: 0, max: 120}  # nobody is older
  plan:
    type: string
    domain:
      - basic  # from 2010 on
      - plus
  gone: {type: string}
  zip: {type: string, regex: '[0-9]{5}', max_length: 5}

rules: {grown up: age > 0}
"""


def fixed(table: dict[str, Any], text: str = TEXT, **how: Any) -> Proposal:
    return propose(lambda: TableRows(pa.table(table)), text, read_schema(text), **how)


GOOD = {"id": [1, 2, 3], "age": [30, 40, 50], "plan": ["basic", "plus", "plus"], "gone": ["x"] * 3, "zip": ["12345"] * 3}


def test_what_keeps_its_schema_needs_no_change() -> None:
    assert fixed(GOOD) == Proposal(TEXT, (), ())


def test_a_change_that_was_meant_is_written_where_it_belongs() -> None:
    table = {
        "id": [1, 2, 3],
        "age": [30, 130, 50],
        "plan": ["basic", "gold", "plus"],
        "zip": ["12345"] * 3,
        "new": [1.5, 2.5, None],
    }
    proposal = fixed(table)
    wanted = TEXT.replace("max: 120}", "max: 140}").replace("      - plus\n", "      - plus\n      - gold\n")
    wanted = wanted.replace("  gone: {type: string}\n", "")
    new = "  new: {type: float64, null_max: 0.55, min: 1.4, max: 2.6}\n"
    assert proposal.text == wanted.replace("max_length: 5}\n", f"max_length: 5}}\n{new}")
    assert [(item.column, item.change) for item in proposal.suggestions] == [
        ("gone", "remove gone"),
        ("age", "max: 140"),
        ("plan", "domain: add [gold]"),
        ("new", "new: {type: float64, null_max: 0.55, min: 1.4, max: 2.6}"),
    ]
    assert proposal.left == ()


def test_only_what_is_asked_for_is_changed_and_the_rest_is_left() -> None:
    table = GOOD | {"age": [30, 130, 50], "plan": ["basic", "gold", "plus"]}
    proposal = fixed(table, only=["plan"])
    assert [item.column for item in proposal.suggestions] == ["plan"]
    assert [item.id for item in proposal.left] == ["age.max"]
    assert [item.change for item in fixed(table, only=["max"]).suggestions] == ["max: 140"]


def test_what_no_rule_can_follow_is_left() -> None:
    proposal = fixed(GOOD | {"id": [1, 1, None], "age": [0, 1, 2], "zip": ["1234x", "12345", "12345"]})
    assert proposal.text == TEXT
    assert {item.id for item in proposal.left} == {"id.unique", "id.nullable", "rule.grown up", "zip.regex"}


def test_every_rule_that_can_follow_does() -> None:
    text = """\
table: {rows_min: 5, rows_max: 6, time: t}
columns:
  b: {type: int64, unique: true}
  a: {type: int64, nullable: false}
  t: {type: timestamp, ascending: true, max: 2013-01-01}
  s: {type: string, min_length: 2, max_length: 3}
  n: {type: float64, null_max: 0.1, min: 0}
  k: {type: int64, domain: [1]}
  r: {type: string, regex: 'x+'}
"""
    table = {
        "a": [1, None], "b": [1, 1], "t": pa.array([2, 1], pa.timestamp("s")), "s": ["a", "abcd"],
        "n": [float("nan"), 1.0], "k": [1, 2], "r": [1.5, 2.5],
    }  # fmt: skip
    proposal = fixed(table, text)
    assert proposal.left == ()
    columns = yaml.safe_load(proposal.text)["columns"]
    assert list(columns) == ["a", "b", "t", "s", "n", "k", "r"]
    assert columns["a"] == {"type": "int64", "null_max": 0.8}
    assert columns["b"] == {"type": "int64"}
    assert columns["s"] == {"type": "string", "min_length": 1, "max_length": 4}
    assert columns["n"] == {"type": "float64", "null_max": 0.8, "min": 0, "nan": True}
    assert (columns["k"]["domain"], columns["r"]["type"]) == ([1, 2], "float64")


tables = st.fixed_dictionaries({
    "a": st.lists(st.none() | st.integers(-9, 9), min_size=3, max_size=3),
    "b": st.lists(st.none() | st.floats(), min_size=3, max_size=3),
    "c c: #": st.lists(st.none() | st.sampled_from(["x", "y: z", "'", "", "1", "yes", "x, y"]), min_size=3, max_size=3),
    "d": st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
})  # fmt: skip


@settings(max_examples=30)
@given(tables, tables, st.permutations(["a", "b", "c c: #", "d"]), st.integers(0, 4))
def test_the_schema_of_any_data_can_follow_any_other(
    before: dict[str, Any], after: dict[str, Any], order: list[str], kept: int
) -> None:
    text = "# mine\n" + write_schema(infer_schema(profile_table(pa.table(before))))
    changed = pa.table({name: after[name] for name in order[: kept + 1]})
    proposal = propose(lambda: TableRows(changed), text, read_schema(text))
    assert proposal.left == ()
    assert proposal.text.startswith("# mine\n")
    assert validate(changed, read_schema(proposal.text)) == []


FLOW = "{a: {x: 1, 'y z': [1, 2], q: {}}, b: {}}  # end\n"
BLOCK = "a:\n    x: 1   # one\n\n    # above\n    'y z':\n    - 1\n    -   2 # two\n    q: {}\nb: {}"


@pytest.mark.parametrize("text", [FLOW, BLOCK])
def test_flows_and_blocks_are_changed_alike(text: str) -> None:
    plain = yaml.safe_load(text)
    assert yaml.safe_load(set_at(text, ["a", "x"], [3, "t: u"])) == plain | {"a": plain["a"] | {"x": [3, "t: u"]}}
    assert yaml.safe_load(set_at(text, ["a", "n: m"], {"k": None})) == plain | {"a": plain["a"] | {"n: m": {"k": None}}}
    assert yaml.safe_load(set_at(text, ["a", "q", "k"], "2013-01-01")) == plain | {"a": plain["a"] | {"q": {"k": "2013-01-01"}}}
    assert yaml.safe_load(set_at(text, ["a", "y z"], 5)) == plain | {"a": plain["a"] | {"y z": 5}}
    assert yaml.safe_load(extend_at(text, ["a", "y z"], ["#", ""])) == plain | {"a": plain["a"] | {"y z": [1, 2, "#", ""]}}
    for name in plain["a"]:
        left = {key: value for key, value in plain["a"].items() if key != name}
        assert yaml.safe_load(remove_at(text, ["a", name])) == plain | {"a": left}
    turned = yaml.safe_load(reorder(text, ["a"], ["q", "x", "y z"]))
    assert (turned, list(turned["a"])) == (plain, ["q", "x", "y z"])
    assert remove_at(text, ["a", "nothing"]) == text
    for changed in (set_at(text, ["b", "k"], 1), remove_at(text, ["a", "q"]), reorder(text, ["a"], ["q", "x", "y z"])):
        assert [line for line in text.splitlines() if "#" in line and "q" not in line] == [
            line for line in changed.splitlines() if "#" in line and "q" not in line
        ] or "end" in changed


def test_a_place_that_is_no_mapping_is_named() -> None:
    with pytest.raises(Invalid, match="a: x is no mapping"):
        set_at(FLOW, ["a", "x", "y"], 1)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    from perenne.data.validation.commands import _replace

    file = tmp_path / "s.yaml"
    file.write_text("old")
    _replace(file, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]
    assert file.read_text() == "new"
