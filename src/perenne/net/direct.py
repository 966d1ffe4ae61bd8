"""A server of whole requests and whole replies, without ASGI between.

Where a request costs microseconds, an event, a dictionary of its scope, a timer and two messages are most of it.

The limits of a connection are those of `connections`. What it answers with is an `Answerer`; replies are written in one piece.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools

from perenne.net.asgi import HTML, Headers, Reply, Route
from perenne.net.connections import KEEP_ALIVE_SECONDS, MAX_HEADERS, SECURITY, BoundedProtocol
from perenne.net.inbound import PAGE_HEADERS, STRICT_TRANSPORT

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_PAGE = b"".join(b"%s: %s\r\n" % header for header in PAGE_HEADERS)
_STRICT = b"".join(b"%s: %s\r\n" % header for header in STRICT_TRANSPORT)
_ONE_PIECE = 64 * 1024
_REMEMBERED = 512
_SHORT = 256


class Target(NamedTuple):
    """What a request is for: the path as text and as it came, and the query."""

    path: str
    raw_path: bytes
    query: bytes


class Caller(NamedTuple):
    """How a request came: `http` or `https`, and from which address."""

    scheme: str
    address: str


class Admitted(NamedTuple):
    """A request that is let in by its head: who answers, what stood in the open places of the path, and the body's type."""

    route: Route
    parts: tuple[str, ...]
    kind: str | None


class Answerer(ABC):
    """What a `DirectProtocol` asks."""

    body_limit: int

    @abstractmethod
    def admit(self, method: str, target: Target, headers: Headers, caller: Caller) -> Admitted | Reply:
        """Let a request in by its head, or refuse it; nothing of its body is read before."""

    @abstractmethod
    async def answer(self, admitted: Admitted, method: str, target: Target, headers: Headers, body: bytes, started: int) -> Reply:
        """Answer a request; whatever happens, there is a reply."""

    @abstractmethod
    def too_large(self, admitted: Admitted) -> Reply:
        """Refuse a body that turned out to be longer than the limit."""

    @abstractmethod
    def more(self, headers: Headers, reply: Reply) -> Headers:
        """Return what is said with every answer beside the security headers."""


class _Exchange:
    """A request and its answer; the names are those that uvicorn's protocol looks at."""

    __slots__ = (
        "admitted",
        "headers",
        "keep_alive",
        "method",
        "more_body",
        "parts",
        "reply",
        "response_complete",
        "size",
        "started",
        "target",
    )

    def __init__(self, method: str, target: Target, headers: Headers, keep_alive: bool) -> None:
        self.started = time.perf_counter_ns()
        self.method = method
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.admitted: Admitted | None = None
        self.reply: Reply | None = None
        self.parts: list[bytes] = []
        self.size = 0
        self.more_body = True
        self.response_complete = False


