"""REST of labels: `/api/label/…`."""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.labels import sets
from perenne.labels.model import Definition, LabelSet
from perenne.storage.transaction import Transaction


class NewSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label set to make: its name, the project it is for, and what it asks for."""

    name: str
    project: str
    definition: Definition


EXAMPLE = {"kind": "binary", "classes": [{"name": "on time"}, {"name": "late"}], "instructions": "Late is 15 minutes or more."}


def project_of_set(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a label set."""
    return sets.get(tx, Principal("anybody"), path["label_set"]).project


@needs(Action.READ, filters=True, returns=list[LabelSet])
async def get_sets(request: Request) -> Response:
    """List label sets by name: `?after=` is the one after which to go on."""
    after, limit = queries.text(request, "after"), queries.whole_number(request, "limit", sets.ROWS)
    return await answers.read(request, lambda tx, actor: sets.listed(tx, actor, after=after, limit=limit))


@needs(
    Action.LOG, filters=True, body=NewSet, example={"name": "lateness", "project": "flights", "definition": EXAMPLE},
    returns=LabelSet, status=201,
)  # fmt: skip
async def post_set(request: Request) -> Response:
    """Make a label set: 201 when kept."""
    body = json.decode(await request.body(), NewSet, what="label set")
    return await answers.write(
        request, lambda tx, actor: sets.create(tx, actor, body.name, body.definition, project=body.project), 201
    )


@needs(Action.READ, project=project_of_set, returns=LabelSet)
async def get_set(request: Request) -> Response:
    """Give a label set."""
    name = request.path_params["label_set"]
    return await answers.read(request, lambda tx, actor: sets.get(tx, actor, name))


@needs(Action.LOG, project=project_of_set, body=Definition, example=EXAMPLE, returns=LabelSet)
async def put_set(request: Request) -> Response:
    """State anew what a label set asks for."""
    body, name = json.decode(await request.body(), Definition, what="definition"), request.path_params["label_set"]
    return await answers.write(request, lambda tx, actor: sets.change(tx, actor, name, body))


routes = [
    Route("/api/label", get_sets, methods=["GET"]),
    Route("/api/label", post_set, methods=["POST"]),
    Route("/api/label/{label_set}", get_set, methods=["GET"]),
    Route("/api/label/{label_set}", put_set, methods=["PUT"]),
]
