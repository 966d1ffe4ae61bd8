"""Tokens of pages: what they hold comes back, and nothing forged is more than refused."""

import base64
import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from perenne.core.errors import Invalid
from perenne.core.tokens import START, check_limit, make_token, read_token

VALUES = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers(-(2**62), 2**62))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@given(st.lists(st.one_of(VALUES, st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_a_token_holds_the_values_of_a_row(values: list[str | int | float | None]) -> None:
    assert read_token(make_token(tuple(values), "q"), "q").after == tuple(values)


def test_mlflows_tokens_are_taken() -> None:
    assert read_token("", "q") == START
    for offset in (7, "7"):
        assert read_token(encoded(json.dumps({"offset": offset})), "q").offset == 7


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("x", "Invalid page token, could not base64-decode"),
        ("ünï", "Invalid page token, could not base64-decode"),
        (encoded("abc"), "Invalid page token, decoded value=b'abc'"),
        (encoded("[1]"), "Invalid page token, decoded value=b'[1]'"),
        (encoded("{}"), "Invalid page token, decoded value=b'{}'"),
        (encoded('{"offset": 0}'), "Invalid page token, parsed value={'offset': 0}"),
        (encoded('{"offset": -5}'), "Invalid page token, parsed value={'offset': -5}"),
        (encoded('{"offset": "x"}'), "Invalid page token, not stringable x"),
        (encoded('{"offset": 1e300}'), "Invalid page token, parsed value={'offset': 1e+300}"),
        (encoded('{"offset": ' + "9" * 40 + "}"), "Invalid page token, parsed value={'offset': "),
        (encoded('{"after": [{}], "query": "q"}'), "Invalid page token, decoded value="),
        (encoded('{"after": [1], "query": "other"}'), "Invalid page token, decoded value="),
        (encoded('{"after": [' + "9" * 40 + '], "query": "q"}'), "Invalid page token, decoded value="),
        (encoded("[" * 5000), "Invalid page token, decoded value="),
    ],
)
def test_what_is_forged_is_refused(token: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_token(token, "q")
    assert caught.value.message.startswith(message)
    assert caught.value.code == "page.token"


@given(st.one_of(st.text(), st.binary().map(lambda data: base64.b64encode(data).decode())))
def test_whatever_comes_is_a_place_or_refused(token: str) -> None:
    try:
        read_token(token, "q")
    except Invalid as error:
        assert error.code == "page.token"  # noqa: PT017


def test_a_page_has_from_one_to_so_many() -> None:
    assert check_limit(50_000, 50_000) == 50_000
    for value, registry, message in (
        (0, False, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
        (50_001, False, "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000"),
        (50_001, True, "Invalid value for request parameter max_results. It must be at most 50000, but got value 50001"),
    ):
        with pytest.raises(Invalid) as caught:
            check_limit(value, 50_000, registry=registry)
        assert (caught.value.message, caught.value.code) == (message, "page.size")