class DirectProtocol(BoundedProtocol):
    """One connection. Requests that come before the last one is answered wait; nothing more is read meanwhile."""

    _targets: "dict[bytes, Target]" = {}  # shared: callers ask for the same few paths

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._answerer: Answerer = self.config.app  # type: ignore[assignment]
        self._caller = Caller("http", "")
        self._waiting: deque[_Exchange] = deque()
        self._busy: asyncio.Task[None] | None = None
        self._leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._caller = Caller(self.scheme or "http", self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what is being answered is answered to nobody."""
        self.connections.discard(self)
        self._waiting.clear()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        """Start counting the head of a request."""
        self.head_since, self._head, self._begun = self.heard, 0, True
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if len(self.headers) >= MAX_HEADERS:
            self._refuse(431, f"there are more than {MAX_HEADERS} headers")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Check what frames the request and let it in, or refuse it at once."""
        self.check_framing()
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        method = self.parser.get_method().decode("ascii")
        exchange = _Exchange(method, self._target(), self.headers, keep_alive)
        self.cycle = exchange  # type: ignore[assignment]
        admitted = self._answerer.admit(method, exchange.target, exchange.headers, self._caller)
        if isinstance(admitted, Reply):
            self._refuse_early(exchange, admitted)
            return
        exchange.admitted = admitted
        if self.expect_100_continue and self._busy is None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; what nobody will read is let go of, up to a limit."""
        exchange: _Exchange = self.cycle  # type: ignore[assignment]
        if exchange.reply is not None:
            self._drop(body)
            return
        exchange.size += len(body)
        exchange.parts.append(body)
        if exchange.size > self._answerer.body_limit and exchange.admitted is not None:
            exchange.parts.clear()
            self._refuse_early(exchange, self._answerer.too_large(exchange.admitted))

    def on_message_complete(self) -> None:
        """End a request."""
        self._unread = 0
        exchange: _Exchange = self.cycle  # type: ignore[assignment]
        exchange.more_body = False
        if exchange.response_complete:
            return
        self._waiting.append(exchange)
        if self._busy is None and len(self._waiting) == 1:
            self._go_on()
        else:
            self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Go on once the client has read."""
        super().resume_writing()
        if self._busy is None:
            self._go_on()

    def shutdown(self) -> None:
        """Close, at once or with the answer that is due."""
        if self.answering():
            self._leaving = True
        else:
            self.transport.close()

    def overdue(self, now: float) -> bool:
        """Tell whether the client has been silent too long, in the middle of a request or between two."""
        return super().overdue(now) or (not self.answering() and now - self.heard > KEEP_ALIVE_SECONDS)

    def endless(self) -> bool:
        """Tell whether the answer under way goes on for ever: none does."""
        return False

    def _target(self) -> Target:
        found = self._targets.get(self.url)
        if found is None:
            parsed = httptools.parse_url(self.url)
            path = parsed.path.decode("ascii")
            found = Target(unquote(path) if "%" in path else path, parsed.path, parsed.query or b"")
            if len(self.url) <= _SHORT:
                if len(self._targets) >= _REMEMBERED:
                    self._targets.clear()
                self._targets[self.url] = found
        return found

    def _refuse_early(self, exchange: _Exchange, reply: Reply) -> None:
        """Refuse before the body has come, unless it is another one's turn."""
        exchange.reply = reply
        if self._busy is None and not self._waiting:
            self._write(exchange, reply)

    def _go_on(self) -> None:
        """Answer what waits, as long as the client reads."""
        while self._waiting and not self.flow.write_paused and not self.transport.is_closing():
            exchange = self._waiting.popleft()
            if exchange.reply is None:
                self._busy = self.loop.create_task(self._answer(exchange))
                return
            self._write(exchange, exchange.reply)
        if not self._waiting and not self.flow.write_paused:
            self.flow.resume_reading()

    async def _answer(self, exchange: _Exchange) -> None:
        parts = exchange.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        assert exchange.admitted is not None
        reply = await self._answerer.answer(
            exchange.admitted, exchange.method, exchange.target, exchange.headers, body, exchange.started
        )
        self._busy = None
        if not self.transport.is_closing():
            self._write(exchange, reply)
            self._go_on()

    def _write(self, exchange: _Exchange, reply: Reply) -> None:
        more = self._answerer.more(exchange.headers, reply)
        closes = self._leaving or not exchange.keep_alive or (b"connection", b"close") in more
        body = b"" if exchange.method == "HEAD" else reply.body
        lines = [_STATUS[reply.status], b"content-type: ", reply.content_type]
        lines.append(b"\r\ncontent-length: %d\r\n" % len(reply.body))
        for name, value in (*reply.headers, *more):
            if b"\n" in value or b"\r" in value:
                raise ValueError("a header holds a line break")
            lines += (name, b": ", value, b"\r\n")
        lines.append(SECURITY if reply.content_type != HTML else _PAGE)
        if self.scheme != "http":
            lines.append(_STRICT)
        lines.append(b"connection: close\r\n\r\n" if closes and (b"connection", b"close") not in more else b"\r\n")
        if len(body) <= _ONE_PIECE:
            lines.append(body)
        self.transport.write(b"".join(lines))
        if len(body) > _ONE_PIECE:
            self.transport.write(body)
        exchange.response_complete = True
        self.heard = time.monotonic()
        self.server_state.total_requests += 1
        if closes:
            self.transport.close()
