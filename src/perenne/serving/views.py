"""What a deployment's screen shows of the deployment alone: who answers, who put what in service when, and the servers behind."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import inference
from perenne.auth import answers, audit
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core.clock import SystemClock
from perenne.core.errors import PerenneError
from perenne.net.listening import Listening, needs_tokens
from perenne.serving import rollouts, service, shares
from perenne.serving.calling import Calling, calling
from perenne.serving.live import LiveView, live
from perenne.serving.model import Deployment, Stop
from perenne.serving.status import read_statuses
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

SHOWN_CHANGES = 50
READ_RECORDS = 400
WORDS = {
    "deployed": "put in service",
    "promoted": "promoted",
    "rolled_back": "rolled back",
    "stopped": "stopped",
    "resumed": "resumed",
    "canary_set": "share of callers",
    "canary_removed": "canary removed",
    "weights_set": "shares of callers",
    "route_set": "route changed",
    "rules_set": "rules changed",
    "timeout_set": "time-out changed",
    "mirror_set": "mirror changed",
    "fallback_set": "fallback changed",
    "parked": "parked",
    "unparked": "asked again",
    "undone": "change undone",
    "challenger_set": "challenger set",
    "challenger_removed": "challenger removed",
    "stop_impossible": "stop was impossible",
}
TONES = {
    "rolled_back": "crit",
    "stopped": "crit",
    "stop_impossible": "crit",
    "parked": "crit",
    "promoted": "ok",
    "deployed": "ok",
    "resumed": "ok",
}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of what is served, as the audit trail has it: which generation it made, who, for whom, when and why."""

    generation: int | None
    change: str
    word: str
    tone: str
    champion: str
    challengers: tuple[str, ...]
    by: str
    by_kind: str
    on_behalf_of: str
    time: int
    reason: str
    record: int


class _Kept(msgspec.Struct):
    """What the trail keeps of a deployment that this page needs."""

    generation: int
    variants: tuple["_KeptVariant", ...]


class _KeptVariant(msgspec.Struct):
    role: str
    version: str


def changes(tx: Transaction, deployment: str) -> tuple[Change, ...]:
    """List the newest changes of a deployment, newest first."""
    trail = audit.trail(tx, entity="deployment", entity_id=deployment, limit=READ_RECORDS)
    mine = [record for record in trail if record.action.startswith("deployment.")]
    return tuple(_change(record) for record in mine[:SHOWN_CHANGES])


def _change(record: audit.AuditRecord) -> Change:
    name = record.action.removeprefix("deployment.")
    kept = msgspec.json.decode(record.after, type=_Kept) if record.after else None
    variants = kept.variants if kept else ()
    return Change(
        generation=kept.generation if kept else None,
        change=name,
        word=WORDS.get(name, name.replace("_", " ")),
        tone=TONES.get(name, "none"),
        champion=next((item.version for item in variants if item.role == "champion"), ""),
        challengers=tuple(item.version for item in variants if item.role == "challenger"),
        by=record.actor,
        by_kind=record.actor_kind,
        on_behalf_of=record.on_behalf_of,
        time=record.time,
        reason=record.reason,
        record=record.seq,
    )


class StopLine(msgspec.Struct, frozen=True):
    """That a deployment is stopped: who answers meanwhile, why, since when, by whom."""

    mode: str
    reason: str
    since: int
    by: str


def stop_line(stop: Stop | None) -> StopLine | None:
    """Put a stop into a line."""
    return None if stop is None else StopLine(stop.mode.value, stop.reason, stop.since, stop.by)


route_line = rollouts.route_line
rules_line = rollouts.rules_line


def learnt_shares(workspace: Workspace, deployment: Deployment) -> dict[str, float]:
    """Return the shares that a bandit gives by now, by version; nothing without a bandit."""
    found = shares.read_shares(workspace.settings.releases / deployment.name)
    return dict((found.of(deployment) or {}) if found else {})


def how_to_call(workspace: Workspace, deployment: Deployment) -> Calling | None:
    """Tell how a deployment is called: at a running server's address if there is one, else at the usual port.

    Returns
    -------
    Calling or None
        None if the champion's package cannot be read.
    """
    now = SystemClock().now()
    urls = [status.url for status in read_statuses(workspace.settings.spool, deployment.name, now)]
    url = urls[0] if urls else f"http://127.0.0.1:{workspace.settings.serve_port}"
    token = needs_tokens(Listening(host=workspace.settings.host), workspace.settings.auth)
    try:
        described = inference.describe(workspace.objects, deployment.champion.tree)
    except PerenneError:
        return None
    found = calling(url, described.signature, described.example, token=token)
    return msgspec.structs.replace(found, page=f"{url}/docs" if urls else "")


def project_of_deployment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment."""
    return service.get_deployment(tx, path["deployment"]).project


@needs(Action.READ, project=project_of_deployment, returns=LiveView)
async def get_live(request: Request) -> Response:
    """Ask the running model servers of a deployment how they do now."""
    workspace: Workspace = request.app.state.workspace
    name = request.path_params["deployment"]

    def asking() -> LiveView:
        with workspace.database.read() as tx:
            service.get_deployment(tx, name)
        return live(workspace.settings.home, workspace.settings.spool, name)

    return answers.answer(await asyncio.to_thread(asking))


routes = [Route("/api/deploy/{deployment}/live", get_live, methods=["GET"])]
