"""REST of monitoring: labels in, the health of a deployment and its alerts out, and what people say to an alert."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import serving
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.core import json
from perenne.core.clock import parse_duration
from perenne.core.errors import NotFound
from perenne.core.paging import page_of
from perenne.monitoring import alerts, service
from perenne.monitoring.labels import LabelRow, Receipt, parquet_labels, submit_labels
from perenne.monitoring.model import Alert
from perenne.monitoring.performance import looking
from perenne.monitoring.performance.following import Following, followed
from perenne.monitoring.silencing import Silence
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

PARQUET = "application/vnd.apache.parquet"
LABELS = [{"prediction_id": "01M7Y3F63RVMJ4B0S800000002-0", "label": 1, "time": "2026-11-21T09:00:00Z"}]


class NothingMore(msgspec.Struct, forbid_unknown_fields=True):
    """A body without a field: the path says it all."""


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """How long nobody is to be told, such as `1h`, and why."""

    duration: Annotated[str, msgspec.Meta(max_length=40)] = msgspec.field(name="for")
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


def project_of_deployment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment."""
    return serving.service.get_deployment(tx, path["deployment"]).project


def project_of_alert(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of the deployment that an alert is about."""
    deployment = alerts.get_alert(tx, path["alert"]).deployment
    found = alerts.projects_of(tx, [deployment]).get(deployment)
    if found is None:
        raise NotFound(
            f"{deployment} belongs to no project",
            code="alert.project",
            hint="`perenne deploy list` shows the deployments there are",
        )
    return found


@needs(Action.COMMENT, body=list[LabelRow], example=LABELS, returns=Receipt, status=201)
async def post_labels(request: Request) -> Response:
    """Take labels: 201 when kept, 200 when the very same had come before.

    A JSON list of `{prediction_id, label, time?}` or `{key, deployment, label, time}`, one such object alone, or, as
    `application/vnd.apache.parquet`, a table of these columns.
    """
    body = await request.body()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == PARQUET:
        receipt = await asyncio.to_thread(_take_parquet, request.app.state.workspace, request.state.actor, body)
    else:
        alone = body.lstrip()[:1] == b"{"
        rows = [json.decode(body, LabelRow, what="label")] if alone else json.decode(body, list[LabelRow], what="labels")
        receipt = await asyncio.to_thread(submit_labels, request.app.state.workspace, request.state.actor, rows)
    return _answer(receipt, 200 if receipt.repeated else 201)


def _take_parquet(workspace: Workspace, actor: Principal, body: bytes) -> Receipt:
    return submit_labels(workspace, actor, parquet_labels(body))


@needs(Action.READ, project=project_of_deployment, filters=True, returns=Following)
async def get_performance(request: Request) -> Response:
    """Tell how right a deployment's answers were: estimates, what came true, gaps, label streams and worst slices."""
    name, version = request.path_params["deployment"], request.query_params.get("version", "")

    def told(tx: Transaction, _: Principal) -> Following:
        looking.watched(tx, name)
        return followed(tx, name, version=version)

    return await answers.read(request, told)


@needs(Action.READ, project=project_of_deployment, returns=service.Health)
async def get_health(request: Request) -> Response:
    """Give the health of a deployment."""
    workspace: Workspace = request.app.state.workspace
    return _answer(await asyncio.to_thread(_health, workspace, request.path_params["deployment"]))


@needs(Action.READ, filters=True, returns=list[Alert])
async def get_alerts(request: Request) -> Response:
    """List open alerts, newest first, of one `deployment` if named; with `all=1` also those that have ended."""
    query = request.query_params
    deployment, limit = query.get("deployment"), page_of(query).limit
    chosen = service.alerts if query.get("all") == "1" else service.open_alerts

    def listed(tx: Transaction, actor: Principal) -> list[Alert]:
        found = chosen(tx, deployment, limit=limit)
        projects = alerts.projects_of(tx, {alert.deployment for alert in found})
        return [alert for alert in found if sees(actor, projects.get(alert.deployment, ""))]

    return await answers.read(request, listed)


@needs(Action.COMMENT, project=project_of_alert, body=NothingMore, example={}, returns=Alert)
async def acknowledge(request: Request) -> Response:
    """Say that somebody is on it."""
    json.decode(await request.body(), NothingMore, what="acknowledgement")
    return await answers.write(request, lambda tx, actor: alerts.acknowledge(tx, actor, request.path_params["alert"]))


@needs(
    Action.COMMENT,
    project=project_of_alert,
    body=SilenceBody,
    example={"for": "6h", "reason": "known outage of the feed"},
    returns=Silence,
)
async def silence(request: Request) -> Response:
    """Tell nobody about this alert's rule in its deployment for a while."""
    body, alert = json.decode(await request.body(), SilenceBody, what="silence"), request.path_params["alert"]
    now = request.app.state.workspace.clock.now()
    until = now + parse_duration(body.duration)
    return await answers.write(
        request, lambda tx, actor: alerts.silence(tx, actor, alert, until=until, reason=body.reason, now=now)
    )


def _health(workspace: Workspace, deployment: str) -> service.Health:
    with workspace.database.read() as tx:
        return service.deployment_health(tx, deployment)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, media_type="application/json")


routes = [
    Route("/api/monitor/labels", post_labels, methods=["POST"]),
    Route("/api/monitor/{deployment}", get_health, methods=["GET"]),
    Route("/api/monitor/{deployment}/performance", get_performance, methods=["GET"]),
    Route("/api/alert", get_alerts, methods=["GET"]),
    Route("/api/alert/{alert}/acknowledge", acknowledge, methods=["POST"]),
    Route("/api/alert/{alert}/silence", silence, methods=["POST"]),
]
