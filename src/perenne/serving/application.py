"""The worker as an ASGI application: limits, then the route, then the body, then the handler; never a traceback outside."""

import logging
import time

from perenne.core.errors import NotFound, PerenneError
from perenne.net.asgi import ErrorForm, Headers, Receive, Reply, Request, Route, Router, Scope, Send, send_reply
from perenne.net.identity import identity_headers
from perenne.net.inbound import SECURITY_HEADERS, Limits, check_head, error_reply, inflate, read_body
from perenne.serving.runtime import Runtime
from perenne.telemetry.logs import FIELDS

log = logging.getLogger("perenne.serving")
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
    """

    def __init__(self, routes: list[Route], runtime: Runtime, limits: Limits) -> None:
        self._router = Router(routes)
        self._runtime = runtime
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope["method"], scope["path"], (), scope["headers"], b"", time.perf_counter_ns())
        try:
            reply = await self._reply(request, scope, receive)
        except ConnectionError:  # the client went away while sending
            return
        await send_reply(send, reply, self._headers(request, reply))

    async def _reply(self, request: Request, scope: Scope, receive: Receive) -> Reply:
        form: ErrorForm = error_reply
        try:
            check_head(request.headers, scope["raw_path"], self._limits)
            match = self._router.match(request.path)
            if match is None:
                raise NotFound("there is nothing at this path", code="ENDPOINT_NOT_FOUND")
            route = match.routes.get(request.method)
            if route is None:
                allow = ", ".join(sorted(match.routes))
                return error_reply(_WrongMethod(allow))._replace(headers=((b"allow", allow.encode()),))
            form = route.error_reply
            if route.method == "POST":
                body = await read_body(receive, self._limits.body)
                encoding = request.header(b"content-encoding")
                body = inflate(body, encoding.strip().lower(), self._limits.body) if encoding else body
                request = request._replace(parts=match.parts, body=body)
            elif match.parts:
                request = request._replace(parts=match.parts)
            return await route.handler(request)
        except PerenneError as error:
            return _retry(form(error), error)
        except ConnectionError:
            raise
        except Exception:
            identity = identity_headers(request.headers, self._runtime.ids.next())
            log.exception("a request failed", extra={FIELDS: {"http.request.id": identity[0][1].decode()}})
            return form(_Unexpected())._replace(headers=identity)

    def _headers(self, request: Request, reply: Reply) -> Headers:
        headers = [*SECURITY_HEADERS]
        if not any(name == b"x-request-id" for name, _ in reply.headers):
            headers += identity_headers(request.headers, self._runtime.ids.next())
        if self._runtime.draining:
            headers += _CLOSE
        return headers


class _WrongMethod(PerenneError):
    status = 405

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path answers to {allow}", code="METHOD_NOT_ALLOWED")


class _Unexpected(PerenneError):
    def __init__(self) -> None:
        super().__init__("something went wrong in the server", code="INTERNAL_ERROR")


def _retry(reply: Reply, error: PerenneError) -> Reply:
    return reply._replace(headers=(*reply.headers, (b"retry-after", b"1"))) if error.status == 503 else reply
