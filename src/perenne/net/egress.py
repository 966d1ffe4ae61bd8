"""The one client through which perenne asks others for something of its own accord: webhooks (governance specification §10.6).

A name is resolved once, every address it has is checked, and the connection goes to one of those very addresses: a second
resolution could give another answer. No redirects, no proxies, no credentials from the environment; bounded in time and size.
"""

import hashlib
import hmac
import http
import http.client
import io
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from perenne.core import json
from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import Denied, Invalid, Unavailable
from perenne.core.ids import new_id
from perenne.formats import trace_context
from perenne.telemetry import tracing

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

SECONDS = 10.0
MAX_ANSWER = 1 << 20
MAX_URL = 8_192
EXCERPT = 200

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_URL = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII but the backslash and the space: whatever else is in a URL, some reader sees another host in it."""

_HEADER = re.compile(r"[A-Za-z0-9-]+: [ -~]*")

_PRIVATE_4 = [
    IPv4Network("0.0.0.0/8"),  # this network
    IPv4Network("10.0.0.0/8"),  # private
    IPv4Network("100.64.0.0/10"),  # shared by carriers
    IPv4Network("127.0.0.0/8"),  # loopback
    IPv4Network("169.254.0.0/16"),  # link-local
    IPv4Network("172.16.0.0/12"),  # private
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.0.2.0/24"),  # documentation
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("192.168.0.0/16"),  # private
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv4Network("198.51.100.0/24"),  # documentation
    IPv4Network("203.0.113.0/24"),  # documentation
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved
]
_PUBLIC_6 = IPv6Network("2000::/3")
_PRIVATE_6 = [
    IPv6Network("2001::/23"),  # protocol assignments, Teredo
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
]


class NotPublic(Denied):
    """A host has an address that is not of the open internet.

    Attributes
    ----------
    host, address : str
        The name, and the address.
    """

    def __init__(self, host: str, address: str) -> None:
        super().__init__(
            f"{host} has an address that is not public",
            code="egress.private",
            hint="only public addresses are asked, for what names them may come from outside",
        )
        self.host = host
        self.address = address


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status, and the first 200 characters of the body with control characters escaped."""

    status: int
    excerpt: str


class Download(msgspec.Struct, frozen=True):
    """What came back beside the body, which went where it was told: the status, and the headers by their names in lower case."""

    status: int
    headers: dict[str, str]


