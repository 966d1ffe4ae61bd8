"""Bytes between a client and a blob, in both directions, of which a few hundred KiB are in memory at a time."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import quote

from perenne.core.clock import SECOND
from perenne.core.errors import PerenneError
from perenne.net.asgi import Headers, Receive, Scope, Send
from perenne.net.connections import DIRECT
from perenne.net.inbound import TooLarge
from perenne.storage.blobs import CHUNK, Blobs, Incoming, owned

LONG = 1 << 20
"""Bytes from which on it pays to read past the event loop."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class Unsatisfiable(PerenneError):
    """The range that was asked for lies behind the end."""

    status = 416


class Download(NamedTuple):
    """What is sent.

    Attributes
    ----------
    blob, size : str, int
        The blob, and its bytes.
    modified : int
        When it was written, in microseconds since 1970.
    name, content_type : str
        What the file is called, and of what type it is.
    inline : bool
        Whether a browser may show it instead of saving it.
    headers : sequence of (bytes, bytes)
        Further ones.
    """

    blob: str
    size: int
    modified: int
    name: str
    content_type: str
    inline: bool = False
    headers: Headers = ()


@asynccontextmanager
async def arriving(scope: Scope, receive: Receive, blobs: Blobs, *, limit: int) -> AsyncIterator[Incoming]:
    """Write a body to a blob, as it arrives; within the context it is kept, and not yet anybody's.

    Parameters
    ----------
    limit : int
        The largest body.

    Raises
    ------
    TooLarge, Full, Unavailable
        If it is larger, the disk is full, or the store is in trouble.
    ConnectionError
        If the client went away.
    """
    length = length_of(scope)
    if length is not None and length > limit:
        raise TooLarge(limit)
    parts, more = await _gather(receive)
    writing = blobs.receive()
    incoming = await asyncio.to_thread(_begin, blobs, writing, parts, None if not more else length or 0)
    try:
        if more:
            await _rest(scope, receive, incoming, length, limit)
            await asyncio.to_thread(blobs.keep, incoming)
        with owned(blobs, incoming):
            yield incoming
    finally:
        writing.__exit__(None, None, None)


async def _gather(receive: Receive) -> tuple[list[bytes], bool]:
    """Take the first bytes of a body, and tell whether more are to come: what is small needs one thread, once."""
    parts, size, more = [], 0, True
    while more and size < CHUNK:
        body, more = await _next(receive)
        parts.append(body)
        size += len(body)
    return parts, more


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise ConnectionError("the client went away")
    return message.get("body", b""), message.get("more_body", False)


def _begin(blobs: Blobs, writing: AbstractContextManager[Incoming], parts: Sequence[bytes], announced: int | None) -> Incoming:
    """Open the blob and write the first bytes; if they are all (`announced` is None), keep it."""
    incoming = writing.__enter__()
    try:
        if announced:
            incoming.reserve(announced)
        incoming.write(parts)
        if announced is None:
            blobs.keep(incoming)
    except BaseException:
        writing.__exit__(None, None, None)
        raise
    return incoming


def length_of(scope: Scope) -> int | None:
    """Return how long a body is announced to be."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), None)


async def _rest(scope: Scope, receive: Receive, incoming: Incoming, length: int | None, limit: int) -> None:
    """Write the rest of a body: of a long one straight from the socket, where the server gives that."""
    direct = scope.get("extensions", {}).get(DIRECT)
    if direct is not None and length is not None and length - incoming.size >= LONG:
        await direct(lambda chunk: incoming.write([chunk]))
    else:
        await _pump(receive, incoming, limit)


async def _pump(receive: Receive, incoming: Incoming, limit: int) -> None:
    """Write the rest while more arrives: one chunk is written, one gathered."""
    loop, parts, gathered, more = asyncio.get_running_loop(), list[bytes](), 0, True
    total = incoming.size
    writing: asyncio.Future[None] | None = None
    try:
        while more:
            body, more = await _next(receive)
            parts.append(body)
            gathered, total = gathered + len(body), total + len(body)
            if total > limit:
                raise TooLarge(limit)
            if gathered >= CHUNK or not more:
                if writing is not None:
                    await writing
                writing = loop.run_in_executor(None, incoming.write, parts)
                parts, gathered = [], 0
    finally:
        if writing is not None:
            await writing


async def send_blob(scope: Scope, send: Send, blobs: Blobs, download: Download) -> None:
    """Answer a GET or HEAD with a blob: whole, a range of it, or that the client has it.

    Raises
    ------
    NotFound, Unavailable
        If the blob is not there, or the store is in trouble; nothing has been sent then.
    Unsatisfiable
        If the range begins behind the end.
    """
    asked = {name: value.decode("latin-1") for name, value in scope["headers"]}
    etag = f'"{download.blob}"'
    headers = [*_described(download, etag), *download.headers]
    if etag in asked.get(b"if-none-match", ""):
        await _send(send, 304, headers, b"")
        return
    span = None
    if asked.get(b"if-range", etag) == etag:
        span = parse_range(asked.get(b"range", ""), download.size)
    start, end = span or (0, download.size)
    headers.append((b"content-length", b"%d" % (end - start)))
    if span is not None:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, download.size)))
    status = 200 if span is None else 206
    if scope["method"] == "HEAD" or start == end:
        await _send(send, status, headers, b"")
        return
    reading = await asyncio.to_thread(_open, blobs, download.blob, start, end)
    with contextlib.closing(reading):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        while (chunk := reading.at_once()) is not None or (chunk := await asyncio.to_thread(reading.next)):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class _Reading:
    """The bytes of a blob from one place to another."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._first: bytes | None = next(chunks, b"")

    def at_once(self) -> bytes | None:
        """Return the next bytes if they are there without waiting."""
        first, self._first = self._first, None
        return first

    def next(self) -> bytes:
        """Return the next bytes; none at the end."""
        return next(self._chunks, b"")

    def close(self) -> None:
        """Let go of the store."""


