"""Spans as OTLP carries them: held against the real messages of opentelemetry-proto, in protobuf and in JSON, and junk."""

import base64
import contextlib
import math
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from perenne.core.errors import Invalid
from perenne.formats import otlp, otlp_json
from perenne.formats.otlp import MAX_ATTRIBUTES, read_protobuf
from perenne.formats.protobuf import fields

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=12),
    st.none(),
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8)
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=4)
NANOSECONDS = st.integers(0, (1 << 63) - 1)
SPANS = st.builds(
    otlp.Span,
    trace_id=st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex),
    span_id=st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex),
    parent_id=st.just("") | st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex),
    name=TEXTS,
    kind=st.integers(0, 5),
    start=NANOSECONDS,
    end=NANOSECONDS,
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(otlp.Event, TEXTS, NANOSECONDS, ATTRIBUTES), max_size=2),
    links=st.lists(st.builds(otlp.Link, st.just("ab" * 16), st.just("cd" * 8), ATTRIBUTES), max_size=2),
    status=st.integers(0, 2),
    message=TEXTS,
    state=TEXTS,
    flags=st.integers(0, (1 << 32) - 1),
)
BATCHES = st.lists(st.builds(otlp.Batch, ATTRIBUTES, st.lists(SPANS, max_size=3)), max_size=2)


def any_value(value: Any) -> AnyValue:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
        case _:
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))


def key_values(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in values.items()]


def proto_span(span: otlp.Span) -> ProtoSpan:
    return ProtoSpan(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        name=span.name,
        kind=span.kind,  # type: ignore[arg-type]
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=key_values(span.attributes),
        events=[
            ProtoSpan.Event(name=event.name, time_unix_nano=event.time, attributes=key_values(event.attributes))
            for event in span.events
        ],
        links=[
            ProtoSpan.Link(
                trace_id=bytes.fromhex(link.trace_id),
                span_id=bytes.fromhex(link.span_id),
                attributes=key_values(link.attributes),
            )
            for link in span.links
        ],
        status={"code": span.status, "message": span.message},  # type: ignore[arg-type]
        trace_state=span.state,
        flags=span.flags,
    )


def request_of(batches: list[otlp.Batch]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for batch in batches:
        group = request.resource_spans.add()
        group.resource.attributes.extend(key_values(batch.resource))
        group.scope_spans.add().spans.extend(proto_span(span) for span in batch.spans)
    return request


def otlp_json_of(request: ExportTraceServiceRequest) -> bytes:
    """Write the request as JSON; OTLP has ids in hexadecimal where protobuf's JSON has base 64."""

    def rewrite(value: Any) -> Any:
        if isinstance(value, dict):
            ids = ("traceId", "spanId", "parentSpanId")
            return {key: base64.b64decode(item).hex() if key in ids else rewrite(item) for key, item in value.items()}
        return [rewrite(item) for item in value] if isinstance(value, list) else value

    return msgspec.json.encode(rewrite(json_format.MessageToDict(request)))


@settings(max_examples=50)
@given(BATCHES)
def test_protobuf_reads_as_the_library_wrote_it(batches: list[otlp.Batch]) -> None:
    assert read_protobuf(request_of(batches).SerializeToString()) == batches


@settings(max_examples=50)
@given(BATCHES)
def test_json_reads_as_protobuf_does(batches: list[otlp.Batch]) -> None:
    assert otlp_json.read_json(otlp_json_of(request_of(batches))) == batches


def read_or_refuse(read: Any, body: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert all(isinstance(batch, otlp.Batch) for batch in read(body))


@given(st.binary(max_size=200))
def test_junk_is_refused(body: bytes) -> None:
    read_or_refuse(read_protobuf, body)
    read_or_refuse(otlp_json.read_json, body)


@pytest.mark.long
@settings(max_examples=3_000)
@given(BATCHES, st.data())
def test_a_message_that_was_tampered_with_is_refused_or_read_long(batches: list[otlp.Batch], data: st.DataObject) -> None:
    tamper(batches, data)


@settings(max_examples=40)
@given(BATCHES, st.data())
def test_a_message_that_was_tampered_with_is_refused_or_read(batches: list[otlp.Batch], data: st.DataObject) -> None:
    tamper(batches, data)


def tamper(batches: list[otlp.Batch], data: st.DataObject) -> None:
    """Whatever changes, comes twice or is missing: either spans or Invalid come out, never anything else."""
    request = request_of(batches)
    for read, body in ((read_protobuf, request.SerializeToString()), (otlp_json.read_json, otlp_json_of(request))):
        changed = bytearray(body)
        for _ in range(data.draw(st.integers(0, 4)) if changed else 0):
            at = data.draw(st.integers(0, len(changed) - 1))
            changed[at] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(changed)))
        read_or_refuse(read, bytes(changed[:cut]) if data.draw(st.booleans()) else bytes(changed + changed[:cut]))


