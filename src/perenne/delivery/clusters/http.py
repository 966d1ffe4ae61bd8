"""REST of clusters: what was applied where, as recorded. A cluster itself is asked on the command line, by who can reach it."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import serving
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core.errors import NotFound
from perenne.core.paging import page_of
from perenne.delivery.clusters import revisions
from perenne.delivery.clusters.model import Revision
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


def project_of_deployment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment."""
    return serving.service.get_deployment(tx, path["deployment"]).project


@needs(Action.READ, project=project_of_deployment, returns=list[Revision])
async def get_revisions(request: Request) -> Response:
    """List what was applied of a deployment, newest first; of a `cluster` and `namespace`, `before` a revision, if named."""
    query, name = request.query_params, request.path_params["deployment"]
    chosen = {key: query.get(key, "") for key in ("cluster", "namespace", "before")}
    limit = page_of(query).limit

    def listed(tx: Transaction) -> list[Revision]:
        return revisions.revisions(tx, serving.service.get_deployment(tx, name).name, **chosen, limit=limit)

    return await answers.read(request, lambda tx, _: listed(tx))


@needs(Action.READ, project=project_of_deployment)
async def get_manifests(request: Request) -> Response:
    """Give what a revision applied, as YAML."""
    text = await asyncio.to_thread(_manifests, request.app.state.workspace, **request.path_params)
    return Response(text, media_type="application/yaml")


def _manifests(workspace: Workspace, deployment: str, revision: str) -> bytes:
    with workspace.database.read() as tx:
        found = revisions.get_revision(tx, revision)
    if found.deployment != deployment:
        raise NotFound("there is no such revision", code="cluster.no_revision", hint="it may be of another deployment")
    return workspace.objects.get(found.manifests)


routes = [
    Route("/api/deploy/{deployment}/clusters", get_revisions, methods=["GET"]),
    Route("/api/deploy/{deployment}/clusters/{revision}/manifests", get_manifests, methods=["GET"]),
]
