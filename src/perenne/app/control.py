"""The control plane: the REST routes of every domain behind one set of limits, and the loop and its workers beside them."""

import contextlib
import functools
import logging
import threading
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import perenne
from perenne.app import health, metrics, openapi
from perenne.app.door import Door, guarded, public_requests
from perenne.app.requests import AccessLog, ObservedRequests
from perenne.app.serving import DeployedServers
from perenne.app.wiring import Platform
from perenne.auth.access import needs
from perenne.auth.entrance import Entrance
from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.net.asgi import Application, Reply, Scope
from perenne.net.inbound import SECURITY_HEADERS, InboundLimits, Limits, Room, allowed_hosts, error_reply
from perenne.net.listening import LOOPBACK, Listening, needs_tokens
from perenne.protocols.mlflow.routes import PROTOCOL, STREAMED, MlflowApplication
from perenne.protocols.otlp import traces as otlp
from perenne.storage.locks import Leadership
from perenne.storage.workspace import Workspace
from perenne.telemetry.meters import RequestMeter
from perenne.telemetry.pulse import Pulse
from perenne.web.assets import Assets
from perenne.web.live import Live

log = logging.getLogger("perenne.control")

TURN_SECONDS = 0.5
BODY_LIMIT = 32 * 1024 * 1024
AT_ONCE = 256
LISTENERS = 256
"""Pages that may listen at once; each holds a connection, and next to nothing else."""
HEADERS = (*SECURITY_HEADERS, (b"cache-control", b"no-store"))


def application(workspace: Workspace, *, port: int, listening: Listening = LOOPBACK, pulse: Pulse | None = None) -> Application:
    """Return the control plane's ASGI application, limits and log-in included; `pulse` is that of the loop beside it."""
    routes = control_routes()
    handlers = {PerenneError: _error, Exception: _defect, 404: _unknown, 405: _unknown}
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    meter = RequestMeter()
    app.state.workspace = workspace
    app.state.checks = health.Checks(workspace, pulse)
    app.state.description = functools.cache(lambda: json.encode(openapi.describe(routes)))
    app.state.assets = Assets()
    app.state.live = Live(workspace.database)
    app.state.figures = metrics.Figures(workspace.database, meter, pulse)
    entrance = Entrance(workspace) if needs_tokens(listening, workspace.settings.auth) else None
    app.state.entrance = entrance
    large = tuple((beginning, workspace.settings.artifact_limit) for beginning in STREAMED)
    limits = Limits(hosts=allowed_hosts(listening.host, port, listening.names), body=BODY_LIMIT, large=large)
    mlflow = MlflowApplication(workspace, app, otlp.ENDPOINTS)

    def form(scope: Scope, error: PerenneError) -> Reply:
        return mlflow.error_reply(error) if mlflow.owns(scope["path"]) else error_reply(error)

    door = Door(mlflow, entrance.admit if entrance is not None else None, public_requests(routes), form)
    return ObservedRequests(InboundLimits(door, limits, HEADERS, form), meter, AccessLog())


def control_routes() -> list[Route]:
    """Return every route of the control plane, each behind what it declares."""
    from perenne import registry, tracking
    from perenne.app.jobs import routes as job_routes
    from perenne.auth.comment_http import comment_routes
    from perenne.auth.http import routes as auth_routes
    from perenne.automation.http import routes as automation_routes
    from perenne.data.http import routes as data_routes
    from perenne.delivery.http import routes as delivery_routes
    from perenne.labels.http import routes as label_routes
    from perenne.llm.http import routes as llm_routes
    from perenne.monitoring.http import routes as monitoring_routes
    from perenne.registry.http import project_of_review
    from perenne.registry.http import routes as registry_routes
    from perenne.serving.http import routes as serving_routes
    from perenne.tracking.http import routes as tracking_routes
    from perenne.web import http as web

    own = [Route("/version", _version), *health.routes, *metrics.routes, *openapi.routes]
    comments = comment_routes(
        {
            "run": lambda tx, identity: tracking.service.get_run(tx, identity).project,
            "version": lambda tx, identity: registry.get_version(tx, identity).project,
            "review": lambda tx, identity: project_of_review(tx, {"review": identity}),
        }
    )
    rest = [*auth_routes, *job_routes, *automation_routes, *monitoring_routes, *serving_routes, *registry_routes, *comments]
    rest += [*tracking_routes, *llm_routes, *data_routes, *label_routes, *delivery_routes]
    listening = guarded(web.live, BODY_LIMIT, Room(LISTENERS))
    return [*guarded([*own, *rest, *web.screens(), *web.pages], BODY_LIMIT, Room(AT_ONCE)), *listening]


@needs(None)
async def _version(_: Request) -> Response:
    """Say which version of MLflow's protocol is spoken here, for clients that ask; the header has the version of perenne."""
    return Response(PROTOCOL, media_type="text/plain", headers={"x-perenne-version": perenne.__version__})


async def _error(_: Request, error: PerenneError) -> Response:
    reply = error_reply(error)
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, reply.status, headers, media_type="application/json")


async def _defect(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _error(
        request,
        PerenneError(
            "something went wrong here; the log has it",
            code="internal",
            hint="try again; if it stays, `perenne debug bundle` puts a report together",
        ),
    )


async def _unknown(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    text = "there is no such path" if status == 404 else "the path does not take this method"
    return Response(
        json.encode({"error": text, "error_code": "request.path", "message": text}), status, media_type="application/json"
    )


class Background:
    """The loop and the workers of one process, in threads and child processes that end with it.

    Parameters
    ----------
    platform : Platform
        What to keep going.
    servers : DeployedServers or None
        The model servers beside it; None if they run elsewhere.
    workers : bool
        Whether to do jobs here; if not, they are left to `perenne worker`.
    """

    def __init__(self, platform: Platform, servers: DeployedServers | None, *, workers: bool = True) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._leadership = Leadership(platform.workspace.database, "loop")
        self._workforce = platform.workforce() if workers else None
        work: dict[str, Callable[[], object]] = {"loop": self._turn}
        if servers is not None:
            work["servers"] = servers.start_missing
        self._threads = [
            threading.Thread(target=self._repeat, args=(part,), name=f"perenne-{name}", daemon=True)
            for name, part in work.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()
        if self._workforce is not None:
            self._workforce.start()

    def stop(self) -> None:
        """End after what is being done now; a round that runs is stopped and given back, and resumed by whoever comes next."""
        self._stop.set()
        if self._workforce is not None:
            self._workforce.drain(0)
            self._workforce.join()
        for thread in self._threads:
            thread.join()
        with contextlib.suppress(PerenneError):  # the lease runs out
            self._leadership.give_up()

    def _turn(self) -> None:
        leads = self._leadership.held()
        self._platform.loop.turn(leads=leads)
        if leads:
            self._platform.loop.tidy()

    def _repeat(self, work: Callable[[], object]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except Exception:
                log.exception("a part of the background failed; it goes on")
            self._stop.wait(TURN_SECONDS)
