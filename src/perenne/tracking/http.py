"""REST of runs, for what MLflow's protocol has no way: perenne's own client begins runs here; permanent deletion."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.clock import SystemClock, parse_duration
from perenne.core.errors import Invalid
from perenne.core.hashing import digest_bytes, is_digest
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import arrivals, artifact_http, edit_http, removal, service
from perenne.tracking.arrivals import Arrival, named_objects
from perenne.tracking.removal import Collected

BINARY = ("", "application/json", "application/octet-stream")
"""An object may be anything: its digest tells whether it came whole."""


class Begun(msgspec.Struct, frozen=True):
    """A run that was begun: where its artifacts go, and which objects of its provenance are to be sent."""

    run: str
    artifact_uri: str
    missing: tuple[str, ...]


class Done(msgspec.Struct, frozen=True):
    """The run that did the same before; empty if there is none."""

    run: str


class Gone(msgspec.Struct, frozen=True):
    """A run that was removed for good, and how many points went with it."""

    run: str
    points: int


class Collect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be removed: what was deleted so long ago, in some experiments or all."""

    older_than: str = "30d"
    experiments: tuple[int, ...] = ()
    dry_run: bool = False

    @property
    def chosen(self) -> frozenset[int] | None:
        """The experiments; None for all."""
        return frozenset(self.experiments) or None


def project_of_run(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a run."""
    return service.get_run(tx, path["run"]).project


@needs(
    Action.LOG,
    filters=True,
    body=Arrival,
    example={"id": "01M8GTCT8WR05FSDMJPDQ1JTKK", "experiment": "churn", "started": 1_795_900_000_000_000},
    returns=Begun,
    status=201,
)
async def post_run(request: Request) -> Response:
    """Begin a run under an id of one's own choice; to do so twice changes nothing: 201."""
    said = json.decode(await request.body(), Arrival, what="run")
    workspace: Workspace = request.app.state.workspace
    actor: Principal = request.state.actor

    def work() -> Begun:
        run = workspace.database.write(lambda tx: arrivals.begin(tx, actor, said))
        lacking = (digest for digest in sorted(named_objects(said.provenance)) if not workspace.objects.exists(digest))
        return Begun(run.id, run.artifact_uri, tuple(lacking))

    return answers.answer(await asyncio.to_thread(work), 201)


@needs(Action.LOG, project=project_of_run, accepts=BINARY, status=204)
async def put_object(request: Request) -> Response:
    """Send an object that the run's provenance names: 204."""
    digest, body = request.path_params["digest"], await request.body()
    if not is_digest(digest):
        raise Invalid(f"{digest[:80]!r} is no digest", code="run.object", hint="it is the SHA-256 of the bytes, in hexadecimal")
    workspace: Workspace = request.app.state.workspace

    def work() -> None:
        with workspace.database.read() as tx:
            named = named_objects(service.get_run(tx, request.path_params["run"]).provenance)
        if digest not in named:
            raise Invalid("the run's provenance names no such object", code="run.object", hint="begin the run with it")
        if digest_bytes(body) != digest:
            raise Invalid("the bytes are not those of the digest", code="run.object", hint="send them again")
        workspace.objects.put(body)

    await asyncio.to_thread(work)
    return Response(status_code=204)


@needs(Action.READ, filters=True, returns=Done)
async def get_done(request: Request) -> Response:
    """Find a finished run of an experiment by the fingerprint of what it did."""
    asked = request.query_params
    for name in ("experiment", "fingerprint"):
        if name not in asked:
            raise Invalid(f"{name} is missing", code="request.query", hint="?experiment=…&fingerprint=…")
    return await answers.read(
        request, lambda tx, actor: Done(arrivals.find_done(tx, actor, asked["experiment"], asked["fingerprint"]))
    )


@needs(Action.EDIT_PROJECT, project=project_of_run, returns=Gone)
async def delete_run(request: Request) -> Response:
    """Remove a run for good, with all that belongs to it; 409 if something points to it."""
    run = request.path_params["run"]
    return await answers.write(request, lambda tx, actor: Gone(run, removal.remove_run(tx, actor, run)))


@needs(Action.ADMINISTER, body=Collect, example={"older_than": "30d", "dry_run": True}, returns=Collected)
async def post_collect(request: Request) -> Response:
    """Remove for good what was deleted long enough ago, or tell what would be removed."""
    asked = json.decode(await request.body(), Collect, what="gc")
    before = SystemClock().now() - parse_duration(asked.older_than)
    database, actor = request.app.state.workspace.database, request.state.actor
    done = await asyncio.to_thread(
        removal.collect, database, actor, before=before, experiments=asked.chosen, dry_run=asked.dry_run
    )
    return answers.answer(done)


routes = [
    *edit_http.routes,
    Route("/api/runs", post_run, methods=["POST"]),
    Route("/api/runs/done", get_done, methods=["GET"]),
    Route("/api/runs/gc", post_collect, methods=["POST"]),
    Route("/api/runs/{run}", delete_run, methods=["DELETE"]),
    Route("/api/runs/{run}/objects/{digest}", put_object, methods=["PUT"]),
    *artifact_http.routes,
]
