"""REST of trust: the verdict on a version's signature, the signature itself, the public keys, and what is asked of packages."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.inference import Signed
from perenne.registry import placing, service, trust
from perenne.registry.model import Version
from perenne.registry.trust_store import EVERYWHERE, KeptKey, Pickles, Requirement, TrustPolicy
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


class PolicyBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked of packages; what is not given stays. Of a project's alone if one is named."""

    require: Requirement | None = None
    pickles: Pickles | None = None
    project: str = EVERYWHERE
    reason: str = ""


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Another's public key, or the certificates of an authority, in PEM form, and how it is called."""

    pem: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: str = ""


class WithdrawBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a key is to count no more."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class SignBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a version is signed."""

    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class Withdrawn(msgspec.Struct, frozen=True):
    """A key that counts no more, and the versions that nobody else has signed."""

    key: str
    versions: list[str]


def project_of_version(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a version."""
    return service.get_version(tx, path["version"]).project


@needs(Action.READ, project=project_of_version, returns=Signed)
async def get_signature(request: Request) -> Response:
    """Judge the signature of a version over its files; with `?form=bundle` give the signature itself."""
    workspace, version, form = request.app.state.workspace, request.path_params["version"], queries.text(request, "form")
    if form not in ("", "bundle"):
        raise Invalid(f"a signature has no form {form[:40]!r}", code="request.query", hint="bundle, or none for the verdict")
    if form == "bundle":
        return await answers.read(request, lambda tx, _: msgspec.Raw(trust.bundle_of(tx, _served(tx, version))))
    found = await asyncio.to_thread(lambda: trust.verify(workspace, _read(workspace, version)))
    return answers.answer(found)


@needs(Action.LOG, project=project_of_version, body=SignBody, example={"reason": "checked by hand"}, returns=Signed, status=201)
async def post_signature(request: Request) -> Response:
    """Sign a version with this installation's key: 201 when kept."""
    workspace, actor = request.app.state.workspace, request.state.actor
    body, version = json.decode(await request.body(), SignBody, what="signature"), request.path_params["version"]

    def sign() -> Signed:
        return trust.sign(workspace, actor, _read(workspace, version), reason=body.reason)

    return answers.answer(await asyncio.to_thread(sign), 201)


def _served(tx: Transaction, identity: str) -> Version:
    return placing.as_served(tx, service.get_version(tx, identity))


def _read(workspace: Workspace, identity: str) -> Version:
    with workspace.database.read() as tx:
        return _served(tx, identity)


@needs(Action.READ, returns=list[KeptKey])
async def get_keys(request: Request) -> Response:
    """List the public keys whose signatures count, or did, oldest first."""
    return await answers.read(request, lambda tx, _: trust.all_keys(tx))


@needs(Action.ADMINISTER, body=KeyBody, example={"pem": "-----BEGIN PUBLIC KEY-----…", "name": "partner"}, returns=KeptKey)
async def post_key(request: Request) -> Response:
    """Let another's key count."""
    body = json.decode(await request.body(), KeyBody, what="key")

    def add(tx: Transaction, actor: Principal) -> KeptKey:
        return trust.trust_key(tx, actor, body.pem.encode(), body.name, reason=body.reason)

    return await answers.write(request, add)


@needs(Action.ADMINISTER, body=WithdrawBody, example={"reason": "the laptop was stolen"}, returns=Withdrawn)
async def post_withdrawal(request: Request) -> Response:
    """Let the signatures of a key count no more."""
    body, key = json.decode(await request.body(), WithdrawBody, what="withdrawal"), request.path_params["key"]
    return await answers.write(request, lambda tx, actor: Withdrawn(key, trust.withdraw(tx, actor, key, reason=body.reason)))


@needs(Action.READ, returns=TrustPolicy)
async def get_policy(request: Request) -> Response:
    """Tell what is asked of packages, of a `project`'s if one is named: the stricter of what it and the installation say."""
    project = queries.text(request, "project")
    return await answers.read(request, lambda tx, _: trust.policy(tx, project))


@needs(Action.ADMINISTER, body=PolicyBody, example={"require": "on"}, returns=TrustPolicy)
async def put_policy(request: Request) -> Response:
    """State what is asked of packages."""
    body = json.decode(await request.body(), PolicyBody, what="policy")

    def state(tx: Transaction, actor: Principal) -> TrustPolicy:
        return trust.state_policy(tx, actor, project=body.project, demand=body.require, pickles=body.pickles, reason=body.reason)

    return await answers.write(request, state)


routes = [
    Route("/api/model/version/{version}/signature", get_signature, methods=["GET"]),
    Route("/api/model/version/{version}/signature", post_signature, methods=["POST"]),
    Route("/api/model/trust/keys", get_keys, methods=["GET"]),
    Route("/api/model/trust/keys", post_key, methods=["POST"]),
    Route("/api/model/trust/keys/{key}/withdraw", post_withdrawal, methods=["POST"]),
    Route("/api/model/trust/policy", get_policy, methods=["GET"]),
    Route("/api/model/trust/policy", put_policy, methods=["PUT"]),
]
