"""The control plane's door, with routes of the test's own: what is declared is asked for, and no more are let in than fit."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from perenne.app.door import Door, guarded, public_requests
from perenne.auth.access import needs
from perenne.auth.errors import Unauthenticated
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, Role
from perenne.core.errors import NotFound, PerenneError
from perenne.net.inbound import Room, error_headers
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

CALLERS = {
    "viewer": Principal("viewer", roles=frozenset({Role.VIEWER})),
    "inside": Principal("inside", roles=frozenset({Role.VIEWER}), projects=frozenset({"churn"})),
    "outside": Principal("outside", roles=frozenset({Role.VIEWER}), projects=frozenset({"other"})),
    "caller": Principal("caller", roles=frozenset({Role.CALLER})),
}


def who(method: str, headers: Mapping[str, str], scheme: str, address: str) -> Principal:
    caller = headers.get("authorization", "")
    if caller not in CALLERS:
        raise Unauthenticated("who?", code="auth.token")
    return CALLERS[caller]


def project_of(_: Transaction, path: Mapping[str, str]) -> str:
    if path["thing"] != "known":
        raise NotFound("not here", code="x")
    return "churn"


@needs(None)
async def open_to_all(_: Request) -> Response:
    return Response("open")


@needs(Action.READ, project=project_of)
async def thing(request: Request) -> Response:
    return Response(request.state.actor.name)


@needs(Action.READ)
async def everything(_: Request) -> Response:
    return Response("everything")


@needs(Action.READ, filters=True, accepts=("application/json", "text/csv"))
async def echo(request: Request) -> Response:
    return Response(await request.body())


async def told(_: Request, error: Exception) -> Response:
    assert isinstance(error, PerenneError)
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return JSONResponse({"error_code": error.code}, error.status, headers)


def application(workspace: Workspace, *more: Route, room: int = 100) -> Door:
    routes = [Route("/open", open_to_all), Route("/thing/{thing}", thing), Route("/everything", everything)]
    routes = guarded([*routes, Route("/echo", echo, methods=["POST"]), *more], 10_000, Room(room))
    app = Starlette(routes=routes, exception_handlers={PerenneError: told})
    app.state.workspace = workspace
    return Door(app, who, public_requests(routes))


def ask(workspace: Workspace, method: str, path: str, caller: str = "", **more: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=application(workspace))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = {"authorization": caller} if caller else {}
            return await client.request(method, path, headers=headers | more.pop("headers", {}), **more)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/open", {"": 200, "nobody": 200, "viewer": 200, "caller": 200}),
        ("/everything", {"": 401, "nobody": 401, "viewer": 200, "inside": 403, "caller": 403}),
        ("/thing/known", {"": 401, "viewer": 200, "inside": 200, "outside": 404, "caller": 403}),
        ("/thing/unknown", {"": 401, "viewer": 200, "inside": 404, "outside": 404, "caller": 403}),
        ("/nothing", {"": 401, "viewer": 404}),
        ("/open/", {"": 401}),
    ],
)
def test_what_a_route_declares_is_asked_for(workspace: Workspace, path: str, statuses: dict[str, int]) -> None:
    assert {caller: ask(workspace, "GET", path, caller).status_code for caller in statuses} == statuses


@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        (b'{"a": 1}', {"content-type": "application/json"}, b'{"a": 1}'),
        (gzip.compress(b"[1]", mtime=0), {"content-type": "application/json", "content-encoding": "gzip"}, b"[1]"),
        (b"a,b\n\0\xff", {"content-type": "text/csv"}, b"a,b\n\0\xff"),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"[" * 65 + b"]" * 65, {"content-type": "application/json"}, 400),
        (rb'"\u0000"', {"content-type": "application/json"}, 400),
        (b" " * 10_001, {"content-type": "application/json"}, 413),
        (gzip.compress(b" " * 10_001, mtime=0), {"content-type": "application/json", "content-encoding": "gzip"}, 413),
    ],
)
def test_a_body_comes_as_its_route_takes_it_or_not_at_all(
    workspace: Workspace, body: bytes, headers: dict[str, str], answer: bytes | int
) -> None:
    got = ask(workspace, "POST", "/echo", "inside", content=body, headers=headers)
    assert (got.content if isinstance(answer, bytes) else got.status_code) == answer


def test_d2_one_request_too_many_is_told_to_come_again(workspace: Workspace) -> None:
    async def run() -> list[httpx.Response]:
        working, done = asyncio.Event(), asyncio.Event()

        @needs(Action.READ)
        async def slow(_: Request) -> Response:
            working.set()
            await done.wait()
            return Response("done")

        transport = httpx.ASGITransport(app=application(workspace, Route("/slow", slow), room=1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"authorization": "viewer"}) as client:
            first = asyncio.create_task(client.get("/slow"))
            await working.wait()
            second = await client.get("/everything")
            done.set()
            return [await first, second, await client.get("/everything")]

    first, second, third = asyncio.run(run())
    assert (first.status_code, second.status_code, third.status_code) == (200, 503, 200)
    assert second.headers["retry-after"] == "1" and second.json()["error_code"] == "request.busy"
