"""REST of deployments: what is served, and what a person may change about it.

A change is committed here; the loop brings the release folder to the new generation and running model servers follow.
"""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.paging import page_of
from perenne.serving import log_settings, queue_http, service, step_http
from perenne.serving.bodies import Given, Reason, VersionId, project_of_deployment
from perenne.serving.log_rules import LogRules, Mode
from perenne.serving.model import Constant, Deployment, StopMode
from perenne.storage.transaction import Transaction

Rule = Annotated[str, msgspec.Meta(max_length=300)]
Address = Annotated[str, msgspec.Meta(max_length=2_000)]


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """A change that needs no reason, but may have one."""

    reason: Reason = ""


class RollBackBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why the previous version is to answer again."""

    reason: Given


class VersionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which version, and why."""

    version: VersionId
    reason: Reason = ""


class StopBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to answer meanwhile, and why; the deployment's own constant if none is given."""

    mode: StopMode
    reason: Given
    answer: Constant | None = None


class LogBody(msgspec.Struct, forbid_unknown_fields=True):
    """The rules of a deployment's log that are to change; `sample` is a share, `keep` microseconds."""

    sample: float | msgspec.UnsetType = msgspec.UNSET
    redact: tuple[Rule, ...] | msgspec.UnsetType = msgspec.UNSET
    keep: int | msgspec.UnsetType = msgspec.UNSET
    ecs: bool | msgspec.UnsetType = msgspec.UNSET
    elasticsearch: bool | msgspec.UnsetType = msgspec.UNSET
    cloudevents_url: Address | msgspec.UnsetType = msgspec.UNSET
    cloudevents_mode: Mode | msgspec.UnsetType = msgspec.UNSET
    reason: Reason = ""


@needs(Action.READ, filters=True, returns=list[Deployment])
async def get_deployments(request: Request) -> Response:
    """List deployments by name, of one `project` if named; `after` is the name after which to go on, `limit` at most 200."""
    query = request.query_params
    project, after, limit = query.get("project"), query.get("after", ""), page_of(query).limit

    def listed(tx: Transaction, only: frozenset[str]) -> list[Deployment]:
        found = service.deployments(tx, project, after=after, limit=None if only else limit)
        return [item for item in found if not only or item.project in only][:limit]

    return await answers.read(request, lambda tx, actor: listed(tx, actor.projects))


@needs(Action.READ, project=project_of_deployment, returns=Deployment)
async def get_deployment(request: Request) -> Response:
    """Show a deployment with its variants."""
    return await answers.read(request, lambda tx, _: service.get_deployment(tx, request.path_params["deployment"]))


@needs(Action.DEPLOY, project=project_of_deployment, body=RollBackBody, example={"reason": "complaints"}, returns=Deployment)
async def roll_back(request: Request) -> Response:
    """Let the previous version answer again."""
    body, name = json.decode(await request.body(), RollBackBody, what="roll-back"), request.path_params["deployment"]
    return await answers.write(request, lambda tx, actor: service.roll_back(tx, actor, name, reason=body.reason))


@needs(Action.DEPLOY, project=project_of_deployment, body=VersionBody, example={"version": "churn@2"}, returns=Deployment)
async def promote(request: Request) -> Response:
    """Make a challenger the champion."""
    body, name = json.decode(await request.body(), VersionBody, what="promotion"), request.path_params["deployment"]
    return await answers.write(request, lambda tx, actor: service.promote(tx, actor, name, body.version, reason=body.reason))


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=StopBody,
    example={"mode": "constant", "answer": 0, "reason": "data feed broken"},
    returns=Deployment,
)
async def stop(request: Request) -> Response:
    """Stop the champion at once: a constant or the previous version answers."""
    body, name = json.decode(await request.body(), StopBody, what="stop"), request.path_params["deployment"]
    return await answers.write(
        request, lambda tx, actor: service.stop(tx, actor, name, mode=body.mode, reason=body.reason, answer=body.answer)
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=ChangeBody, example={"reason": "feed is back"}, returns=Deployment)
async def resume(request: Request) -> Response:
    """Let a stopped champion answer again."""
    body, name = json.decode(await request.body(), ChangeBody, what="resumption"), request.path_params["deployment"]
    return await answers.write(request, lambda tx, actor: service.resume(tx, actor, name, reason=body.reason))


@needs(Action.DEPLOY, project=project_of_deployment, body=VersionBody, example={"version": "churn@2"}, returns=Deployment)
async def set_challenger(request: Request) -> Response:
    """Let a version answer in shadow."""
    body, name = json.decode(await request.body(), VersionBody, what="challenger"), request.path_params["deployment"]
    return await answers.write(
        request, lambda tx, actor: service.set_challenger(tx, actor, name, body.version, reason=body.reason)
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=VersionBody, example={"version": "churn@2"}, returns=Deployment)
async def remove_challenger(request: Request) -> Response:
    """Take a version out of the shadow."""
    body, name = json.decode(await request.body(), VersionBody, what="challenger"), request.path_params["deployment"]
    return await answers.write(
        request, lambda tx, actor: service.remove_challenger(tx, actor, name, body.version, reason=body.reason)
    )


@needs(Action.READ, project=project_of_deployment, returns=LogRules)
async def get_log(request: Request) -> Response:
    """Show what is kept of a deployment's predictions, and where it goes."""
    return await answers.read(request, lambda tx, _: service.get_deployment(tx, request.path_params["deployment"]).log)


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=LogBody,
    example={"sample": 0.1, "redact": ["mail=hash"], "reason": "a tenth is enough"},
    returns=Deployment,
)
async def change_log(request: Request) -> Response:
    """Change what is kept of a deployment's predictions; what is not named stays."""
    body, name = json.decode(await request.body(), LogBody, what="log rules"), request.path_params["deployment"]
    changes = {rule: getattr(body, rule) for rule in LogRules.__struct_fields__ if getattr(body, rule) is not msgspec.UNSET}
    releases = request.app.state.workspace.settings.releases
    return await answers.write(
        request, lambda tx, actor: log_settings.change_log(tx, actor, name, changes, releases=releases, reason=body.reason)
    )


routes = [
    Route("/api/deploy", get_deployments, methods=["GET"]),
    Route("/api/deploy/{deployment}", get_deployment, methods=["GET"]),
    Route("/api/deploy/{deployment}/log", get_log, methods=["GET"]),
    Route("/api/deploy/{deployment}/log", change_log, methods=["POST"]),
    Route("/api/deploy/{deployment}/roll-back", roll_back, methods=["POST"]),
    Route("/api/deploy/{deployment}/promote", promote, methods=["POST"]),
    Route("/api/deploy/{deployment}/stop", stop, methods=["POST"]),
    Route("/api/deploy/{deployment}/resume", resume, methods=["POST"]),
    Route("/api/deploy/{deployment}/challenger", set_challenger, methods=["POST"]),
    Route("/api/deploy/{deployment}/challenger/remove", remove_challenger, methods=["POST"]),
    *step_http.routes,
    *queue_http.routes,
]
