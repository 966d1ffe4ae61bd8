"""REST of label sets and of labelling: `/api/label/…`; what works on many labels at once is in `bulk_http`."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.labels import agreeing, bulk_http, labelling, queues, sets
from perenne.labels.bulk_http import project_of_set
from perenne.labels.labelling import Kept, Said, Undone
from perenne.labels.model import Definition, LabelSet, Order, Role
from perenne.labels.queues import Dispute, Progress, Shown
from perenne.labels.values import Label


class NewSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label set to make: its name, the project it is for, and what it asks for."""

    name: str
    project: str
    definition: Definition


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to come next: how many items, in which order, and which are in hand already."""

    count: int = 1
    order: Order | None = None
    holding: list[str] = []


class Next(msgspec.Struct, frozen=True):
    """The next items, and how far it all is."""

    items: list[Shown]
    progress: Progress


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of some items."""

    labels: list[Said]


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided of some items; `gold` if it is an answer that is known, to hold labellers against."""

    labels: list[Said]
    gold: bool = False


class Passed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The item that is left to others."""

    item: str


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body without fields."""


EXAMPLE = {"kind": "binary", "classes": [{"name": "on time"}, {"name": "late"}], "instructions": "Late is 15 minutes or more."}
SAID = {"labels": [{"item": "0f3c0e3b0d5f4c0f9a7be5f3c1d2e4a6", "value": "late", "note": "", "request": "01M8GQ"}]}


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


@needs(Action.COMMENT, project=project_of_set, body=Wish, example={"count": 5}, returns=Next)
async def post_next(request: Request) -> Response:
    """Keep the next items for whoever asks, for as long as the label set says, and give them."""
    wish, name = json.decode(await request.body() or b"{}", Wish, what="wish"), request.path_params["label_set"]
    if not 1 <= wish.count <= queues.MOST_AT_ONCE:
        raise Invalid(f"count: {wish.count} items", code="label.number", hint=f"from 1 to {queues.MOST_AT_ONCE}")
    workspace, actor = request.app.state.workspace, request.state.actor

    def taking() -> Next:
        found, items = workspace.database.write(
            lambda tx: queues.take(tx, actor, name, count=wish.count, order=wish.order, holding=wish.holding)
        )
        with workspace.database.read() as tx:
            progress = queues.progress(tx, actor, name)
        return Next(queues.shown(workspace.objects, found, items), progress)

    return answers.answer(await asyncio.to_thread(taking))


@needs(Action.READ, project=project_of_set, returns=list[Label])
async def get_labels(request: Request) -> Response:
    """List labels as they were added, one's own or, for who may decide, everybody's: `?after=` goes on, `?item=` asks for one."""
    name, item = request.path_params["label_set"], queries.text(request, "item")
    after, limit = queries.whole_number(request, "after", 0), queries.whole_number(request, "limit", 1_000)
    return await answers.read(request, lambda tx, actor: labelling.history(tx, actor, name, after=after, limit=limit, item=item))


@needs(Action.COMMENT, project=project_of_set, body=Labels, example=SAID, returns=list[Kept], status=201)
async def post_labels(request: Request) -> Response:
    """Say what items are: 201 when kept, all or none; what comes twice under the same `request` is kept once."""
    body, name = json.decode(await request.body(), Labels, what="labels"), request.path_params["label_set"]
    return await answers.write(request, lambda tx, actor: labelling.say(tx, actor, name, body.labels), 201)


@needs(Action.COMMENT, project=project_of_set, body=Passed, example={"item": "0f3c0e3b0d5f4c0f9a7be5f3c1d2e4a6"}, returns=None)
async def post_skip(request: Request) -> Response:
    """Leave an item to others."""
    body, name = json.decode(await request.body(), Passed, what="skip"), request.path_params["label_set"]
    return await answers.write(request, lambda tx, actor: labelling.skip(tx, actor, name, body.item))


class Again(msgspec.Struct, frozen=True):
    """What was taken back, and the item as it is seen again."""

    undone: Undone
    item: Shown


@needs(Action.COMMENT, project=project_of_set, body=Nothing, example={}, returns=Again)
async def post_undo(request: Request) -> Response:
    """Take back what one did last, and give the item again."""
    json.decode(await request.body() or b"{}", Nothing, what="undo")
    workspace, actor, name = request.app.state.workspace, request.state.actor, request.path_params["label_set"]

    def undoing() -> Again:
        undone = workspace.database.write(lambda tx: labelling.undo(tx, actor, name))
        with workspace.database.read() as tx:
            found, items = queues.named(tx, actor, name, [undone.item])
        return Again(undone, queues.shown(workspace.objects, found, items)[0])

    return answers.answer(await asyncio.to_thread(undoing))


@needs(Action.ADJUDICATE, project=project_of_set, returns=list[Dispute])
async def get_disputes(request: Request) -> Response:
    """List the items that people differ on, with what they said: `?after=` is the item after which to go on."""
    name, after = request.path_params["label_set"], queries.text(request, "after")
    limit = queries.whole_number(request, "limit", 50)
    workspace, actor = request.app.state.workspace, request.state.actor

    def reading() -> list[Dispute]:
        with workspace.database.read() as tx:
            found = queues.disputed(tx, actor, name, limit=limit, after=after)
        return queues.disputes(workspace.objects, found)

    return answers.answer(await asyncio.to_thread(reading))


@needs(Action.ADJUDICATE, project=project_of_set, body=Decisions, example=SAID, returns=list[Kept], status=201)
async def post_decisions(request: Request) -> Response:
    """Decide what items are, whatever others said; or say what is known of them."""
    body, name = json.decode(await request.body(), Decisions, what="decisions"), request.path_params["label_set"]
    role = Role.GOLD if body.gold else Role.DECISION
    return await answers.write(request, lambda tx, actor: labelling.say(tx, actor, name, body.labels, role=role), 201)


@needs(Action.READ, project=project_of_set, returns=agreeing.Agreement)
async def get_agreement(request: Request) -> Response:
    """Tell how far people agree, how good each of them seems to be, and how often each class counts."""
    name = request.path_params["label_set"]
    return await answers.read(request, lambda tx, actor: agreeing.agreement(tx, actor, name))


routes = [
    *bulk_http.routes,
    Route("/api/label", get_sets, methods=["GET"]),
    Route("/api/label", post_set, methods=["POST"]),
    Route("/api/label/{label_set}", get_set, methods=["GET"]),
    Route("/api/label/{label_set}", put_set, methods=["PUT"]),
    Route("/api/label/{label_set}/next", post_next, methods=["POST"]),
    Route("/api/label/{label_set}/labels", get_labels, methods=["GET"]),
    Route("/api/label/{label_set}/labels", post_labels, methods=["POST"]),
    Route("/api/label/{label_set}/skip", post_skip, methods=["POST"]),
    Route("/api/label/{label_set}/undo", post_undo, methods=["POST"]),
    Route("/api/label/{label_set}/disputes", get_disputes, methods=["GET"]),
    Route("/api/label/{label_set}/decisions", post_decisions, methods=["POST"]),
    Route("/api/label/{label_set}/agreement", get_agreement, methods=["GET"]),
]
