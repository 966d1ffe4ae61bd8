"""Every request of the control plane, from outside its limits: its id, its place in a trace, its count, and the access log."""

import logging
import os
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from perenne.core.errors import Invalid
from perenne.core.ids import new_id
from perenne.formats import ecs
from perenne.net.asgi import Application, Headers, Receive, Scope, Send
from perenne.net.identity import answered_identity, given_identity
from perenne.telemetry import tracing
from perenne.telemetry.context import Work, go_back, work_on
from perenne.telemetry.logs import FIELDS
from perenne.telemetry.meters import RequestMeter

log = logging.getLogger("perenne.access")

POLICIES = ("all", "problems", "off")
SLOW_SECONDS = 2.0
CLIENT_GONE = 499
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/health", "/ready", "/metrics", "/version"})
"""Asked every few seconds: neither traced nor in the access log. What fails in them says so in the log itself."""
_UNMATCHED = "unmatched"


class AccessLog:
    """Writes requests to the log: those that failed here or were slow as warnings, and, if asked to, all others too.

    Parameters
    ----------
    environment : mapping
        `PERENNE_ACCESS_LOG` is `all`, `problems` (if it is not set) or `off`.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._policy = environment.get("PERENNE_ACCESS_LOG", "").strip().lower() or "problems"
        if self._policy not in POLICIES:
            hint = f"it can be {', '.join(POLICIES)}"
            raise Invalid(f"PERENNE_ACCESS_LOG is {self._policy[:40]!r}", code="config.log", hint=hint)

    def write(self, scope: Scope, route: str, status: int, seconds: float, sent: int) -> None:
        """Write a request, if it is to be written."""
        problem = status >= 500 or seconds >= SLOW_SECONDS
        if self._policy == "off" or route in _PROBES or not (problem or self._policy == "all"):
            return
        actor = scope.get("state", {}).get("actor")
        fields = {
            "event.category": ["web"],
            "event.type": ["access"],
            "event.outcome": "failure" if status >= 500 else "success",
            "event.duration": int(seconds * 1e9),
            "http.request.method": scope["method"],
            "http.response.status_code": status,
            "http.response.body.bytes": sent,
            "user.name": getattr(actor, "name", None),
            **ecs.labels({"route": route}),
        }
        level = logging.WARNING if problem else logging.INFO
        log.log(level, "%s %s %d in %.1f ms", scope["method"], route, status, seconds * 1e3, extra={FIELDS: fields})


class _Answer:
    """Sends an answer on, with the headers by which its request is found again, and keeps its status and size."""

    def __init__(self, send: Send, identity: Headers) -> None:
        self.status = 0
        self.sent = 0
        self._send = send
        self._identity = identity

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send a part."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._identity]}
        elif body := message.get("body"):
            self.sent += len(body)
        await self._send(message)


class ObservedRequests:
    """An ASGI application in front of another one, which sees every request and every answer.

    Parameters
    ----------
    application : ASGI application
        What answers; limits included, so that what they refuse is seen as well.
    meter : RequestMeter
        Counts them.
    access : AccessLog
        Writes them.
    """

    def __init__(self, application: Application, meter: RequestMeter, access: AccessLog) -> None:
        self._application = application
        self._meter = meter
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        started = time.perf_counter()
        given, parent = given_identity(scope["headers"])
        identity = given or new_id()
        answer = _Answer(send, answered_identity(identity, parent))
        self._meter.in_flight += 1
        before = work_on(Work(identity, "" if parent is None else parent.split("-")[1]))
        try:
            await self._answer(scope, receive, answer, parent, started)
        finally:
            go_back(before)
            self._meter.in_flight -= 1

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer, parent: str | None, started: float) -> None:
        if not tracing.is_on() or scope["path"] in _PROBES:
            await self._pass(scope, receive, answer, started)
            return
        method = _method(scope)
        with tracing.span(method, {"http.request.method": method}, parent=parent, kind="server") as span:
            await self._pass(scope, receive, answer, started)
            route = route_of(scope)
            span.rename(f"{method} {route}")
            span.set("http.route", route)
            span.set("http.response.status_code", answer.status)
            if answer.status >= 500:
                span.fail(str(answer.status), "")

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer, started: float) -> None:
        status = CLIENT_GONE
        try:
            await self._application(scope, receive, answer.send)
        except Exception:
            status = 500
            if answer.status < 500:  # else it was answered and logged by whoever caught it first
                raise
        finally:
            answer.status = answer.status or status
            self._note(scope, answer, time.perf_counter() - started)

    def _note(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = route_of(scope)
        self._meter.count(_method(scope), route, answer.status, seconds)
        self._access.write(scope, route, answer.status, seconds, answer.sent)


def route_of(scope: Scope) -> str:
    """Return the pattern of the route that answered, such as `/api/model/{name}`: the paths of callers are without number."""
    return str(getattr(scope.get("route"), "path", "") or _UNMATCHED)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"
