"""The spans of traces of clients before MLflow 3, which they keep as an artifact `traces.json`; and such a file of any trace."""

from typing import Any

import msgspec

from perenne import llm, tracking
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict
from perenne.formats.otlp import Span
from perenne.protocols.mlflow.endpoint import Call
from perenne.protocols.mlflow.span_messages import file_span_of, span_in_file
from perenne.storage.transaction import Transaction

FILE = "traces.json"
LARGEST = 64 << 20


def body_of(tx: Transaction, actor: Principal, identity: str) -> bytes:
    """Return the spans of a trace that are in the database as the file that clients before MLflow 3 keep. Raises UnknownTrace."""
    found = llm.traces.get(tx, actor, identity)
    spans = llm.traces.complete_spans(tx, [found], partial=True)[found.id]
    return msgspec.json.encode({"spans": [file_span_of(span) for span in spans]})


def spans_in_file(call: Call, found: "llm.Trace") -> list[Span]:
    """Read the spans of a trace that are in a file; none if there is no file.

    Raises
    ------
    Conflict
        If the file is not what it should be.
    """
    place = tracking.artifacts.place_of_trace(call.tx, call.actor, found.id, FILE)
    if place is None:
        return []
    artifact = tracking.artifacts.find(call.tx, call.actor, place)
    body = tracking.artifacts.load(call.workspace.blobs, artifact, LARGEST)
    try:
        spans = msgspec.json.decode(body, type=dict[str, Any])["spans"]
        return [span for span in map(span_in_file, spans) if len(span.trace_id) == 32 and len(span.span_id) == 16]
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError, AttributeError, ValueError):
        raise Conflict(
            f"the file {FILE} of trace {found.id} is not what it should be", code="trace.file", hint="upload it again"
        ) from None
