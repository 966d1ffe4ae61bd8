"""The wire form of protocol buffers, read without their library: tags, variable-length integers, and what has a length.

Source: https://protobuf.dev/programming-guides/encoding/. Nothing is copied: what has a length comes as a view of the message.
"""

import struct
from collections.abc import Iterator
from typing import Any

from perenne.core.errors import Invalid

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_SIGN = 1 << 63
_WHOLE = 1 << 64
_DOUBLE = struct.Struct("<d")


def fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    r"""Read the fields of a message, in order: each as its tag (number and wire type) and its value.

    Raises
    ------
    Invalid
        If it is no such message.

    >>> [(tag >> 3, value) for tag, value in fields(memoryview(bytes([8, 150, 1])))]
    [(1, 150)]
    """
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = _varint(data, at - 1, end)
        kind = tag & 7
        if kind == LENGTH:
            if at < end and data[at] < 128:
                size = data[at]
                at += 1
            else:
                size, at = _varint(data, at, end)
            if size > end - at:
                raise _broken("a field is longer than its message")
            yield tag, data[at : at + size]
            at += size
        elif kind == VARINT:
            value, at = _varint(data, at, end)
            yield tag, value
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            if size > end - at:
                raise _broken("a field is longer than its message")
            yield tag, int.from_bytes(data[at : at + size], "little")
            at += size
        else:
            raise _broken(f"there is no wire type {kind}")


def tag(number: int, kind: int) -> int:
    """Return the tag of a field."""
    return number << 3 | kind


def signed(value: int) -> int:
    """Read 64 bits as an integer with a sign.

    >>> signed(2**64 - 1), signed(5)
    (-1, 5)
    """
    return value - _WHOLE if value & _SIGN else value


def double(value: int) -> float:
    """Read 64 bits as a floating-point number."""
    number: float = _DOUBLE.unpack(value.to_bytes(8, "little"))[0]
    return number


def text(value: memoryview) -> str:
    """Read a text. Raises Invalid if it is not UTF-8."""
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise _broken("a text is not UTF-8") from None


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (_WHOLE - 1), at
        shift += 7
    raise _broken("an integer does not end")


def _broken(what: str) -> Invalid:
    return Invalid(f"this is no protobuf message: {what}", code="protobuf.invalid", hint="send it as its schema says")
