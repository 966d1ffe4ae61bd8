"""Digests. Content is named by its SHA-256 in hexadecimal; keys are BLAKE2b over a canonical, type-tagged encoding."""

import hashlib
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

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
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        _feed(state, part)
    return state.hexdigest()


def _feed(state: "hashlib.blake2b", value: object) -> None:
    match value:
        case None:
            state.update(b"n")
        case bool():
            state.update(b"t" if value else b"f")
        case int():
            _tagged(state, b"i", str(value).encode())
        case float():
            state.update(b"d" + (b"nan_____" if value != value else struct.pack("<d", value)))
        case str():
            _tagged(state, b"s", value.encode())
        case bytes():
            _tagged(state, b"b", value)
        case Path():
            _tagged(state, b"p", str(value).encode())
        case Mapping():
            _many(state, b"m", [item for name in sorted(value, key=str) for item in (name, value[name])])
        case set() | frozenset():
            _many(state, b"u", sorted(value, key=key_of))
        case list() | tuple():
            _many(state, b"l", value)
        case msgspec.Struct():
            _many(state, b"o", [type(value).__qualname__, *(getattr(value, name) for name in value.__struct_fields__)])
        case _ if hasattr(value, "__perenne_key__"):
            _many(state, b"k", [type(value).__qualname__, value.__perenne_key__()])
        case _:
            raise Invalid(
                f"a value of type {type(value).__name__} has no canonical encoding",
                code="key.type",
                hint="pass plain values, Structs or artifacts, or give the class a method __perenne_key__",
            )


def _tagged(state: "hashlib.blake2b", tag: bytes, data: bytes) -> None:
    state.update(tag + len(data).to_bytes(8, "little"))
    state.update(data)


def _many(state: "hashlib.blake2b", tag: bytes, values: Iterable[object]) -> None:
    values = list(values)
    state.update(tag + len(values).to_bytes(8, "little"))
    for value in values:
        _feed(state, value)
