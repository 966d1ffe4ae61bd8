"""Traces of MLflow, brought in: spans as its database or its REST has them, and what was said of them."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from perenne import llm
from perenne.auth.principals import Principal
from perenne.core.clock import parse_time
from perenne.core.errors import PerenneError
from perenne.formats.otlp import ERROR, OK, UNSET, Batch, Event, Span
from perenne.protocols.mlflow.migration.entities import Trace
from perenne.protocols.mlflow.migration.report import Report
from perenne.storage.database import Database, Transaction

_STATUS = {"STATUS_CODE_OK": OK, "STATUS_CODE_ERROR": ERROR, "OK": OK, "ERROR": ERROR}
_SCALARS: dict[str, Callable[[Any], Any]] = {"string_value": str, "int_value": int, "double_value": float, "bool_value": bool}
Said = Mapping[str, Any]


class Traces:
    """Brings traces into a workspace, each in a transaction of its own; one that is there is left alone.

    Parameters
    ----------
    database : Database
        Where they go.
    actor : Principal
        Who does it.
    report : Report
        Takes what came and what did not.
    """

    def __init__(self, database: Database, actor: Principal, report: Report) -> None:
        self._database, self._actor, self._report = database, actor, report

    def bring(self, traces: Iterable[Trace], experiment: int) -> None:
        """Bring the traces of one experiment."""
        for trace in traces:
            self._report.traces.found += 1
            try:
                fresh = self._database.write(lambda tx, trace=trace: self._one(tx, trace, experiment))  # type: ignore[misc]
            except (PerenneError, ValueError, KeyError, binascii.Error) as error:
                self._report.add_problem("trace", trace.id, str(error))
                continue
            self._report.traces.brought += fresh
            self._report.traces.there += not fresh

    def _one(self, tx: Transaction, trace: Trace, experiment: int) -> bool:
        if llm.traces.batch(tx, self._actor, [trace.id]):
            return False
        draft = llm.TraceDraft(
            id=trace.id,
            experiment=experiment,
            state=llm.TraceState(trace.status) if trace.status in set(llm.TraceState) else llm.TraceState.UNSPECIFIED,
            started=trace.time,
            duration=trace.duration,
            client_request_id=trace.client_request or None,
            request_preview=trace.request or None,
            response_preview=trace.response or None,
            tags={key: value for key, value in trace.tags.items() if key != "mlflow.artifactLocation"},
            metadata=trace.metadata,
            assessments=tuple(assessment(said, trace.id) for said in trace.assessments),
        )
        llm.ingest.start_trace(tx, self._actor, draft)
        if trace.spans:
            arrived = llm.ingest.arrange([Batch({}, [span(said) for said in trace.spans])])
            llm.ingest.take_spans(tx, self._actor, experiment, arrived)
        return True


def span(said: Said) -> Span:
    """Read a span as MLflow's database or REST has it.

    >>> one = span({"trace_id": "AQI=", "span_id": "Aw==", "name": "a", "attributes": {"k": "1"}, "status": {"code": "OK"}})
    >>> one.trace_id, one.span_id, one.attributes, one.status
    ('0102', '03', {'k': '1'}, 1)
    """
    return Span(
        trace_id=_hex(_of(said, "trace_id")),
        span_id=_hex(_of(said, "span_id")),
        parent_id=_hex(_of(said, "parent_span_id")),
        name=str(said.get("name") or ""),
        kind=int(said["kind"]) if isinstance(said.get("kind"), int) else 0,
        start=int(_of(said, "start_time_unix_nano") or 0),
        end=int(_of(said, "end_time_unix_nano") or 0),
        attributes=_attributes(said.get("attributes") or {}),
        events=[_event(one) for one in said.get("events") or ()],
        status=_STATUS.get(str((said.get("status") or {}).get("code")), UNSET),
        message=str((said.get("status") or {}).get("message") or ""),
    )


def assessment(said: Said, trace: str) -> llm.Assessment:
    """Read what was said of a trace, as MLflow's database or REST has it."""
    if "assessment_type" in said:
        return _of_database(said, trace)
    source = said.get("source") or {}
    kind = next(kind for kind in llm.AssessmentKind if kind.value in said)
    value, error = said[kind.value], said[kind.value].get("error")
    plain = value.get("value", (value.get("serialized_value") or {}).get("value")) if kind.value != "issue" else None
    return llm.Assessment(
        id=str(said["assessment_id"]),
        trace_id=trace,
        name=str(said["assessment_name"]),
        kind=kind,
        source_kind=str(source.get("source_type", "CODE")),
        source=str(source.get("source_id", "")),
        value=plain,
        error=error,
        span_id=str(said.get("span_id") or ""),
        rationale=said.get("rationale"),
        metadata=dict(said.get("metadata") or {}),
        overrides=str(said.get("overrides") or ""),
        valid=bool(said.get("valid", True)),
        created=parse_time(said["create_time"]) // 1_000,
        updated=parse_time(said["last_update_time"]) // 1_000,
    )


def _of_database(said: Said, trace: str) -> llm.Assessment:
    return llm.Assessment(
        id=str(said["assessment_id"]),
        trace_id=trace,
        name=str(said["name"]),
        kind=llm.AssessmentKind(str(said["assessment_type"])),
        source_kind=str(said["source_type"]),
        source=str(said["source_id"] or ""),
        value=json.loads(said["value"]) if said["value"] else None,
        error=json.loads(said["error"]) if said["error"] else None,
        span_id=str(said["span_id"] or ""),
        rationale=said["rationale"],
        metadata=json.loads(said["assessment_metadata"]) if said["assessment_metadata"] else {},
        overrides=str(said["overrides"] or ""),
        valid=bool(said["valid"]),
        created=int(said["created_timestamp"]),
        updated=int(said["last_updated_timestamp"]),
    )


def _of(said: Said, name: str) -> Any:
    """Return a field by its name, or by the name that protobuf gives it in JSON."""
    head, *rest = name.split("_")
    return said.get(name, said.get(head + "".join(part.capitalize() for part in rest)))


def _hex(value: Any) -> str:
    return base64.b64decode(value, validate=True).hex() if value else ""


def _event(said: Said) -> Event:
    time = _of(said, "time_unix_nano") or said.get("timestamp") or 0
    return Event(str(said.get("name") or ""), int(time), _attributes(said.get("attributes") or {}))


def _attributes(said: Any) -> dict[str, Any]:
    """Read attributes: a mapping as the database has them, a list of typed values as protobuf does."""
    if isinstance(said, Mapping):
        return dict(said)
    return {str(one["key"]): _value(one.get("value") or {}) for one in said}


def _value(said: Said) -> Any:
    for name, read in _SCALARS.items():
        if (value := _of(said, name)) is not None:
            return read(value)
    if (listed := _of(said, "array_value")) is not None:
        return [_value(one) for one in listed.get("values", ())]
    if (pairs := _of(said, "kvlist_value")) is not None:
        return _attributes(pairs.get("values", ()))
    return None
