"""REST of guards: outcomes and aggregates in, and both with guardrails and groups over time out."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.monitoring.guarding.reporting import MetricRow, OutcomeRow, plan_of, submit_metrics, submit_outcomes
from perenne.monitoring.guards.series import GuardsView, OutcomePoint, guards_view, outcome_points
from perenne.monitoring.labels import Receipt
from perenne.storage.transaction import Transaction

OUTCOMES = [{"prediction_id": "01M7Y3F63RVMJ4B0S800000002-0", "outcome": "refund", "value": 1, "time": "2026-11-21T09:00:00Z"}]
METRICS = [
    {
        "name": "refund",
        "value": 0.02,
        "n": 1840,
        "from": "2026-11-20T00:00:00Z",
        "to": "2026-11-21T00:00:00Z",
        "by": "",
        "group": "",
    }
]


def _project(tx: Transaction, path: Mapping[str, str]) -> str:
    return plan_of(tx, path["deployment"])[1]


@needs(Action.COMMENT, project=_project, body=list[OutcomeRow], example=OUTCOMES, returns=Receipt, status=201)
async def post_outcomes(request: Request) -> Response:
    """Take outcomes of single answers, and decisions of people beside them: 201 when kept, 200 when they had come before."""
    rows = json.decode(await request.body(), list[OutcomeRow], what="outcomes")
    state, name = request.state, request.path_params["deployment"]
    receipt = await asyncio.to_thread(submit_outcomes, request.app.state.workspace, state.actor, name, rows)
    return answers.answer(receipt, 200 if receipt.repeated else 201)


@needs(Action.COMMENT, project=_project, body=list[MetricRow], example=METRICS, returns=Receipt, status=201)
async def post_metrics(request: Request) -> Response:
    """Take means of outcomes that others have computed: 201 when one of them is new, 200 when all had come before."""
    rows = json.decode(await request.body(), list[MetricRow], what="metrics")
    state, name = request.state, request.path_params["deployment"]
    receipt = await asyncio.to_thread(submit_metrics, request.app.state.workspace, state.actor, name, rows)
    return answers.answer(receipt, 200 if receipt.repeated else 201)


@needs(Action.READ, project=_project, returns=list[OutcomePoint])
async def get_outcomes(request: Request) -> Response:
    """Give outcomes by window, those of single answers and posted aggregates alike."""
    name = request.path_params["deployment"]

    def read(tx: Transaction, _: Principal) -> list[OutcomePoint]:
        plan_of(tx, name)
        return list(outcome_points(tx, name))

    return await answers.read(request, read)


@needs(Action.READ, project=_project, returns=GuardsView)
async def get_guards(request: Request) -> Response:
    """Give outcomes, groups and guardrails over time."""
    name = request.path_params["deployment"]

    def read(tx: Transaction, _: Principal) -> GuardsView:
        plan_of(tx, name)
        return guards_view(tx, name)

    return await answers.read(request, read)


routes = [
    Route("/api/monitor/{deployment}/outcomes", post_outcomes, methods=["POST"]),
    Route("/api/monitor/{deployment}/outcomes", get_outcomes, methods=["GET"]),
    Route("/api/monitor/{deployment}/metrics", post_metrics, methods=["POST"]),
    Route("/api/monitor/{deployment}/guards", get_guards, methods=["GET"]),
]
