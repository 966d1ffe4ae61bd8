"""REST of deployments that others serve."""

import asyncio
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.clock import parse_duration
from perenne.formats import cloudevents
from perenne.monitoring.elsewhere import events, late, sending, service
from perenne.monitoring.elsewhere.model import Foreign, Roles, Signature
from perenne.monitoring.labels import LabelRow
from perenne.net.inbound import check_json, check_text, inflate
from perenne.stats.columns import Task
from perenne.storage.transaction import Transaction

TYPES = ("", "application/json", "application/octet-stream", cloudevents.STRUCTURED, cloudevents.BATCH)
LONGEST = 32 << 20
EXAMPLE = {
    "rows": [
        {"time": [1764000000000000], "id": ["order 7"], "features": {"wind": [3.5]}, "prediction": ["yes"], "score": [[0.8]]}
    ]
}
EVENT = {
    "specversion": "1.0",
    "id": "7",
    "source": "http://node:9081/",
    "type": cloudevents.REQUEST,
    "namespace": "shop",
    "inferenceservicename": "churn",
    "data": {"instances": [[31, 1]]},
}
LABELS = [{"prediction_id": "order 7", "label": "no", "time": "2026-11-21T09:00:00Z"}]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=5_000)]


class Added(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be watched; durations as texts. Rows come by events or by a program: addresses are named on the command line."""

    name: Name
    kserve: Name | None = None
    time: Name = "time"
    prediction: Name = "prediction"
    score: Names = ()
    label: Name = ""
    id: Name = ""
    features: Names = ()
    task: Task | None = None
    classes: Names = ()
    window: Name = "1d"
    late: Name = "1d"
    project: Name = ""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A body without a field: the path says it all."""


def told(known: Foreign) -> dict[str, Any]:
    """Return a deployment that others serve as it may be shown: without what is sealed."""
    plain: dict[str, Any] = msgspec.to_builtins(known)
    return {name: value for name, value in plain.items() if name not in ("sealed", "state", "revision")}


@needs(Action.READ, filters=True)
async def get_all(request: Request) -> Response:
    """List the deployments that others serve."""
    return await answers.read(request, lambda tx, actor: [told(item) for item in service.listed(tx, actor)])


@needs(Action.READ, project=service.project_of)
async def get_one(request: Request) -> Response:
    """Show a deployment that others serve."""
    name = request.path_params["deployment"]
    return await answers.read(request, lambda tx, actor: told(service.get(tx, actor, name)))


@needs(Action.DEPLOY, filters=True, body=Added, example={"name": "fraud", "kserve": "payments/fraud"}, status=201)
async def post_new(request: Request) -> Response:
    """Begin to watch what others serve, whose rows are sent."""
    body = json.decode(await request.body(), Added, what="deployment")
    new = Foreign(
        name=body.name,
        project=body.project or body.name,
        version=f"{body.name}@1",
        kserve=body.kserve,
        roles=Roles(
            time=body.time,
            prediction=body.prediction,
            score=body.score,
            label=body.label,
            identity=body.id,
            features=body.features,
        ),
        signature=Signature(task=body.task, classes=body.classes),
        window=parse_duration(body.window),
        late=parse_duration(body.late),
    )
    workspace, actor = request.app.state.workspace, request.state.actor
    return answers.answer(told(await asyncio.to_thread(service.add, workspace, actor, new)), 201)


@needs(Action.LOG, filters=True, body=sending.Sent, example=EXAMPLE, returns=sending.Accepted)
async def post_rows(request: Request) -> Response:
    """Keep rows that somebody else's server answered: they are on the disk when this answers. The same again changes nothing."""
    body = json.decode(await request.body(), sending.Sent, what="rows")
    workspace, name = request.app.state.workspace, request.path_params["deployment"]
    return answers.answer(await asyncio.to_thread(sending.accept, workspace, request.state.actor, name, body))


@needs(Action.LOG, filters=True, accepts=TYPES, body=dict[str, Any], example=EVENT, returns=sending.Accepted)
async def post_events(request: Request) -> Response:
    """Keep CloudEvents of KServe's logger, one or a batch: they are on the disk when this answers."""
    body = await request.body()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() in (cloudevents.STRUCTURED, cloudevents.BATCH):
        body = inflate(body, request.headers.get("content-encoding", ""), LONGEST)
        check_json(body)
        check_text(body)
    headers = {name.lower(): value for name, value in request.headers.items()}
    workspace, actor = request.app.state.workspace, request.state.actor
    return answers.answer(await asyncio.to_thread(events.accept, workspace, actor, headers, body))


@needs(Action.COMMENT, project=service.project_of, body=list[LabelRow], example=LABELS, returns=late.Found, status=201)
async def post_labels(request: Request) -> Response:
    """Take labels of rows by the ids that their own server gave them."""
    rows = json.decode(await request.body(), list[LabelRow], what="labels")
    workspace, name = request.app.state.workspace, request.path_params["deployment"]
    return answers.answer(await asyncio.to_thread(late.submit, workspace, request.state.actor, name, rows), 201)


def _acting(act: Any) -> Any:
    async def endpoint(request: Request) -> Response:
        json.decode(await request.body(), Nothing, what="request")
        name, now = request.path_params["deployment"], request.app.state.workspace.clock.now()

        def work(tx: Transaction, actor: Principal) -> dict[str, Any]:
            return told(act(tx, actor, name, now=now))

        return await answers.write(request, work)

    return endpoint


def _pause(tx: Transaction, actor: Principal, name: str, *, now: int) -> Foreign:
    return service.pause(tx, actor, name, paused=True, now=now)


def _resume(tx: Transaction, actor: Principal, name: str, *, now: int) -> Foreign:
    return service.pause(tx, actor, name, paused=False, now=now)


@needs(Action.DEPLOY, project=service.project_of, body=Nothing, example={})
async def pause(request: Request) -> Response:
    """Hold the readings."""
    return await _acting(_pause)(request)  # type: ignore[no-any-return]


@needs(Action.DEPLOY, project=service.project_of, body=Nothing, example={})
async def resume(request: Request) -> Response:
    """Let the readings go on."""
    return await _acting(_resume)(request)  # type: ignore[no-any-return]


@needs(Action.DEPLOY, project=service.project_of, body=Nothing, example={})
async def remove(request: Request) -> Response:
    """Watch it no longer; what was found stays."""
    return await _acting(service.remove)(request)  # type: ignore[no-any-return]


@needs(Action.DEPLOY, project=service.project_of, body=Nothing, example={})
async def restore(request: Request) -> Response:
    """Bring back one that was removed."""
    return await _acting(service.restore)(request)  # type: ignore[no-any-return]


routes = [
    Route("/api/monitor/foreign", get_all, methods=["GET"]),
    Route("/api/monitor/foreign", post_new, methods=["POST"]),
    Route("/api/monitor/foreign/{deployment}", get_one, methods=["GET"]),
    Route("/api/monitor/foreign/{deployment}/rows", post_rows, methods=["POST"]),
    Route("/api/monitor/foreign/{deployment}/labels", post_labels, methods=["POST"]),
    Route("/v1/events", post_events, methods=["POST"]),
    Route("/api/v1/events", post_events, methods=["POST"]),
    Route("/api/monitor/foreign/{deployment}/pause", pause, methods=["POST"]),
    Route("/api/monitor/foreign/{deployment}/resume", resume, methods=["POST"]),
    Route("/api/monitor/foreign/{deployment}/remove", remove, methods=["POST"]),
    Route("/api/monitor/foreign/{deployment}/restore", restore, methods=["POST"]),
]
