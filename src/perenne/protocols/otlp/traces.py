"""`POST /v1/traces`: spans of OpenTelemetry's exporters and of MLflow's clients, in protobuf or JSON."""

import asyncio
from collections.abc import Mapping
from typing import Any

from perenne import llm
from perenne.auth.roles import Action
from perenne.formats import otlp, otlp_json
from perenne.net.asgi import JSON, Receive, Reply, Scope, Send, send_reply
from perenne.net.inbound import check_json, inflate, read_body
from perenne.protocols.mlflow.endpoint import Empty, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.wire import MlflowError, wrong
from perenne.storage.workspace import Workspace

PROTOBUF = b"application/x-protobuf"
BODY_LIMIT = 32 << 20
SMALL = 16 * 1024
"""Up to so many bytes are read at once; what is larger is read in a thread, so that nobody waits for it."""
_LONGEST_RUN = 256


async def export(scope: Scope, receive: Receive, send: Send, workspace: Workspace, _: tuple[str, ...]) -> None:
    """Take spans in: all of a request, or none."""
    headers = dict(scope["headers"])
    kind = _kind(headers)
    experiment, run = _experiment(headers), _run(headers)
    body = await read_body(receive, BODY_LIMIT)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    read = asyncio.to_thread(_read, body, encoding, kind) if len(body) > SMALL or encoding else None
    arrived = _read(body, encoding, kind) if read is None else await read
    actor = scope["state"]["actor"]
    change = workspace.database.submit(
        lambda tx: llm.ingest.take_spans(tx, actor, experiment, arrived, run=run), durable=False, alone=False
    )
    await asyncio.wrap_future(change)
    await send_reply(send, Reply(200, b"{}" if kind == JSON else b"", kind))


def _read(body: bytes, encoding: str, kind: bytes) -> "list[llm.ingest.Arrived]":
    body = inflate(body, encoding, BODY_LIMIT)
    if kind == JSON:
        check_json(body)
        return llm.ingest.arrange(otlp_json.read_json(body))
    return llm.ingest.arrange(otlp.read_protobuf(body))


def _kind(headers: Mapping[bytes, bytes]) -> bytes:
    given = headers.get(b"content-type", b"")
    kind = given.partition(b";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        shown: Any = given.decode("latin-1")[:100] or None
        raise wrong(f"Invalid Content-Type: {shown}. Expected: application/x-protobuf or application/json")
    return kind


def _experiment(headers: Mapping[bytes, bytes]) -> int:
    given = headers.get(b"x-mlflow-experiment-id", b"").decode("latin-1").strip()
    if not given:
        raise MlflowError("BAD_REQUEST", "The header x-mlflow-experiment-id must name the experiment that the spans belong to.")
    return experiment_number(given)


def _run(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-mlflow-run-id", b"").decode("latin-1").strip()
    if len(given) > _LONGEST_RUN:
        raise wrong("The header x-mlflow-run-id is too long for the id of a run.")
    return given


ENDPOINTS = [Endpoint("POST", "/v1/traces", Kind.STREAM, export, Empty, Action.LOG)]
