"""The door of the control plane: who calls, and whether the route they ask for is theirs to call.

`Door` stands before the router and lets nobody through who is not known; each route's endpoint stands behind a `Guarded`, which
asks for what the route declares (`perenne.auth.access`) and reads a JSON body within its limits. A route that declares nothing
keeps the server from starting.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from starlette.routing import BaseRoute, Route, request_response

from perenne.auth.access import Needs, declared
from perenne.auth.principals import Principal, local_principal
from perenne.auth.roles import require, sees
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.net.asgi import Application, FormOf, Receive, Scope, Send, send_reply
from perenne.net.inbound import Room, check_json, check_text, check_type, inflate, plain_form, read_body
from perenne.storage.workspace import Workspace

Who: TypeAlias = Callable[[str, Mapping[str, str], str, str], Principal]
"""Gives who calls by method, headers, scheme and address; raises what the caller is to be told."""

Public: TypeAlias = Callable[[str, str], bool]

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class Undeclared(PerenneError):
    """A route does not say what it asks for: a defect, found at the start."""


def guarded(routes: Iterable[BaseRoute], body: int, room: Room) -> list[Route]:
    """Put every route behind what it declares.

    Parameters
    ----------
    routes : iterable of Route
        Each endpoint declares what it asks for.
    body : int
        The largest body, also after decompression.
    room : Room
        How many requests may be at work.

    Raises
    ------
    Undeclared
        If one declares nothing.
    """
    return [_guarded(route, body, room) for route in routes]


def _guarded(route: BaseRoute, body: int, room: Room) -> Route:
    declares = declared(getattr(route, "endpoint", None))
    if not isinstance(route, Route) or declares is None:
        raise Undeclared(
            f"{getattr(route, 'path', route)} does not declare what it needs",
            code="route.undeclared",
            hint="put @needs(…) on its endpoint",
        )
    endpoint = Guarded(request_response(route.endpoint), declares, body, room)
    endpoint.__doc__ = route.endpoint.__doc__
    return Route(route.path, endpoint, methods=sorted(route.methods or {"GET"}), name=route.name)


def public_requests(routes: Iterable[Route]) -> Public:
    """Return what tells of a method and a path whether anybody may ask for it."""
    public = [route for route in routes if isinstance(route.endpoint, Guarded) and route.endpoint.needs.action is None]
    plain = frozenset((method, route.path) for route in public for method in route.methods or ())
    patterns = [(route.path_regex, route.methods or set()) for route in public if route.param_convertors]
    return lambda method, path: (
        (method, path) in plain or any(method in methods and pattern.match(path) for pattern, methods in patterns)
    )


class Guarded:
    """An endpoint that is reached only by who may, with a body it takes.

    Parameters
    ----------
    application : ASGI application
        What answers.
    needs : Needs
        What it asks for.
    body : int
        The largest body.
    room : Room
        How many requests may be at work.
    """

    def __init__(self, application: Application, needs: Needs, body: int, room: Room) -> None:
        self._application = application
        self.needs = needs
        self._body = body
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.needs.action is not None:
            await self._check_caller(scope)
        if scope["method"] not in _BODILESS:
            receive = await self._checked(scope, receive)
        with self._room:
            await self._application(scope, receive, send)

    async def _check_caller(self, scope: Scope) -> None:
        """Ask for the role, then whether what is named lies in the caller's projects; if not, it is as if it were not there."""
        actor: Principal = scope["state"]["actor"]
        assert self.needs.action is not None
        everywhere = not actor.projects or self.needs.filters
        project = None
        if not everywhere and self.needs.project is not None:
            project = await asyncio.to_thread(self._project, scope["app"].state.workspace, scope["path_params"], actor)
        require(_unlimited(actor) if everywhere else actor, self.needs.action, project)

    def _project(self, workspace: Workspace, path: dict[str, str], actor: Principal) -> str:
        assert self.needs.project is not None
        try:
            with workspace.database.read() as tx:
                found = self.needs.project(tx, path)
        except NotFound:
            found = None
        if found is None or not sees(actor, found):
            raise NotFound(
                "there is nothing of that name",
                code="request.not_found",
                hint="it may not exist, or lie in a project that is not yours",
            )
        return found

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        headers = dict(scope["headers"])
        kind = check_type(headers.get(b"content-type", b"").decode("latin-1"), self.needs.accepts)
        if kind not in ("", "application/json"):
            return receive
        encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        body = inflate(await read_body(receive, self._body), encoding, self._body)
        check_json(body)
        check_text(body)
        return _replaying(body)


def _replaying(body: bytes) -> Receive:
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, object]:
        return next(parts, {"type": "http.disconnect"})

    return receive


def _unlimited(actor: Principal) -> Principal:
    return Principal(actor.name, actor.kind, actor.roles)


class Door:
    """What every request passes first: finds out who calls.

    Parameters
    ----------
    application : ASGI application
        Reached with the caller in `scope["state"]["actor"]`.
    who : callable, optional
        Gives whom method, headers, scheme and address of a request stand for; the one local person if not given.
    public : callable
        Tells of a method and a path whether anybody may ask for it.
    form : callable
        Gives a refusal its form.
    """

    def __init__(self, application: Application, who: Who | None, public: Public, form: FormOf = plain_form) -> None:
        self._application = application
        self._who = who
        self._public = public
        self._form = form
        self._local = local_principal()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="perenne-door")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or not."""
        if scope["type"] == "http":
            try:
                actor = self._local if self._who is None else await self._caller(self._who, scope)
                scope.setdefault("state", {})["actor"] = actor
            except PerenneError as error:
                await send_reply(send, self._form(scope, error))
                return
        await self._application(scope, receive, send)

    async def _caller(self, who: Who, scope: Scope) -> Principal:
        if self._public(scope["method"], scope["path"]):
            return Principal("anybody")
        headers, address = _credentials(scope), (scope.get("client") or ("",))[0]
        ask = functools.partial(who, scope["method"], headers, scope.get("scheme", "http"), address)
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)


def _credentials(scope: Scope) -> dict[str, str]:
    """Return the headers of a request by name; a browser may send its cookies in several."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        if name == "authorization" and name in found:
            raise Invalid("there are two Authorization headers", code="request.authorization", hint="send one")
        found[name] = f"{found[name]}; {text}" if name == "cookie" and name in found else text
    return found
