"""Spans for the requests of a server whose callers trace: only a request that belongs to a recorded trace costs anything."""

from perenne.formats.trace_context import parse_trace_parent
from perenne.net.asgi import Application, Receive, Scope, Send
from perenne.net.identity import trace_parent
from perenne.telemetry import tracing


def traced(application: Application) -> Application:
    """Return the application with a span around each request whose `traceparent` says that it is recorded.

    Without tracing it is the very same application. It begins no trace of its own: a model server answers in less time than a
    span takes to make, so its callers choose.
    """
    if not tracing.is_on():
        return application

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        parent = trace_parent(scope["headers"]) if scope["type"] == "http" else None
        found = None if parent is None else parse_trace_parent(parent)
        if found is None or not found.sampled:
            await application(scope, receive, send)
            return
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"][:200]}
        with tracing.span(scope["method"], attributes, parent=parent, kind="server") as span:
            status = 0

            async def send_on(message):  # type: ignore[no-untyped-def]
                nonlocal status
                status = message.get("status", status)
                await send(message)

            await application(scope, receive, send_on)
            span.set("http.response.status_code", status)
            if status >= 500:
                span.fail(str(status), "")

    return answer
