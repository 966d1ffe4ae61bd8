"""REST of automation: the status of all stages, episodes, and why a prediction is what it is."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth.roles import Action, require
from perenne.automation import episodes, explaining, overview
from perenne.core import json
from perenne.storage.workspace import Workspace


async def get_status(request: Request) -> Response:
    """Give the status of every stage, and what needs a person."""
    require(request.state.actor, Action.READ)
    return _answer(await asyncio.to_thread(_status, request.app.state.workspace))


async def get_episodes(request: Request) -> Response:
    """List the episodes of a project, newest first."""
    require(request.state.actor, Action.READ)
    return _answer(await asyncio.to_thread(_episodes, request.app.state.workspace, request.path_params["project"]))


async def get_why(request: Request) -> Response:
    """Explain a prediction."""
    require(request.state.actor, Action.READ)
    return _answer(await asyncio.to_thread(explaining.why, request.app.state.workspace, request.path_params["prediction"]))


def _status(workspace: Workspace) -> Any:
    with workspace.database.read() as tx:
        return overview.status(tx)


def _episodes(workspace: Workspace, project: str) -> Any:
    with workspace.database.read() as tx:
        return episodes.list_episodes(tx, project)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(json.encode(json.plain(value)), status, media_type="application/json")


routes = [
    Route("/api/status", get_status, methods=["GET"]),
    Route("/api/policy/{project}/episodes", get_episodes, methods=["GET"]),
    Route("/api/why/{prediction}", get_why, methods=["GET"]),
]
