"""OpenTelemetry's traces in JSON: the same spans as `perenne.formats.otlp` reads from protobuf."""

import base64
import binascii
import functools
import math
from collections.abc import Callable
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.core.json import MAX_SAID
from perenne.formats.otlp import MAX_ATTRIBUTES, MAX_DEPTH, MAX_SPANS, MAX_TEXT, Batch, Event, Link, Span, checked, too_much

_STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_KIND = {f"SPAN_KIND_{name}": number for number, name in enumerate(_KINDS)}
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DIGITS = 20


def read_json(body: bytes) -> list[Batch]:
    """Read an `ExportTraceServiceRequest`.

    Raises
    ------
    Invalid
        If it is none, or beyond a limit.
    """
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"this is no JSON: {str(error)[:MAX_SAID]}", code="otlp.json", hint="or say which type it is") from None
    batches, count = [], 0
    for group in _messages(request, "resourceSpans"):
        spans = [_span(span) for scope in _messages(group, "scopeSpans") for span in _messages(scope, "spans")]
        count += len(spans)
        if count > MAX_SPANS:
            raise too_much("spans in a request", MAX_SPANS)
        batches.append(Batch(_attributes(_message(group, "resource"), 0), spans))
    return batches


def _span(data: dict[str, Any]) -> Span:
    status = _message(data, "status")
    return checked(
        Span(
            _identity(data, "traceId"),
            _identity(data, "spanId"),
            _identity(data, "parentSpanId"),
            _text(data, "name"),
            _enumerated(data, "kind", _KIND),
            _integer(data, "startTimeUnixNano"),
            _integer(data, "endTimeUnixNano"),
            _attributes(data, 0),
            [_event(event) for event in _messages(data, "events")],
            [_link(link) for link in _messages(data, "links")],
            _enumerated(status, "code", _STATUS),
            _text(status, "message"),
            _text(data, "traceState"),
            _integer(data, "flags"),
        )
    )


def _event(data: dict[str, Any]) -> Event:
    return Event(_text(data, "name"), _integer(data, "timeUnixNano"), _attributes(data, 0))


def _link(data: dict[str, Any]) -> Link:
    return Link(_identity(data, "traceId"), _identity(data, "spanId"), _attributes(data, 0))


def _attributes(data: dict[str, Any], depth: int, name: str = "attributes") -> dict[str, Any]:
    pairs = _messages(data, name)
    return {_text(pair, "key"): _value(_message(pair, "value"), depth) for pair in pairs}


def _value(data: dict[str, Any], depth: int) -> Any:
    """Read an `AnyValue`."""
    if depth > MAX_DEPTH:
        raise too_much("levels of an attribute", MAX_DEPTH)
    for name, value in data.items():
        read = _READERS.get(name)
        if read is not None and value is not None:
            return read(data, name, depth)
    return None


def _boolean(data: dict[str, Any], name: str, _: int) -> bool:
    if not isinstance(data[name], bool):
        raise _wrong(name)
    return bool(data[name])


def _double(data: dict[str, Any], name: str, _: int) -> float:
    value = data[name]
    if isinstance(value, str):
        value = _NUMBERS.get(value, value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(name) from None


def _bytes(data: dict[str, Any], name: str, _: int) -> bytes:
    try:
        return base64.b64decode(_text(data, name))
    except (binascii.Error, ValueError):
        raise _wrong(name) from None


def _list(data: dict[str, Any], name: str, depth: int) -> list[Any]:
    return [_value(item, depth + 1) for item in _messages(_message(data, name), "values")]


def _map(data: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
    return _attributes(_message(data, name), depth + 1, "values")


_READERS: dict[str, Callable[[dict[str, Any], str, int], Any]] = {
    "stringValue": lambda data, name, _: _text(data, name),
    "intValue": lambda data, name, _: _integer(data, name, least=-(1 << 63)),
    "boolValue": _boolean,
    "doubleValue": _double,
    "arrayValue": _list,
    "kvlistValue": _map,
    "bytesValue": _bytes,
}


def _field(data: dict[str, Any], name: str) -> Any:
    """Return a field by its name in camel case or with underscores."""
    value = data.get(name)
    return data.get(_snake(name)) if value is None else value


@functools.cache
def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


_READERS |= {_snake(name): read for name, read in _READERS.items()}


def _message(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = _field(data, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name)
    return value


def _messages(data: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(data, dict):
        raise _wrong("the request")
    value = _field(data, name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(name)
    if len(value) > MAX_ATTRIBUTES and name not in ("resourceSpans", "scopeSpans", "spans", "values"):
        raise too_much(name, MAX_ATTRIBUTES)
    return value


def _text(data: dict[str, Any], name: str) -> str:
    value = _field(data, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name)
    if len(value) > MAX_TEXT:
        raise too_much("characters of a text", MAX_TEXT)
    return value


def _identity(data: dict[str, Any], name: str) -> str:
    value = _text(data, name).lower()
    try:
        return bytes.fromhex(value).hex()
    except ValueError:
        raise _wrong(name) from None


def _integer(data: dict[str, Any], name: str, least: int = 0) -> int:
    value = _field(data, name)
    if value is None:
        return 0
    if isinstance(value, str) and len(value) <= _DIGITS and value.removeprefix("-").isdecimal() and value.isascii():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 63:
        raise _wrong(name)
    return value


def _enumerated(data: dict[str, Any], name: str, names: dict[str, int]) -> int:
    value = _field(data, name)
    return names[value] if isinstance(value, str) and value in names else _integer(data, name)


def _wrong(name: str) -> Invalid:
    return Invalid(f"{name} is not what OTLP has there", code="otlp.field", hint="see OTLP's JSON encoding")
