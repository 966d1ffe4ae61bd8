"""Regular expressions that are read once: they find what Python's find, and nothing makes them slow."""

import re

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from perenne.core.errors import Invalid
from perenne.core.patterns import compiled, matches, portable

PIECES = [
    "a",
    "b",
    "C",
    ".",
    "(",
    ")",
    "(?:",
    "|",
    "*",
    "+",
    "?",
    "[ab]",
    "[^a]",
    "[a-c-]",
    "^",
    "$",
    "\\d",
    "\\W",
    "\\.",
    "{2}",
    "{0,2}",
    "{1,}",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.text("abcC1. \n", max_size=8))
@example("^$", "")
@example("(^a|b$)+", "xb")
@example("a{0}", "")
def test_they_find_what_pythons_engine_finds(pattern: str, text: str) -> None:
    try:
        found = matches(pattern, text)
    except Invalid as error:
        assert error.code == "filter.pattern"  # noqa: PT017
        return
    assert found == bool(re.search(pattern.replace("$", r"\Z"), text, re.DOTALL | re.ASCII))


def test_the_case_is_ignored_if_asked() -> None:
    assert matches("(?i)^AbC[x-z]", "abcY")
    assert not matches("^AbC", "abc")
    assert matches("(?i)[A-C]+$", "xxcab")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*c", "(.*a){20}x", "(a?){50}a{50}b", "([ab]*a[ab]{60})c"])
def test_patterns_that_make_others_slow_are_read_once(pattern: str) -> None:
    assert not compiled(pattern)("a" * 5000)


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "a)", "[", "[a", "*", "a**", "a{", "a{x}", "a{3,1}", "a{1,1000}", "^*", "\\", "\\b", "\\1", "(?=a)", "(?P<x>a)",
        "[z-a]", "[[:alpha:]]", "a" * 1001, "((((a{99}){99}){99}){99}){99}", "(" * 60 + ")" * 60, "[\\D]",
    ],
)  # fmt: skip
def test_what_is_not_offered_is_refused(pattern: str) -> None:
    for use in (compiled, portable):
        with pytest.raises(Invalid) as caught:
            use(pattern)
        assert caught.value.code == "filter.pattern"
