"""The filter language: what is a filter, and what is said of what is none."""

import string

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from perenne.core.errors import Invalid
from perenne.core.filters import (
    MOST_CLAUSES,
    MOST_DEEP,
    And,
    Clause,
    Literal,
    Not,
    Op,
    Or,
    Tree,
    clauses_of,
    parse_filter,
    parse_ordering,
)


def only(text: str) -> Clause:
    tree = parse_filter(text)
    assert isinstance(tree, Clause)
    return tree


@pytest.mark.parametrize(
    ("text", "entity", "name"),
    [
        ("metrics.acc = 1", "metrics", "acc"),
        ("params.`my lr` = 1", "params", "my lr"),
        ('params."my lr" = 1', "params", "my lr"),
        ("tags.mlflow.source.name = 1", "tags", "mlflow.source.name"),
        ("`metrics`.acc = 1", "metrics", "acc"),
        ("metrics.val/loss-1:a = 1", "metrics", "val/loss-1:a"),
        ("`Run name` = 1", "", "Run name"),
        ('"run name" = 1', "", "run name"),
        ("start_time = 1", "", "start_time"),
        ("span.attributes.llm.model = 1", "span", "attributes.llm.model"),
        ("metrics.größe = 1", "metrics", "größe"),
        ("metrics.1st = 1", "metrics", "1st"),
        ("metrics.`a``b` = 1", "", ""),
    ],
)
def test_keys(text: str, entity: str, name: str) -> None:
    if not name:
        with pytest.raises(Invalid):
            parse_filter(text)
        return
    assert (only(text).entity, only(text).name) == (entity, name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'x'", "x"), ('"x"', "x"), ("'it''s'", "it's"), ("''", ""), ("5", 5), ("-5", -5), ("+5", 5), ("0.5", 0.5), (".5", 0.5),
        ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), ("x", None), ("9" * 50, int("9" * 50)),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    assert only(f"a = {text}").values == (Literal(value, text),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "op", "negated"),
    [
        ("a = 1", Op.EQ, False), ("a==1", Op.EQ, False), ("a != 1", Op.NE, False), ("a<>1", Op.NE, False), ("a<1", Op.LT, False),
        ("a <= 1", Op.LE, False), ("a>1", Op.GT, False), ("a>=-1", Op.GE, False), ("a like 'x'", Op.LIKE, False),
        ("a NOT LIKE 'x'", Op.LIKE, True), ("a Ilike 'x'", Op.ILIKE, False), ("a rlike 'x'", Op.RLIKE, False),
        ("a in (1, 'x',)", Op.IN, False), ("a not in ('x')", Op.IN, True), ("a between 1 and 2", Op.BETWEEN, False),
        ("a NOT BETWEEN 1 AND 2", Op.BETWEEN, True), ("a is null", Op.NULL, False), ("a IS NOT NULL", Op.NULL, True),
    ],
)  # fmt: skip
def test_operators(text: str, op: Op, negated: bool) -> None:
    assert (only(text).op, only(text).negated) == (op, negated)


def shape(tree: Tree | None) -> object:
    """The tree with names for clauses."""
    if isinstance(tree, Clause):
        return tree.name
    if isinstance(tree, Not):
        return ("not", shape(tree.part))
    assert isinstance(tree, And | Or)
    return ("and" if isinstance(tree, And) else "or", *map(shape, tree.parts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1 and b=1 AND c=1", ("and", "a", "b", "c")),
        ("a=1 or b=1 and c=1", ("or", "a", ("and", "b", "c"))),
        ("(a=1 or b=1) and c=1", ("and", ("or", "a", "b"), "c")),
        ("not a=1 and b=1", ("and", ("not", "a"), "b")),
        ("not (a=1 or not b=1)", ("not", ("or", "a", ("not", "b")))),
        ("a between 1 and 2 and b=1", ("and", "a", "b")),
        ("((a=1))", "a"),
    ],
)
def test_not_binds_before_and_before_or(text: str, expected: object) -> None:
    assert shape(parse_filter(text)) == expected


