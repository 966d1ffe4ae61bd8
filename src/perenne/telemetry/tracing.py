"""Traces by OpenTelemetry, sent as OTLP over HTTP: off, and nothing of it imported, unless the environment asks for it.

The standard variables say where to and how: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) turns it on, so does
`PERENNE_TRACES=on`, which uses the standard address of a collector on this machine. `PERENNE_TRACES=off`,
`OTEL_SDK_DISABLED=true` and `OTEL_TRACES_EXPORTER=none` turn it off. Sampler, resource, headers and timeouts are those of the
OpenTelemetry SDK.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import perenne
from perenne.core.errors import PerenneError, Unavailable
from perenne.core.redaction import redact, redact_text
from perenne.formats.trace_context import TraceParent, parse_trace_parent
from perenne.telemetry.context import working_on

Attributes = Mapping[str, str | int | float | bool]

_NO_ATTRIBUTES: Attributes = {}
_ON, _OFF = frozenset({"1", "on", "true", "yes"}), frozenset({"0", "off", "false", "no"})
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

_provider: Any = None
_tracer: Any = None


class Span:
    """A piece of work being traced; this one is not, and costs nothing. See `LiveSpan`."""

    def set(self, name: str, value: str | int | float | bool) -> None:
        """Say something about the work."""

    def rename(self, name: str) -> None:
        """Give it another name, once more is known."""

    def fail(self, kind: str, message: str) -> None:
        """Say that the work failed."""

    def end(self) -> None:
        """End it."""


_NOT_TRACED = Span()


class LiveSpan(Span):
    """A piece of work that is traced."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def set(self, name: str, value: str | int | float | bool) -> None:
        """Say something about the work."""
        self.raw.set_attribute(name, redact_text(value) if isinstance(value, str) else value)

    def rename(self, name: str) -> None:
        """Give it another name, once more is known."""
        self.raw.update_name(name)

    def fail(self, kind: str, message: str) -> None:
        """Say that the work failed; the message is kept without secrets."""
        from opentelemetry.trace import Status, StatusCode

        self.raw.set_attribute("error.type", kind)
        self.raw.set_status(Status(StatusCode.ERROR, redact_text(message)[:1024]))

    def end(self) -> None:
        """End it."""
        self.raw.end()


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the environment asks for traces.

    >>> is_wanted({}), is_wanted({"PERENNE_TRACES": "on"}), is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    (False, True, True)
    """
    own = environment.get("PERENNE_TRACES", "").strip().lower()
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    elsewhere = environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "otlp"
    if own in _OFF or disabled or elsewhere:
        return False
    return own in _ON or any(environment.get(name) for name in _ENDPOINTS)


def require() -> None:
    """Refuse to go on if traces are asked for and cannot be made; raises Unavailable, which names the extra."""
    if is_wanted() and not _is_installed():
        raise Unavailable(
            "traces are asked for, but OpenTelemetry is not installed",
            code="extra.otel",
            hint="pip install 'perenne[otel]', or PERENNE_TRACES=off",
        )


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ImportError:  # not even its parent
        return False


def start(service: str) -> None:
    """Begin to trace this process, if the environment asks for it; doing it again changes nothing.

    Parameters
    ----------
    service : str
        What the process is called in its traces; `OTEL_SERVICE_NAME` overrules it.

    Raises
    ------
    Unavailable
        If OpenTelemetry is not installed.
    """
    global _provider, _tracer  # noqa: PLW0603  one process has one
    if _tracer is not None or not is_wanted():
        return
    require()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or service, "service.version": perenne.__version__}
    _provider = TracerProvider(resource=Resource.create(named))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("perenne", perenne.__version__)
    logging.getLogger("perenne.tracing").info("traces are sent")


def stop() -> None:
    """Send what waits, and end tracing; a collector that does not answer is not waited for longer than its time limit."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        provider.shutdown()


@contextmanager
def traced_process(service: str) -> Iterator[None]:
    """Trace this process while the block runs, if the environment asks for it; see `start`."""
    start(service)
    try:
        yield
    finally:
        stop()


def is_on() -> bool:
    """Tell whether this process is traced."""
    return _tracer is not None


def span(
    name: str, attributes: Attributes = _NO_ATTRIBUTES, *, parent: str | None = None, kind: str = "internal"
) -> AbstractContextManager[Span]:
    """Trace the block as one span, below the one around it.

    Parameters
    ----------
    name : str
        What is done: few different ones.
    attributes : mapping
        On what.
    parent : str, optional
        A `traceparent` that came from outside and takes the place of the span around it.
    kind : str
        `internal`, `server`, `client`, `producer` or `consumer`.
    """
    if _tracer is None:
        return nullcontext(_NOT_TRACED)
    return _traced(name, attributes, parent, kind)


def begin(name: str, attributes: Attributes = _NO_ATTRIBUTES, above: Span | None = None) -> Span:
    """Begin a span that ends when it is told to, below another one or the present one; for work that events tell of."""
    if _tracer is None:
        return _NOT_TRACED
    from opentelemetry import trace

    context = trace.set_span_in_context(above.raw) if isinstance(above, LiveSpan) else None
    return LiveSpan(_tracer.start_span(name, context=context, attributes=_clean(attributes)))


def trace_parent() -> str | None:
    """Return the `traceparent` to send with a request that is part of the present span; None if nothing is traced."""
    if _tracer is None:
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled).text()


@contextmanager
def _traced(name: str, attributes: Attributes, parent: str | None, kind: str) -> Iterator[Span]:
    from opentelemetry import trace

    above = _remote(parent)
    with _tracer.start_as_current_span(
        name,
        context=above,
        kind=trace.SpanKind[kind.upper()],
        attributes=_clean(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as raw:
        context, live = raw.get_span_context(), LiveSpan(raw)
        with working_on(trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}"):
            try:
                yield live
            except BaseException as error:
                live.fail(error.code if isinstance(error, PerenneError) else type(error).__qualname__, str(error))
                raise


def _remote(parent: str | None) -> Any:
    """Return the context of a span of another process; None, which means the present one, if there is none."""
    found = None if parent is None else parse_trace_parent(parent)
    if found is None:
        return None
    from opentelemetry import trace

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if found.sampled else trace.TraceFlags.DEFAULT)
    context = trace.SpanContext(int(found.trace_id, 16), int(found.span_id, 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def _clean(attributes: Attributes) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = redact(attributes)
    return found
