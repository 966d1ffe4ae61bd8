"""OpenTelemetry's traces, as OTLP carries them over HTTP: an `ExportTraceServiceRequest` in protobuf or JSON becomes spans.

Source: https://opentelemetry.io/docs/specs/otlp/ and the messages of opentelemetry-proto 1.x. In JSON ids are hexadecimal, and
integers of 64 bits may be texts. What is not known is passed over.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.formats.protobuf import FIXED64, LENGTH, VARINT, double, fields, signed, tag, text

MAX_SPANS = 50_000
MAX_ATTRIBUTES = 4_096
MAX_DEPTH = 64
MAX_TEXT = 8 * 1024 * 1024
"""The most of a request, of a span or event, of a value, and of a text in bytes."""

TRACE_BYTES, SPAN_BYTES = 16, 8

UNSET, OK, ERROR = 0, 1, 2
"""What a status may be."""


class Event(msgspec.Struct, array_like=True):
    """Something that happened in a span; `time` in nanoseconds."""

    name: str = ""
    time: int = 0
    attributes: dict[str, Any] = {}


class Link(msgspec.Struct, array_like=True):
    """Another span that a span names; ids in hexadecimal."""

    trace_id: str = ""
    span_id: str = ""
    attributes: dict[str, Any] = {}


class Span(msgspec.Struct, array_like=True):
    """A span.

    Attributes
    ----------
    trace_id, span_id, parent_id : str
        In hexadecimal; the parent of a root is an empty text.
    kind : int
        0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    start, end : int
        Nanoseconds since 1970; an end of 0 means that it has not ended.
    attributes : dict
        Plain values: texts, numbers, booleans, bytes, lists and dictionaries of them, and None.
    status : int
        0 unset, 1 ok, 2 error.
    """

    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    name: str = ""
    kind: int = 0
    start: int = 0
    end: int = 0
    attributes: dict[str, Any] = {}
    events: list[Event] = []
    links: list[Link] = []
    status: int = UNSET
    message: str = ""
    state: str = ""
    flags: int = 0


class Batch(msgspec.Struct):
    """Spans of one resource: what sent them, in attributes, and the spans."""

    resource: dict[str, Any]
    spans: list[Span]


def read_protobuf(body: bytes) -> list[Batch]:
    """Read an `ExportTraceServiceRequest`.

    Raises
    ------
    Invalid
        If it is none, or beyond a limit.
    """
    batches, count = [], 0
    for key, value in fields(memoryview(body)):
        if key == _ONE:
            batch = _resource_spans(value)
            count += len(batch.spans)
            if count > MAX_SPANS:
                raise too_much("spans in a request", MAX_SPANS)
            batches.append(batch)
    return batches


_ONE, _TWO, _THREE, _FOUR, _FIVE = (tag(number, LENGTH) for number in range(1, 6))


def _resource_spans(data: Any) -> Batch:
    resource: dict[str, Any] = {}
    spans: list[Span] = []
    for key, value in fields(data):
        if key == _ONE:
            resource = _attributes_of(value, _ONE)
        elif key == _TWO:
            spans += [_span(span) for inner, span in fields(value) if inner == _TWO]
            if len(spans) > MAX_SPANS:
                raise too_much("spans in a request", MAX_SPANS)
    return Batch(resource, spans)


_SPAN_TEXTS = {_THREE: "state", _FIVE: "name"}
_NINE, _ELEVEN, _THIRTEEN, _FIFTEEN = (tag(number, LENGTH) for number in (9, 11, 13, 15))
_KIND, _START, _END, _FLAGS = tag(6, VARINT), tag(7, FIXED64), tag(8, FIXED64), tag(16, 5)


def _span(data: Any) -> Span:
    span = Span(attributes={}, events=[], links=[])
    for key, value in fields(data):
        if key == _NINE:
            _add_attribute(span.attributes, value)
        elif key == _START:
            span.start = value
        elif key == _END:
            span.end = value
        elif key == _ONE:
            span.trace_id = _hex(value)
        elif key == _TWO:
            span.span_id = _hex(value)
        elif key == _FOUR:
            span.parent_id = _hex(value)
        elif key in _SPAN_TEXTS:
            setattr(span, _SPAN_TEXTS[key], _text(value))
        else:
            _span_part(span, key, value)
    return checked(span)


def _span_part(span: Span, key: int, value: Any) -> None:
    """Read what a span seldom has."""
    if key == _KIND:
        span.kind = _enumerated(value)
    elif key == _ELEVEN:
        span.events.append(_event(value))
        _within(span.events, "events of a span")
    elif key == _THIRTEEN:
        span.links.append(_link(value))
        _within(span.links, "links of a span")
    elif key == _FIFTEEN:
        for inner, part in fields(value):
            if inner == _TWO:
                span.message = _text(part)
            elif inner == tag(3, VARINT):
                span.status = _enumerated(part)
    elif key == _FLAGS:
        span.flags = value


def _event(data: Any) -> Event:
    event = Event(attributes={})
    for key, value in fields(data):
        if key == tag(1, FIXED64):
            event.time = value
        elif key == _TWO:
            event.name = _text(value)
        elif key == _THREE:
            _add_attribute(event.attributes, value)
    return event


def _link(data: Any) -> Link:
    link = Link(attributes={})
    for key, value in fields(data):
        if key == _ONE:
            link.trace_id = _hex(value)
        elif key == _TWO:
            link.span_id = _hex(value)
        elif key == _FOUR:
            _add_attribute(link.attributes, value)
    return link


def _attributes_of(data: Any, wanted: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in fields(data):
        if key == wanted:
            _add_attribute(found, value)
    return found


def _add_attribute(into: dict[str, Any], data: Any, depth: int = 0) -> None:
    name, value = "", None
    for key, part in fields(data):
        if key == _ONE:
            name = _text(part)
        elif key == _TWO:
            value = _value(part, depth)
    into[name] = value
    if len(into) > MAX_ATTRIBUTES:
        raise too_much("attributes", MAX_ATTRIBUTES)


_BOOL, _INT, _DOUBLE, _BYTES = tag(2, VARINT), tag(3, VARINT), tag(4, FIXED64), tag(7, LENGTH)
_ARRAY, _MAP = tag(5, LENGTH), tag(6, LENGTH)


def _value(data: Any, depth: int) -> Any:
    """Read an `AnyValue`; of several values the last one counts."""
    if depth > MAX_DEPTH:
        raise too_much("levels of an attribute", MAX_DEPTH)
    found: Any = None
    for key, value in fields(data):
        if key == _ONE:
            found = _text(value)
        elif key == _INT:
            found = signed(value)
        elif key == _DOUBLE:
            found = double(value)
        elif key == _BOOL:
            found = bool(value)
        elif key == _ARRAY:
            found = [_value(item, depth + 1) for inner, item in fields(value) if inner == _ONE]
        elif key == _MAP:
            found = {}
            for inner, item in fields(value):
                if inner == _ONE:
                    _add_attribute(found, item, depth + 1)
        elif key == _BYTES:
            found = bytes(value)
    return found


def _text(value: Any) -> str:
    if len(value) > MAX_TEXT:
        raise too_much("bytes of a text", MAX_TEXT)
    return text(value)


def _hex(value: Any) -> str:
    if len(value) > 64:
        raise too_much("bytes of an id", 64)
    identity: str = value.hex()
    return identity


def _enumerated(value: Any) -> int:
    return int(value) if value < 1 << 31 else 0


def _within(items: list[Any], what: str) -> None:
    if len(items) > MAX_ATTRIBUTES:
        raise too_much(what, MAX_ATTRIBUTES)


def checked(span: Span) -> Span:
    """Refuse a span without a place in a trace."""
    for name, identity, size in (("trace", span.trace_id, TRACE_BYTES), ("span", span.span_id, SPAN_BYTES)):
        if len(identity) != 2 * size or not identity.strip("0"):
            raise Invalid(f"a span has no {name} id of {size} bytes", code="otlp.id", hint=f"{2 * size} hexadecimal digits")
    if span.parent_id and not span.parent_id.strip("0"):
        span.parent_id = ""
    if len(span.parent_id) not in (0, 2 * SPAN_BYTES):
        raise Invalid(f"span {span.span_id} names a parent of another length", code="otlp.id", hint="16 hexadecimal digits")
    if max(span.start, span.end) >= 1 << 63:
        raise Invalid(f"span {span.span_id} lies beyond the year 2262", code="otlp.time", hint="nanoseconds since 1970")
    return span


def too_much(what: str, limit: int) -> Invalid:
    """Return what to raise of a request that is beyond a limit."""
    return Invalid(f"there are more than {limit:,} {what}", code="otlp.too_much", hint="send less at a time, or shorter values")


def take(attributes: Mapping[str, Any], name: str) -> Any:
    """Return an attribute; a text that is JSON is read, once: some senders write their values so."""
    value = attributes.get(name)
    if isinstance(value, str) and value[:1] in _JSON_BEGINS:
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


_JSON_BEGINS = frozenset('"{[')
