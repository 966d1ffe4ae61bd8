"""Answers, compressed for those who ask for it; bodies are decompressed by `inbound.inflate`, which bounds them."""

import asyncio
import zlib

from perenne.net.asgi import Reply

WORTHWHILE = 16 * 1024
"""From so many bytes on an answer is compressed for whoever reads it; below, only for those who name one coding and no other."""
ASIDE = 256 * 1024
"""From so many bytes on it is compressed in a thread."""

_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_LEVEL = 1


def coding_for(accepts: str, size: int) -> str | None:
    """Choose a coding by the header `Accept-Encoding` and the length of an answer.

    >>> coding_for("gzip", 100), coding_for("gzip, deflate, br", 100), coding_for("br, gzip;q=0, deflate", 20_000)
    ('gzip', None, 'deflate')
    """
    alone = accepts.strip().lower()
    if alone in _WINDOWS:
        return alone
    if size < WORTHWHILE:
        return None
    for part in alone.split(","):
        name, _, quality = part.partition(";")
        if name.strip() in _WINDOWS and quality.replace(" ", "").rstrip("0.") != "q=":
            return name.strip()
    return None


async def packed(reply: Reply, accepts: str) -> Reply:
    """Return an answer compressed as the caller takes it; one that is compressed already stays as it is."""
    coding = coding_for(accepts, len(reply.body))
    if (
        coding is None
        or not reply.body
        or reply.content_type.startswith(b"font/")
        or any(name == b"content-encoding" for name, _ in reply.headers)
    ):
        return reply
    aside = len(reply.body) >= ASIDE
    body = await asyncio.to_thread(_pack, reply.body, coding) if aside else _pack(reply.body, coding)
    return reply._replace(
        body=body, headers=(*reply.headers, (b"content-encoding", coding.encode()), (b"vary", b"accept-encoding"))
    )


def _pack(body: bytes, coding: str) -> bytes:
    machine = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOWS[coding])
    return machine.compress(body) + machine.flush()
