"""The Open Inference Protocol, version 2, as JSON: requests to tensors, tensors to answers.

A tensor's `data` may be nested or flat; both give the same values. It is read by its `datatype`: integers keep every digit.
Missing values: `null` (or a `NaN` token) in FP types, `null` in BYTES.
"""

import math
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.formats.nonfinite import NonFinite, quote_nonfinite

Parameter: TypeAlias = str | int | float | bool | None
Parameters: TypeAlias = dict[str, Any]

INTEGERS = {f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS: dict[str, np.dtype[np.floating]] = {f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)}
DATATYPES = ("BOOL", "BYTES", *INTEGERS, *FLOATS)
MAX_DIMENSIONS = 32


class RequestTensor(msgspec.Struct, kw_only=True):
    """An input as it came; `data` is not read yet."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: Parameters | None = None


class RequestedOutput(msgspec.Struct, kw_only=True):
    """An output the caller asks for."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct, kw_only=True):
    """A request for inference."""

    inputs: list[RequestTensor]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestedOutput] | None = None


class Tensor(msgspec.Struct, omit_defaults=True):
    """A tensor of an answer; `data` is flat and row-major, unset where it is raw (`oip_binary`)."""

    name: str
    datatype: str
    shape: list[int]
    data: Any = msgspec.UNSET
    parameters: Parameters | None = None