class _ReadingFile:
    """The bytes of a file; what the system has in memory is read without a thread."""

    def __init__(self, handle: int, start: int, end: int) -> None:
        self._handle = handle
        self._place = start
        self._end = end
        self._buffer = bytearray(CHUNK)

    def at_once(self) -> bytes | None:
        """Return the next bytes if they are there without waiting."""
        return self._read(_NOWAIT) if _NOWAIT and self._place < self._end else None

    def next(self) -> bytes:
        """Return the next bytes; none at the end."""
        return self._read(0) or b""

    def _read(self, flags: int) -> bytes | None:
        view = memoryview(self._buffer)[: min(CHUNK, self._end - self._place)]
        try:
            count = os.preadv(self._handle, [view], self._place, flags)
        except (BlockingIOError, OSError):
            if not flags:
                raise
            return None
        self._place += count
        return bytes(view[:count]) if count else None

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def _open(blobs: Blobs, blob: str, start: int, end: int) -> _Reading | _ReadingFile:
    path = blobs.locate(blob)
    if path is None:
        return _Reading(blobs.read(blob, start, end))
    return _ReadingFile(os.open(path, os.O_RDONLY), start, end)


async def _send(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _described(download: Download, etag: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", download.content_type.encode()),
        (b"content-disposition", disposition(download.name, inline=download.inline)),
        (b"x-content-type-options", b"nosniff"),
        (b"etag", etag.encode()),
        (b"last-modified", formatdate(download.modified / SECOND, usegmt=True).encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"no-cache"),
    ]


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Read a header `Range`: the first byte, and that after the last; None if all is to be sent.

    What is malformed, or names several ranges, counts as none.

    Raises
    ------
    Unsatisfiable
        If it begins behind the end.

    >>> parse_range("bytes=10-19", 100), parse_range("bytes=-5", 100), parse_range("bytes=90-", 100), parse_range("lines=1-2", 9)
    ((10, 20), (95, 100), (90, 100), None)
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        count = int(match[2])
        if count and size:
            return max(0, size - count), size
        raise _behind(size)
    start, end = int(match[1]), int(match[2]) + 1 if match[2] else size
    if end <= start and match[2]:
        return None
    if start >= size:
        raise _behind(size)
    return start, min(end, size)


def _behind(size: int) -> Unsatisfiable:
    return Unsatisfiable(f"the range lies outside of the {size:,} bytes", code="request.range", hint="ask for less")


def disposition(name: str, *, inline: bool = False) -> bytes:
    """Return a header `Content-Disposition`: with a name of ASCII, and, if that is not the name, with the whole one as well.

    >>> print(disposition("a.txt").decode(), disposition("größe.csv").decode(), sep=" | ")
    attachment; filename="a.txt" | attachment; filename="gre.csv"; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv
    """
    plain = "".join(letter for letter in name if " " <= letter <= "~" and letter not in '"\\') or "download"
    text = f'{"inline" if inline else "attachment"}; filename="{plain}"'
    return (text if plain == name else f"{text}; filename*=UTF-8''{quote(name, safe='')}").encode()
