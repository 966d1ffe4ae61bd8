"""REST of automation: the status of all stages, episodes and opening one, and why a prediction is what it is."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.automation import episodes, explaining, overview
from perenne.automation.model import Episode
from perenne.automation.triggering import trigger_by_hand
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.projects import get_project
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


class TriggerBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why to retrain now."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


def project_named(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project that the path names."""
    return get_project(tx, path["project"]).name


@needs(Action.READ, filters=True, returns=overview.Status)
async def get_status(request: Request) -> Response:
    """Give the status of every stage, and what needs a person: at most of `?limit=` projects, the worst first."""
    limit = _limit(request.query_params.get("limit", str(overview.SHOWN_PROJECTS)))
    return _answer(await asyncio.to_thread(_status, request.app.state.workspace, request.state.actor, limit))


@needs(Action.READ, project=project_named, returns=list[Episode])
async def get_episodes(request: Request) -> Response:
    """List the episodes of a project, newest first."""
    return _answer(await asyncio.to_thread(_episodes, request.app.state.workspace, request.path_params["project"]))


@needs(
    Action.EDIT_PROJECT, project=project_named, body=TriggerBody, example={"reason": "new tariff"}, returns=Episode, status=201
)
async def post_trigger(request: Request) -> Response:
    """Open a retraining episode by hand: 201 with the episode."""
    body, project = json.decode(await request.body(), TriggerBody, what="trigger"), request.path_params["project"]
    now = request.app.state.workspace.clock.now()
    return await answers.write(request, lambda tx, actor: trigger_by_hand(tx, actor, project, body.reason, now), 201)


@needs(Action.READ, filters=True, returns=explaining.Why)
async def get_why(request: Request) -> Response:
    """Explain a prediction."""
    prediction, projects = request.path_params["prediction"], request.state.actor.projects
    return _answer(await asyncio.to_thread(explaining.why, request.app.state.workspace, prediction, projects))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text)):
        raise Invalid(f"limit is {text[:40]!r}", code="status.limit", hint="a number from 1 to 99999")
    return int(text)


def _status(workspace: Workspace, actor: Principal, limit: int) -> Any:
    with workspace.database.read() as tx:
        return overview.status(tx, limit=limit, seen=lambda project: sees(actor, project))


def _episodes(workspace: Workspace, project: str) -> Any:
    with workspace.database.read() as tx:
        get_project(tx, project)
        return episodes.list_episodes(tx, project)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(json.encode(json.plain(value)), status, media_type="application/json")


routes = [
    Route("/api/status", get_status, methods=["GET"]),
    Route("/api/policy/{project}/episodes", get_episodes, methods=["GET"]),
    Route("/api/policy/{project}/trigger", post_trigger, methods=["POST"]),
    Route("/api/why/{prediction}", get_why, methods=["GET"]),
]
