"""Limits of requests and connections, which both servers share."""

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from perenne.core.errors import Invalid, PerenneError
from perenne.net import inbound
from perenne.net.connections import BODY_SECONDS, HEAD_SECONDS, BoundedProtocol, bounded_config
from perenne.net.inbound import (
    Busy,
    InboundLimits,
    Limits,
    Room,
    TooLarge,
    allowed_hosts,
    check_head,
    check_json,
    check_target,
    check_text,
    check_type,
    inflate,
    read_body,
)

JSON_VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text(st.sampled_from('[]{}"\\,:x'), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from('[{"\\'), max_size=2), inner, max_size=2),
    max_leaves=40,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict | list):
        inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0)
    return 0


@given(JSON_VALUES, st.integers(0, 8))
def test_depth_is_counted_exactly_whatever_the_strings_hold(value: Any, limit: int) -> None:
    body = json.dumps(value).encode()
    if depth_of(value) > limit:
        with pytest.raises(Invalid, match="levels deep"):
            check_json(body, limit)
    else:
        check_json(body, limit)


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        check_json(body, 3)


def test_many_values_are_refused_before_they_are_parsed() -> None:
    for body in (b"[" + b"[]," * 600_000 + b"[]]", b"[" + b"1," * 4_000_001 + b"1]"):
        with pytest.raises(Invalid, match="holds more than"):
            check_json(body)
    check_json(b"[" + b"1," * 3_000_000 + b"1]")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_read_within_its_limits(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    data = bytes(range(256)) * 40
    assert inflate(compress(data), encoding, 20_000) == data
    assert inflate(b"plain", "identity", 10) == b"plain"
    with pytest.raises(TooLarge):
        inflate(compress(data), encoding, 10_000)
    with pytest.raises(TooLarge):
        inflate(compress(bytes(10_000_000)), encoding, 1 << 30)  # a ratio of a thousand
    for damaged in (compress(data)[:-3], compress(data) + b"x", b"", b"x" * 50):
        with pytest.raises(Invalid):
            inflate(damaged, encoding, 20_000)
    with pytest.raises(PerenneError) as refused:
        inflate(b"", "br", 10)
    assert refused.value.status == 415


LIMITS = Limits(hosts=allowed_hosts("127.0.0.1", 8080, ["api.example.org"]), body=100)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("host", "localhost:8080")], 0),
        ([("host", "LOCALHOST:8080")], 0),
        ([("host", "[::1]:8080"), ("content-length", "100")], 0),
        ([("host", "api.example.org")], 0),
        ([], 400),
        ([("host", "localhost:8080"), ("host", "localhost:8080")], 400),
        ([("host", "localhost")], 403),
        ([("host", "localhost:80")], 403),
        ([("host", "localhost.evil:8080")], 403),
        ([("host", "evil@localhost:8080")], 403),
        ([("host", "api.example.org.evil")], 403),
        ([("host", "10.0.0.1:8080")], 403),
        ([("host", "localhost:8080#x")], 403),
        ([("host", "")], 403),
        ([("host", "localhost:8080"), ("content-length", "101")], 413),
        ([("host", "localhost:8080"), ("content-length", "-1")], 400),
        ([("host", "localhost:8080"), ("content-length", "²")], 400),
    ],
)
def test_who_is_answered(headers: list[tuple[str, str]], status: int) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    try:
        check_head(raw, b"/", LIMITS)
        answered = 0
    except PerenneError as error:
        answered = error.status
    assert answered == status


def test_a_long_url_is_refused() -> None:
    with pytest.raises(PerenneError) as refused:
        check_head([(b"host", b"localhost:8080")], b"/" * 20_000, LIMITS)
    assert refused.value.status == 414


async def echo(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    body = await read_body(receive, 1_000)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"no-referrer")]})
    await send({"type": "http.response.body", "body": body})


def test_an_application_behind_the_limits_sees_only_what_they_let_through() -> None:
    async def parts() -> Any:
        for _ in range(4):
            yield b"x" * 30

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=InboundLimits(echo, LIMITS))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
            return [
                await client.post("/", content=b"hello"),
                await client.post("/", content=b"x" * 101),
                await client.post("/", content=parts()),
                await client.post("http://evil/", content=b""),
            ]

    fine, large, chunked, elsewhere = asyncio.run(run())
    assert fine.content == b"hello" and fine.headers["referrer-policy"] == "no-referrer"
    assert [reply.status_code for reply in (large, chunked, elsewhere)] == [413, 413, 403]
    for reply in (fine, large, chunked, elsewhere):
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert {"error", "error_code", "message"} <= set(large.json())


