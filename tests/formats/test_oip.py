"""The Open Inference Protocol's JSON: values exact, shapes checked, refusals without values."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.formats.nonfinite import quote_nonfinite
from perenne.formats.oip import InferRequest, InferResponse, Tensor, decode_request, decode_values, encode_response


def request(**tensor: Any) -> InferRequest:
    return decode_request(json.dumps({"inputs": [{"name": "x", **tensor}]}).encode())


def values(**tensor: Any) -> Any:
    return decode_values(request(**tensor).inputs[0])


ELEMENTS = {
    "BOOL": st.booleans(),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "UINT64": st.integers(0, 2**64 - 1),
    "UINT8": st.integers(0, 255),
    "FP64": st.floats(allow_nan=False, allow_infinity=False) | st.none() | st.integers(-(2**53), 2**53),
    "FP32": st.floats(width=32, allow_nan=False),
    "BYTES": st.text(max_size=4) | st.none(),
}


@given(st.data(), st.sampled_from(sorted(ELEMENTS)), st.integers(1, 4), st.integers(1, 3))
def test_nested_and_flat_data_give_the_same_exact_values(data: st.DataObject, datatype: str, rows: int, width: int) -> None:
    flat = data.draw(st.lists(ELEMENTS[datatype], min_size=rows * width, max_size=rows * width))
    nested = [flat[row * width : (row + 1) * width] for row in range(rows)]
    given_flat, given_nested = (values(shape=[rows, width], datatype=datatype, data=form) for form in (flat, nested))
    assert given_flat.shape == given_nested.shape == (rows * width,)
    missing = None if datatype == "BYTES" else math.nan
    expected = [missing if value is None else value for value in flat]
    for found in (given_flat, given_nested):
        np.testing.assert_equal(found.tolist(), expected)


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), max_size=4), st.text(max_size=4))
def test_whatever_the_data_it_is_read_or_refused_in_words(data: list[Any], datatype: str) -> None:
    for kind in (*ELEMENTS, datatype):
        try:
            read = values(shape=[len(data)], datatype=kind, data=data)
        except Invalid:
            continue
        assert len(read) == len(data)


@given(st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_tokens_that_json_lacks_can_be_read_once_quoted(value: Any) -> None:
    text = json.dumps(value)
    named = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

    def read(item: Any) -> Any:
        match item:
            case list():
                return [read(part) for part in item]
            case dict():
                return {key: read(part) for key, part in item.items()}
            case float() if not math.isfinite(item):
                return next(name for name, number in named.items() if str(number) == str(item))
            case _:
                return item

    assert json.loads(quote_nonfinite(text.encode())) == read(value)


@pytest.mark.parametrize("shape", [[], [0, 5], [2, 2], [-1, -1], [10**9, 10**9], [10**30]])
def test_a_shape_that_does_not_fit_is_refused_before_anything_is_made(shape: list[int]) -> None:
    with pytest.raises(Invalid):
        values(shape=shape, datatype="FP64", data=[1.0])


def test_integers_keep_every_digit_and_their_range() -> None:
    assert values(shape=[2], datatype="INT64", data=[2**53 + 1, -(2**63)]).tolist() == [2**53 + 1, -(2**63)]
    for datatype, value in (("INT64", 2**63), ("UINT8", 256), ("UINT16", -1), ("INT32", 2**31), ("INT64", 1.0), ("INT64", True)):
        with pytest.raises(Invalid):
            values(shape=[1], datatype=datatype, data=[value])


def test_short_floats_are_rounded_as_their_binary_form_would_be() -> None:
    assert values(shape=[1], datatype="FP32", data=[0.1]).tolist() == [float(np.float32(0.1))]
    with pytest.raises(Invalid, match="outside the range of FP16"):
        values(shape=[1], datatype="FP16", data=[1e6])


def test_nan_is_null_in_an_answer() -> None:
    answer = InferResponse(model_name="m", outputs=[Tensor("y", "FP64", [2], [math.nan, 1.5])])
    assert encode_response(answer) == (
        b'{"model_name":"m","outputs":[{"name":"y","datatype":"FP64","shape":[2],"data":[null,1.5]}]}'
    )
