"""REST of automation: the status of all stages, episodes and opening one, and why a prediction is what it is."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import projects
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.automation import episodes, explaining, handling, overview, store
from perenne.automation.model import Episode, Hold, Step, TriggerLine
from perenne.automation.triggering import trigger_by_hand
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.projects import RetrainPolicy, get_project
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


class TriggerBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why to retrain now."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody decides of a challenger, and why."""

    approve: bool
    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class PolicyState(msgspec.Struct, frozen=True):
    """A policy, in words too; who paused it, if somebody did; and its newest episode."""

    project: str
    policy: RetrainPolicy | None
    says: tuple[str, ...]
    paused: Hold | None
    newest: Episode | None


class EpisodeHistory(msgspec.Struct, frozen=True):
    """An episode, what spoke for it, and its transitions, oldest first, each with the figures that decided."""

    episode: Episode
    triggers: tuple[TriggerLine, ...]
    history: tuple[Step, ...]


def project_of_episode(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of an episode."""
    return episodes.get_episode(tx, path["episode"]).project


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


@needs(Action.READ, project=project_named, returns=PolicyState)
async def get_policy(request: Request) -> Response:
    """Give a project's policy, in words too, and who paused it if somebody did."""
    return await answers.view(request, lambda tx, _: _policy(tx, request.path_params["project"]))


@needs(
    Action.EDIT_PROJECT, project=project_named, body=TriggerBody, example={"reason": "labels are late"}, returns=Hold, status=201
)
async def post_pause(request: Request) -> Response:
    """Have a policy train nothing and promote nobody until it is resumed: 201 with who did that."""
    body, project = json.decode(await request.body(), TriggerBody, what="pause"), request.path_params["project"]
    now = request.app.state.workspace.clock.now()
    return await answers.write(request, lambda tx, actor: handling.pause(tx, actor, project, body.reason, now), 201)


@needs(Action.EDIT_PROJECT, project=project_named, body=TriggerBody, example={"reason": "labels are there"}, returns=Hold)
async def post_resume(request: Request) -> Response:
    """Let a paused policy go on; gives how it was paused."""
    body, project = json.decode(await request.body(), TriggerBody, what="resume"), request.path_params["project"]
    return await answers.write(request, lambda tx, actor: handling.resume(tx, actor, project, body.reason))


@needs(Action.READ, project=project_of_episode, returns=EpisodeHistory)
async def get_episode(request: Request) -> Response:
    """Give an episode with every transition and the figures that decided."""
    return await answers.view(request, lambda tx, _: _history(tx, request.path_params["episode"]))


@needs(Action.EDIT_PROJECT, project=project_of_episode, body=TriggerBody, example={"reason": "wrong data"}, returns=Episode)
async def post_cancel(request: Request) -> Response:
    """End an episode before anybody is promoted."""
    body, episode = json.decode(await request.body(), TriggerBody, what="cancel"), request.path_params["episode"]
    now = request.app.state.workspace.clock.now()
    return await answers.write(request, lambda tx, actor: handling.cancel(tx, actor, episode, body.reason, now))


@needs(
    Action.READ, project=project_of_episode, body=DecisionBody, example={"approve": True, "reason": "seen"}, returns=Episode,
    status=201,
)  # fmt: skip
async def post_decision(request: Request) -> Response:
    """Approve or reject the challenger that an episode waits for: 201 when kept."""
    body, episode = json.decode(await request.body(), DecisionBody, what="decision"), request.path_params["episode"]
    return await answers.write(
        request, lambda tx, actor: handling.decide(tx, actor, episode, approve=body.approve, reason=body.reason), 201
    )


@needs(Action.READ, filters=True, returns=explaining.Why)
async def get_why(request: Request) -> Response:
    """Explain a prediction."""
    prediction, projects = request.path_params["prediction"], request.state.actor.projects
    return _answer(await asyncio.to_thread(explaining.why, request.app.state.workspace, prediction, projects))


def _policy(tx: Transaction, project: str) -> PolicyState:
    record = get_project(tx, project)
    says = projects.wording.policy_words(record.policy) if record.policy else ()
    newest = episodes.newest_of(tx, [project]).get(project)
    return PolicyState(project, record.policy, says, store.find_hold(tx, project), newest)


def _history(tx: Transaction, identity: str) -> EpisodeHistory:
    found = episodes.get_episode(tx, identity)
    return EpisodeHistory(found, tuple(store.triggers_of(tx, identity)), tuple(episodes.history(tx, identity)))


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
    Route("/api/policy/{project}", get_policy, methods=["GET"]),
    Route("/api/policy/{project}/trigger", post_trigger, methods=["POST"]),
    Route("/api/policy/{project}/pause", post_pause, methods=["POST"]),
    Route("/api/policy/{project}/resume", post_resume, methods=["POST"]),
    Route("/api/policy/episode/{episode}", get_episode, methods=["GET"]),
    Route("/api/policy/episode/{episode}/cancel", post_cancel, methods=["POST"]),
    Route("/api/policy/episode/{episode}/decision", post_decision, methods=["POST"]),
    Route("/api/why/{prediction}", get_why, methods=["GET"]),
]
