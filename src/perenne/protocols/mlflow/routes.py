"""MLflow's REST as an ASGI application in front of another one, which gets every request that is not MLflow's."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from perenne.auth.principals import Principal
from perenne.auth.roles import require
from perenne.core.errors import PerenneError
from perenne.net.asgi import JSON, Application, Receive, Reply, Scope, Send, send_reply
from perenne.net.inbound import Room, check_json, check_text, inflate, read_body
from perenne.protocols.mlflow import wire
from perenne.protocols.mlflow.decoding import Decoder
from perenne.protocols.mlflow.endpoint import Answer, Call, Endpoint, Kind
from perenne.protocols.mlflow.groups import all_words, endpoints
from perenne.protocols.mlflow.left_out import refusal
from perenne.protocols.mlflow.wire import MlflowError
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.mlflow")

PROTOCOL = "3.17.2"
"""The version of MLflow whose protocol this is; its clients ask for it before they send spans."""

BODY_LIMIT = 32 << 20
THREADS = 16
AT_ONCE = 1_024
"""Requests at work; one more is told to come again, which clients do."""

MOST_FIELDS = 5_000
PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/", "/api/2.0mlflow/")
"""Below these every path is MLflow's, known or not."""

STREAMED = (b"/api/2.0/mlflow-artifacts/", b"/ajax-api/2.0/mlflow-artifacts/")
"""Where bodies are not held in memory, and have a limit of their own."""

_NO_BODY = frozenset({"GET", "HEAD"})


class Found(NamedTuple):
    """Who answers, what stood in the open places of the path, and what reads the request."""

    endpoint: Endpoint
    parts: tuple[str, ...]
    route: "Pattern"
    decoder: Decoder[Any]


class Pattern(NamedTuple):
    """The pattern of a route, by which requests are counted."""

    path: str


class Routes:
    """Finds the endpoint of a method and a path: fixed paths in one lookup, others segment by segment."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._fixed: dict[str, dict[str, Found]] = {}
        self._open: dict[int, list[tuple[tuple[str, ...], Found]]] = {}
        self._endless: list[tuple[tuple[str, ...], Found]] = []
        for endpoint in endpoints:
            decoder: Decoder[Any] = Decoder(endpoint.asked)
            for path in _paths(endpoint):
                self._add(path, Found(endpoint, (), Pattern(path), decoder))

    def _add(self, path: str, found: Found) -> None:
        pattern = tuple(path.split("/"))
        if "{" not in path:
            self._fixed.setdefault(path, {})[found.endpoint.method] = found
        elif pattern[-1] == "{*}":
            self._endless.append((pattern[:-1], found))
        else:
            self._open.setdefault(len(pattern), []).append((pattern, found))

    def find(self, method: str, path: str) -> Found | None:
        """Return who answers, None if the path is nobody's.

        Raises
        ------
        MlflowError
            If the path is known and does not take the method, or is one of something that is left out.
        """
        methods = self._fixed.get(path)
        if methods is None:
            if (refused := refusal(path)) is not None:
                raise refused
            methods = self._matching(path)
        if not methods:
            return None
        found = methods.get("GET" if method == "HEAD" else method)
        if found is None:
            raise MlflowError("METHOD_NOT_ALLOWED", f"{method[:20]} is not allowed here, but {', '.join(sorted(methods))}")
        return found

    def owns(self, path: str) -> bool:
        """Tell whether a path is MLflow's, known or not."""
        return path.startswith(PREFIXES) or path in self._fixed or refusal(path) is not None or bool(self._matching(path))

    def _matching(self, path: str) -> dict[str, Found]:
        segments, found = path.split("/"), dict[str, Found]()
        for pattern, candidate in self._open.get(len(segments), ()):
            _match(pattern, segments, candidate, found)
        for pattern, candidate in self._endless:
            if len(segments) > len(pattern):
                rest = "/".join(segments[len(pattern) :])
                _match(pattern, segments, candidate, found, (rest,))
        return found


def _paths(endpoint: Endpoint) -> list[str]:
    return [endpoint.path] if endpoint.path.startswith("/") else [f"/api/{endpoint.path}", f"/ajax-api/{endpoint.path}"]


def _match(
    pattern: Sequence[str], segments: Sequence[str], candidate: Found, found: dict[str, Found], rest: tuple[str, ...] = ()
) -> None:
    """Add a candidate whose pattern fits, unless one was found for its method."""
    parts = []
    for expected, segment in zip(pattern, segments, strict=False):
        if expected == "{}" and segment:
            parts.append(segment)
        elif expected != segment:
            return
    found.setdefault(candidate.endpoint.method, candidate._replace(parts=(*parts, *rest)))


