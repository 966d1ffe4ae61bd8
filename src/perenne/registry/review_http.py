"""REST of reviews and review policies, and of what people do with versions beside deciding: aliases, stages, tags, evidence."""

import asyncio
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
from perenne.core.errors import Invalid, NotFound
from perenne.registry import approvals, comparing, models, placing, policies, registrations, reviews, service
from perenne.registry.model import Dossier, Evidence, Gate, ReviewPolicy, Target, Version
from perenne.registry.review_store import KeptPolicy, Review, ReviewState
from perenne.storage.transaction import Transaction


class NewReview(msgspec.Struct, forbid_unknown_fields=True):
    """Ask that a version may take a place: `alias:champion`, `stage:Production`, or the name alone."""

    target: str
    reason: str = ""


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody says in a review, and why."""

    approve: bool
    reason: str = ""


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """Why."""

    reason: str = ""


class AliasBody(msgspec.Struct, forbid_unknown_fields=True):
    """The version an alias is to point to, and why."""

    version: str
    reason: str = ""


class StageBody(msgspec.Struct, forbid_unknown_fields=True):
    """The stage a version is to go to, and whether those in it are archived."""

    stage: str
    archive_others: bool = False
    reason: str = ""


class TagBody(msgspec.Struct, forbid_unknown_fields=True):
    """The value of a tag."""

    value: str


class ReviewPage(msgspec.Struct, frozen=True):
    """A review with what the gate of its place says now."""

    review: Review
    gate: Gate


def project_of_version(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a version."""
    return service.get_version(tx, path["version"]).project


