"""The worker as an ASGI application: limits, then the route, then the body, then the handler; never a traceback outside."""

import logging
import time

from perenne.auth.doorman import Doorman
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.net.asgi import (
    HTML,
    ErrorForm,
    Headers,
    Receive,
    Reply,
    Request,
    Route,
    Router,
    Scope,
    Send,
    header_of,
    send_reply,
)
from perenne.net.codings import packed
from perenne.net.direct import Admitted, Answerer, Caller, Target
from perenne.net.identity import identity_headers
from perenne.net.inbound import (
    PAGE_HEADERS,
    SECURITY_HEADERS,
    STRICT_TRANSPORT,
    Limits,
    Room,
    TooLarge,
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

_REQUEST_ID = b"x-request-id"
_CLOSE = ((b"connection", b"close"),)


class Application(Answerer):
    """Answers HTTP requests: of `net.direct` by its parts, and as an ASGI application where something stands between.

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
        self.body_limit = limits.body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started, headers, method = time.perf_counter_ns(), scope["headers"], scope["method"]
        target = Target(scope["path"], scope["raw_path"], scope["query_string"])
        admitted = self.admit(method, target, headers, Caller(scope["scheme"], (scope.get("client") or ("",))[0]))
        try:
            if isinstance(admitted, Admitted):
                try:
                    body = await read_body(receive, self.body_limit) if admitted.route.method == "POST" else b""
                    reply = await self.answer(admitted, method, target, headers, body, started)
                except TooLarge:
                    reply = self.too_large(admitted)
            else:
                reply = admitted
        except ConnectionError:  # the client went away while sending
            return
        more = (*(PAGE_HEADERS if reply.content_type == HTML else SECURITY_HEADERS), *self.more(headers, reply))
        await send_reply(send, reply, (*more, *STRICT_TRANSPORT) if scope["scheme"] == "https" else more)

    def admit(self, method: str, target: Target, headers: Headers, caller: Caller) -> Admitted | Reply:
        """Let a request in by its head, or refuse it; nothing of its body is read before."""
        form: ErrorForm = error_reply
        try:
            check_head(headers, target.raw_path, self._limits, method, caller.scheme)
            check_target(target.raw_path, target.query)
            match = self._router.match(target.path)
            route = match.routes.get(method) if match else None
            if self._doorman is not None:
                self._check_caller(self._doorman, headers, caller, route)
            if match is None:
                raise NotFound("there is nothing at this path", code="ENDPOINT_NOT_FOUND")
            if route is None:
                allow = ", ".join(sorted(match.routes))
                return error_reply(_WrongMethod(allow))._replace(headers=((b"allow", allow.encode()),))
            form = route.error_reply
            typed = method == "POST" and route.accepts
            kind = check_type(header_of(headers, b"content-type") or "", route.accepts) if typed else None
            return Admitted(route, match.parts, kind)
        except PerenneError as error:
            return _refusal(error, form)
        except Exception:
            return self._unexpected(headers, form)

    async def answer(self, admitted: Admitted, method: str, target: Target, headers: Headers, body: bytes, started: int) -> Reply:
        """Answer a request; whatever happens, there is a reply."""
        route = admitted.route
        try:
            body = self._body(body, headers, admitted.kind) if method == "POST" else b""
            with self._room:
                reply = await route.handler(Request(method, target.path, admitted.parts, headers, body, started))
            accepts = header_of(headers, b"accept-encoding")
            return reply if accepts is None else await packed(reply, accepts)
        except Unanswered as failed:
            refused = route.error_reply(failed.error)
            return refused._replace(headers=(*failed.headers, *error_headers(failed.error)))
        except PerenneError as error:
            return _refusal(error, route.error_reply)
        except Exception:
            return self._unexpected(headers, route.error_reply)

    def too_large(self, admitted: Admitted) -> Reply:
        """Refuse a body that turned out to be longer than the limit."""
        return _refusal(TooLarge(self.body_limit), admitted.route.error_reply)

    def more(self, headers: Headers, reply: Reply) -> Headers:
        """Return what is said with every answer beside the security headers."""
        named = reply.headers and reply.headers[0][0] == _REQUEST_ID
        found: Headers = () if named or _names_request(reply) else identity_headers(headers, self._runtime.ids.next())
        return (*found, *_CLOSE) if self._runtime.draining else found

    def _body(self, body: bytes, headers: Headers, kind: str | None) -> bytes:
        encoding = header_of(headers, b"content-encoding")
        if encoding:
            body = inflate(body, encoding.strip().lower(), self.body_limit)
        if kind in ("", "application/json"):
            check_json(body)
            check_text(body)
        return body

    def _check_caller(self, doorman: Doorman, headers: Headers, caller: Caller, route: Route | None) -> None:
        """Ask for a token, also where there is no route: who is not known learns nothing."""
        if route is not None and route.action is None:
            return
        shown = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
        if len(shown) > 1:
            raise Invalid("there are two Authorization headers", code="BAD_REQUEST")
        principal = doorman.admit(shown[0] if shown else None, caller.address)
        if route is not None and route.action is not None:
            require(principal, Action(route.action), self._runtime.require_lineup().deployment.project)

    def _unexpected(self, headers: Headers, form: ErrorForm) -> Reply:
        identity = identity_headers(headers, self._runtime.ids.next())
        log.exception("a request failed", extra={FIELDS: {"http.request.id": identity[0][1].decode()}})
        return form(_Unexpected(identity[0][1].decode()))._replace(headers=identity)


def _refusal(error: PerenneError, form: ErrorForm) -> Reply:
    reply = form(error)
    return reply if reply.headers else reply._replace(headers=error_headers(error))


def _names_request(reply: Reply) -> bool:
    return any(name == _REQUEST_ID for name, _ in reply.headers)


class _WrongMethod(PerenneError):
    status = 405

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path answers to {allow}", code="METHOD_NOT_ALLOWED")


class _Unexpected(PerenneError):
    def __init__(self, request_id: str) -> None:
        super().__init__("something went wrong in the server", code="INTERNAL_ERROR")
        self.request_id = request_id
