"""The control plane: the REST routes of every domain behind one set of limits, and the loop and its workers beside them."""

import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import perenne
from perenne.app.door import Door, guarded, public_paths, token_holder
from perenne.app.serving import DeployedServers
from perenne.app.wiring import Platform
from perenne.auth.access import needs
from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.core.ids import new_id
from perenne.net.asgi import Application
from perenne.net.inbound import SECURITY_HEADERS, InboundLimits, Limits, Room, allowed_hosts, error_reply
from perenne.net.listening import LOOPBACK, Listening, needs_tokens
from perenne.storage import jobs
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.control")

TURN_SECONDS = 0.5
BODY_LIMIT = 32 * 1024 * 1024
AT_ONCE = 256
HEADERS = (*SECURITY_HEADERS, (b"cache-control", b"no-store"))


def application(workspace: Workspace, *, port: int, listening: Listening = LOOPBACK) -> Application:
    """Return the control plane's ASGI application, limits and log-in included."""
    routes = control_routes()
    handlers = {PerenneError: _error, Exception: _defect, 404: _unknown, 405: _unknown}
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    app.state.workspace = workspace
    who = token_holder(workspace) if needs_tokens(listening, workspace.settings.auth) else None
    hosts = allowed_hosts(listening.host, port, listening.names)
    return InboundLimits(Door(app, who, public_paths(routes)), Limits(hosts=hosts, body=BODY_LIMIT), HEADERS)


def control_routes() -> list[Route]:
    """Return every route of the control plane, each behind what it declares."""
    from perenne.automation.http import routes as automation_routes
    from perenne.monitoring.http import routes as monitoring_routes
    from perenne.registry.http import routes as registry_routes

    own = [Route("/health", _health), Route("/version", _version)]
    return guarded([*own, *automation_routes, *monitoring_routes, *registry_routes], BODY_LIMIT, Room(AT_ONCE))


@needs(None)
async def _health(_: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


@needs(None)
async def _version(_: Request) -> Response:
    return Response(json.encode({"version": perenne.__version__}), media_type="application/json")


async def _error(_: Request, error: PerenneError) -> Response:
    reply = error_reply(error)
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, reply.status, headers, media_type="application/json")


async def _defect(request: Request, error: Exception) -> Response:
    identity = new_id()
    log.error("%s %s failed, request %s", request.method, request.url.path, identity, exc_info=error)
    hint = f"the log has it under {identity}"
    return await _error(request, PerenneError("something went wrong in the server", code="internal", hint=hint))


async def _unknown(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    text = "there is no such path" if status == 404 else "the path does not take this method"
    return Response(
        json.encode({"error": text, "error_code": "request.path", "message": text}), status, media_type="application/json"
    )


class Background:
    """The loop, the errands and the trainers of one process, in threads and child processes that end with it.

    Parameters
    ----------
    platform : Platform
        What to keep going.
    servers : DeployedServers
        The model servers beside it.
    """

    def __init__(self, platform: Platform, servers: DeployedServers) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(platform.loop.turn,), name="perenne-loop", daemon=True),
            threading.Thread(target=self._repeat, args=(platform.errands.drain,), name="perenne-errands", daemon=True),
            threading.Thread(target=self._repeat, args=(self._train,), name="perenne-trainer", daemon=True),
            threading.Thread(target=self._repeat, args=(servers.start_missing,), name="perenne-servers", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is being done now; a round that runs is ended too, and resumed by whoever comes next."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[], object]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except Exception:
                log.exception("a part of the background failed; it goes on")
            self._stop.wait(TURN_SECONDS)

    def _train(self) -> None:
        """Start a child process for waiting rounds: the libraries of training stay out of this one."""
        with self._platform.workspace.database.read() as tx:
            waiting = jobs.waiting(tx, self._platform.trainer.kinds)
        if not waiting:
            return
        child = subprocess.Popen([sys.executable, "-m", "perenne.app.trainer"])
        while child.poll() is None and not self._stop.wait(TURN_SECONDS):
            pass
        if child.poll() is None:
            child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)
        if child.poll() is None:
            child.kill()
