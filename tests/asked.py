"""The control plane's routes, asked as somebody, without a socket: what each declares is asked for, and the body is checked."""

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perenne.app.control import control_routes
from perenne.app.door import Door
from perenne.auth.principals import Principal
from perenne.core.errors import PerenneError
from perenne.storage.workspace import Workspace


async def told(_: Request, error: Exception) -> Response:
    assert isinstance(error, PerenneError)
    return JSONResponse({"error_code": error.code, "message": error.message, "hint": error.hint}, error.status)


def ask(workspace: Workspace, actor: Principal, method: str, path: str, **more: Any) -> httpx.Response:
    """Ask once."""

    async def run() -> httpx.Response:
        app = Starlette(routes=control_routes(), exception_handlers={PerenneError: told})
        app.state.workspace = workspace
        door = Door(app, lambda *_: actor, lambda *_: False)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(run())


def seen(workspace: Workspace, actor: Principal, path: str) -> Any:
    """Ask for what is there, and return it."""
    answer = ask(workspace, actor, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()
