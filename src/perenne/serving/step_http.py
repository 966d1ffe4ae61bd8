"""REST of rollouts: canaries, weights, routes, roll-back rules, time-outs, fallback, parking, and undoing the last change.

Each change may name the `generation` it was decided on; it is refused with 409 if the deployment has another one by now.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.serving import steps
from perenne.serving.bodies import Given, Reason, VersionId, project_of_deployment
from perenne.serving.model import Constant, Deployment, Rollback, Route
from perenne.storage.database import Transaction

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class StepBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A change that needs no more than this."""

    reason: Reason = ""
    generation: int | None = None


class CanaryBody(StepBody, kw_only=True):
    """Which version, and the share of callers it is to answer."""

    version: VersionId
    weight: Share


class SplitBody(StepBody, kw_only=True):
    """By version, the share of callers."""

    weights: Annotated[dict[str, Share], msgspec.Meta(min_length=1, max_length=100)]


class RouteBody(StepBody, kw_only=True):
    """How callers are split."""

    route: Route


class RulesBody(StepBody, kw_only=True):
    """When a version is taken back by itself."""

    rules: Rollback


class VariantBody(StepBody, kw_only=True):
    """Which version."""

    version: VersionId


class ParkBody(StepBody, kw_only=True):
    """Which version is to be asked no more, and why."""

    version: VersionId
    reason: Given


class TimeoutBody(StepBody, kw_only=True):
    """Which version, and how many milliseconds it has; 0 for the server's limit."""

    version: VersionId
    timeout_ms: Annotated[int, msgspec.Meta(ge=0)]


class MirrorBody(StepBody, kw_only=True):
    """Which version, and the share of the champion's requests it answers unseen."""

    version: VersionId
    share: Share


class FallbackBody(StepBody, kw_only=True):
    """Which version answers where another one fails; the previous one if none is named."""

    version: VersionId | None = None


class HoldoutBody(StepBody, kw_only=True):
    """The share of callers to answer without the model, 0 for none; by a constant, or without one the previous version."""

    share: Share
    answer: Constant | None = None


class UndoBody(StepBody, kw_only=True):
    """Why the last change is undone."""

    reason: Given


B = TypeVar("B", bound=StepBody)


async def _change(request: Request, kind: type[B], work: Callable[[Transaction, Principal, str, B], Deployment]) -> Response:
    body = json.decode(await request.body(), kind, what="change")
    name = request.path_params["deployment"]
    return await answers.write(request, lambda tx, actor: work(tx, actor, name, body))


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=CanaryBody,
    example={"version": "churn@2", "weight": 0.1, "reason": "a tenth of the callers"},
    returns=Deployment,
)
async def set_canary(request: Request) -> Response:
    """Let a version answer a share of the callers."""
    return await _change(
        request,
        CanaryBody,
        lambda tx, actor, name, b: steps.set_canary(
            tx, actor, name, b.version, b.weight, reason=b.reason, generation=b.generation
        ),
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=VariantBody, example={"version": "churn@2"}, returns=Deployment)
async def remove_canary(request: Request) -> Response:
    """Take a canary out; the champion gets its callers."""
    return await _change(
        request,
        VariantBody,
        lambda tx, actor, name, b: steps.remove_canary(tx, actor, name, b.version, reason=b.reason, generation=b.generation),
    )


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=SplitBody,
    example={"weights": {"churn@1": 0.5, "churn@2": 0.5}, "reason": "A/B"},
    returns=Deployment,
)
async def set_split(request: Request) -> Response:
    """Give several versions their shares of the callers at once."""
    return await _change(
        request,
        SplitBody,
        lambda tx, actor, name, b: steps.split(tx, actor, name, b.weights, reason=b.reason, generation=b.generation),
    )


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=RouteBody,
    example={"route": {"kind": "sticky", "header": "x-user-id"}},
    returns=Deployment,
)
async def set_route(request: Request) -> Response:
    """Split callers by chance, by a key, or by what earns most."""
    return await _change(
        request,
        RouteBody,
        lambda tx, actor, name, b: steps.set_route(tx, actor, name, b.route, reason=b.reason, generation=b.generation),
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=RulesBody, example={"rules": {"error_rate": 0.01}}, returns=Deployment)
async def set_rules(request: Request) -> Response:
    """Say when a version is taken back by itself."""
    return await _change(
        request,
        RulesBody,
        lambda tx, actor, name, b: steps.set_rules(tx, actor, name, b.rules, reason=b.reason, generation=b.generation),
    )


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=TimeoutBody,
    example={"version": "churn@2", "timeout_ms": 50},
    returns=Deployment,
)
async def set_timeout(request: Request) -> Response:
    """Say how long a variant may take before another one answers."""
    return await _change(
        request,
        TimeoutBody,
        lambda tx, actor, name, b: steps.set_timeout(
            tx, actor, name, b.version, b.timeout_ms, reason=b.reason, generation=b.generation
        ),
    )


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=MirrorBody,
    example={"version": "churn@2", "share": 0.5},
    returns=Deployment,
)
async def set_mirror(request: Request) -> Response:
    """Say what share of the champion's requests a challenger or canary answers unseen."""
    return await _change(
        request,
        MirrorBody,
        lambda tx, actor, name, b: steps.set_mirror(
            tx, actor, name, b.version, b.share, reason=b.reason, generation=b.generation
        ),
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=FallbackBody, example={"version": "churn@1"}, returns=Deployment)
async def set_fallback(request: Request) -> Response:
    """Say which version answers where another one fails or is too late."""
    return await _change(
        request,
        FallbackBody,
        lambda tx, actor, name, b: steps.set_fallback(tx, actor, name, b.version, reason=b.reason, generation=b.generation),
    )


