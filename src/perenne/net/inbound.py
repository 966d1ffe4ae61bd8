"""Limits of a request, the same for both servers: who it is addressed to, how long its parts are, how deeply its JSON is nested.

A request is refused before its body is read where that is possible, and never costs more memory than its limit.
"""

import re
import zlib
from collections.abc import Collection, Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from perenne.core.errors import Invalid, PerenneError
from perenne.net.asgi import JSON, Application, FormOf, Headers, Receive, Reply, Scope, Send, send_reply

MAX_DEPTH = 64
MAX_CONTAINERS = 500_000
MAX_VALUES = 4_000_000
MAX_RATIO = 100
MAX_URL = 16 * 1024
SECURITY_HEADERS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What every answer says to a browser, but for a page."""

PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
PAGE_HEADERS: Headers = (*SECURITY_HEADERS[:2], (b"content-security-policy", PAGE_POLICY.encode()))
"""What a page says: nothing from elsewhere, no script within it."""

STRICT_TRANSPORT: Headers = ((b"strict-transport-security", b"max-age=31536000"),)
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({b"same-origin", b"none"})
_SIMPLE_TYPES = frozenset({b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"})
_DISGUISED = re.compile(rb"%(2[ef]|5c)", re.IGNORECASE)
_NUL = re.compile(rb"\x00|(?<!\\)(?:\\\\)*\\u0000")
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'[]{}"')


class TooLarge(PerenneError):
    """The body is longer than the server takes."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit:,} bytes", code="request.too_large", hint="send less at a time")


class Misdirected(PerenneError):
    """The request names a host this server is not."""

    status = 403


class Busy(PerenneError):
    """As many requests as the server takes at once are being answered."""

    status = 503

    def __init__(self) -> None:
        super().__init__("the server is answering as many requests as it can", code="request.busy", hint="try again later")


class Room:
    """Room for so many requests at work; one more is told to come again. Who is still sending takes none: that costs nothing.

    Parameters
    ----------
    most : int
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def __enter__(self) -> None:
        if self._taken >= self._most:
            raise Busy
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        self._taken -= 1


class Unreadable(PerenneError):
    """The body is in an encoding or format the server does not read."""

    status = 415


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a server accepts.

    Attributes
    ----------
    hosts : frozenset of str
        The exact values of the header `Host` that are answered, in lower case.
    body : int
        The largest body in bytes, also after decompression.
    large : tuple of (bytes, int)
        Other limits, by the beginning of the path: of endpoints that do not hold bodies in memory.
    """

    hosts: frozenset[str]
    body: int = 2 * 1024 * 1024
    large: tuple[tuple[bytes, int], ...] = ()

    def of(self, raw_path: bytes) -> int:
        """Return the largest body of a path."""
        return next((limit for beginning, limit in self.large if raw_path.startswith(beginning)), self.body)


def allowed_hosts(bound: str, port: int, names: Iterable[str] = ()) -> frozenset[str]:
    """Return the values of `Host` a server answers to: loopback names, the address it listens on, and the names configured.

    >>> sorted(allowed_hosts("127.0.0.1", 7374, ["models.example.org"]))
    ['127.0.0.1:7374', '[::1]:7374', 'localhost:7374', 'models.example.org', 'models.example.org:7374']
    """
    own = {"localhost", "127.0.0.1", "[::1]", f"[{bound}]" if ":" in bound else bound} - {"0.0.0.0", "[::]"}  # noqa: S104
    hosts = {f"{name}:{port}" for name in own}
    if port == 80:
        hosts |= own
    for name in names:
        hosts |= {name, f"{name}:{port}"} if ":" not in name else {name}
    return frozenset(host.lower() for host in hosts)


def check_head(
    headers: Collection[tuple[bytes, bytes]], raw_path: bytes, limits: Limits, method: str = "GET", scheme: str = "http"
) -> int | None:
    """Refuse a request by its first line and headers; return the length its body claims to have.

    Raises
    ------
    PerenneError
        400 for no or two hosts, 403 for another's, or for a change that another site's page asks for, 413 for a body that is
        announced too large, 414 for a long URL.
    """
    hosts, host, length, from_browser = 0, b"", None, False
    for name, value in headers:
        if name == b"host":
            hosts, host = hosts + 1, value
        elif name == b"content-length":
            length = int(value) if value.isdigit() else -1
        elif name in (b"origin", b"sec-fetch-site", b"referer"):
            from_browser = True
    if hosts != 1:
        raise Invalid("the request must have exactly one Host header", code="request.host")
    if host.decode("latin-1").lower() not in limits.hosts:
        raise Misdirected(
            "this server does not answer for that host", code="request.host", hint="configure the name it is reached by"
        )
    if from_browser and method not in _HARMLESS:
        _check_site(headers, f"{scheme}://".encode() + host.lower())
    if len(raw_path) > MAX_URL:
        raise _LongUrl("the URL is too long", code="request.url")
    if length is not None and length < 0:
        raise Invalid("Content-Length is not a number", code="request.length")
    if length is not None and length > limits.body and length > (most := limits.of(raw_path)):
        raise TooLarge(most)
    return length