class MlflowApplication:
    """MLflow's REST.

    Parameters
    ----------
    workspace : Workspace
        What it works on.
    otherwise : ASGI application
        Answers what is not MLflow's.
    more : sequence of Endpoint
        What MLflow's clients also send to, though the protocol is another's.
    """

    def __init__(self, workspace: Workspace, otherwise: Application, more: Sequence[Endpoint] = ()) -> None:
        self._workspace = workspace
        self._otherwise = otherwise
        self._routes = Routes([*endpoints(), *more])
        self._words = all_words()
        self._room = Room(AT_ONCE)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="perenne-mlflow")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        try:
            found = self._routes.find(method, path)
            if found is None:
                reply = self._unknown(method, path)
            else:
                scope["route"] = found.route
                reply = await self._answer(found, scope, receive, send)
        except PerenneError as error:
            reply = self.error_reply(error)
        except ConnectionError:  # the client went away
            return
        except Exception:
            log.exception("%s %s failed", method, path)
            reply = wire.error_reply(MlflowError("INTERNAL_ERROR", "something went wrong here; the server's log has it"))
        if reply is not None:
            await send_reply(send, reply)
        elif found is None:
            await self._otherwise(scope, receive, send)

    def owns(self, path: str) -> bool:
        """Tell whether a path is MLflow's: whatever is refused before it comes here is said in MLflow's form as well."""
        return self._routes.owns(path)

    def error_reply(self, error: PerenneError) -> Reply:
        """Give an error MLflow's form and, where clients match them, MLflow's words."""
        return wire.error_reply(error, self._words)

    def _unknown(self, method: str, path: str) -> Reply | None:
        if path.startswith(PREFIXES):
            raise MlflowError("ENDPOINT_NOT_FOUND", f"there is no endpoint {method[:20]} {path[:200]}")
        return None

    async def _answer(self, found: Found, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        endpoint = found.endpoint
        actor: Principal = scope["state"]["actor"]
        if endpoint.action is not None:
            require(Principal(actor.name, actor.kind, actor.roles) if actor.projects else actor, endpoint.action)
        if endpoint.kind is Kind.STREAM:
            await endpoint.handler(scope, receive, send, self._workspace, found.parts)
            return None
        asked = _asked(found.decoder, scope, await read_body(receive, BODY_LIMIT))
        with self._room:
            answer = await self._run(endpoint, actor, found.parts, asked)
        if isinstance(answer, Answer):
            return Reply(200, answer.body, answer.content_type, answer.headers)
        return Reply(200, wire.encode(answer), JSON)

    async def _run(self, endpoint: Endpoint, actor: Principal, parts: tuple[str, ...], asked: Any) -> Any:
        workspace, handler, kind = self._workspace, endpoint.handler, endpoint.kind
        if kind is Kind.READ:

            def reading() -> Any:
                with workspace.database.read() as tx:
                    return handler(Call(tx, actor, workspace, parts), asked)

            return await asyncio.get_running_loop().run_in_executor(self._threads, reading)
        return await _result(
            workspace.database.submit(
                lambda tx: handler(Call(tx, actor, workspace, parts), asked),
                durable=kind is Kind.CHANGE,
                alone=kind is Kind.CHANGE,
                loose=endpoint.loose is not None and endpoint.loose(asked),
            )
        )


async def _result(change: "Future[Any]") -> Any:
    """Wait for a change without a thread: `asyncio.wrap_future` does more than that, for twice the time."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    change.add_done_callback(lambda _: loop.call_soon_threadsafe(tell))
    await done
    return change.result()


def _asked(decoder: Decoder[Any], scope: Scope, body: bytes) -> Any:
    """Read a request: of a GET the query, of a DELETE whichever there is, else the body."""
    method, query = scope["method"], scope.get("query_string", b"")
    if query and (method in _NO_BODY or (method == "DELETE" and not body)):
        return decoder.query(_pairs(query))
    if not body:
        return decoder.body(b"")
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    encoding = headers.get(b"content-encoding", b"")
    if encoding:
        body = inflate(body, encoding.decode("latin-1").strip().lower(), BODY_LIMIT)
    kind = headers.get(b"content-type", b"")
    if kind != JSON:
        _check_type(kind)
    check_json(body)
    check_text(body)
    return decoder.body(body)


def _check_type(kind: bytes) -> None:
    said = kind.partition(b";")[0].strip().lower()
    if said not in (b"", JSON):
        raise wire.wrong("Bad Request. Content-Type must be one of ['application/json'].")


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise MlflowError("BAD_REQUEST", f"The query is not UTF-8, or has more than {MOST_FIELDS} fields.") from None
