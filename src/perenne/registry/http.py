"""REST of the registry: versions, their dossiers, and decisions."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import Invalid, NotFound
from perenne.registry import approvals, card, card_html, card_text, model_store, review_http, service, trust_http, webhook_http
from perenne.registry.model import Decision, Dossier, Version
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

project_of_review = review_http.project_of_review


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a person decided, and why."""

    approve: bool
    reason: str = ""


class BarBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a version may never answer again."""

    reason: str


def project_of_model(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a model."""
    found = model_store.find(tx, path["model"])
    return found.project if found else _known([])[0].project


def project_of_version(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a version."""
    return service.get_version(tx, path["version"]).project


@needs(Action.READ, project=project_of_model, returns=list[Version])
async def get_versions(request: Request) -> Response:
    """List the versions of a model, newest first."""
    return _answer(await asyncio.to_thread(_versions, request.app.state.workspace, request.path_params["model"]))


@needs(Action.READ, project=project_of_version, returns=Dossier)
async def get_version(request: Request) -> Response:
    """Give a version with gate, evidence and decisions."""
    return _answer(await asyncio.to_thread(_dossier, request.app.state.workspace, request.path_params["version"]))


@needs(
    Action.OPEN_REVIEW,
    project=project_of_version,
    body=DecisionBody,
    example={"approve": True, "reason": "agreed with the service team"},
    returns=Decision,
    status=201,
)
async def post_decision(request: Request) -> Response:
    """Approve or reject a version: 201 when kept. Approvers may, and whoever its review policies name."""
    body = json.decode(await request.body(), DecisionBody, what="decision")
    workspace: Workspace = request.app.state.workspace
    actor, version = request.state.actor, request.path_params["version"]

    def decide() -> Any:
        return workspace.database.write(lambda tx: approvals.decide(tx, actor, version, approve=body.approve, reason=body.reason))

    return _answer(await asyncio.to_thread(decide), 201)


@needs(Action.DEPLOY, project=project_of_version, body=BarBody, example={"reason": "its data was wrong"}, returns=Version)
async def post_bar(request: Request) -> Response:
    """Keep a version from ever being promoted again."""
    body = json.decode(await request.body(), BarBody, what="bar")
    if not body.reason.strip():
        raise Invalid("reason is empty", code="model.reason", hint="say why: it is kept in the audit trail")
    version = request.path_params["version"]

    def bar(tx: Transaction, actor: Principal) -> Version:
        approvals.bar(tx, actor, version, reason=body.reason)
        return service.get_version(tx, version)

    return await answers.write(request, bar)


@needs(Action.DEPLOY, project=project_of_version, body=BarBody, example={"reason": "the database was down"}, returns=Version)
async def post_clear(request: Request) -> Response:
    """Take the bar of a version away."""
    body, version = json.decode(await request.body(), BarBody, what="clear"), request.path_params["version"]
    return await answers.write(request, lambda tx, actor: approvals.clear(tx, actor, version, reason=body.reason))


@needs(Action.READ, project=project_of_version)
async def get_card(request: Request) -> Response:
    """Give the model card of a version as a file: Markdown, or with `?form=html` or `?form=json` as such."""
    version, form = request.path_params["version"], queries.text(request, "form") or "md"
    if form not in _FORMS:
        raise Invalid(f"a card has no form {form[:40]!r}", code="request.query", hint=f"one of: {', '.join(_FORMS)}")
    found = await asyncio.to_thread(card.card, request.app.state.workspace, version)
    name = re.sub(r"[^A-Za-z0-9._@-]", "_", found.version)
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"'}
    return Response(_FORMS[form](found), media_type=_TYPES[form], headers=headers)


_FORMS: dict[str, Callable[[card.Card], str | bytes]] = {
    "md": card_text.markdown,
    "html": lambda found: card_html.page(card_text.markdown(found), found.version),
    "json": json.encode,
}
_TYPES = {"md": "text/markdown", "html": "text/html", "json": "application/json"}


def _versions(workspace: Workspace, model: str) -> Any:
    with workspace.database.read() as tx:
        return _known(service.versions(tx, model))


def _known(versions: list[Version]) -> list[Version]:
    if not versions:
        raise NotFound("there is no such model", code="model.not_found", hint="`perenne model list` shows those that are")
    return versions


def _dossier(workspace: Workspace, version: str) -> Any:
    with workspace.database.read() as tx:
        return service.dossier(tx, version)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, media_type="application/json")


routes = [
    *webhook_http.routes,
    *trust_http.routes,
    Route("/api/model/{model}", get_versions, methods=["GET"]),
    Route("/api/model/version/{version}", get_version, methods=["GET"]),
    Route("/api/model/version/{version}/decision", post_decision, methods=["POST"]),
    Route("/api/model/version/{version}/bar", post_bar, methods=["POST"]),
    Route("/api/model/version/{version}/clear", post_clear, methods=["POST"]),
    Route("/api/model/version/{version}/card", get_card, methods=["GET"]),
    *review_http.routes,
]
