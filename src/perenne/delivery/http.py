"""REST of delivery: the gates of a version, what each found, and running them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import registry
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import NotFound
from perenne.delivery import bill
from perenne.delivery.clusters.http import routes as cluster_routes
from perenne.delivery.gates.jobs import GateWish, ask
from perenne.delivery.gates.model import PREFIX, GateReport
from perenne.delivery.gates.running import known_report
from perenne.delivery.images.http import routes as image_routes
from perenne.storage.jobs import Job
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


def project_of_version(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a version."""
    return registry.get_version(tx, path["version"]).project


@needs(Action.READ, project=project_of_version, returns=GateReport)
async def get_gates(request: Request) -> Response:
    """Give what the gates of a version found last, in their order."""
    return await answers.read(request, lambda tx, actor: known_report(tx, request.path_params["version"]))


@needs(
    Action.LOG,
    project=project_of_version,
    accepts=("", "application/json"),
    body=GateWish,
    example={"against": "champion", "only": ["latency"], "fresh": True},
    returns=Job,
    status=202,
)
async def post_gates(request: Request) -> Response:
    """Let a worker run the gates of a version: 202 with the job; asked again meanwhile, it is the same job."""
    wish = json.decode(await request.body(), GateWish, what="request")
    return await answers.write(request, lambda tx, actor: ask(tx, actor, request.path_params["version"], wish), 202)


@needs(Action.READ, project=project_of_version)
async def get_evidence(request: Request) -> Response:
    """Give all that a gate of a version found when it looked last."""
    found = await asyncio.to_thread(_evidence, request.app.state.workspace, **request.path_params)
    return Response(found, media_type="application/json")


@needs(Action.READ, project=project_of_version)
async def get_bill(request: Request) -> Response:
    """Give the bill of materials of a version as a file: CycloneDX 1.6."""
    workspace, version = request.app.state.workspace, request.path_params["version"]
    data = await asyncio.to_thread(lambda: bill.write(*bill.of_version(workspace, version)))
    return Response(data, media_type="application/vnd.cyclonedx+json; version=1.6")


def _evidence(workspace: Workspace, version: str, gate: str) -> Any:
    with workspace.database.read() as tx:
        dossier = registry.dossier(tx, version)
    newest = next((item for item in reversed(dossier.evidence) if item.check == PREFIX + gate), None)
    if newest is None or not newest.digest:
        raise NotFound(
            f"gate {gate[:60]!r} of {version} has not looked yet", code="gate.not_found", hint=f"`perenne gate {version}` runs it"
        )
    return workspace.objects.get(newest.digest)


routes = [
    *image_routes,
    Route("/api/gate/{version}", get_gates, methods=["GET"]),
    Route("/api/gate/{version}", post_gates, methods=["POST"]),
    Route("/api/gate/{version}/evidence/{gate}", get_evidence, methods=["GET"]),
    Route("/api/model/version/{version}/bill", get_bill, methods=["GET"]),
    *cluster_routes,
]