def check_target(raw_path: bytes, query: bytes) -> None:
    """Refuse what no path or query holds: control characters, bytes that are not UTF-8, dots and slashes in disguise.

    No route can be reached by another spelling of its path. A query may hold anything but a NUL.

    Raises
    ------
    Invalid
        If there is such.
    """
    if b"%" not in raw_path and raw_path.isascii() and b"%00" not in query:
        return
    try:
        text = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        text = "\0"
    disguised = b"%" in raw_path and _DISGUISED.search(raw_path) is not None
    if disguised or b"%00" in query or any(letter < " " or letter == "\x7f" for letter in text):
        raise Invalid("the URL holds something that is not text", code="request.url")


def _check_site(headers: Collection[tuple[bytes, bytes]], own: bytes) -> None:
    """Refuse what a page of another site makes a browser send; programs send none of these headers.

    The referrer counts only where a browser would send the body without asking first.
    """
    origins = [value.lower() for name, value in headers if name == b"origin"]
    sites = [value.lower() for name, value in headers if name == b"sec-fetch-site"]
    foreign = any(origin != own for origin in origins) or any(site not in _OWN_SITE for site in sites)
    if not origins and not foreign:
        kind = b"".join(value for name, value in headers if name == b"content-type").partition(b";")[0].strip().lower()
        referrers = [value.lower() for name, value in headers if name == b"referer"]
        foreign = kind in _SIMPLE_TYPES and any(referrer != own and not referrer.startswith(own + b"/") for referrer in referrers)
    if foreign:
        raise Misdirected("a page of another site asked for this", code="request.origin")


class _LongUrl(PerenneError):
    status = 414


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a body whole; stop as soon as it is longer than the limit.

    Raises
    ------
    TooLarge
        If it is longer.
    ConnectionError
        If the client went away.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _within(message.get("body", b""), limit)
    parts, size = [], 0
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLarge(limit)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    raise ConnectionError("the client went away")


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise TooLarge(limit)
    return body


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a `Content-Encoding`, never holding more than the limit.

    Raises
    ------
    PerenneError
        415 for an encoding that is not gzip or deflate, 400 for damaged data, 413 for more than the limit or a ratio above 100.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise Unreadable("Content-Encoding must be gzip or deflate", code="request.encoding")
    allowed = min(limit, max(MAX_RATIO * len(body), 1024))
    machine = zlib.decompressobj(_window(body, encoding))
    try:
        data = machine.decompress(body, allowed + 1)
    except zlib.error:
        raise Invalid(f"the body is not {encoding}", code="request.encoding") from None
    if len(data) > allowed:
        raise TooLarge(limit)
    if not machine.eof or machine.unused_data:
        raise Invalid(f"the {encoding} body is truncated or followed by something else", code="request.encoding")
    return data


def _window(body: bytes, encoding: str) -> int:
    """Return what zlib is told of an encoding; some senders of `deflate` leave its two bytes of header out."""
    if encoding == "gzip":
        return zlib.MAX_WBITS | 16
    headed = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.MAX_WBITS if headed else -zlib.MAX_WBITS


