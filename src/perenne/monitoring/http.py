"""REST of monitoring: labels in, the health of a deployment out; that of alerts is in `alerting`."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import serving
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.monitoring import service
from perenne.monitoring.alerting import answering
from perenne.monitoring.elsewhere import http as elsewhere
from perenne.monitoring.guarding import http as guards_http
from perenne.monitoring.guarding.attributes import submit_labels
from perenne.monitoring.labels import LabelRow, Receipt, parquet_labels
from perenne.monitoring.performance.following import Following, followed
from perenne.monitoring.watched import watches_of
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

PARQUET = "application/vnd.apache.parquet"
LABELS = [{"prediction_id": "01M7Y3F63RVMJ4B0S800000002-0", "label": 1, "time": "2026-11-21T09:00:00Z"}]


def project_of_deployment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment."""
    return serving.service.get_deployment(tx, path["deployment"]).project


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
        watches_of(tx, name)
        return followed(tx, name, version=version)

    return await answers.read(request, told)


@needs(Action.READ, project=project_of_deployment, returns=service.Health)
async def get_health(request: Request) -> Response:
    """Give the health of a deployment."""
    workspace: Workspace = request.app.state.workspace
    return _answer(await asyncio.to_thread(_health, workspace, request.path_params["deployment"]))


def _health(workspace: Workspace, deployment: str) -> service.Health:
    with workspace.database.read() as tx:
        return service.deployment_health(tx, deployment)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, media_type="application/json")


routes = [
    *elsewhere.routes,
    Route("/api/monitor/labels", post_labels, methods=["POST"]),
    Route("/api/monitor/{deployment}", get_health, methods=["GET"]),
    Route("/api/monitor/{deployment}/performance", get_performance, methods=["GET"]),
    *answering.routes,
    *guards_http.routes,
]
