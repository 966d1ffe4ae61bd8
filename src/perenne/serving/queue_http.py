"""REST of a person's queue: what waits, one ticket and its answer, and deciding."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import NotFound
from perenne.core.paging import page_of
from perenne.serving import queue
from perenne.serving.bodies import Given, project_of_deployment
from perenne.serving.model import Constant
from perenne.serving.ticket_store import QueuedTicket
from perenne.storage.transaction import Transaction

Answers = Annotated[list[Constant], msgspec.Meta(min_length=1, max_length=100_000)]


class DecideBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is answered, for each row or for all, and why."""

    answer: Constant | Answers
    reason: Given


@needs(Action.READ, project=project_of_deployment, returns=list[QueuedTicket])
async def get_queue(request: Request) -> Response:
    """List the requests that wait for a person, oldest first; with `all=1` also those that were decided."""
    query, name = request.query_params, request.path_params["deployment"]
    page = page_of(query)
    waiting = query.get("all") != "1"
    return await answers.read(
        request, lambda tx, _: queue.list_tickets(tx, name, waiting=waiting, after=query.get("after", ""), limit=page.limit)
    )


@needs(Action.READ, project=project_of_deployment, returns=QueuedTicket)
async def get_ticket(request: Request) -> Response:
    """Give a ticket: its `answer` is null while nobody has decided."""
    path = request.path_params
    return await answers.read(request, lambda tx, _: _of(tx, path))


@needs(
    Action.ADJUDICATE,
    project=project_of_deployment,
    body=DecideBody,
    example={"answer": "yes", "reason": "called the customer"},
    returns=QueuedTicket,
)
async def decide(request: Request) -> Response:
    """Answer a request in the place of the stopped model."""
    body, path = json.decode(await request.body(), DecideBody, what="decision"), request.path_params
    now = request.app.state.workspace.clock.now()
    return await answers.write(
        request, lambda tx, actor: queue.decide(tx, actor, _of(tx, path).id, body.answer, reason=body.reason, now=now)
    )


def _of(tx: Transaction, path: Mapping[str, str]) -> QueuedTicket:
    found = queue.get_ticket(tx, path["ticket"])
    if found.deployment != path["deployment"]:
        raise NotFound(f"{path['deployment'][:100]} has no such ticket", code="ticket.not_found", hint="it may be another one's")
    return found


routes = [
    Route("/api/deploy/{deployment}/queue", get_queue, methods=["GET"]),
    Route("/api/deploy/{deployment}/queue/{ticket}", get_ticket, methods=["GET"]),
    Route("/api/deploy/{deployment}/queue/{ticket}/decide", decide, methods=["POST"]),
]