class _Target(NamedTuple):
    secure: bool
    host: str
    port: int
    path: str
    allowed: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Egress:
    """Sends requests to public hosts, by https only; to others and by http only where that is allowed by name.

    Parameters
    ----------
    allow : frozenset of str
        `host:port`, or `[address]:port`, of hosts that may be private and may be asked without TLS.
    context : ssl.SSLContext, optional
        What certificates to trust; the system's if not given.
    resolve : callable, optional
        Gives the addresses of a name and port; the system's resolver if not given.
    """

    def __init__(
        self, allow: frozenset[str] = frozenset(), context: ssl.SSLContext | None = None, resolve: Resolver | None = None
    ) -> None:
        self._allow = frozenset(name.lower() for name in allow)
        self._context = context
        self._resolve = resolve or _system_addresses

    def post_json(self, url: str, value: Any, *, secret: str = "", identity: str = "") -> Answer:
        """Post JSON, signed if there is a secret; see `signature`.

        Parameters
        ----------
        url : str
            Where to.
        value : object
            What is sent: plain values or Structs.
        secret : str
            The key of the signature.
        identity : str
            Stays the same when the same message is sent again, so that the receiver can tell.

        Raises
        ------
        Invalid
            If the URL is malformed, or neither https nor allowed.
        Denied
            If the host has a private address.
        Unavailable
            If the host cannot be reached, or does not answer with a status of 200 to 299.
        """
        body, identity = json.encode(value), identity or new_id()
        timestamp = str(SystemClock().now() // SECOND)
        headers = {"Content-Type": "application/json", "X-Perenne-Delivery": identity, "X-Perenne-Timestamp": timestamp}
        if secret:
            headers["X-Perenne-Signature"] = signature(secret, identity, timestamp, body)
        answer = self.request("POST", url, body, headers)
        if not 200 <= answer.status < 300:
            host = urlsplit(url).hostname
            raise Unavailable(f"{host} answered with status {answer.status}", code="egress.status", hint=answer.excerpt)
        return answer

    def request(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Answer:
        """Send a request and return the status and the beginning of what came back; raises as `post_json`, but for the status."""
        with self.exchange(method, url, body, headers, seconds=SECONDS) as (target, answer):
            data = answer.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            raise Unavailable(
                f"{target.host} answered with more than {MAX_ANSWER >> 20} MiB",
                code="egress.size",
                hint="only short answers are read: is this the right address?",
            )
        return Answer(answer.status, _escaped(data))

    @contextmanager
    def exchange(
        self, method: str, url: str, body: bytes | Iterable[bytes] = b"", headers: Mapping[str, str] = {}, *, seconds: float
    ) -> Iterator[tuple[_Target, http.client.HTTPResponse]]:
        """Send a request and give the answer to read; no redirect is followed, and nobody but the reader bounds the body.

        Parameters
        ----------
        body : bytes or iterable of bytes
            In pieces it needs the header `Content-Length`.
        seconds : float
            For all of it, reading the answer included.

        Raises
        ------
        Invalid, Denied, Unavailable
            As `post_json`, but for the status.
        """
        _check_headers(headers)
        target, connection = self._connect(url, seconds)
        try:
            connection.request(method, target.path, body, {**_own_headers(target), **headers})
            with connection.getresponse() as answer:
                yield target, answer
        except (OSError, http.client.HTTPException) as error:
            raise _unavailable(target, error) from error
        finally:
            connection.close()

    def download(
        self,
        url: str,
        write: Callable[[bytes], object],
        *,
        headers: Mapping[str, str] = {},
        body: bytes | None = None,
        limit: int,
        seconds: float,
    ) -> Download:
        """Get what is at a URL, in pieces, without following a redirect; what an error says of itself is not handed on.

        Parameters
        ----------
        write : callable
            Is given the pieces of a body whose status is 200.
        headers : mapping
            Sent along, such as `If-None-Match`.
        body : bytes, optional
            Posted, to ask for something.
        limit : int
            Bytes that the body may have.
        seconds : float
            For all of it.

        Raises
        ------
        Invalid, Denied, Unavailable
            As `post_json`, but for the status; Unavailable also for a body that is too long or cut off.
        """
        target, connection = self._connect(url, seconds)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, target.path, body, {**_own_headers(target), **headers})
            with connection.getresponse() as answer:
                found = Download(answer.status, {name.lower(): value for name, value in answer.getheaders()})
                if answer.status == http.HTTPStatus.OK:
                    _copy(answer, write, limit, target.host)
        except (OSError, http.client.HTTPException) as error:
            raise _unavailable(target, error) from error
        finally:
            connection.close()
        return found

    def _connect(self, url: str, seconds: float) -> "tuple[_Target, _Connection]":
        deadline = time.monotonic() + seconds
        target = _parse(url, self._allow)
        return target, _Connection(target, self._addresses(target, deadline), deadline, self._context)

    def check(self, url: str) -> None:
        """Make sure that a URL could be asked as things are now; raises as `request`, before anything is sent."""
        self._addresses(_parse(url, self._allow), time.monotonic() + SECONDS)

    def _addresses(self, target: _Target, deadline: float) -> Sequence[str]:
        addresses = _within(deadline, lambda: self._resolve(target.host, target.port), target.host)
        if not addresses:
            raise Unavailable(f"{target.host} has no address", code="egress.unresolved", hint="is the name right?")
        private = next((address for address in addresses if not is_public(address)), None)
        if private is not None and not target.allowed:
            raise NotPublic(target.host, private)
        return addresses


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, text in headers.items():
        if not _HEADER.fullmatch(f"{name}: {text}"):
            raise Invalid(
                f"{name[:100]!r} is not a header that may be sent",
                code="egress.header",
                hint="leave it out: it is set by the client itself, or holds a control character",
            )


def _copy(answer: http.client.HTTPResponse, write: Callable[[bytes], object], limit: int, host: str) -> None:
    """Hand on a body in pieces. Raises IncompleteRead if it ends before its stated length."""
    size = 0
    while piece := answer.read(MAX_ANSWER):
        size += len(piece)
        if size > limit:
            raise Unavailable(
                f"{host} sends more than {limit >> 20:,} MiB", code="egress.size", hint="raise the limit, or get a part of it"
            )
        write(piece)
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def _unavailable(target: _Target, error: Exception) -> Unavailable:
    return Unavailable(
        f"{target.host} could not be asked: {type(error).__name__}", code="egress.unavailable", hint=str(error)[:EXCERPT]
    )


def _own_headers(target: _Target) -> dict[str, str]:
    """Return the headers of every request; the trace it belongs to, if there is one, goes along."""
    parent = tracing.trace_parent()
    headers = {"Host": target.authority, "User-Agent": "perenne"}
    return headers if parent is None else {**headers, trace_context.HEADER: parent}


def post_json(url: str, value: Any, *, secret: str = "", identity: str = "", allow: frozenset[str] = frozenset()) -> Answer:
    """Post signed JSON; see `Egress.post_json`."""
    return Egress(allow).post_json(url, value, secret=secret, identity=identity)


def signature(secret: str, identity: str, timestamp: str, body: bytes) -> str:
    """Return what stands in `X-Perenne-Signature`: HMAC-SHA256 over delivery id, timestamp and body, with dots between.

    A receiver computes it from `X-Perenne-Delivery`, `X-Perenne-Timestamp` and the body, compares it in constant time, and
    refuses old timestamps.

    >>> signature("key", "id", "0", b"{}")[:20]
    'sha256=acdb45932143d'
    """
    message = b".".join([identity.encode(), timestamp.encode(), body])
    return f"sha256={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def is_public(text: str) -> bool:
    """Tell whether an address is one of the open internet: not loopback, private, link-local, shared, multicast or reserved.

    IPv6 addresses that hold an IPv4 address, mapped or translated, do not count: they may lead to any of those.

    >>> [is_public(text) for text in ("9.9.9.9", "10.0.0.1", "::ffff:9.9.9.9", "2620:fe::fe")]
    [True, False, False, True]
    """
    address: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _PRIVATE_4)
    return address.scope_id is None and address in _PUBLIC_6 and not any(address in network for network in _PRIVATE_6)


