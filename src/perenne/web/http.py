"""Routes of the page: the shell for every address that opens it, static files, live news, and the screens' payloads."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core.errors import NotFound
from perenne.net.inbound import PAGE_POLICY
from perenne.web.assets import Assets
from perenne.web.live import Live
from perenne.web.pages import PAGES

FOREVER = "public, max-age=31536000, immutable"


@needs(None)
async def get_page(request: Request) -> Response:
    """Give the shell; the address tells it which screen to show."""
    assets: Assets = request.app.state.assets
    headers = {"content-security-policy": PAGE_POLICY, "cache-control": "no-cache"}
    return Response(assets.shell(request.url.path), media_type="text/html", headers=headers)


@needs(None)
async def get_static(request: Request) -> Response:
    """Give a static file, compressed if the browser takes it so."""
    assets: Assets = request.app.state.assets
    prefix, name = f"/static/{request.path_params['digest']}/", request.path_params["path"]
    asset = assets.files.get(name)
    if asset is None or prefix != assets.prefix:
        raise NotFound("there is no such file", code="web.file", hint="reload the page: perenne was updated")
    headers = {"content-type": asset.kind, "cache-control": FOREVER, "vary": "accept-encoding"}
    if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, headers={**headers, "content-encoding": "gzip"})
    return Response(asset.body, headers=headers)


@needs(Action.READ, filters=True)
async def get_live(request: Request) -> Response:
    """Stream that something changed; what it is, the screens tell those who may see it."""
    live: Live = request.app.state.live
    request.state.endless = True
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(live.listen(), media_type="text/event-stream", headers=headers)


def screens() -> list[Route]:
    """Return the routes of every screen's payload: of each domain, and of what joins several."""
    import perenne.auth.views
    import perenne.automation.views
    import perenne.data.views
    import perenne.delivery.views
    import perenne.labels.views
    import perenne.monitoring.views
    import perenne.pipelines.views
    import perenne.registry.views
    import perenne.serving.views
    import perenne.tracking.views
    import perenne.web.screens.deployment
    import perenne.web.screens.fleet
    import perenne.web.screens.jobs
    import perenne.web.screens.lineage
    import perenne.web.screens.model
    import perenne.web.screens.monitor
    import perenne.web.screens.project
    import perenne.web.screens.runs
    import perenne.web.screens.search
    import perenne.web.screens.settings
    import perenne.web.screens.why

    return [
        *perenne.auth.views.routes,
        *perenne.automation.views.routes,
        *perenne.data.views.routes,
        *perenne.delivery.views.routes,
        *perenne.labels.views.routes,
        *perenne.monitoring.views.routes,
        *perenne.registry.views.routes,
        *perenne.serving.views.routes,
        *perenne.tracking.views.routes,
        *perenne.web.screens.deployment.routes,
        *perenne.pipelines.views.routes,
        *perenne.web.screens.fleet.routes,
        *perenne.web.screens.jobs.routes,
        *perenne.web.screens.lineage.routes,
        *perenne.web.screens.model.routes,
        *perenne.web.screens.monitor.routes,
        *perenne.web.screens.project.routes,
        *perenne.web.screens.runs.routes,
        *perenne.web.screens.search.routes,
        *perenne.web.screens.settings.routes,
        *perenne.web.screens.why.routes,
    ]


pages = [
    Route("/", get_page, methods=["GET"]),
    *(Route(f"/{name}", get_page, methods=["GET"]) for name in PAGES),
    *(Route(f"/{name}/{{rest:path}}", get_page, methods=["GET"]) for name in PAGES),
    Route("/static/{digest}/{path:path}", get_static, methods=["GET"]),
]
live = [Route("/api/live", get_live, methods=["GET"])]
