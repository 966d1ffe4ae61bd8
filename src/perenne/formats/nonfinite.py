"""NaN and Infinity in JSON: not JSON, yet what Python's and JavaScript's numeric libraries write. Quoted, they can be read."""

import re
from typing import Literal, TypeAlias

NonFinite: TypeAlias = Literal["NaN", "Infinity", "-Infinity"]
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|(-?Infinity|NaN)')


def quote_nonfinite(body: bytes) -> bytes:
    """Put quotes around bare `NaN`, `Infinity` and `-Infinity`; strings are left alone.

    >>> quote_nonfinite(b'{"NaN": [NaN, -Infinity, 1]}')
    b'{"NaN": ["NaN", "-Infinity", 1]}'
    """
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return _TOKEN.sub(_quote, body)


def _quote(match: "re.Match[bytes]") -> bytes:
    token: bytes | None = match[1]
    return match[0] if token is None else b'"' + token + b'"'