class InferResponse(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An answer."""

    model_name: str
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[Tensor]


class TensorMetadata(msgspec.Struct):
    """An input or output as a model declares it; -1 is a dimension that varies."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a model takes and gives; parameters say how it is answered here."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: Parameters | None = None


_request = msgspec.json.Decoder(InferRequest)
_encoder = msgspec.json.Encoder()
_flat: dict[str, tuple[msgspec.json.Decoder[list[Any]], ...]] = {
    kind: tuple(msgspec.json.Decoder(list[element]) for element in elements)  # type: ignore[valid-type]
    for kind, elements in {
        "BOOL": (bool,),
        "BYTES": (str, str | None),
        "INT": (int,),
        "FP": (float, float | None | NonFinite),
    }.items()
}
_anything = msgspec.json.Decoder()
_COMMON: dict[str, tuple[msgspec.json.Decoder[list[Any]], Any]] = {
    "FP64": (_flat["FP"][0], np.float64),
    "INT64": (_flat["INT"][0], np.int64),
    "BYTES": (_flat["BYTES"][1], object),
    "BOOL": (_flat["BOOL"][0], np.bool_),
}


def decode_request(body: bytes) -> InferRequest:
    """Read a request; the tensors' data is left for `decode_values`.

    Raises
    ------
    Invalid
        If it is no JSON or no request; the message names the field, never a value.
    """
    try:
        return _request.decode(quote_nonfinite(body))
    except msgspec.ValidationError as error:
        raise Invalid(f"the request is malformed: {error}", code="BAD_REQUEST") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("the body is not JSON", code="BAD_REQUEST") from None


def decode_values(tensor: RequestTensor) -> NDArray[Any]:
    """Read a tensor's values, flat: bool, the datatype's integers, float64, or objects (`str` and None) for BYTES.

    Raises
    ------
    Invalid
        If the datatype is unknown, a value is not of it, or there are more or fewer values than the shape says.
    """
    common = _COMMON.get(tensor.datatype)
    if common is not None and tensor.parameters is None:
        try:
            values, shape = common[0].decode(tensor.data), tensor.shape
            if shape == [len(values)] or (
                0 < len(shape) <= MAX_DIMENSIONS and min(shape) >= 0 and math.prod(shape) == len(values)
            ):
                return np.array(values, common[1])
        except (msgspec.DecodeError, OverflowError):
            pass
    return _decode_slowly(tensor)


def _decode_slowly(tensor: RequestTensor) -> NDArray[Any]:
    """Read any tensor, and say what is wrong with a bad one."""
    what = f"input {tensor.name[:100]!r}"
    count = element_count(tensor.shape, what)
    kind = _kind(tensor.datatype, what)
    if "binary_data_size" in (tensor.parameters or ()):
        raise Invalid(f"{what}: has binary_data_size, but there is no Inference-Header-Content-Length", code="BAD_REQUEST")
    refuse_shared_memory(tensor.parameters, what)
    raw = bytes(tensor.data)
    if not raw:
        raise Invalid(f"{what}: has no data", code="BAD_REQUEST")
    values = _decode_data(raw, kind, tensor, what)
    if len(values) != count:
        raise Invalid(f"{what}: shape says {count} values, data has {len(values)}", code="BAD_REQUEST")
    return _to_array(values, kind, tensor.datatype, what)


def element_count(shape: list[int], what: str) -> int:
    """Return the number of values of a shape, in exact integers.

    >>> element_count([1_000_000_000, 1_000_000_000], "input")
    1000000000000000000
    """
    if not shape:
        raise Invalid(f"{what}: shape has no dimensions", code="BAD_REQUEST")
    if len(shape) > MAX_DIMENSIONS:
        raise Invalid(f"{what}: shape has more than {MAX_DIMENSIONS} dimensions", code="BAD_REQUEST")
    if any(size < 0 for size in shape):
        raise Invalid(f"{what}: shape has a negative dimension", code="BAD_REQUEST")
    return math.prod(shape)


def refuse_shared_memory(parameters: Parameters | None, what: str) -> None:
    """Refuse Triton's parameters for data that lies in the memory of its machine."""
    if parameters and any(name.startswith("shared_memory_") for name in parameters):
        raise Invalid(f"{what}: shared memory is not supported", code="BAD_REQUEST")


def encode_response(response: InferResponse) -> bytes:
    """Write an answer; NaN becomes `null`."""
    return _encoder.encode(response)


def _kind(datatype: str, what: str) -> str:
    if datatype in FLOATS:
        return "FP"
    if datatype in INTEGERS:
        return "INT"
    if datatype in ("BOOL", "BYTES"):
        return datatype
    if datatype == "BF16":
        raise Invalid(f"{what}: BF16 is read as binary tensor data only", code="BAD_REQUEST")
    raise Invalid(f"{what}: unknown datatype, expected one of {', '.join(DATATYPES)}", code="BAD_REQUEST")


def _decode_data(raw: bytes, kind: str, tensor: RequestTensor, what: str) -> list[Any]:
    for decoder in _flat[kind]:
        try:
            return list(decoder.decode(raw))
        except msgspec.ValidationError:
            continue
    try:
        nested = _flatten(_anything.decode(raw), tensor.shape, what)
    except (msgspec.DecodeError, RecursionError):
        raise Invalid(f"{what}: data holds a number that no {tensor.datatype} can be", code="BAD_REQUEST") from None
    try:
        return list(_flat[kind][-1].decode(_encoder.encode(nested)))
    except msgspec.ValidationError as error:
        position = str(error).rpartition("$[")[2].rstrip("]`")
        raise Invalid(f"{what}: value {position} is no {tensor.datatype}", code="BAD_REQUEST") from None


def _flatten(data: Any, shape: list[int], what: str) -> list[Any]:
    """Flatten nested data whose nesting is that of the shape; flat data stays."""
    if not isinstance(data, list):
        raise Invalid(f"{what}: data must be a list", code="BAD_REQUEST")
    values: list[Any] = data
    for size in shape[1:]:
        if not any(isinstance(item, list) for item in values):
            break
        if not all(isinstance(item, list) and len(item) == size for item in values):
            raise Invalid(f"{what}: data is not nested as its shape says", code="BAD_REQUEST")
        values = [value for item in values for value in item]
    return values


def _to_array(values: list[Any], kind: str, datatype: str, what: str) -> NDArray[Any]:
    if kind == "BYTES":
        array = np.empty(len(values), object)
        array[:] = values
        return array
    if kind == "BOOL":
        return np.array(values, np.bool_)
    if kind == "INT":
        try:
            return np.array(values, INTEGERS[datatype])
        except OverflowError:
            raise Invalid(f"{what}: a value is outside the range of {datatype}", code="BAD_REQUEST") from None
    exact: NDArray[Any] = np.array(values, np.float64)
    if datatype == "FP64":
        return exact
    with np.errstate(over="ignore"):
        rounded: NDArray[Any] = exact.astype(FLOATS[datatype]).astype(np.float64)
    if np.any(np.isinf(rounded) & ~np.isinf(exact)):
        raise Invalid(f"{what}: a value is outside the range of {datatype}", code="BAD_REQUEST")
    return rounded