def test_nothing_is_a_filter_that_everything_fits() -> None:
    assert parse_filter("") is None
    assert parse_filter("  \n") is None
    assert list(clauses_of(None)) == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("metrics.acc", "Invalid clause(s) in filter string: 'metrics.acc'", "column 1"),
        ("a = 1 XOR b = 2", "Invalid clause(s) in filter string: 'XOR'", "column 7"),
        ("a = 1 AND", "Invalid clause(s) in filter string: ''", "ends"),
        ("a = 1 AND OR", "Invalid clause(s) in filter string: 'OR'", "column 11"),
        ("a = 'x", "Invalid clause(s) in filter string: ''x'", "column 5"),
        ("(a = 1", "Invalid clause(s) in filter string: '('", "column 1"),
        ("a = 1)", "Invalid clause(s) in filter string: ')'", "column 6"),
        ("a = (1)", "Invalid clause(s) in filter string: '('", "column 5"),
        ("a IN 'x'", "Invalid clause(s) in filter string: ''x''", "column 6"),
        ("a IN ()", "expected a non-empty list of string values, but got empty list", "column 6"),
        ("a IN ('x' 'y')", "but got ill-formed list.", "column 6"),
        ("a = 1; b = 2", "Invalid clause(s) in filter string: '; b = 2'", "column 6"),
        ("a = 'x\0'", "NUL", "column 7"),
        ("a = '\ud800'", "half a character", "Unicode"),
        ("a IS 5", "Invalid clause(s) in filter string: '5'", "column 6"),
        ("a BETWEEN 1 OR 2", "Invalid clause(s) in filter string: 'OR'", "column 13"),
    ],
)
def test_what_is_wrong_is_named_with_its_column(text: str, message: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.code == "filter.syntax"


def test_limits() -> None:
    for text in (
        "a = '" + "x" * 16 * 1024 + "'",
        " AND ".join(["a = 1"] * (MOST_CLAUSES + 1)),
        "(" * (MOST_DEEP + 1) + "a = 1" + ")" * (MOST_DEEP + 1),
        "NOT " * (MOST_DEEP + 1) + "a = 1",
        "a = " + "1" * 500,
    ):
        with pytest.raises(Invalid) as caught:
            parse_filter(text)
        assert caught.value.code == "filter.limit"
    assert parse_filter(" AND ".join(["a = 1"] * MOST_CLAUSES)) is not None
    assert parse_filter("(" * MOST_DEEP + "a = 1" + ")" * MOST_DEEP) is not None


def test_orderings() -> None:
    assert parse_ordering("metrics.`a b` DESC").name == "a b"
    assert parse_ordering("start_time").ascending
    assert parse_ordering("attributes.start_time asc").entity == "attributes"
    for text, message in (
        ("metrics.a foo", "Invalid ordering key in order_by clause 'metrics.a foo'."),
        ("a b c", "Invalid order_by clause 'a b c'. Could not be parsed."),
        ("", "Invalid order_by clause ''. Could not be parsed."),
        ("'x' DESC", "Invalid order_by clause ''x' DESC'. Could not be parsed."),
        ("a; drop", "Invalid order_by clause 'a; drop'. Could not be parsed."),
    ):
        with pytest.raises(Invalid) as caught:
            parse_ordering(text)
        assert (caught.value.message, caught.value.code) == (message, "filter.order")


WORDS = ["a", "metrics.a", "params.`x`", "AND", "OR", "NOT", "(", ")", "IN", ",", "IS", "NULL", "LIKE", "BETWEEN", "=", "<", "!="]
WORDS += ["'x'", '"y"', "1", "-2.5e3", "`", "'", '"', ".", ";", "\\", "é", " ", "\t"]


@settings(max_examples=400)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join), st.text(max_size=200), st.text(string.punctuation)))
def test_whatever_is_written_is_a_tree_or_refused(text: str) -> None:
    for read in (parse_filter, parse_ordering):
        try:
            read(text)
        except Invalid as error:
            assert error.code.startswith("filter.")  # noqa: PT017
