"""REST of artifacts for the page: `/api/runs/{run}/artifacts`, and below it `preview` and `raw`."""

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.errors import Invalid
from perenne.core.paging import page_of
from perenne.net.asgi import Headers, Receive, Scope, Send
from perenne.net.streaming import Download, send_blob
from perenne.storage.blobs import Blobs
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import artifacts, previews, service
from perenne.tracking.artifact_model import Artifact
from perenne.tracking.previews import IMAGES, ArtifactFolder, Preview

SANDBOX: Headers = (
    (
        b"content-security-policy",
        b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    ),
)
"""Whatever a file holds, a browser that shows it runs no script of it and asks nobody for anything."""

_LIVELY = (
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    b"img-src data: blob:; font-src data:; worker-src blob:; frame-ancestors 'self'"
)
SHUT_IN: Headers = ((b"content-security-policy", _LIVELY),)
"""Of a page whose scripts somebody lets run: it has no origin, so no session, and reaches neither perenne nor anybody else."""

_PAGES = {"still": SANDBOX, "scripts": SHUT_IN}


def project_of_run(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a run."""
    return service.get_run(tx, path["run"]).project


@needs(Action.READ, project=project_of_run, returns=ArtifactFolder)
async def get_folder(request: Request) -> Response:
    """List a folder of a run's artifacts: `path` (empty for the root), `offset`, `limit` up to 200."""
    page, path = page_of(request.query_params), request.query_params.get("path", "")
    return await answers.view(request, lambda tx, actor: previews.folder(tx, actor, request.path_params["run"], path, page))


@needs(Action.READ, project=project_of_run, returns=Preview)
async def get_preview(request: Request) -> Response:
    """Show the beginning of the file at `path`: text, or of a table the rows from `offset` on, at most `limit`, up to 200."""
    page, blobs, find = page_of(request.query_params), _workspace(request).blobs, _finding(request)
    return await answers.view(request, lambda tx, _: previews.preview(blobs, find(tx), page))


@needs(Action.READ, project=project_of_run)
async def get_raw(request: Request) -> Response:
    """Give the file at `path`, whole or by `Range`: pictures to be shown, all else to be saved; no script of it runs.

    With `page=still` it comes as a page to be shown in a frame, with `page=scripts` as one whose scripts run, shut in.
    """
    found, page = await _found(request), request.query_params.get("page", "")
    if page and page not in _PAGES:
        raise Invalid(f"page is {page[:40]!r}", code="request.query", hint=f"one of: {', '.join(_PAGES)}")
    return _Raw(_workspace(request).blobs, _shown(found, page))


def _shown(artifact: Artifact, page: str) -> Download:
    """Return how a file is sent: pictures and pages to be shown, all else to be saved."""
    name = artifact.path.rpartition("/")[2]
    image = IMAGES.get(name.rpartition(".")[2].lower())
    kind = "text/html; charset=utf-8" if page else image or "application/octet-stream"
    headers = _PAGES.get(page, SANDBOX)
    return Download(artifact.blob, artifact.size, artifact.modified, name, kind, inline=bool(page or image), headers=headers)


class _Raw(Response):
    """A response that sends a blob as it is read."""

    def __init__(self, blobs: Blobs, download: Download) -> None:
        super().__init__()
        self._blobs, self._download = blobs, download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send_blob(scope, send, self._blobs, self._download)


def _finding(request: Request) -> Callable[[Transaction], Artifact]:
    path, run, actor = request.query_params.get("path", ""), request.path_params["run"], _actor(request)
    if not path:
        raise Invalid("path is missing", code="request.query", hint="?path=plots/roc.png")
    return lambda tx: artifacts.find(tx, actor, artifacts.place_of_run(tx, actor, run, path))


async def _found(request: Request) -> Artifact:
    find, database = _finding(request), _workspace(request).database

    def work() -> Artifact:
        with database.read() as tx:
            return find(tx)

    return await asyncio.to_thread(work)


def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


def _actor(request: Request) -> Principal:
    actor: Principal = request.state.actor
    return actor


routes = [
    Route("/api/runs/{run}/artifacts", get_folder, methods=["GET"]),
    Route("/api/runs/{run}/artifacts/preview", get_preview, methods=["GET"]),
    Route("/api/runs/{run}/artifacts/raw", get_raw, methods=["GET"]),
]
