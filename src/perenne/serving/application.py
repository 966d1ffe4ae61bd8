"""The worker as an ASGI application: limits, then the route, then the body, then the handler; never a traceback outside."""

import logging
import time

from perenne.auth.doorman import Doorman
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.net.asgi import ErrorForm, Headers, Receive, Reply, Request, Route, Router, Scope, Send, send_reply
from perenne.net.codings import packed
from perenne.net.identity import identity_headers
from perenne.net.inbound import (
    SECURITY_HEADERS,
    STRICT_TRANSPORT,
    Limits,
    Room,
    check_head,
    check_json,
    check_target,
    check_text,
    check_type,
    error_headers,
    error_reply,
    inflate,
    read_body,
)
from perenne.serving.runtime import Runtime, Unanswered
from perenne.telemetry.logs import FIELDS

log = logging.getLogger("perenne.serving")
AT_ONCE = 4_096
"""Requests at work: beside the queue of rows, which is bounded by itself."""

_CLOSE = ((b"connection", b"close"),)


class Application:
    """Answers HTTP requests.

    Parameters
    ----------
    routes : list of Route
        Every route of every protocol.
    runtime : Runtime
        The worker's state.
    limits : Limits
        What is let in.
    doorman : Doorman, optional
        Asks callers for a token; without one, everybody may call.
    """

    def __init__(self, routes: list[Route], runtime: Runtime, limits: Limits, doorman: Doorman | None = None) -> None:
        self._router = Router(routes)
        self._runtime = runtime
        self._limits = limits
        self._doorman = doorman
        self._room = Room(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope["method"], scope["path"], (), scope["headers"], b"", time.perf_counter_ns())
        try:
            reply = await self._reply(request, scope, receive)
        except ConnectionError:  # the client went away while sending
            return
        accepts = request.header(b"accept-encoding")
        if accepts is not None:
            reply = await packed(reply, accepts)
        headers = self._headers(request, reply)
        await send_reply(send, reply, (*headers, *STRICT_TRANSPORT) if scope["scheme"] == "https" else headers)

    async def _reply(self, request: Request, scope: Scope, receive: Receive) -> Reply:
        form: ErrorForm = error_reply
        try:
            check_head(request.headers, scope["raw_path"], self._limits, request.method, scope["scheme"])
            check_target(scope["raw_path"], scope["query_string"])
            match = self._router.match(request.path)
            if self._doorman is not None:
                self._check_caller(self._doorman, request, scope, match.routes.get(request.method) if match else None)
            if match is None:
                raise NotFound("there is nothing at this path", code="ENDPOINT_NOT_FOUND")
            route = match.routes.get(request.method)
            if route is None:
                allow = ", ".join(sorted(match.routes))
                return error_reply(_WrongMethod(allow))._replace(headers=((b"allow", allow.encode()),))
            form = route.error_reply
            if route.method == "POST":
                request = request._replace(parts=match.parts, body=await self._body(request, route, receive))
            elif match.parts:
                request = request._replace(parts=match.parts)
            with self._room:
                return await route.handler(request)
        except Unanswered as failed:
            return form(failed.error)._replace(headers=(*failed.headers, *error_headers(failed.error)))
        except PerenneError as error:
            reply = form(error)
            return reply if reply.headers else reply._replace(headers=error_headers(error))
        except ConnectionError:
            raise
        except Exception:
            identity = identity_headers(request.headers, self._runtime.ids.next())
            log.exception("a request failed", extra={FIELDS: {"http.request.id": identity[0][1].decode()}})
            return form(_Unexpected(identity[0][1].decode()))._replace(headers=identity)

    async def _body(self, request: Request, route: Route, receive: Receive) -> bytes:
        kind = check_type(request.header(b"content-type") or "", route.accepts) if route.accepts else None
        body = await read_body(receive, self._limits.body)
        encoding = request.header(b"content-encoding")
        if encoding:
            body = inflate(body, encoding.strip().lower(), self._limits.body)
        if kind in ("", "application/json"):
            check_json(body)
            check_text(body)
        return body

    def _check_caller(self, doorman: Doorman, request: Request, scope: Scope, route: Route | None) -> None:
        """Ask for a token, also where there is no route: who is not known learns nothing."""
        if route is not None and route.action is None:
            return
        shown = [value.decode("latin-1") for name, value in request.headers if name == b"authorization"]
        if len(shown) > 1:
            raise Invalid("there are two Authorization headers", code="BAD_REQUEST")
        principal = doorman.admit(shown[0] if shown else None, (scope.get("client") or ("",))[0])
        if route is not None and route.action is not None:
            require(principal, Action(route.action), self._runtime.require_lineup().deployment.project)

    def _headers(self, request: Request, reply: Reply) -> Headers:
        given = {name for name, _ in reply.headers}
        headers = [header for header in SECURITY_HEADERS if header[0] not in given]
        if b"x-request-id" not in given:
            headers += identity_headers(request.headers, self._runtime.ids.next())
        if self._runtime.draining:
            headers += _CLOSE
        return headers


class _WrongMethod(PerenneError):
    status = 405

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path answers to {allow}", code="METHOD_NOT_ALLOWED")


class _Unexpected(PerenneError):
    def __init__(self, request_id: str) -> None:
        super().__init__("something went wrong in the server", code="INTERNAL_ERROR")
        self.request_id = request_id