@needs(
    Action.DEPLOY, project=project_of_deployment, body=HoldoutBody, example={"share": 0.02, "answer": "no"}, returns=Deployment
)
async def set_holdout(request: Request) -> Response:
    """Answer a share of the callers without the model."""
    return await _change(
        request,
        HoldoutBody,
        lambda tx, actor, name, b: steps.set_holdout(
            tx, actor, name, b.share, answer=b.answer, reason=b.reason, generation=b.generation
        ),
    )


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=ParkBody,
    example={"version": "churn@2", "reason": "odd"},
    returns=Deployment,
)
async def park(request: Request) -> Response:
    """Ask a challenger or canary no more; the champion gets its callers."""
    return await _change(
        request,
        ParkBody,
        lambda tx, actor, name, b: steps.park(tx, actor, name, b.version, reason=b.reason, generation=b.generation),
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=VariantBody, example={"version": "churn@2"}, returns=Deployment)
async def unpark(request: Request) -> Response:
    """Ask a challenger again that was parked."""
    return await _change(
        request,
        VariantBody,
        lambda tx, actor, name, b: steps.unpark(tx, actor, name, b.version, reason=b.reason, generation=b.generation),
    )


@needs(Action.DEPLOY, project=project_of_deployment, body=UndoBody, example={"reason": "a mistake"}, returns=Deployment)
async def undo(request: Request) -> Response:
    """Return to what the deployment was before its last change."""
    return await _change(
        request, UndoBody, lambda tx, actor, name, b: steps.undo(tx, actor, name, reason=b.reason, generation=b.generation)
    )


routes = [
    Path("/api/deploy/{deployment}/canary", set_canary, methods=["POST"]),
    Path("/api/deploy/{deployment}/canary/remove", remove_canary, methods=["POST"]),
    Path("/api/deploy/{deployment}/split", set_split, methods=["POST"]),
    Path("/api/deploy/{deployment}/route", set_route, methods=["POST"]),
    Path("/api/deploy/{deployment}/rules", set_rules, methods=["POST"]),
    Path("/api/deploy/{deployment}/timeout", set_timeout, methods=["POST"]),
    Path("/api/deploy/{deployment}/mirror", set_mirror, methods=["POST"]),
    Path("/api/deploy/{deployment}/fallback", set_fallback, methods=["POST"]),
    Path("/api/deploy/{deployment}/holdout", set_holdout, methods=["POST"]),
    Path("/api/deploy/{deployment}/park", park, methods=["POST"]),
    Path("/api/deploy/{deployment}/unpark", unpark, methods=["POST"]),
    Path("/api/deploy/{deployment}/undo", undo, methods=["POST"]),
]
