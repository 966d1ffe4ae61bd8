"""REST of the catalogue: `/api/data/catalogue`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.data.catalogue import describing, finding
from perenne.data.catalogue.finding import Catalogue
from perenne.data.catalogue.model import Change, Described


@needs(Action.READ, filters=True, returns=Catalogue)
async def get_catalogue(request: Request) -> Response:
    """Find data sets: `?find=` words, `?filter=` in the filter language, `?order=`, `?limit=`, `?token=` of the page before."""
    words, text = queries.text(request, "find"), queries.text(request, "filter")
    order, token = queries.text(request, "order"), queries.text(request, "token")
    limit, now = queries.whole_number(request, "limit", 100), request.app.state.workspace.clock.now()
    orders = [order] if order else []
    return await answers.read(
        request,
        lambda tx, actor: finding.find(tx, actor, words, text, orders, now=now, limit=max(1, min(limit, 1_000)), token=token),
    )


@needs(Action.READ, filters=True, returns=Described)
async def get_entry(request: Request) -> Response:
    """Give what is said of a data set, and how fresh it is."""
    dataset, now = request.path_params["dataset"], request.app.state.workspace.clock.now()
    return await answers.read(request, lambda tx, actor: describing.describe(tx, actor, dataset, now))


@needs(
    Action.LOG, filters=True, body=Change, example={"owner": "crm", "tags": {"team": "crm"}, "freshness": "26h"},
    returns=Described,
)  # fmt: skip
async def patch_entry(request: Request) -> Response:
    """Change what is said of a data set; what is not given stays. With `revision`, 409 if it was changed meanwhile."""
    body = json.decode(await request.body(), Change, what="change")
    dataset, now = request.path_params["dataset"], request.app.state.workspace.clock.now()
    return await answers.write(request, lambda tx, actor: describing.change(tx, actor, dataset, body, now))


routes = [
    Route("/api/data/catalogue", get_catalogue, methods=["GET"]),
    Route("/api/data/catalogue/{dataset:path}", get_entry, methods=["GET"]),
    Route("/api/data/catalogue/{dataset:path}", patch_entry, methods=["PATCH"]),
]
