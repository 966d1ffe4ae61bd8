"""Is the control plane alive, and can it work? `/health` says that it answers, `/ready` whether what it needs is there."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth.access import needs
from perenne.core import json
from perenne.storage import migrations
from perenne.storage.workspace import Workspace
from perenne.telemetry.pulse import Pulse

log = logging.getLogger("perenne.health")

CHECK_SECONDS = 5.0
LOOP_SECONDS = 60.0
OK = "ok"
_NO_OBJECT = "0" * 64


class Readiness(msgspec.Struct, frozen=True):
    """Whether it can work, and how each part stands: `ok`, or what is wrong in words that tell a stranger nothing."""

    ready: bool
    checks: dict[str, str]


class Checks:
    """Looks at what the control plane needs, one look at a time: one that hangs does not become many.

    Parameters
    ----------
    workspace : Workspace
        Whose database and objects.
    pulse : Pulse, optional
        Of the loop beside it, if there is one.
    """

    def __init__(self, workspace: Workspace, pulse: Pulse | None) -> None:
        self._workspace = workspace
        self._pulse = pulse
        self._look: Future[dict[str, str]] | None = None

    async def readiness(self, seconds: float = CHECK_SECONDS) -> Readiness:
        """Look, and wait no longer than that."""
        look = self._look if self._look is not None and not self._look.done() else self._start()
        self._look = look
        try:
            checks = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(look)), seconds)
        except TimeoutError:
            checks = {"storage": "does not answer"}
        checks = {**checks, **self._loop()}
        return Readiness(all(state == OK for state in checks.values()), checks)

    def _start(self) -> "Future[dict[str, str]]":
        future: Future[dict[str, str]] = Future()
        threading.Thread(target=lambda: future.set_result(self._stored()), name="perenne-ready", daemon=True).start()
        return future

    def _stored(self) -> dict[str, str]:
        return {"database": _guarded("database", self._database), "objects": _guarded("objects", self._objects)}

    def _database(self) -> str:
        with self._workspace.database.read() as tx:
            tx.scalar(sa.text("select 1"))
            version = migrations.current(tx.connection)
        return OK if version == migrations.revisions()[-1] else "its schema is another release's"

    def _objects(self) -> str:
        url = urlsplit(self._workspace.settings.objects)
        if url.scheme == "file":
            folder = unquote(url.path)
            found = folder if os.path.isdir(folder) else os.path.dirname(folder.rstrip("/"))
            return OK if os.access(found, os.R_OK | os.W_OK | os.X_OK) else "cannot be written"
        self._workspace.objects.exists(_NO_OBJECT)
        return OK

    def _loop(self) -> dict[str, str]:
        if self._pulse is None:
            return {}
        age = self._pulse.age()
        if age is None:
            return {"loop": "has not turned yet"}
        return {"loop": OK if age <= LOOP_SECONDS else "has not turned for a while"}


def _guarded(part: str, check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception:
        log.warning("%s cannot be reached", part, exc_info=True)
        return "cannot be reached"


@needs(None)
async def get_health(_: Request) -> Response:
    """Say that the process answers: `OK`, as clients of MLflow know it."""
    return Response("OK", 200, {"cache-control": "no-store"}, media_type="text/plain")


@needs(None)
async def get_ready(request: Request) -> Response:
    """Say whether it can work; 503 names the parts that fail."""
    found: Readiness = await request.app.state.checks.readiness()
    return _answer({"status": "ready" if found.ready else "not_ready", "checks": found.checks}, 200 if found.ready else 503)


def _answer(value: Any, status: int) -> Response:
    return Response(json.encode(value), status, {"cache-control": "no-store"}, media_type="application/json")


routes = [Route("/health", get_health, methods=["GET"]), Route("/ready", get_ready, methods=["GET"])]
