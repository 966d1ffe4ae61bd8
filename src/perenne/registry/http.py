"""REST of the registry: versions, their dossiers, and decisions."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth.roles import Action, require
from perenne.core import json
from perenne.registry import approvals, service
from perenne.storage.workspace import Workspace


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a person decided, and why."""

    approve: bool
    reason: str = ""


async def get_versions(request: Request) -> Response:
    """List the versions of a model, newest first."""
    require(request.state.actor, Action.READ)
    return _answer(await asyncio.to_thread(_versions, request.app.state.workspace, request.path_params["model"]))


async def get_version(request: Request) -> Response:
    """Give a version with gate, evidence and decisions."""
    require(request.state.actor, Action.READ)
    return _answer(await asyncio.to_thread(_dossier, request.app.state.workspace, request.path_params["version"]))


async def post_decision(request: Request) -> Response:
    """Approve or reject a version: 201 when kept."""
    body = json.decode(await request.body(), DecisionBody, what="decision")
    workspace: Workspace = request.app.state.workspace
    actor, version = request.state.actor, request.path_params["version"]

    def decide() -> Any:
        return workspace.database.write(lambda tx: approvals.decide(tx, actor, version, approve=body.approve, reason=body.reason))

    return _answer(await asyncio.to_thread(decide), 201)


def _versions(workspace: Workspace, model: str) -> Any:
    with workspace.database.read() as tx:
        return service.versions(tx, model)


def _dossier(workspace: Workspace, version: str) -> Any:
    with workspace.database.read() as tx:
        return service.dossier(tx, version)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, media_type="application/json")


routes = [
    Route("/api/model/{model}", get_versions, methods=["GET"]),
    Route("/api/model/version/{version}", get_version, methods=["GET"]),
    Route("/api/model/version/{version}/decision", post_decision, methods=["POST"]),
]
