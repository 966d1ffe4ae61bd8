"""Requests as proto2 JSON writes them, and as it does not."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from perenne.protocols.mlflow.decoding import Decoder, Message
from perenne.protocols.mlflow.messages import Int64, Pair, RunStatus
from perenne.protocols.mlflow.wire import MlflowError


class Asked(Message):
    required = ("run_id", "value")
    run_id: str = ""
    run_uuid: str = ""
    value: float | UnsetType = UNSET
    step: Int64 = 0
    status: RunStatus | UnsetType = UNSET
    run_ids: list[str] | UnsetType = UNSET
    tags: list[Pair] = []
    allow: bool = False


class Plain(Message, forbid_unknown_fields=False):
    page_token: str = ""
    tags: list[Pair] = []


ASKED, PLAIN = Decoder(Asked), Decoder(Plain)


def read(body: bytes) -> Asked:
    return ASKED.body(body)


@pytest.mark.parametrize(
    ("body", "step"),
    [(b"5", 5), (b'"5"', 5), (b"5.0", 5), (b'"-5"', -5), (b"null", 0), (b"9223372036854775807", 2**63 - 1), (b"1e3", 1000)],
)
def test_a_whole_number_may_be_a_number_a_text_or_a_float(body: bytes, step: int) -> None:
    assert read(b'{"run_id": "r", "value": 1, "step": %s}' % body).step == step


@pytest.mark.parametrize(
    "body", [b"8.5", b'"8.5"', b"true", b'"five"', b"[]", b"{}", b"9223372036854775808", b'"' + b"9" * 5000 + b'"']
)
def test_what_is_no_whole_number_is_named(body: bytes) -> None:
    with pytest.raises(MlflowError, match="for parameter 'step' supplied:  Hint: Value was of type"):
        read(b'{"run_id": "r", "value": 1, "step": %s}' % body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"1", 1.0),
        (b'"1.5e3"', 1500.0),
        (b'"NaN"', math.nan),
        (b"NaN", math.nan),
        (b"Infinity", math.inf),
        (b'"-Infinity"', -math.inf),
        (b"-Infinity", -math.inf),
    ],
)
def test_a_double_may_be_quoted_and_need_not_be_a_number(body: bytes, value: float) -> None:
    found = read(b'{"run_id": "NaN, Infinity", "value": %s}' % body)
    assert (repr(found.value), found.run_id) == (repr(value), "NaN, Infinity")


@pytest.mark.parametrize("body", [b"true", b'"high"', b'""', b"[]", b'"nan"', b'"0x1"', b'"1_0"', b'"' + b"1" * 500 + b'"'])
def test_what_is_no_double_is_named(body: bytes) -> None:
    with pytest.raises(MlflowError, match="'value'"):
        read(b'{"run_id": "r", "value": %s}' % body)


@pytest.mark.parametrize("body", [b'"FAILED"', b"4", b'"4"', b"4.0"])
def test_an_enum_is_a_name_or_a_number(body: bytes) -> None:
    assert read(b'{"run_id": "r", "value": 1, "status": %s}' % body).status is RunStatus.FAILED


@pytest.mark.parametrize("body", [b'"BOGUS"', b"9", b"true", b"[]", b'"failed"'])
def test_a_member_that_an_enum_does_not_have_is_named(body: bytes) -> None:
    with pytest.raises(MlflowError, match="for parameter 'status'"):
        read(b'{"run_id": "r", "value": 1, "status": %s}' % body)


def test_the_other_spelling_counts_but_not_both_and_not_for_what_is_required() -> None:
    assert read(b'{"run_id": "r", "value": 1, "runIds": ["a"]}').run_ids == ["a"]
    with pytest.raises(MlflowError, match="Request specifies both 'run_id' and 'runId'; provide only one of them"):
        read(b'{"run_id": "r", "value": 1, "runId": "r"}')
    with pytest.raises(MlflowError, match="Missing value for required parameter 'run_id'"):
        read(b'{"runId": "r", "value": 1}')
    assert PLAIN.body(b'{"pageToken": "next", "unknown": {"pageToken": 1}}').page_token == "next"


def test_the_old_name_of_a_run_stands_in_for_the_new_one() -> None:
    assert read(b'{"run_uuid": "r", "value": 1}').run_id == "r"


def test_unknown_fields_are_passed_over_and_a_place_inside_is_named() -> None:
    assert read(b'{"run_id": "r", "value": 1, "unknown": [1, {"a": null}]}').value == 1
    with pytest.raises(MlflowError, match=r"Invalid value 5 for parameter 'tags\[1\].key' supplied"):
        read(b'{"run_id": "r", "value": 1, "tags": [{"key": "a"}, {"key": 5}]}')


@pytest.mark.parametrize("body", [b"", b"null", b'""', b'"null"', b"{}"])
def test_a_body_without_anything_has_no_fields(body: bytes) -> None:
    if body == b'""':
        with pytest.raises(MlflowError):
            PLAIN.body(body)
        return
    assert PLAIN.body(body) == Plain()


def test_a_body_written_twice_is_read_twice() -> None:
    assert PLAIN.body(b'"{\\"page_token\\": \\"next\\"}"').page_token == "next"


@pytest.mark.parametrize("body", [b"[1]", b"5", b'"[1]"', b"{", b'{"a": 1}{', b"\xff", b'{"page_token": "\xff"}', b"[" * 5000])
def test_what_is_no_object_is_said_so(body: bytes) -> None:
    with pytest.raises(MlflowError) as told:
        PLAIN.body(body)
    assert told.value.code == "BAD_REQUEST"


def test_a_query_gives_lists_first_values_and_booleans() -> None:
    found = ASKED.query([("run_id", "r"), ("value", "1.5"), ("run_ids", "a"), ("run_id", "s"), ("allow", "True"), ("step", "4")])
    assert (found.run_id, found.value, found.run_ids, found.allow, found.step) == ("r", 1.5, ["a"], True, 4)
    with pytest.raises(MlflowError, match="Invalid boolean value: yes, must be 'true' or 'false'"):
        ASKED.query([("run_id", "r"), ("value", "1"), ("allow", "yes")])


def test_absent_is_not_empty() -> None:
    assert read(b'{"run_id": "r", "value": 1}').run_ids is UNSET
    assert read(b'{"run_id": "r", "value": 1, "run_ids": []}').run_ids == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "runId", "tags"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Asked.__struct_fields__, "runId", "runIds", "x"]), JSON, max_size=6))
def test_whatever_comes_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        found = read(json.dumps(fields).encode())
    except MlflowError as error:
        said = (error.code, bool(error.message))
    else:
        said = ("read", isinstance(found.value, float) and bool(found.run_id))
    assert said in {("INVALID_PARAMETER_VALUE", True), ("BAD_REQUEST", True), ("read", True)}
