"""REST of webhooks, for what MLflow's protocol has no way: what was told to each, and what became of it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core.paging import page_of
from perenne.registry import webhooks
from perenne.registry.webhook_model import Delivery, Webhook


@needs(Action.ADMINISTER, returns=list[Webhook])
async def get_webhooks(request: Request) -> Response:
    """List webhooks, newest first, at most 200."""
    return await answers.read(request, lambda tx, actor: webhooks.window(tx, actor, webhooks.WINDOW))


@needs(Action.ADMINISTER, returns=list[Delivery])
async def get_deliveries(request: Request) -> Response:
    """List what was told to a webhook in the last thirty days, newest first: `waiting`, `delivered` or `failed`, and why."""
    identity, limit = request.path_params["webhook"], page_of(request.query_params).limit
    return await answers.read(request, lambda tx, actor: webhooks.deliveries(tx, actor, identity, limit))


routes = [
    Route("/api/model/webhooks", get_webhooks, methods=["GET"]),
    Route("/api/model/webhooks/{webhook}/deliveries", get_deliveries, methods=["GET"]),
]
