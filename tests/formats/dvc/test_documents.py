"""YAML as DVC reads and writes it: our own reader and writer beside ruamel.yaml with DVC's settings."""

import io
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from perenne.core.errors import Invalid
from perenne.formats.dvc import plain, yaml_events
from perenne.formats.dvc.scalars import Odd

FEW, MANY = settings(max_examples=60, deadline=None), settings(max_examples=5000, deadline=None)
AWKWARD = "'\"#:-?[]{}&*!|>%@`, \\~=.<_+0123456789eExXoOaAyYnNtTfF/\tü😀\n\x85\u2028\x00\ufeff"
TEXTS = st.text(st.sampled_from(AWKWARD), max_size=8) | st.text(max_size=12) | st.text("ab ", min_size=60, max_size=130)
WORDS = st.sampled_from(
    ["yes", "no", "true", "null", "Null", "1e3", "1_0", "0o17", "0x1F", "12:30", "2020-01-01", "---", "...", "- a", "a: b"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | WORDS, inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.dictionaries(TEXTS | WORDS, VALUES, min_size=1, max_size=4)


def by_ruamel(value: Any) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def writes_what_ruamel_writes(value: dict[str, Any]) -> None:
    try:
        ours = plain.write(value)
    except Odd:
        return
    assert ours == by_ruamel(value)


@FEW
@given(DOCUMENTS)
def test_what_the_plain_writer_accepts_it_writes_as_ruamel_does(value: dict[str, Any]) -> None:
    writes_what_ruamel_writes(value)


@pytest.mark.long
@MANY
@given(DOCUMENTS)
def test_what_the_plain_writer_accepts_it_writes_as_ruamel_does_at_length(value: dict[str, Any]) -> None:
    writes_what_ruamel_writes(value)


@pytest.mark.parametrize(
    "text", ["data", "file name #1.txt", "[br]*.txt", "x y.csv", "ü/😀.bin", "-dash", "1", "1e5", "a:b", "", "...x"]
)
def test_the_usual_texts_need_no_library(text: str) -> None:
    value = {"outs": [{"md5": "1" * 32, "size": 0, "isexec": True, "hash": "md5", "path": text}]}
    assert plain.write(value) == by_ruamel(value)
    assert plain.read(plain.write(value)) == value


def reads_what_ruamel_reads(text: str) -> None:
    theirs = YAML(typ="safe")
    try:
        expected = theirs.load(text)
    except (YAMLError, ValueError, OverflowError):
        return
    for ours in (plain.read, lambda given: yaml_events.read(given, "x")):
        try:
            found = ours(text)
        except (Odd, Invalid):
            continue
        assert same(found, expected), ours


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other)))


TEXT_OF_YAML = st.text(st.sampled_from("ab1.0-_:' \n[]{}#\"&*e,xo"), max_size=24)


@FEW
@given(DOCUMENTS.map(by_ruamel) | st.builds("a: {}\n".format, TEXTS | WORDS) | TEXT_OF_YAML)
def test_what_our_readers_accept_they_read_as_ruamel_does(text: str) -> None:
    reads_what_ruamel_reads(text)


@pytest.mark.long
@MANY
@given(DOCUMENTS.map(by_ruamel) | st.builds("a: {}\n".format, TEXTS | WORDS) | TEXT_OF_YAML)
def test_what_our_readers_accept_they_read_as_ruamel_does_at_length(text: str) -> None:
    reads_what_ruamel_reads(text)
