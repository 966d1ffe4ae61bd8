"""A collector of traces: a real OTLP/HTTP receiver on a real socket, which decodes what it gets."""

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple


class Received(NamedTuple):
    """A span as it came over the wire."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    error: str
    attributes: dict[str, Any]
    seconds: float


class Collector:
    """Listens on a free port while the block runs; `spans` holds what came."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers.append({name.lower(): text for name, text in self.headers.items()})
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_received(named["service.name"], span) for span in scope.spans]

    def wait_for(self, *names: str) -> None:
        """Wait until spans of all these names came."""
        deadline = time.monotonic() + 60
        while not set(names) <= self.names():
            assert time.monotonic() < deadline, f"{set(names) - self.names()} missing from {self.names()}"
            time.sleep(0.05)

    def names(self) -> set[str]:
        return {span.name for span in self.spans}

    def one(self, name: str) -> Received:
        return next(span for span in self.spans if span.name == name)

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _received(service: str, span: Any) -> Received:
    attributes = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    return Received(
        service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.kind,
        span.status.message if span.status.code == 2 else "", attributes, seconds,
    )  # fmt: skip
