"""Spans as they are stored: a list of them in MessagePack, compressed with zlib behind a byte that says so.

A trace's spans come in several requests, as its parts end. Blocks are put together like the digits of a binary number: a new one
takes in those before it that hold no more than it does, so that none is written more often than the logarithm of their number,
and the root, which ends last, takes in all. See decision 46.
"""

import zlib
from collections.abc import Iterable

import msgspec

from perenne.core.errors import Unavailable
from perenne.formats.otlp import Span

_FORM = b"\x01"
_LEVEL = 1
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Span])


def pack(spans: list[Span]) -> bytes:
    """Return a block."""
    return _FORM + zlib.compress(_encoder.encode(spans), _LEVEL)


def unpack(body: bytes) -> list[Span]:
    """Return the spans of a block.

    Raises
    ------
    Unavailable
        If it is none that this version reads.
    """
    if body[:1] != _FORM:
        raise Unavailable("a block of spans is of a newer form", code="trace.block", hint="upgrade perenne")
    return _decoder.decode(zlib.decompress(body[1:]))


def joined(older: Iterable[Span], newer: Iterable[Span]) -> list[Span]:
    """Put spans together; of those with one id the newer one stays.

    >>> [span.name for span in joined([Span("t", "1", name="a"), Span("t", "2", name="b")], [Span("t", "1", name="c")])]
    ['c', 'b']
    """
    found = {span.span_id: span for span in older}
    found.update({span.span_id: span for span in newer})
    return list(found.values())
