"""Digests. Content is named by its SHA-256 in hexadecimal; keys are BLAKE2b over a canonical, type-tagged encoding."""

import hashlib
import re
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.errors import Invalid

_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_bytes(data: bytes | memoryview) -> str:
    """Return the SHA-256 of the data in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether the text has the form of a digest."""
    return _DIGEST.fullmatch(text) is not None


def key_of(*parts: object) -> str:
    """Return a 128-bit key of plain values; equal values in any process give equal keys, 1, 1.0 and True different ones.

    Raises
    ------
    Invalid
        If a part has no canonical encoding.

    >>> key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    True
    >>> len({key_of(1), key_of(1.0), key_of(True), key_of("1")})
    4
    """
    return hashlib.blake2b(b"".join([_encode(part) for part in parts]), digest_size=16).hexdigest()


def _encode(value: object) -> bytes:
    encoder = _ENCODERS.get(type(value))
    return _encode_other(value) if encoder is None else encoder(value)


def _encode_other(value: object) -> bytes:
    """Encode what is not exactly of a plain type: subclasses of them, Structs and what names its own key."""
    for kind in (bool, int, float, str, bytes, Mapping, frozenset, set, list, tuple):
        if isinstance(value, kind):
            return _ENCODERS[dict if kind is Mapping else kind](value)
    if isinstance(value, Path):
        return _tagged(b"p", str(value).encode())
    if isinstance(value, msgspec.Struct):
        return _many(b"o", [type(value).__qualname__, *(getattr(value, name) for name in value.__struct_fields__)])
    if hasattr(value, "__perenne_key__"):
        return _many(b"k", [type(value).__qualname__, value.__perenne_key__()])
    raise Invalid(
        f"a value of type {type(value).__name__} has no canonical encoding",
        code="key.type",
        hint="pass plain values, Structs or artifacts, or give the class a method __perenne_key__",
    )


def _encode_mapping(value: Mapping[Any, object]) -> bytes:
    names = sorted(value, key=lambda name: (str(name), type(name).__name__))
    return _many(b"m", [item for name in names for item in (name, value[name])])


def _tagged(tag: bytes, data: bytes) -> bytes:
    return tag + len(data).to_bytes(8, "little") + data


def _many(tag: bytes, values: Collection[object]) -> bytes:
    return tag + len(values).to_bytes(8, "little") + b"".join([_encode(value) for value in values])


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"n",
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: _tagged(b"i", b"%x" % value),
    float: lambda value: b"d" + (b"nan_____" if value != value else struct.pack("<d", value + 0.0)),
    str: lambda value: _tagged(b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: _tagged(b"b", value),
    dict: _encode_mapping,
    set: lambda value: _many(b"u", sorted(value, key=key_of)),
    frozenset: lambda value: _many(b"u", sorted(value, key=key_of)),
    list: lambda value: _many(b"l", value),
    tuple: lambda value: _many(b"l", value),
}
