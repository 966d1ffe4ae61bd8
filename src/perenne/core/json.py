"""JSON in and out: msgspec for speed, a canonical form for what is hashed."""

import math
from typing import Any, TypeVar

import msgspec

from perenne.core.errors import Invalid

T = TypeVar("T")
MAX_SAID = 300
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")


def encode(value: object) -> bytes:
    """Write Structs and plain values as JSON; NaN and infinities become ``null``."""
    return _encoder.encode(value)


def pretty(value: object) -> str:
    """Write JSON for people: two spaces, keys in the order given."""
    return msgspec.json.format(_encoder.encode(value), indent=2).decode()


def canonical(value: object) -> bytes:
    """Write JSON with sorted keys and no spaces: the same bytes for equal values (RFC 8785, exotic numbers aside).

    >>> canonical({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    return _canonical.encode(value)


def decode(data: bytes | str, kind: type[T], what: str = "body") -> T:
    """Read JSON into a type.

    Parameters
    ----------
    data : bytes or str
        The text, in UTF-8.
    kind : type
        What to read it into.
    what : str
        How to call it in the error message.

    Raises
    ------
    Invalid
        If it is no JSON, nested too deeply or of another shape; the message names the field.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise Invalid(f"{what}: nested too deeply", code="json.depth", hint="send it flatter") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            f"{what}: {str(error)[:MAX_SAID]}", code="json.invalid", hint="correct what is named and send it again"
        ) from None


def plain(value: object) -> Any:
    """Turn Structs into plain lists and dicts that JSON can hold; NaN and infinities become None."""
    return _finite(msgspec.to_builtins(value))


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value