def _parse(url: str, allow: frozenset[str]) -> _Target:
    """Take a URL apart; every unusual spelling is refused rather than understood."""
    if not _URL.fullmatch(url) or len(url) > MAX_URL:
        raise _malformed(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _malformed(url) from None
    usual = "@" not in parts.netloc and not parts.netloc.endswith(":") and port != 0 and _is_host(host)
    if not usual or parts.scheme not in {"http", "https"}:
        raise _malformed(url)
    secure = parts.scheme == "https"
    port = (443 if secure else 80) if port is None else port
    allowed = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}") in allow
    if not secure and not allowed:
        raise Invalid(f"{host} is asked by https only", code="egress.scheme", hint="or allow this host and port by name")
    return _Target(secure, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), allowed)


def _is_host(host: str) -> bool:
    """Tell whether it is a name, or an address in its usual spelling: numbers are not a name, however they are written."""
    try:
        address = ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        return len(host) <= 253 and _NAME.fullmatch(host) is not None and re.fullmatch(r"0x[0-9a-f]*|[0-9]+", last) is None
    return isinstance(address, IPv4Address) or address.scope_id is None


def _malformed(url: str) -> Invalid:
    return Invalid(f"{url[:100]!r} is not a URL that may be asked", code="egress.url", hint="write it as https://host/path")


def _system_addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _within(deadline: float, resolve: Callable[[], Sequence[str]], host: str) -> Sequence[str]:
    """Resolve in a thread of its own: the system's resolver knows no time limit."""
    found: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            found.put(resolve())
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=work, name="perenne-resolver", daemon=True).start()
    try:
        result = found.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise Unavailable(
            f"{host} could not be resolved in time",
            code="egress.unresolved",
            hint="is the name right, and does this machine's name service answer?",
        ) from None
    if isinstance(result, Exception):
        raise Unavailable(
            f"{host} could not be resolved",
            code="egress.unresolved",
            hint="is the name right, and does this machine's name service answer?",
        ) from result
    return result


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were checked, with one time limit for all of it."""

    def __init__(self, target: _Target, addresses: Sequence[str], deadline: float, context: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._addresses = addresses
        self._deadline = deadline
        self._context = context

    def connect(self) -> None:
        """Connect to the first address that answers; what it is connected to is looked at before anything is sent."""
        opened = self._open()
        if self._target.secure:
            context = self._context or ssl.create_default_context()
            opened = context.wrap_socket(opened, server_hostname=self._target.host)
        self.sock = _TimedSocket(opened, self._deadline)

    def _open(self) -> socket.socket:
        failure: OSError = OSError("no address")
        for address in self._addresses:
            try:
                opened = socket.create_connection((address, self._target.port), max(0.001, self._deadline - time.monotonic()))
            except OSError as error:
                failure = error
                continue
            if ip_address(opened.getpeername()[0]) != ip_address(address):
                opened.close()
                raise OSError("connected to another address than asked for")
            return opened
        raise failure


class _TimedSocket:
    """As much of a socket as `http.client` uses, with a deadline for everything together."""

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self._socket = opened
        self._deadline = deadline
        self._lent = False

    def sendall(self, data: bytes) -> None:
        self._limit()
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._lent = True
        return io.BufferedReader(_TimedReader(self))

    def receive_into(self, buffer: Any) -> int:
        self._limit()
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close the socket, unless an answer is still read from it: then its reader does."""
        if not self._lent:
            self._socket.close()

    def give_back(self) -> None:
        self._lent = False
        self.close()

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer within {SECONDS:g} seconds")
        self._socket.settimeout(left)


class _TimedReader(io.RawIOBase):
    def __init__(self, source: _TimedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._source.give_back()
        super().close()


def _escaped(data: bytes) -> str:
    text = data[: 4 * EXCERPT].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)[:EXCERPT]