NAMES = ("resourceSpans", "scopeSpans", "spans", "attributes", "value", "values", "kvlistValue", "intValue", "key")
SHAPES = st.recursive(
    st.none() | st.integers(-(1 << 63), 1 << 63) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)


@given(SHAPES)
def test_json_of_another_shape_is_refused(value: Any) -> None:
    read_or_refuse(otlp_json.read_json, msgspec.json.encode(value))


def span_with(**changes: Any) -> ExportTraceServiceRequest:
    span = otlp.Span("ab" * 16, "cd" * 8, "", "work", **changes)
    return request_of([otlp.Batch({}, [span])])


def field(number: int, body: bytes) -> bytes:
    """Write a field that has a length, of a message too deep for the library."""
    size, rest = bytearray(), len(body)
    while rest > 127:
        size.append(rest & 127 | 128)
        rest >>= 7
    return bytes([number << 3 | 2, *size, rest]) + body


def test_a_deep_attribute_is_refused() -> None:
    value, text = field(1, b"bottom"), b'{"stringValue":"bottom"}'
    for _ in range(200):
        value, text = field(5, field(1, value)), b'{"arrayValue":{"values":[' + text + b"]}}"
    span = field(1, b"\1" * 16) + field(2, b"\1" * 8) + field(9, field(1, b"deep") + field(2, value))
    ids = b'"traceId":"' + b"01" * 16 + b'","spanId":"' + b"01" * 8 + b'"'
    attribute = b'"attributes":[{"key":"deep","value":' + text + b"}]"
    with pytest.raises(Invalid, match="levels"):
        read_protobuf(field(1, field(2, field(2, span))))
    with pytest.raises(Invalid, match=r"levels|recursion"):
        otlp_json.read_json(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{' + ids + b"," + attribute + b"}]}]}]}")


def test_a_large_text_and_very_many_attributes_are_refused() -> None:
    large = {"prompt": "x" * (otlp.MAX_TEXT + 1)}
    many = {f"a{number}": number for number in range(MAX_ATTRIBUTES + 1)}
    for attributes, said in ((large, "text"), (many, "attributes")):
        request = span_with(attributes=attributes)
        for read, body in ((read_protobuf, request.SerializeToString()), (otlp_json.read_json, otlp_json_of(request))):
            with pytest.raises(Invalid, match=said):
                read(body)


@pytest.mark.parametrize(("trace_id", "span_id"), [("ab" * 15, "cd" * 8), ("ab" * 16, ""), ("00" * 16, "cd" * 8)])
def test_a_span_without_its_ids_is_refused(trace_id: str, span_id: str) -> None:
    request = request_of([otlp.Batch({}, [otlp.Span(trace_id, span_id, "", "work")])])
    for read, body in ((read_protobuf, request.SerializeToString()), (otlp_json.read_json, otlp_json_of(request))):
        with pytest.raises(Invalid, match="id of"):
            read(body)


def test_json_takes_numbers_as_texts_and_what_is_no_number_by_name() -> None:
    body = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ABABABABABABABABABABABABABABABAB","spanId":"cdcdcdcdcdcdcdcd",'
        b'"kind":"SPAN_KIND_CLIENT","startTimeUnixNano":"7","endTimeUnixNano":9,"status":{"code":"STATUS_CODE_ERROR"},"attributes":'
        b'[{"key":"n","value":{"intValue":"-5"}},{"key":"x","value":{"doubleValue":"NaN"}}],"news":{"from":"later"}}]}]}]}'
    )
    [batch] = otlp_json.read_json(body)
    [span] = batch.spans
    assert (span.trace_id, span.kind, span.start, span.end, span.status) == ("ab" * 16, 3, 7, 9, otlp.ERROR)
    assert span.attributes["n"] == -5 and math.isnan(span.attributes["x"])


def test_a_length_that_lies_costs_nothing() -> None:
    claims = bytes([0x0A]) + b"\xff" * 8 + b"\x01"
    with pytest.raises(Invalid, match="longer"):
        list(fields(memoryview(claims)))
    with pytest.raises(Invalid, match="does not end"):
        list(fields(memoryview(b"\x08" + b"\xff" * 20)))
