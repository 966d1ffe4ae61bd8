"""A request, a reply and a router for servers that count microseconds: plain ASGI, no framework."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from perenne.core.errors import PerenneError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
_REMEMBERED = 512


class Request(NamedTuple):
    """A request that was read whole.

    Attributes
    ----------
    method, path : str
        As in ASGI; the path is decoded.
    parts : tuple of str
        What stood in the places of the route's `{…}`.
    headers : sequence of (bytes, bytes)
        Names in lower case.
    body : bytes
        The body, decompressed.
    started : int
        `time.perf_counter_ns` when the request arrived.
    """

    method: str
    path: str
    parts: tuple[str, ...]
    headers: Headers
    body: bytes
    started: int

    def header(self, name: bytes) -> str | None:
        """Return the first header of a name."""
        return header_of(self.headers, name)


def header_of(headers: Headers, name: bytes) -> str | None:
    """Return the first header of a name."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()


async def send_reply(send: Send, reply: Reply, more: Headers = ()) -> None:
    """Send an answer with its type, length and headers."""
    own = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": [*own, *reply.headers, *more]})
    await send({"type": "http.response.body", "body": reply.body})


Handler: TypeAlias = Callable[[Request], Awaitable[Reply]]
ErrorForm: TypeAlias = Callable[[PerenneError], Reply]
FormOf: TypeAlias = Callable[[Scope, PerenneError], Reply]
"""Gives an error the form of whatever the request was meant for."""


class Route(NamedTuple):
    """A method and path, and who answers.

    Attributes
    ----------
    method, path : str
        `{}` in the path stands for one segment, `{}:verb` for one that ends with the verb; those come before the others.
    handler : callable
        Answers.
    error_reply : callable
        Gives errors their form.
    action : str or None
        What a caller must be allowed to do, a name of `perenne.auth.roles`; with None, anybody may call.
    accepts : tuple of str
        The types a body may have; an empty text for none given. With no type at all the handler looks for itself.
    """

    method: str
    path: str
    handler: Handler
    error_reply: ErrorForm
    action: str | None
    accepts: tuple[str, ...] = ("", "application/json")


class Match(NamedTuple):
    """What a path leads to: a route by method, and what stood in the open segments."""

    routes: dict[str, Route]
    parts: tuple[str, ...]


class Router:
    """Finds the route of a path, exactly: no other spelling leads to it.

    >>> async def show(request): ...
    >>> router = Router([Route("GET", "/v2/models/{}", show, None, "read")])
    >>> router.match("/v2/models/flights").parts
    ('flights',)
    >>> router.match("/v2/models") is None, router.match("//v2/models/flights") is None
    (True, True)
    >>> Router([Route("POST", "/v1/models/{}:predict", show, None, "read")]).match("/v1/models/flights:predict").parts
    ('flights',)
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._patterns: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            self._patterns.setdefault(tuple(route.path.split("/")), {})[route.method] = route
        self._known: dict[str, Match | None] = {}

    def match(self, path: str) -> Match | None:
        """Return what the path leads to, or None."""
        try:
            return self._known[path]
        except KeyError:
            found = self._find(path)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[path] = found
            return found

    def _find(self, path: str) -> Match | None:
        segments = path.split("/")
        for pattern, routes in self._patterns.items():
            if len(pattern) == len(segments):
                parts = [_open_part(p, s) for p, s in zip(pattern, segments, strict=True)]
                if None not in parts:
                    return Match(routes, tuple(part for part in parts if part))
        return None


def _open_part(pattern: str, segment: str) -> str | None:
    """Return what stands in the open place of a segment, an empty text if it has none, None if it is another segment."""
    if not pattern.startswith("{}"):
        return "" if pattern == segment else None
    verb = pattern[2:]
    return segment.removesuffix(verb) or None if segment.endswith(verb) else None
