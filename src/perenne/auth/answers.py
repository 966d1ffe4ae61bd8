"""How a route answers: by what it reads or writes in one transaction, on a thread of its own, as JSON.

A page asks for its screen with one request, and again whenever something changed; an answer that is the same as before is a 304.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from perenne.auth.principals import Principal
from perenne.core import json
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

NOW = "perenne-now"
"""The header that tells a page what time it is here, in microseconds: recorded traffic is replayed in its own time."""

LONG = 4_096
"""Bytes above which a screen's payload is compressed."""


def answer(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return Response(json.encode(value), status, media_type="application/json")


async def read(request: Request, work: Callable[[Transaction, Principal], Any]) -> Response:
    """Answer with what is read in one snapshot of the database."""
    workspace: Workspace = request.app.state.workspace
    actor: Principal = request.state.actor

    def reading() -> Any:
        with workspace.database.read() as tx:
            return work(tx, actor)

    return answer(await asyncio.to_thread(reading))


async def write(request: Request, work: Callable[[Transaction, Principal], Any], status: int = 200) -> Response:
    """Answer with what a transaction that changes something returns, once it is committed."""
    workspace: Workspace = request.app.state.workspace
    actor: Principal = request.state.actor
    return answer(await asyncio.to_thread(workspace.database.write, lambda tx: work(tx, actor)), status)


def _packed(request: Request, response: Response) -> None:
    """Compress what is long, if the page takes it so."""
    response.headers["vary"] = "accept-encoding"
    if len(response.body) > LONG and "gzip" in request.headers.get("accept-encoding", ""):
        response.body = gzip.compress(bytes(response.body), 1, mtime=0)
        response.headers["content-length"] = str(len(response.body))
        response.headers["content-encoding"] = "gzip"


async def view(request: Request, work: Callable[[Transaction, Principal], Any]) -> Response:
    """Answer with the payload of a screen, or with 304 if whoever asks has it already."""
    response = await read(request, work)
    tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        response = Response(status_code=304)
    else:
        _packed(request, response)
    workspace: Workspace = request.app.state.workspace
    response.headers["etag"] = tag
    response.headers[NOW] = str(workspace.clock.now())
    return response
