"""The binary tensor extension of the Open Inference Protocol: raw tensors behind the JSON, little-endian and row-major.

A body is the JSON, then the tensors one after the other, in the order of those inputs that carry `binary_data_size`. The header
`Inference-Header-Content-Length` tells where the JSON ends. Nothing is read before its size has been checked.
"""

import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.formats.oip import (
    FLOATS,
    INTEGERS,
    InferRequest,
    InferResponse,
    RequestTensor,
    element_count,
    encode_response,
    refuse_shared_memory,
)

Attached: TypeAlias = Mapping[str, memoryview]
"""The raw data of the inputs that have some, by name."""

SIZE, WANTED, WANTED_BY_DEFAULT = "binary_data_size", "binary_data", "binary_data_output"
HEADER = "inference-header-content-length"

_DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(kind).newbyteorder("<") for name, kind in {**INTEGERS, **FLOATS}.items()}
_DTYPES |= {"BOOL": np.dtype(np.uint8), "BF16": np.dtype("<u2")}
_LENGTH = struct.Struct("<I")


def split_body(body: bytes, header: str) -> tuple[bytes, memoryview]:
    """Cut a body into its JSON and the raw data behind it.

    Parameters
    ----------
    header : str
        The value of `Inference-Header-Content-Length`.

    Raises
    ------
    Invalid
        If the header is no number, or larger than the body.

    >>> text, data = split_body(b'{}\\x01\\x02', "2")
    >>> text, data.tolist()
    (b'{}', [1, 2])
    """
    if not (header.isascii() and header.isdigit()) or len(header) > 12:
        raise Invalid("Inference-Header-Content-Length is not a number of bytes", code="BAD_REQUEST")
    length = int(header)
    if length > len(body):
        raise Invalid("Inference-Header-Content-Length is larger than the body", code="BAD_REQUEST")
    return body[:length], memoryview(body)[length:]


def attach(request: InferRequest, data: memoryview) -> Attached:
    """Give each input that announces raw data its part.

    Raises
    ------
    Invalid
        If a size is no size, the data is shorter or longer than the sizes say, or an input has both kinds of data.
    """
    found: dict[str, memoryview] = {}
    start = 0
    for tensor in request.inputs:
        size = (tensor.parameters or {}).get(SIZE)
        if size is None:
            continue
        what = f"input {tensor.name[:100]!r}"
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise Invalid(f"{what}: {SIZE} must be a whole number of bytes", code="BAD_REQUEST")
        refuse_shared_memory(tensor.parameters, what)
        if bytes(tensor.data):
            raise Invalid(f"{what}: has both data and {SIZE}", code="BAD_REQUEST")
        if tensor.name in found:
            raise Invalid("two inputs have the same name", code="BAD_REQUEST")
        if size > len(data) - start:
            raise Invalid(f"{what}: the body ends before its {size:,} bytes do", code="BAD_REQUEST")
        found[tensor.name] = data[start : start + size]
        start += size
    if start != len(data):
        raise Invalid(f"the body has {len(data) - start:,} bytes more than its inputs say", code="BAD_REQUEST")
    return found


def read_values(tensor: RequestTensor, data: memoryview) -> NDArray[Any]:
    """Read a tensor's raw data, flat: bool, the datatype's integers or floats (BF16 as float32), or `str` for BYTES.

    Raises
    ------
    Invalid
        If the datatype is unknown, the size is not that of the shape, or a value is none of the datatype.
    """
    what = f"input {tensor.name[:100]!r}"
    count = element_count(tensor.shape, what)
    if tensor.datatype == "BYTES":
        return _texts(data, count, what)
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        raise Invalid(f"{what}: unknown datatype, expected one of BYTES, {', '.join(_DTYPES)}", code="BAD_REQUEST")
    if len(data) != count * dtype.itemsize:
        raise Invalid(
            f"{what}: shape and datatype make {count * dtype.itemsize:,} bytes, {SIZE} is {len(data):,}", code="BAD_REQUEST"
        )
    values: NDArray[Any] = np.frombuffer(data, dtype)
    if tensor.datatype == "BOOL":
        if values.max(initial=0) > 1:
            raise Invalid(f"{what}: a BOOL must be 0 or 1", code="BAD_REQUEST")
        return values.astype(np.bool_)
    if tensor.datatype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values if values.flags.aligned else values.copy()


def _texts(data: memoryview, count: int, what: str) -> NDArray[Any]:
    """Read texts, each behind the four bytes of its length."""
    if count > len(data) // _LENGTH.size:
        raise Invalid(f"{what}: {SIZE} is too small for {count:,} texts", code="BAD_REQUEST")
    raw, values, start = bytes(data), np.empty(count, object), 0
    try:
        for position in range(count):
            begin = start + _LENGTH.size
            start = begin + _LENGTH.unpack_from(raw, start)[0]
            if start > len(raw):
                break
            values[position] = raw[begin:start].decode()
    except struct.error:
        start = len(raw) + 1
    except UnicodeDecodeError:
        raise Invalid(f"{what}: text {position} is not UTF-8", code="BAD_REQUEST") from None
    if start != len(raw):
        raise Invalid(f"{what}: the lengths of the texts do not add up to {SIZE}", code="BAD_REQUEST")
    if any("\0" in text for text in values):
        raise Invalid(f"{what}: a text holds a NUL character", code="BAD_REQUEST")
    return values


def wanted(request: InferRequest, name: str) -> bool:
    """Tell whether an output is to be raw: as the output itself says, else the request.

    Raises
    ------
    Invalid
        If it is said with something else than true or false.
    """
    output = next((output for output in request.outputs or () if output.name == name), None)
    for parameters, key in (((output and output.parameters) or {}, WANTED), (request.parameters or {}, WANTED_BY_DEFAULT)):
        choice = parameters.get(key)
        if isinstance(choice, bool):
            return choice
        if choice is not None:
            raise Invalid(f"parameter {key}: expected true or false", code="INVALID_PARAMETER_VALUE")
    return False


def raw_data(values: Any, datatype: str) -> bytes:
    """Write values as raw data.

    >>> raw_data(["ab", ""], "BYTES").hex()
    '02000000616200000000'
    """
    if datatype != "BYTES":
        return np.ascontiguousarray(values, np.bool_ if datatype == "BOOL" else _DTYPES[datatype]).tobytes()
    parts = []
    for value in values.ravel().tolist() if isinstance(values, np.ndarray) else values:
        text = str(value).encode()
        parts += [_LENGTH.pack(len(text)), text]
    return b"".join(parts)


def encode_binary(response: InferResponse, raw: Mapping[str, bytes]) -> tuple[bytes, int]:
    """Write an answer of which some outputs are raw.

    Parameters
    ----------
    raw : mapping
        The raw data of outputs, by name; the others have theirs in the response.

    Returns
    -------
    tuple of bytes and int
        The body, and the length of its JSON.
    """
    parts = [raw[tensor.name] for tensor in response.outputs if tensor.name in raw]
    for tensor in response.outputs:
        if tensor.name in raw:
            tensor.parameters = {**(tensor.parameters or {}), SIZE: len(raw[tensor.name])}
    text = encode_response(response)
    return b"".join((text, *parts)), len(text)
