"""MLflow's REST as an ASGI application in front of another one, which gets every request that is not MLflow's."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from perenne.auth.principals import Principal
from perenne.auth.roles import require
from perenne.core.errors import PerenneError
from perenne.net.asgi import JSON, Application, Receive, Reply, Scope, Send, send_reply
from perenne.net.inbound import inflate, read_body
from perenne.protocols.mlflow import server, wire
from perenne.protocols.mlflow.endpoint import Answer, Call, Endpoint, Kind
from perenne.protocols.mlflow.wire import MlflowError
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.mlflow")

BODY_LIMIT = 32 << 20
THREADS = 16
PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/")
"""Below these every path is MLflow's, known or not."""


def endpoints() -> list[Endpoint]:
    """Return every endpoint of every group."""
    return [*server.ENDPOINTS]


class _Found(NamedTuple):
    endpoint: Endpoint
    parts: tuple[str, ...]
    route: str


class Routes:
    """Finds the endpoint of a method and a path: fixed paths in one lookup, others segment by segment."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._fixed: dict[str, dict[str, _Found]] = {}
        self._open: list[tuple[tuple[str, ...], Endpoint]] = []
        for endpoint in endpoints:
            for path in _paths(endpoint):
                if "{" in path:
                    self._open.append((tuple(path.split("/")), endpoint))
                else:
                    self._fixed.setdefault(path, {})[endpoint.method] = _Found(endpoint, (), path)

    def find(self, method: str, path: str) -> _Found | None:
        """Return who answers, None if the path is nobody's.

        Raises
        ------
        MlflowError
            If the path is known and does not take the method.
        """
        methods = self._fixed.get(path) or self._matching(path)
        if methods and method not in methods:
            raise MlflowError("METHOD_NOT_ALLOWED", f"{method} is not allowed here")
        return methods.get(method)

    def _matching(self, path: str) -> dict[str, _Found]:
        segments, found = path.split("/"), {}
        for pattern, endpoint in self._open:
            parts = _parts(pattern, segments)
            if parts is not None and endpoint.method not in found:
                found[endpoint.method] = _Found(endpoint, parts, "/".join(pattern))
        return found


def _paths(endpoint: Endpoint) -> list[str]:
    return [endpoint.path] if endpoint.path.startswith("/") else [f"/api/{endpoint.path}", f"/ajax-api/{endpoint.path}"]


def _parts(pattern: Sequence[str], segments: Sequence[str]) -> tuple[str, ...] | None:
    rest = pattern[-1] == "{*}"
    fixed = pattern[:-1] if rest else pattern
    if len(segments) < len(fixed) + rest or (not rest and len(segments) != len(fixed)):
        return None
    parts = []
    for expected, segment in zip(fixed, segments, strict=False):
        if expected == "{}" and segment:
            parts.append(segment)
        elif expected != segment:
            return None
    return (*parts, "/".join(segments[len(fixed) :])) if rest else tuple(parts)


class MlflowApplication:
    """MLflow's REST.

    Parameters
    ----------
    workspace : Workspace
        What it works on.
    otherwise : ASGI application
        Answers what is not MLflow's.
    """

    def __init__(self, workspace: Workspace, otherwise: Application) -> None:
        self._workspace = workspace
        self._otherwise = otherwise
        self._routes = Routes(endpoints())
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="perenne-mlflow")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        try:
            found = self._routes.find(method, path)
            if found is None and path.startswith(PREFIXES):
                raise MlflowError("ENDPOINT_NOT_FOUND", f"there is no endpoint {method} {path[:200]}")
            reply = None if found is None else await self._answer(found, scope, receive, send)
        except PerenneError as error:
            reply = wire.error_reply(error)
        except ConnectionError:  # the client went away
            return
        except Exception:
            log.exception("%s %s failed", method, path)
            reply = wire.error_reply(MlflowError("INTERNAL_ERROR", "something went wrong here; the server's log has it"))
        if reply is not None:
            await send_reply(send, reply)
        elif found is None:
            await self._otherwise(scope, receive, send)

    async def _answer(self, found: _Found, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        endpoint = found.endpoint
        actor: Principal = scope["state"]["actor"]
        if endpoint.action is not None:
            require(Principal(actor.name, actor.kind, actor.roles), endpoint.action)
        scope["route"] = _Pattern(found.route)
        if endpoint.kind is Kind.STREAM:
            await endpoint.handler(scope, receive, send, self._workspace, found.parts)
            return None
        body = await read_body(receive, BODY_LIMIT)
        if body:
            encoding = next((value for name, value in scope["headers"] if name == b"content-encoding"), b"")
            body = inflate(body, encoding.decode("latin-1").strip().lower(), BODY_LIMIT)
        asked = wire.decode(body, scope.get("query_string", b""), endpoint.asked)
        answer = await self._run(endpoint, actor, found.parts, asked)
        if isinstance(answer, Answer):
            return Reply(200, answer.body, answer.content_type, answer.headers)
        return Reply(200, wire.encode(answer), JSON)

    async def _run(self, endpoint: Endpoint, actor: Principal, parts: tuple[str, ...], asked: Any) -> Any:
        workspace, handler = self._workspace, endpoint.handler
        if endpoint.kind is Kind.READ:

            def reading() -> Any:
                with workspace.database.read() as tx:
                    return handler(Call(tx, actor, workspace, parts), asked)

            return await asyncio.get_running_loop().run_in_executor(self._threads, reading)
        change = workspace.database.submit(
            lambda tx: handler(Call(tx, actor, workspace, parts), asked), durable=endpoint.kind is Kind.CHANGE
        )
        return await asyncio.wrap_future(change)


class _Pattern(NamedTuple):
    """The pattern of a route, by which requests are counted."""

    path: str
