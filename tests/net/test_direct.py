"""Whole requests and whole replies over real sockets: order, limits, refusals before the body, and clients that do not read."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from perenne.net import connections
from perenne.net.asgi import Headers, Reply, Request, Route
from perenne.net.connections import KEEP_ALIVE_SECONDS, BoundedServer, bounded_config
from perenne.net.direct import Admitted, Answerer, Caller, DirectProtocol, Target
from perenne.net.inbound import error_reply


class Echo(Answerer):
    """Answers with the body; `/slow` only when told to, `/no` is refused by its head, `/large` answers with much."""

    body_limit = 1_000

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.admitted = 0

    def admit(self, method: str, target: Target, headers: Headers, caller: Caller) -> Admitted | Reply:
        if target.path == "/no":
            return Reply(403, b"no")
        self.admitted += 1
        assert caller == Caller("http", "127.0.0.1")
        return Admitted(Route(method, target.path, _nobody, error_reply, None), (), None)

    async def answer(self, admitted: Admitted, method: str, target: Target, headers: Headers, body: bytes, started: int) -> Reply:
        if target.path == "/slow":
            await self.go.wait()
        return Reply(200, b"x" * 64_000_000 if target.path == "/large" else target.path.encode() + target.query + body)

    def too_large(self, admitted: Admitted) -> Reply:
        return Reply(413, b"too large")

    def more(self, headers: Headers, reply: Reply) -> Headers:
        return ((b"x-more", b"yes"),)


async def _nobody(request: Request) -> Reply:
    raise AssertionError


def with_server(work: Callable[[Echo, int, ServerState], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        loop, echo, state = asyncio.get_running_loop(), Echo(), ServerState()
        config = bounded_config(echo, protocol=DirectProtocol)
        server = await loop.create_server(lambda: DirectProtocol(config, state, {}, loop), "127.0.0.1", 0)
        try:
            return await work(echo, server.sockets[0].getsockname()[1], state)
        finally:
            server.close()
            for connection in open_connections(state):
                connection.cut()

    return asyncio.run(run())


def open_connections(state: ServerState) -> list[DirectProtocol]:
    return [connection for connection in state.connections if isinstance(connection, DirectProtocol)]


async def exchange(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = await reader.read()
    writer.close()
    return found


def post(path: bytes, body: bytes = b"", head: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s" % (path, len(body), head, body)


CLOSE = b"Connection: close\r\n"


def test_requests_of_one_connection_are_answered_in_order_also_if_sent_at_once() -> None:
    async def work(echo: Echo, port: int, state: ServerState) -> bytes:
        sent = post(b"/slow", b"1") + post(b"/no") + post(b"/a?q=1", b"2") + post(b"/b", b"3", CLOSE)
        task = asyncio.create_task(exchange(port, sent))
        while not echo.admitted:
            await asyncio.sleep(0)
        echo.go.set()
        return await task

    found = with_server(work)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in found.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"/slow1", b"no", b"/aq=12", b"/b3"]
    assert found.count(b"x-content-type-options: nosniff") == found.count(b"x-more: yes") == 4
    assert found.count(b"connection: close") == 1 and found.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post(b"/a", b"x" * 1_001, CLOSE), 413),
        (
            b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n%s\r\n0\r\n\r\n"
            % (b"x" * 1_001),
            413,
        ),
        (b"POST /no HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n", 403),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n", 200),
        (b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    ],
)
def test_what_is_wrong_with_a_request_gets_one_answer(sent: bytes, status: int) -> None:
    async def work(echo: Echo, port: int, state: ServerState) -> bytes:
        return await exchange(port, sent)

    found = with_server(work)
    assert found.startswith(b"HTTP/1.1 %d " % status) and found.count(b"HTTP/1.1 ") == 1
    if sent.startswith(b"HEAD"):
        assert b"content-length: 2\r\n" in found and found.endswith(b"\r\n\r\n")


def test_a_refusal_by_the_head_leaves_the_connection_for_the_next_request() -> None:
    async def work(echo: Echo, port: int, state: ServerState) -> bytes:
        return await exchange(port, post(b"/no", b"ignored") + post(b"/a", b"1", CLOSE))

    found = with_server(work)
    assert found.count(b"HTTP/1.1 403") == 1 and found.endswith(b"/a1")


def test_who_waits_for_leave_to_send_gets_it() -> None:
    async def work(echo: Echo, port: int, state: ServerState) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\n")
        leave = await reader.readuntil(b"\r\n\r\n")
        assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"1")
        found = await reader.read()
        writer.close()
        return found

    assert with_server(work).endswith(b"/a1")


def test_who_reads_nothing_is_cut_off_and_who_is_silent_between_requests_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(echo: Echo, port: int, state: ServerState) -> None:
        server = BoundedServer(bounded_config(echo, protocol=DirectProtocol))
        server.server_state = state
        reading = socket.create_connection(("127.0.0.1", port))
        reading.sendall(post(b"/large"))
        while not any(connection.flow.write_paused for connection in open_connections(state)):
            await asyncio.sleep(0)
        (connection,) = state.connections
        now = time.monotonic()
        server.close_overdue(now)
        server.close_overdue(now + connections.READ_SECONDS)
        assert connection in state.connections, "not yet"
        server.close_overdue(now + connections.READ_SECONDS + 1)
        while state.connections:
            await asyncio.sleep(0)
        reading.close()

        idle = socket.create_connection(("127.0.0.1", port))
        idle.sendall(post(b"/a"))
        while not any(connection.cycle and connection.cycle.response_complete for connection in open_connections(state)):
            await asyncio.sleep(0)
        server.close_overdue(time.monotonic() + KEEP_ALIVE_SECONDS - 1)
        assert state.connections
        server.close_overdue(time.monotonic() + KEEP_ALIVE_SECONDS + 1)
        while state.connections:
            await asyncio.sleep(0)
        idle.close()

    with_server(work)
