"""Spans in protobuf's JSON, as MLflow answers them: ids in base64, values by their type, integers as numbers."""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from perenne.core.json import plain
from perenne.formats.otlp import Event, Link, Span

_STATUS: tuple[dict[str, str], ...] = ({}, {"code": "STATUS_CODE_OK"}, {"code": "STATUS_CODE_ERROR"})
_KINDS = ("", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER")
_BY_NAME = {"UNSET": 0, "STATUS_CODE_UNSET": 0, "OK": 1, "STATUS_CODE_OK": 1, "ERROR": 2, "STATUS_CODE_ERROR": 2}


def span_of(span: Span) -> dict[str, Any]:
    """Return a span as it is answered; what it does not have is left out."""
    told: dict[str, Any] = {"trace_id": _id(span.trace_id), "span_id": _id(span.span_id)}
    if span.state:
        told["trace_state"] = span.state
    if span.parent_id:
        told["parent_span_id"] = _id(span.parent_id)
    told["name"] = span.name
    if 0 < span.kind < len(_KINDS):
        told["kind"] = _KINDS[span.kind]
    told["start_time_unix_nano"] = span.start
    if span.end:
        told["end_time_unix_nano"] = span.end
    told |= _attributes(span.attributes)
    if span.events:
        told["events"] = [_event(event) for event in span.events]
    links = [_link(link) for link in span.links if len(link.trace_id) == 32 and len(link.span_id) == 16]
    if links:
        told["links"] = links
    status = _STATUS[span.status] if span.status < len(_STATUS) else _STATUS[0]
    return told | {"status": status | {"message": span.message} if span.message else status}


def file_span_of(span: Span) -> dict[str, Any]:
    """Return a span as it stands in the file `traces.json`: each attribute by its name, as a text of JSON."""
    events = [{"name": one.name, "time_unix_nano": one.time, "attributes": plain(one.attributes)} for one in span.events]
    return {
        "trace_id": _id(span.trace_id),
        "span_id": _id(span.span_id),
        "parent_span_id": _id(span.parent_id) if span.parent_id else None,
        "name": span.name,
        "start_time_unix_nano": span.start,
        "end_time_unix_nano": span.end or None,
        "events": events,
        "status": {"code": _STATUS[min(span.status, 2)].get("code", "STATUS_CODE_UNSET"), "message": span.message},
        "attributes": {name: msgspec.json.encode(plain(value)).decode() for name, value in span.attributes.items()},
    }


def span_in_file(given: Mapping[str, Any]) -> Span:
    """Read a span of a file `traces.json`, of which two forms are about."""
    context, status = (_message(given.get(name)) for name in ("context", "status"))
    old = bool(context)
    return Span(
        _hex(context.get("trace_id"), 16) if old else _unbase(given.get("trace_id")),
        _hex(context.get("span_id"), 8) if old else _unbase(given.get("span_id")),
        _hex(given.get("parent_id"), 8) if old else _unbase(given.get("parent_span_id")),
        str(given.get("name") or ""),
        start=_whole(given.get("start_time" if old else "start_time_unix_nano")),
        end=_whole(given.get("end_time" if old else "end_time_unix_nano")),
        attributes={str(name): _read(value) for name, value in _message(given.get("attributes")).items()},
        events=[
            Event(
                str(one.get("name") or ""), _whole(one.get("timestamp", one.get("time_unix_nano"))), one.get("attributes") or {}
            )
            for one in given.get("events") or []
            if isinstance(one, dict)
        ],
        status=_BY_NAME.get(str(given.get("status_code") if old else status.get("code")), 0),
        message=str((given.get("status_message") if old else status.get("message")) or ""),
    )


def _read(value: Any) -> Any:
    """Read an attribute of a file: a text of JSON, or the value itself."""
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except (msgspec.DecodeError, RecursionError):
        return value


def _message(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def _hex(value: object, size: int) -> str:
    """Return an id written as ``0x…``."""
    try:
        return f"{int(str(value), 16):0{2 * size}x}" if value else ""
    except ValueError:
        return ""


def _unbase(value: object) -> str:
    try:
        return base64.b64decode(str(value)).hex() if value else ""
    except ValueError:
        return ""


def _id(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _event(event: Event) -> dict[str, Any]:
    return {"time_unix_nano": event.time, "name": event.name} | _attributes(event.attributes)


def _link(link: Link) -> dict[str, Any]:
    return {"trace_id": _id(link.trace_id), "span_id": _id(link.span_id)} | _attributes(link.attributes)


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"attributes": _pairs(values)} if values else {}


def _pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    """Return an `AnyValue`."""
    write = _WRITERS.get(type(value))
    return {} if write is None else write(value)


def _double(value: float) -> dict[str, Any]:
    return {
        "double_value": value if math.isfinite(value) else "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    }


def _list(values: Sequence[Any]) -> dict[str, Any]:
    return {"array_value": {"values": [_value(item) for item in values]} if values else {}}


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    str: lambda value: {"string_value": value},
    bool: lambda value: {"bool_value": value},
    int: lambda value: {"int_value": value},
    float: _double,
    bytes: lambda value: {"bytes_value": base64.b64encode(value).decode()},
    list: _list,
    dict: lambda value: {"kvlist_value": {"values": _pairs(value)} if value else {}},
}
