"""Why a prediction is what it is: the answer, the chain behind it down to code and data, drift, inputs, and what came true."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, serving
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action, sees
from perenne.automation import Why
from perenne.core.addresses import address_of
from perenne.serving import Deployment
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

OFFERED = 12
NEWEST = 5
SHORT = 12
_COLUMNS = ("prediction_id", "arrival", "prediction", "score", "version")
_CHOSEN = {
    "": "",
    "fallback": "the champion could not answer",
    "stopped": "the deployment was stopped",
    "explicit": "the caller asked for this very version",
}
_VARIANTS = {
    "champion": "the champion answers",
    "previous": "the version before the champion answered",
    "constant": "a constant answered, and no model",
}
_VERDICTS = {True: "ok", False: "crit"}


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """A link of the chain behind an answer: what it is, what it is called, a few words, and where it is shown."""

    kind: str
    title: str
    note: str
    path: str = ""
    at: int | None = None
    tone: str = ""


class WhyView(msgspec.Struct, frozen=True):
    """An explained prediction.

    Attributes
    ----------
    why : Why
        What `perenne why` tells.
    chosen : str
        Who answered and why, in words.
    chain : tuple of Behind
        From who answered to data, code and approvals.
    """

    why: Why
    chosen: str
    chain: tuple[Behind, ...]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction that can be explained."""

    id: str
    arrived: int
    answer: str | float | None
    score: float | None
    version: str


class Offer(msgspec.Struct, frozen=True):
    """The newest predictions of a deployment's champion that are in the log."""

    deployment: str
    project: str
    newest: tuple[Answered, ...]


class WhyStart(msgspec.Struct, frozen=True):
    """What can be explained: the newest predictions of some deployments, and how many deployments there are."""

    offers: tuple[Offer, ...]
    deployments: int


def start_view(tx: Transaction, actor: Principal, workspace: Workspace, deployment: str = "") -> WhyStart:
    """Offer predictions: of every deployment, or of the one that is named."""
    mine = [item for item in serving.service.deployments(tx) if sees(actor, item.project)]
    shown = [item for item in mine if deployment in ("", item.name)][:OFFERED]
    return WhyStart(tuple(_offer(workspace, item) for item in shown), len(mine))


def _offer(workspace: Workspace, item: Deployment) -> Offer:
    table = serving.read_predictions(
        workspace.settings.logs, version=item.champion.version, variant="champion", columns=_COLUMNS, newest=NEWEST
    )
    newest = reversed(table.slice(max(0, table.num_rows - NEWEST)).to_pylist())
    return Offer(item.name, item.project, tuple(_answered(row) for row in newest))


def _answered(row: dict[str, Any]) -> Answered:
    return Answered(
        id=row["prediction_id"],
        arrived=int(row["arrival"].timestamp() * 1_000_000),
        answer=row["prediction"],
        score=row["score"],
        version=row["version"],
    )


def why_view(found: Why) -> WhyView:
    """Show an explained prediction."""
    said = _VARIANTS.get(found.variant, f"{found.variant} answered")
    because = _CHOSEN.get(found.reason, found.reason)
    chain = (*_served(found), *_made(found), *_code(found), *_approvals(found))
    return WhyView(found, f"{said}: {because}" if because else said, chain)


def _served(found: Why) -> Iterator[Behind]:
    yield Behind(
        kind="deployment",
        title=found.deployment,
        note=f"answered as {found.variant}",
        path=address_of("deployment", found.deployment),
        at=found.arrived,
    )
    yield Behind(
        kind="version",
        title=found.version,
        note=f"{found.version_state}, registered by {found.registered_by}",
        path=address_of("version", found.version),
        at=found.registered,
    )


def _made(found: Why) -> Sequence[Behind]:
    run = Behind(
        kind="run",
        title=f"{found.run_kind} {found.run[-SHORT:]}",
        note=found.run_outcome,
        path=address_of("run", found.run),
        at=found.run_ended or found.run_started,
    )
    until = f", until {found.trained_until[:10]}" if found.trained_until else ""
    snapshot = Behind(
        kind="snapshot",
        title=f"{found.dataset} {found.snapshot[:SHORT]}",
        note=f"{found.snapshot_rows:,} rows{until}",
        path=address_of("snapshot", found.snapshot),
        at=found.snapshot_taken,
    )
    return (run, snapshot)


def _code(found: Why) -> Iterator[Behind]:
    if found.commit:
        changed = "with uncommitted changes, which are kept as a patch" if found.uncommitted else "nothing uncommitted"
        yield Behind(kind="code", title=f"commit {found.commit[:SHORT]}", note=changed, path=address_of("run", found.run))
    else:
        yield Behind(kind="code", title="no commit", note="the project is in no Git repository; its files are kept with the run")


def _approvals(found: Why) -> Iterator[Behind]:
    for item in found.decisions:
        alone = ", alone: there is nobody else" if item.solo else ""
        yield Behind(
            kind="decision",
            title=f"{'approved' if item.approved else 'rejected'} by {item.approver}",
            note=f"{item.reason or 'no reason given'}{alone}",
            path=address_of("version", found.version),
            at=item.time,
            tone=_VERDICTS[item.approved],
        )


@needs(Action.READ, filters=True, returns=WhyStart)
async def get_start(request: Request) -> Response:
    """Give predictions to choose from; `deployment` names the only one to look at."""
    workspace, only = request.app.state.workspace, text(request, "deployment")
    return await answers.view(request, lambda tx, actor: start_view(tx, actor, workspace, only))


@needs(Action.READ, filters=True, returns=WhyView)
async def get_why(request: Request) -> Response:
    """Give an explained prediction."""
    prediction, projects = request.path_params["prediction"], request.state.actor.projects
    found = await asyncio.to_thread(automation.why, request.app.state.workspace, prediction, projects)
    return await answers.view(request, lambda tx, actor: why_view(found))


routes = [
    Route("/api/view/why", get_start, methods=["GET"]),
    Route("/api/view/why/{prediction}", get_why, methods=["GET"]),
]