def test_a_body_whose_sender_goes_away_is_no_body() -> None:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> MutableMapping[str, Any]:
        return next(messages)

    with pytest.raises(ConnectionError):
        asyncio.run(read_body(receive, 10))


class Pipe(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__({"socket": None})
        self.sent = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def connection(loop: asyncio.AbstractEventLoop) -> tuple[BoundedProtocol, Pipe]:
    protocol = BoundedProtocol(bounded_config(echo), ServerState(), {}, loop)
    pipe = Pipe()
    protocol.connection_made(pipe)
    return protocol, pipe


def test_silence_in_the_middle_of_a_request_ends_the_connection_and_silence_between_requests_does_not() -> None:
    async def run() -> None:
        protocol, _ = connection(asyncio.get_running_loop())
        begun = protocol.heard
        assert not protocol.overdue(begun + HEAD_SECONDS) and protocol.overdue(begun + HEAD_SECONDS + 1)
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\n")
        first = protocol.heard
        protocol.data_received(b"Content-Length: 2\r\n")
        assert protocol.overdue(first + HEAD_SECONDS + 1), "a header now and then does not keep it open"
        protocol.data_received(b"\r\n{")
        assert not protocol.overdue(protocol.heard + BODY_SECONDS) and protocol.overdue(protocol.heard + BODY_SECONDS + 1)
        protocol.data_received(b"}")
        while not protocol.cycle.response_complete:
            await asyncio.sleep(0)
        assert not protocol.overdue(protocol.heard + 1_000)
        protocol.connection_lost(None)

    asyncio.run(run())


def test_headers_that_never_end_are_refused() -> None:
    async def run() -> bytes:
        protocol, pipe = connection(asyncio.get_running_loop())
        protocol.data_received(b"GET / HTTP/1.1\r\nX-Long: ")
        while not pipe.closed:
            protocol.data_received(b"x" * 10_000)
        return pipe.sent

    assert asyncio.run(run()).startswith(b"HTTP/1.1 431 ")


def test_the_security_headers_are_the_specifications() -> None:
    assert dict(inbound.SECURITY_HEADERS) == {
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"same-origin",
        b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    }


@pytest.mark.parametrize("path", [b"/a", b"/a%20b", b"/%C3%A9", b"/a%25", b"/v2/models/x:y@1"])
def test_p1_plain_paths_pass(path: bytes) -> None:
    check_target(path, b"a=%2e%2f%0a")


@pytest.mark.parametrize(
    "path", [b"/a%2fb", b"/%2E%2e/x", b"/a%5Cb", b"/a%00", b"/a%0d%0a", b"/%7f", b"/%ff", b"/\xff", b"/%c0%af"]
)
def test_p1_paths_in_disguise_are_refused(path: bytes) -> None:
    with pytest.raises(Invalid):
        check_target(path, b"")
    with pytest.raises(Invalid):
        check_target(b"/", b"a=%00")


@given(st.text())
def test_b5_nul_is_found_however_it_is_written_and_nothing_else_is(text: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"a": text}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        surrogate = not ascii_only and any("\ud800" <= letter <= "\udfff" for letter in text)
        if "\0" in text or surrogate:
            with pytest.raises(Invalid):
                check_text(body)
        else:
            check_text(body)


@pytest.mark.parametrize("header", ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"'])
def test_b6_a_type_is_read_whatever_its_spelling(header: str) -> None:
    assert check_type(header, ["application/json"]) == "application/json"


@pytest.mark.parametrize(
    "header", ["", ";", "text/json", "application/json; charset=utf-16", "application/json2", "application/json,x"]
)
def test_b6_any_other_type_is_refused(header: str) -> None:
    with pytest.raises(PerenneError) as refused:
        check_type(header, ["application/json"])
    assert refused.value.status == 415


def test_d2_room_is_for_so_many_and_is_given_back_whatever_happens() -> None:
    room = Room(2)
    with room, room, pytest.raises(Busy) as told, room:
        pass
    assert (told.value.status, told.value.retry_after) == (503, 1)
    with contextlib.suppress(ValueError), room, room:
        raise ValueError
    with room, room:
        pass