def check_json(body: bytes, limit: int = MAX_DEPTH) -> None:
    """Refuse JSON that is nested more deeply than the limit or holds too many values, before it is parsed.

    A few bytes of text can become many of objects, so values and containers are counted. For the depth, all but the brackets is
    taken away, then innermost pairs until none is left: one round per level, each at the speed of `memchr`.

    Raises
    ------
    Invalid
        If it is nested too deeply, holds too much, or its brackets do not close.

    >>> check_json(b'{"a": [[1, 2], "]]]["]}')
    >>> check_json(b"[" * 65 + b"]" * 65)
    Traceback (most recent call last):
    perenne.core.errors.Invalid: the JSON is nested more than 64 levels deep, or a bracket is not closed
    """
    containers = body.count(b"[") + body.count(b"{")
    if containers > MAX_CONTAINERS or (len(body) > MAX_VALUES and body.count(b",") > MAX_VALUES):
        raise Invalid(f"the JSON holds more than {MAX_CONTAINERS:,} rows or {MAX_VALUES:,} values", code="json.values")
    if containers <= limit:
        return
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = body.translate(_BRACKETS, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in structure:
        structure = b"".join(structure.split(b'"')[::2])
    for _ in range(limit):
        if not structure:
            return
        structure = structure.replace(b"[]", b"")
    if structure:
        raise Invalid(f"the JSON is nested more than {limit} levels deep, or a bracket is not closed", code="json.depth")


def check_type(header: str, accepted: Collection[str]) -> str:
    """Return the type of a body that a header `Content-Type` names.

    Raises
    ------
    Unreadable
        If it is none of the accepted ones, or of a charset other than UTF-8.

    >>> check_type('application/json; charset="UTF-8"', ["application/json"])
    'application/json'
    """
    if header in accepted:
        return header
    kind, *parameters = [part.strip().lower() for part in header.split(";")]
    for parameter in parameters:
        if parameter.startswith("charset") and parameter.replace('"', "") != "charset=utf-8":
            raise Unreadable("text is read as UTF-8 only", code="request.charset")
    if kind not in accepted or not kind:
        hint = f"send {' or '.join(name for name in accepted if name)}"
        raise Unreadable("the body is of a type that is not read here", code="request.type", hint=hint)
    return kind


def check_text(body: bytes) -> None:
    r"""Refuse a body that is not UTF-8, or holds a NUL, which databases take for the end of a text.

    Raises
    ------
    Invalid
        If it is such.

    >>> check_text(b'{"a": "\\\\u0000 is spelled"}')
    >>> check_text(b'{"a": "\\u0000"}')
    Traceback (most recent call last):
    perenne.core.errors.Invalid: the body holds a NUL character
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            raise Invalid("the body is not UTF-8", code="request.text") from None
    if (b"\0" in body or b"\\u0000" in body) and _NUL.search(body):
        raise Invalid("the body holds a NUL character", code="request.text")


class InboundLimits:
    """An ASGI application in front of another one: refuses what `check_head` refuses, counts the body, adds security headers.

    Parameters
    ----------
    application : ASGI application
        What answers.
    limits : Limits
        What is let through.
    headers : sequence of (bytes, bytes)
        Added to every answer that does not have them.
    form : callable, optional
        Gives a refusal its form.
    """

    def __init__(
        self, application: Application, limits: Limits, headers: Headers = SECURITY_HEADERS, form: FormOf | None = None
    ) -> None:
        self._application = application
        self._limits = limits
        self._form = form or plain_form
        self._plain = frozenset(name for name, _ in headers), headers
        self._secure = self._plain[0] | {STRICT_TRANSPORT[0][0]}, (*headers, *STRICT_TRANSPORT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        started = False
        names, headers = self._secure if scope.get("scheme") == "https" else self._plain

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = message.get("headers", ())
                present = {name.lower() for name, _ in given}
                added = headers if names.isdisjoint(present) else [item for item in headers if item[0] not in present]
                message = {**message, "headers": [*given, *added]}
            await send(message)

        try:
            raw_path = scope.get("raw_path") or b""
            length = check_head(scope["headers"], raw_path, self._limits, scope["method"], scope.get("scheme", "http"))
            check_target(raw_path, scope.get("query_string", b""))
            if length is None:  # a body of a length that was announced cannot be longer: the framing ends it there
                receive = _counting(receive, self._limits.of(raw_path))
            await self._application(scope, receive, send_with_headers)
        except (TooLarge, Misdirected, Invalid, _LongUrl) as error:
            if started:
                raise
            await send_reply(send_with_headers, self._form(scope, error))


def _counting(receive: Receive, limit: int) -> Receive:
    size = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise TooLarge(limit)
        return message

    return counted


def error_reply(error: PerenneError) -> Reply:
    """Say what is wrong so that every client can read it: `error` for the inference protocol, the others for MLflow's."""
    body = {"error": error.message, "error_code": error.code, "message": error.message}
    if error.hint:
        body["hint"] = error.hint
    if error.request_id:
        body["request_id"] = error.request_id
    return Reply(error.status, msgspec.json.encode(body), JSON, error_headers(error))


def plain_form(_: Scope, error: PerenneError) -> Reply:
    """Give an error our own form, whatever the request."""
    return error_reply(error)


def error_headers(error: PerenneError) -> Headers:
    """Return the headers that go with an error's status: how to log in, or when to try again."""
    if error.status == 401:
        return ((b"www-authenticate", b'Bearer realm="perenne"'),)
    if error.status in (429, 503):
        return ((b"retry-after", b"%d" % error.retry_after),)
    return ()
