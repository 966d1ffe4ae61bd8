"""Limits of a connection, on top of uvicorn's httptools protocol: framing, size of the head, and how long anything may take."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import httptools
import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from perenne.net.inbound import SECURITY_HEADERS
from perenne.net.listening import LOOPBACK, Listening

MAX_HEADERS = 100
MAX_HEAD = 64 * 1024
MAX_URL = 16 * 1024
HEAD_SECONDS = 10.0
BODY_SECONDS = 30.0
READ_SECONDS = 30.0
"""A client that reads nothing of its answer for so long is cut off."""

KEEP_ALIVE_SECONDS = 75
LINGER_SECONDS = 2.0
MAX_UNREAD = 64 * 1024 * 1024
CHUNK = 256 * 1024
DIRECT = "perenne.rest_of_body"
"""The extension of a request whose body can be read past the event loop: `BoundedProtocol.take_rest`."""

SECURITY = b"".join(b"%s: %s\r\n" % header for header in SECURITY_HEADERS)
"""The security headers as they are written."""

_REASONS = {400: b"Bad Request", 414: b"URI Too Long", 431: b"Request Header Fields Too Large"}


class _Refused(Exception):
    """Leaves the parser; never leaves the protocol."""


class _Lingering:
    """A transport that, closed in the middle of a request, lets the client read the answer before the connection breaks.

    Closing a socket with unread bytes resets the connection, and the answer is lost. So only the sending side is shut at first;
    what still arrives is dropped, for a while and up to a limit.
    """

    def __init__(self, transport: asyncio.Transport, protocol: "BoundedProtocol") -> None:
        self._protocol = protocol
        self.inner = transport
        self.lingers = False
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size

    def is_closing(self) -> bool:
        """Tell whether nothing more is to be sent."""
        return self.lingers or self.inner.is_closing()

    def close(self) -> None:
        """Close at once, or after the client has had time to read."""
        if self.is_closing():
            return
        if not self._protocol.unfinished() or not self.inner.can_write_eof():
            self.inner.close()
            return
        self.lingers = True
        self.inner.write_eof()
        self.inner.resume_reading()
        self._protocol.loop.call_later(LINGER_SECONDS, self.inner.close)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What is wrong with its framing or too large in its head gets one answer, and the connection is closed."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.heard = time.monotonic()
        self.head_since: float | None = self.heard
        self._head = 0
        self._unread = 0
        self._begun = False
        self._arrived = 0
        self._announced: int | None = None
        self._refusal: tuple[int, str] | None = None
        self._left, self._left_since = 0, self.heard

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._lingering = _Lingering(transport, self)
        super().connection_made(self._lingering)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._lingering.lingers:
            self._drop(data)
            return
        self.heard = time.monotonic()
        began = self.head_since
        super().data_received(data)
        if began is not None and self.head_since == began:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self._refusal = (431, "the headers are too large")
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Start counting the head of a request."""
        self.head_since, self._head, self._begun = self.heard, 0, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refuse(414, "the URL is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if len(self.headers) >= MAX_HEADERS:
            self._refuse(431, f"there are more than {MAX_HEADERS} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check what frames the request, then start it."""
        self.check_framing()
        super().on_headers_complete()
        if self._announced is not None and self.scheme == "http":
            self.scope["extensions"] = {DIRECT: self.take_rest}  # type: ignore[dict-item]

    def check_framing(self) -> None:
        """Refuse a head that is too large, or says two things about where its body ends."""
        self.head_since, self._begun = None, False
        size, codings, lengths = 0, [], []
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
        if size > MAX_HEAD:
            self._refuse(431, "the headers are too large")
        if codings and (codings != [b"chunked"] or lengths):
            self._refuse(400, "Transfer-Encoding must be chunked, and alone")
        if len(lengths) > 1:
            self._refuse(400, "there are two Content-Length headers")
        if not self.url.startswith(b"/"):
            self._refuse(400, "the target must be a path")
        self._arrived, self._announced = 0, int(lengths[0]) if lengths and lengths[0].isdigit() else None

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; what nobody will read is let go of, up to a limit."""
        self._arrived += len(body)
        if self.cycle.response_complete:
            self._drop(body)
        super().on_body(body)

    async def take_rest(self, write: Callable[[memoryview], None]) -> None:
        """Read the rest of the body in a thread, from the socket straight to where it goes.

        The event loop and the parser copy each byte four times; this is for bodies of many megabytes. Once it is called nothing
        else reads from the request.

        Parameters
        ----------
        write : callable
            Gets the bytes, in a thread; they are overwritten when it returns.

        Raises
        ------
        ConnectionError
            If the client goes away, or is silent for too long.
        """
        cycle = self.cycle
        self.flow.pause_reading()
        held, cycle.body = memoryview(cycle.body), bytearray()
        left, keep_alive, cycle.keep_alive = (self._announced or 0) - self._arrived, cycle.keep_alive, False
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as connection:
            await asyncio.to_thread(_read_rest, connection, held, left, write)
        self.parser, cycle.keep_alive = httptools.HttpRequestParser(self), keep_alive
        self.heard = time.monotonic()
        self.on_message_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._unread = 0
        super().on_message_complete()

    def overdue(self, now: float) -> bool:
        """Tell whether the client has been silent too long in the middle of a request."""
        if self.head_since is not None:
            return now - self.head_since > HEAD_SECONDS
        waiting = self.cycle is not None and self.cycle.more_body and not self.flow.read_paused
        return waiting and now - self.heard > BODY_SECONDS

    def unread(self, now: float) -> bool:
        """Tell whether the client has read nothing of its answer for too long; asked now and then."""
        left = self.transport.get_write_buffer_size() if self.flow is not None and self.flow.write_paused else 0
        if not left or left != self._left:
            self._left, self._left_since = left, now
        return bool(left) and now - self._left_since > READ_SECONDS

    def cut(self) -> None:
        """Break the connection off; what was not read is let go of."""
        self._lingering.inner.abort()

    def answering(self) -> bool:
        """Tell whether a request has begun that has no whole answer yet."""
        return self._begun or (self.cycle is not None and not self.cycle.response_complete)

    def endless(self) -> bool:
        """Tell whether the answer under way is one that goes on for ever, which its endpoint says in the state of the request."""
        return self.answering() and bool(self.scope.get("state", {}).get("endless"))

    def unfinished(self) -> bool:
        """Tell whether the client may still be sending what will not be read."""
        return self._refusal is not None or self.head_since is not None or (self.cycle is not None and self.cycle.more_body)

    def _drop(self, data: bytes) -> None:
        self._unread += len(data)
        if self._unread > MAX_UNREAD:
            self._lingering.inner.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be answered by the application."""
        status, message = self._refusal = self._refusal or (400, "the request is not valid HTTP")
        body = msgspec.json.encode({"error": message, "error_code": "BAD_REQUEST", "message": message})
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%s\r\n"
        self.transport.write(head % (status, _REASONS[status], len(body), SECURITY) + body)
        self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        self._refusal = (status, message)
        raise _Refused


def _read_rest(connection: socket.socket, held: memoryview, left: int, write: Callable[[memoryview], None]) -> None:
    connection.settimeout(BODY_SECONDS)
    write(held)
    buffer = memoryview(bytearray(CHUNK))
    while left:
        try:
            count = connection.recv_into(buffer[: min(left, CHUNK)])
        except OSError as error:
            raise ConnectionError("the client went away, or fell silent") from error
        if not count:
            raise ConnectionError("the client went away")
        write(buffer[:count])
        left -= count


class BoundedServer(uvicorn.Server):
    """A uvicorn server that closes overdue connections."""

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second."""
        if counter % 10 == 0:
            self.close_overdue(time.monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; answers that would go on for ever are cut, all others are waited for."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol) and connection.endless():
                connection.transport.close()
        await super().shutdown(sockets)

    def close_overdue(self, now: float) -> None:
        """Close connections whose clients have been silent for too long, or do not read what they get."""
        for connection in list(self.server_state.connections):
            if not isinstance(connection, BoundedProtocol):
                continue
            if connection.unread(now):
                connection.cut()
            elif connection.overdue(now):
                connection.transport.close()


def bounded_config(
    application: Any, listening: Listening = LOOPBACK, protocol: type[BoundedProtocol] = BoundedProtocol, **more: Any
) -> uvicorn.Config:
    """Return uvicorn's configuration of a server with these limits: no access log, no server name, no unknown proxy's headers."""
    return uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        **listening.options(),
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **more,
    )
