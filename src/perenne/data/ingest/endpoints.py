"""REST of sources: `/api/data/sources`. Declared they are at the command line: a request names no path and no query."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.data.ingest import declared
from perenne.data.ingest.model import Refresh, Source
from perenne.storage.transaction import Transaction


class SourceLine(msgspec.Struct, frozen=True):
    """Where the rows of a dataset come from, without any secret, and how the last reading went."""

    dataset: str
    uri: str
    query: str
    mode: str
    watermark: str
    every: str
    project: str
    paused: bool
    snapshot: str
    checked: int | None
    outcome: str
    problem: str
    failures: int


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dataset whose source is to be read."""

    dataset: str


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dataset whose source is to rest, or to go on."""

    dataset: str
    paused: bool


class Queued(msgspec.Struct, frozen=True):
    """The job that will read a source."""

    job: str


def _line(source: Source) -> SourceLine:
    return msgspec.convert({name: getattr(source, name) for name in SourceLine.__struct_fields__}, SourceLine)


@needs(Action.READ, filters=True, returns=list[SourceLine])
async def get_sources(request: Request) -> Response:
    """List sources by the names of their datasets."""
    return await answers.read(request, lambda tx, actor: [_line(source) for source in declared.list_sources(tx, actor)])


@needs(Action.READ, filters=True, returns=list[Refresh])
async def get_readings(request: Request) -> Response:
    """List the newest readings, of all sources or of the one of `?dataset=`."""
    dataset, limit = queries.text(request, "dataset"), queries.whole_number(request, "limit", 20)
    return await answers.read(request, lambda tx, actor: declared.history(tx, actor, dataset, max(1, min(limit, 1_000))))


@needs(Action.LOG, filters=True, body=Named, example={"dataset": "orders"}, returns=Queued, status=202)
async def post_refresh(request: Request) -> Response:
    """Queue a reading: 202 with the job that does it."""
    body = json.decode(await request.body(), Named, what="reading")
    return await answers.write(request, lambda tx, actor: Queued(declared.queue_now(tx, actor, body.dataset)), 202)


@needs(Action.LOG, filters=True, body=Pause, example={"dataset": "orders", "paused": True}, returns=SourceLine)
async def post_pause(request: Request) -> Response:
    """Hold a source's calendar, or let it go on."""
    body, now = json.decode(await request.body(), Pause, what="pause"), request.app.state.workspace.clock.now()

    def work(tx: Transaction, actor: Principal) -> SourceLine:
        return _line(declared.pause(tx, actor, body.dataset, paused=body.paused, now=now))

    return await answers.write(request, work)


routes = [
    Route("/api/data/sources", get_sources, methods=["GET"]),
    Route("/api/data/sources/readings", get_readings, methods=["GET"]),
    Route("/api/data/sources/refresh", post_refresh, methods=["POST"]),
    Route("/api/data/sources/pause", post_pause, methods=["POST"]),
]
