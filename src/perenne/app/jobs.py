"""REST of jobs and events: `/api/jobs` and `/api/events`, newest first, in windows of at most 200 rows."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.app import operations
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.outbox import StoredEvent

WINDOW = 200
BODY = ("", "application/json")
"""A reason is given as JSON; without one there need not be a body."""


class Reason(msgspec.Struct, frozen=True):
    """Why; kept in the audit trail."""

    reason: str = ""


class Priority(msgspec.Struct, frozen=True):
    """Where a job belongs: smaller is sooner."""

    priority: Annotated[int, msgspec.Meta(ge=-1_000, le=1_000)]
    reason: str = ""


@needs(Action.READ, returns=list[Job])
async def get_jobs(request: Request) -> Response:
    """List jobs, optionally of one `state` or `kind`; `before` is the id after which to go on."""
    limit, filters = _limit(request), {name: _text(request, name) for name in ("state", "kind", "before")}
    return await _read(request, lambda tx, actor: operations.list_jobs(tx, actor, limit=limit, **filters))


@needs(Action.READ, returns=Job)
async def get_job(request: Request) -> Response:
    """Show a job, its progress included."""
    return await _read(request, lambda tx, actor: operations.find_job(tx, actor, request.path_params["job"]))


@needs(Action.DEPLOY, accepts=BODY, body=Reason, example={"reason": "started by mistake"}, returns=Job)
async def cancel_job(request: Request) -> Response:
    """Cancel a job."""
    body, identity = await _body(request, Reason), request.path_params["job"]
    return await _write(request, lambda tx, actor: operations.cancel_job(tx, actor, identity, body.reason))


@needs(Action.DEPLOY, accepts=BODY, body=Reason, example={"reason": "the disk has room again"}, returns=Job)
async def retry_job(request: Request) -> Response:
    """Try a job again."""
    body, identity = await _body(request, Reason), request.path_params["job"]
    return await _write(request, lambda tx, actor: operations.retry_job(tx, actor, identity, body.reason))


@needs(Action.DEPLOY, accepts=BODY, body=Priority, example={"priority": -10}, returns=Job)
async def prioritise_job(request: Request) -> Response:
    """Put a job before or behind others."""
    body, identity = await _body(request, Priority), request.path_params["job"]
    return await _write(request, lambda tx, actor: operations.prioritise_job(tx, actor, identity, body.priority, body.reason))


@needs(Action.READ, returns=list[StoredEvent])
async def get_events(request: Request) -> Response:
    """List events, optionally of one `state`; `before` is the number after which to go on."""
    state, before, limit = request.query_params.get("state"), _number(request, "before"), _limit(request)
    return await _read(request, lambda tx, actor: operations.list_events(tx, actor, state=state, before=before, limit=limit))


@needs(Action.DEPLOY, accepts=BODY, body=Reason, example={}, returns=StoredEvent)
async def retry_event(request: Request) -> Response:
    """Deliver a set-aside event again."""
    body, identity = await _body(request, Reason), request.path_params["event"]
    return await _write(request, lambda tx, actor: operations.retry_event(tx, actor, identity, body.reason))


@needs(Action.DEPLOY, accepts=BODY, body=Reason, example={"reason": "handled by hand"}, returns=StoredEvent)
async def drop_event(request: Request) -> Response:
    """Give a set-aside event up."""
    body, identity = await _body(request, Reason), request.path_params["event"]
    return await _write(request, lambda tx, actor: operations.drop_event(tx, actor, identity, body.reason))


def _text(request: Request, name: str) -> str | None:
    text = request.query_params.get(name)
    if text is not None and not (text.isprintable() and len(text) <= 200):
        raise Invalid(f"{name} cannot be read", code="request.query", hint="printable characters, at most 200")
    return text


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Invalid(f"{name} is {text[:40]!r}, which is not a number", code="request.query", hint="write it in digits")
    return int(text)


def _limit(request: Request) -> int:
    asked = _number(request, "limit")
    return WINDOW if asked is None else max(1, min(asked, WINDOW))


async def _body(request: Request, kind: Any) -> Any:
    return json.decode(await request.body() or b"{}", kind, what="request")


async def _read(request: Request, work: Callable[[Transaction, Principal], Any]) -> Response:
    def call() -> Any:
        with request.app.state.workspace.database.read() as tx:
            return work(tx, request.state.actor)

    return _answer(await asyncio.to_thread(call))


async def _write(request: Request, work: Callable[[Transaction, Principal], Any]) -> Response:
    database, actor = request.app.state.workspace.database, request.state.actor
    return _answer(await asyncio.to_thread(lambda: database.write(lambda tx: work(tx, actor))))


def _answer(value: Any) -> Response:
    return Response(json.encode(json.plain(value)), 200, media_type="application/json")


routes = [
    Route("/api/jobs", get_jobs, methods=["GET"]),
    Route("/api/jobs/{job}", get_job, methods=["GET"]),
    Route("/api/jobs/{job}/cancel", cancel_job, methods=["POST"]),
    Route("/api/jobs/{job}/retry", retry_job, methods=["POST"]),
    Route("/api/jobs/{job}/priority", prioritise_job, methods=["POST"]),
    Route("/api/events", get_events, methods=["GET"]),
    Route("/api/events/{event:int}/retry", retry_event, methods=["POST"]),
    Route("/api/events/{event:int}/drop", drop_event, methods=["POST"]),
]