def project_of_alias(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a model."""
    return models.get(tx, Principal("anybody"), path["model"]).project


def project_of_review(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a review."""
    return reviews.get(tx, Principal("anybody"), path["review"]).project


@needs(Action.READ, filters=True, returns=list[Review])
async def get_reviews(request: Request) -> Response:
    """List reviews, newest first: `?model=`, `?state=open`, and `?before=` the last of the page before."""
    model, before = queries.text(request, "model"), queries.text(request, "before")
    state, limit = _state(queries.text(request, "state")), queries.whole_number(request, "limit", reviews.ROWS)
    return await answers.read(
        request, lambda tx, actor: reviews.listed(tx, actor, model=model, state=state, before=before, limit=limit)
    )


def _state(text: str) -> ReviewState | None:
    if text and text not in list(ReviewState):
        raise Invalid(f"reviews have no state {text[:40]!r}", code="request.query", hint=f"one of: {', '.join(ReviewState)}")
    return ReviewState(text) if text else None


@needs(Action.READ, project=project_of_review, returns=ReviewPage)
async def get_review(request: Request) -> Response:
    """Give a review with what its gate says now."""
    identity = request.path_params["review"]

    def read(tx: Transaction, actor: Principal) -> ReviewPage:
        found = reviews.get(tx, actor, identity)
        return ReviewPage(found, reviews.gate_of(tx, found))

    return await answers.read(request, read)


@needs(
    Action.OPEN_REVIEW, project=project_of_version, body=NewReview, example={"target": "champion", "reason": "better for all"},
    returns=Review, status=201,
)  # fmt: skip
async def post_review(request: Request) -> Response:
    """Ask that a version may take an alias or a stage: 201 when kept."""
    body, version = json.decode(await request.body(), NewReview, what="review"), request.path_params["version"]
    target = reviews.target_of(body.target)
    return await answers.write(
        request, lambda tx, actor: reviews.open_review(tx, actor, version, target, reason=body.reason), 201
    )


@needs(
    Action.OPEN_REVIEW, project=project_of_review, body=Verdict, example={"approve": True, "reason": "checked"}, returns=Review
)
async def post_verdict(request: Request) -> Response:
    """Say yes or no in a review: who may is for its policies to say."""
    body, identity = json.decode(await request.body(), Verdict, what="verdict"), request.path_params["review"]
    return await answers.write(
        request, lambda tx, actor: reviews.decide(tx, actor, identity, approve=body.approve, reason=body.reason)
    )


@needs(Action.OPEN_REVIEW, project=project_of_review, body=Reason, example={"reason": "not yet"}, returns=Review)
async def post_withdrawal(request: Request) -> Response:
    """Ask no longer: who opened the review may, and an owner."""
    body, identity = json.decode(await request.body() or b"{}", Reason, what="reason"), request.path_params["review"]
    return await answers.write(request, lambda tx, actor: reviews.withdraw(tx, actor, identity, reason=body.reason))


@needs(Action.READ, filters=True, returns=list[KeptPolicy])
async def get_policies(request: Request) -> Response:
    """List the review policies, by name."""
    return await answers.read(request, lambda tx, _: policies.stated(tx))


EXAMPLE = {"name": "prod", "aliases": ["champion"], "stages": ["Production"], "approvals": 1, "approvers": ["validator"]}


@needs(Action.ADMINISTER, body=ReviewPolicy, example=EXAMPLE, returns=ReviewPolicy)
async def put_policy(request: Request) -> Response:
    """State a review policy, in place of the one of its name."""
    body = json.decode(await request.body(), ReviewPolicy, what="policy")
    if body.name != request.path_params["policy"]:
        raise Invalid("name differs from that in the address", code="policy.name", hint="give the same in both")
    return await answers.write(request, lambda tx, actor: policies.state(tx, actor, body))


@needs(Action.ADMINISTER, returns=None)
async def delete_policy(request: Request) -> Response:
    """Remove a review policy."""
    name = request.path_params["policy"]
    return await answers.write(request, lambda tx, actor: policies.remove(tx, actor, name))


@needs(Action.DEPLOY, project=project_of_alias, body=AliasBody, example={"version": "churn@1"}, returns=Version)
async def put_alias(request: Request) -> Response:
    """Point an alias to a version, if its gate is open where the alias is guarded."""
    body, path = json.decode(await request.body(), AliasBody, what="alias"), dict(request.path_params)

    def point(tx: Transaction, actor: Principal) -> Version:
        placing.set_alias(tx, actor, path["model"], path["alias"], body.version, reason=body.reason)
        return service.get_version(tx, body.version)

    return await answers.write(request, point)


@needs(Action.DEPLOY, project=project_of_alias, returns=Target)
async def delete_alias(request: Request) -> Response:
    """Take an alias away."""
    path = dict(request.path_params)

    def drop(tx: Transaction, actor: Principal) -> Target:
        models.get(tx, actor, path["model"])
        if not placing.drop_alias(tx, actor, path["model"], path["alias"]):
            raise NotFound("there is no such alias", code="alias.not_found", hint="the page of the model has those that are")
        return Target("alias", path["alias"])

    return await answers.write(request, drop)


@needs(Action.DEPLOY, project=project_of_version, body=StageBody, example={"stage": "Archived"}, returns=Version)
async def post_stage(request: Request) -> Response:
    """Put a version into a stage, if its gate is open where the stage is guarded."""
    body, version = json.decode(await request.body(), StageBody, what="stage"), request.path_params["version"]
    return await answers.write(
        request,
        lambda tx, actor: placing.move_to_stage(
            tx, actor, version, body.stage, archive_others=body.archive_others, reason=body.reason
        ),
    )


@needs(Action.LOG, project=project_of_version, body=TagBody, example={"value": "yes"}, returns=dict[str, str])
async def put_tag(request: Request) -> Response:
    """Give a version a tag; an empty value takes it away. Answers all its tags."""
    body, path = json.decode(await request.body(), TagBody, what="tag"), dict(request.path_params)

    def change(tx: Transaction, actor: Principal) -> dict[str, str]:
        found = service.get_version(tx, path["version"])
        if body.value:
            registrations.set_tag(tx, actor, found.model, found.number, path["key"], body.value)
        else:
            registrations.drop_tag(tx, actor, found.model, found.number, path["key"])
        return registrations.entries(tx, [found])[0].tags

    return await answers.write(request, change)


@needs(
    Action.APPROVE_TECHNICAL, project=project_of_version, body=list[Evidence],
    example=[{"check": "bias: age", "verdict": "pass", "value": 0.02}], returns=Dossier, status=201,
)  # fmt: skip
async def post_evidence(request: Request) -> Response:
    """Deposit what a validator found out about a version: 201 when kept."""
    body, version = json.decode(await request.body(), list[Evidence], what="evidence"), request.path_params["version"]

    def deposit(tx: Transaction, actor: Principal) -> Dossier:
        approvals.testify(tx, actor, version, body)
        return service.dossier(tx, version)

    return await answers.write(request, deposit, 201)


@needs(Action.READ, project=project_of_version, returns=list[comparing.Difference])
async def get_diff(request: Request) -> Response:
    """Give what differs between a version and another, `?with=churn@2`."""
    version, other, actor = request.path_params["version"], queries.text(request, "with"), request.state.actor
    if not other:
        raise Invalid("with is missing", code="request.query", hint="?with=churn@2 names the other version")
    found = await asyncio.to_thread(comparing.compare, request.app.state.workspace, version, other, actor)
    return answers.answer(found)


routes = [
    Route("/api/review", get_reviews, methods=["GET"]),
    Route("/api/review/policy", get_policies, methods=["GET"]),
    Route("/api/review/policy/{policy}", put_policy, methods=["PUT"]),
    Route("/api/review/policy/{policy}", delete_policy, methods=["DELETE"]),
    Route("/api/review/{review}", get_review, methods=["GET"]),
    Route("/api/review/{review}/verdict", post_verdict, methods=["POST"]),
    Route("/api/review/{review}/withdraw", post_withdrawal, methods=["POST"]),
    Route("/api/model/version/{version}/review", post_review, methods=["POST"]),
    Route("/api/model/version/{version}/stage", post_stage, methods=["POST"]),
    Route("/api/model/version/{version}/evidence", post_evidence, methods=["POST"]),
    Route("/api/model/version/{version}/diff", get_diff, methods=["GET"]),
    Route("/api/model/version/{version}/tag/{key}", put_tag, methods=["PUT"]),
    Route("/api/model/{model}/alias/{alias}", put_alias, methods=["PUT"]),
    Route("/api/model/{model}/alias/{alias}", delete_alias, methods=["DELETE"]),
]
