"""REST of log-in and tokens: `/api/session` and `/api/token`."""

import asyncio
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, tokens
from perenne.auth.access import needs
from perenne.auth.entrance import Entrance, session_in, set_cookie
from perenne.auth.errors import Unauthenticated
from perenne.auth.principals import Principal, PrincipalKind, local_principal
from perenne.auth.publishing import publish
from perenne.auth.roles import Action, Role, allowed
from perenne.auth.sessions import Session, page_token
from perenne.auth.tokens import Token
from perenne.core import json
from perenne.core.clock import SECOND, parse_duration
from perenne.core.errors import Conflict
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

BODY = ("", "application/json")
"""Where everything in a body may be left out, there need not be one."""


class LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token, shown once for a session."""

    token: str


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at the page.

    Attributes
    ----------
    asked : bool
        Whether this server asks for a log-in.
    name, kind : str, PrincipalKind or None
        Who it is; None for somebody who has yet to log in.
    roles, projects : tuple
        What that allows, and where; no projects for everywhere.
    may : tuple of str
        The actions of `perenne.auth.roles` that the roles allow, such as ``deploy``.
    session : bool
        Whether it is a session that can be ended.
    expires : int or None
        When the session ends at the latest.
    page : str or None
        What a page sends with each change.
    """

    asked: bool
    name: str | None = None
    kind: PrincipalKind | None = None
    roles: tuple[Role, ...] = ()
    projects: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    session: bool = False
    expires: int | None = None
    page: str | None = None


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to make: see `perenne.auth.tokens.create_token`."""

    name: str
    roles: frozenset[Role]
    projects: frozenset[str] = frozenset()
    person: str = ""
    service: bool = False
    lifetime: str | None = None


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the secret before counts too."""

    overlap: str = "1d"


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why; kept in the audit trail."""

    reason: str = ""


class Shown(msgspec.Struct, frozen=True):
    """A token and its text, which is shown this once."""

    token: Token
    text: str


@needs(None, returns=Visitor)
async def get_session(request: Request) -> Response:
    """Say who one is, and whether this server asks for a log-in."""
    entrance: Entrance | None = request.app.state.entrance
    if entrance is None:
        return answers.answer(_visitor(local_principal(), asked=False))
    headers, scheme, address = dict(request.headers), request.url.scheme, _address(request)
    identity = session_in(headers, scheme)
    try:
        if identity is not None and "authorization" not in headers:
            session = await asyncio.to_thread(entrance.resume, identity, address)
            return answers.answer(_logged_in(session, identity))
        if "authorization" in headers:
            principal = await asyncio.to_thread(entrance.admit, "GET", headers, scheme, address)
            return answers.answer(_visitor(principal, asked=True))
    except Unauthenticated:
        pass
    return answers.answer(Visitor(asked=True))


@needs(None, body=LogIn, example={"token": "prn_…"}, returns=Visitor, status=201)
async def post_session(request: Request) -> Response:
    """Log in with a token: 201 and a cookie."""
    entrance: Entrance | None = request.app.state.entrance
    body = json.decode(await request.body(), LogIn, what="log-in")
    if entrance is None:
        raise Conflict("this server asks for no log-in", code="session.open_to_all", hint="everybody who reaches it may do all")
    headers, scheme = dict(request.headers), request.url.scheme
    before = session_in(headers, scheme) or ""
    session, identity = await asyncio.to_thread(entrance.log_in, body.token, _address(request), before)
    response = answers.answer(_logged_in(session, identity), 201)
    seconds = (session.expires - session.created) // SECOND
    response.headers["set-cookie"] = set_cookie(headers, scheme, identity, seconds)
    return response


@needs(Action.READ, filters=True, accepts=BODY, returns=Visitor)
async def delete_session(request: Request) -> Response:
    """Log out: the session ends for good, and the cookie goes."""
    entrance: Entrance | None = request.app.state.entrance
    headers, scheme = dict(request.headers), request.url.scheme
    identity = session_in(headers, scheme)
    if entrance is None or identity is None:
        raise Conflict("there is no session to end", code="session.none", hint="a token ends with `perenne token revoke`")
    await asyncio.to_thread(entrance.log_out, request.state.actor, identity)
    response = answers.answer(Visitor(asked=True))
    response.headers["set-cookie"] = set_cookie(headers, scheme, "", 0)
    return response


@needs(Action.READ, filters=True, returns=list[Token])
async def get_tokens(request: Request) -> Response:
    """List one's own tokens; an administrator sees everybody's."""
    return await answers.read(request, tokens.tokens)


@needs(
    Action.READ,
    filters=True,
    body=NewToken,
    example={"name": "checkout", "roles": ["caller"], "lifetime": "90d"},
    returns=Shown,
    status=201,
)
async def post_token(request: Request) -> Response:
    """Make a token: 201, with its text, this once."""
    body = json.decode(await request.body(), NewToken, what="token")
    lifetime = None if body.lifetime is None else parse_duration(body.lifetime)

    def work(tx: Transaction, actor: Principal, now: int) -> Shown:
        made = tokens.create_token(
            tx, actor, body.name, body.roles, now=now, lifetime=lifetime,
            service=body.service, person=body.person, projects=body.projects,
        )  # fmt: skip
        return Shown(*made)

    return await _changed(request, work, 201)


@needs(Action.READ, filters=True, accepts=BODY, body=Rotation, example={"overlap": "1d"}, returns=Shown)
async def rotate_token(request: Request) -> Response:
    """Give a token a new secret and show it, this once."""
    body = json.decode(await request.body() or b"{}", Rotation, what="rotation")
    overlap, identity = parse_duration(body.overlap), request.path_params["token"]

    def work(tx: Transaction, actor: Principal, now: int) -> Shown:
        return Shown(*tokens.rotate_token(tx, actor, identity, now=now, overlap=overlap))

    return await _changed(request, work)


@needs(Action.READ, filters=True, accepts=BODY, body=Revocation, example={"reason": "lost laptop"}, returns=Token)
async def revoke_token(request: Request) -> Response:
    """End a token at once, and the sessions opened with it."""
    body = json.decode(await request.body() or b"{}", Revocation, what="revocation")
    identity = request.path_params["token"]
    return await _changed(request, lambda tx, actor, now: tokens.revoke_token(tx, actor, identity, now=now, reason=body.reason))


async def _changed(request: Request, work: Callable[[Transaction, Principal, int], object], status: int = 200) -> Response:
    """Commit a change, then tell the model servers."""
    workspace: Workspace = request.app.state.workspace
    now = workspace.clock.now()
    response = await answers.write(request, lambda tx, actor: work(tx, actor, now), status)
    await asyncio.to_thread(publish, workspace.database, workspace.settings.keyring, now)
    return response


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _logged_in(session: Session, identity: str) -> Visitor:
    found = _visitor(session.principal, asked=True)
    return msgspec.structs.replace(found, session=True, expires=session.expires, page=page_token(identity))


def _visitor(principal: Principal, *, asked: bool) -> Visitor:
    return Visitor(
        asked=asked,
        name=principal.name,
        kind=principal.kind,
        roles=tuple(sorted(principal.roles)),
        projects=tuple(sorted(principal.projects)),
        may=tuple(action.name.lower() for action in Action if allowed(principal, action)),
    )


routes = [
    Route("/api/session", get_session, methods=["GET"]),
    Route("/api/session", post_session, methods=["POST"]),
    Route("/api/session", delete_session, methods=["DELETE"]),
    Route("/api/token", get_tokens, methods=["GET"]),
    Route("/api/token", post_token, methods=["POST"]),
    Route("/api/token/{token}/rotate", rotate_token, methods=["POST"]),
    Route("/api/token/{token}/revoke", revoke_token, methods=["POST"]),
]
