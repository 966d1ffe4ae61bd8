"""CloudEvents 1.0 over HTTP: binary, structured and batched, read and written; and the types of KServe's logger.

Sources: the CloudEvents specification 1.0.2 with its HTTP and JSON bindings; kserve `pkg/logger/worker.go`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from perenne.core.errors import Invalid

REQUEST, RESPONSE = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
JSON = "application/json"
MAX_EVENTS = 10_000
MAX_ATTRIBUTES = 64
_NAME = re.compile(r"[a-z0-9]{1,64}")
_OWN = ("specversion", "id", "source", "type", "time", "datacontenttype", "subject", "dataschema")
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_encoder = msgspec.json.Encoder()


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event.

    Attributes
    ----------
    id, source, type : str
        Which event, of whom, of what kind; id and source together are unique.
    data : bytes
        What it is about.
    datacontenttype : str
        Of what type the data is.
    time : str
        When it happened, RFC 3339; empty if that is not said.
    subject : str
        What of the source it is about; empty if that is not said.
    extensions : dict
        Further attributes: names of small letters and digits, plain values.
    """

    id: str
    source: str
    type: str
    data: bytes = b""
    datacontenttype: str = JSON
    time: str = ""
    subject: str = ""
    extensions: dict[str, str] = {}


def write_binary(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Write an event with its attributes as headers; return headers and body.

    >>> headers, body = write_binary(CloudEvent(id="7", source="/a", type=REQUEST, data=b"{}", extensions={"namespace": "é"}))
    >>> headers["ce-id"], headers["ce-namespace"], body
    ('7', '%C3%A9', b'{}')
    """
    headers = {f"ce-{name}": quote(value, safe=_SAFE) for name, value in _attributes(event).items() if name != "datacontenttype"}
    return {**headers, "content-type": event.datacontenttype}, event.data


def write_structured(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Write an event as one JSON object; return headers and body."""
    return {"content-type": STRUCTURED}, _encoder.encode(_object(event))


def write_batch(events: Iterable[CloudEvent]) -> tuple[dict[str, str], bytes]:
    """Write events as one JSON list; return headers and body."""
    return {"content-type": BATCH}, _encoder.encode([_object(event) for event in events])


def read(headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
    """Read what came in, in any of the three forms.

    Parameters
    ----------
    headers : mapping
        By their names in lower case.

    Raises
    ------
    Invalid
        If it is no event, or one lacks an attribute; the message names it, never a value.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == BATCH:
        found = _decoded(body, list[dict[str, Any]])
        if len(found) > MAX_EVENTS:
            raise _bad(f"there are more than {MAX_EVENTS:,} events")
        return [_of_object(item) for item in found]
    if kind == STRUCTURED:
        return [_of_object(_decoded(body, dict[str, Any]))]
    given = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    return [_event(given, body, headers.get("content-type", ""))]


def _attributes(event: CloudEvent) -> dict[str, str]:
    found = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    found |= {"time": event.time, "subject": event.subject, "datacontenttype": event.datacontenttype}
    return {name: value for name, value in {**event.extensions, **found}.items() if value}


def _object(event: CloudEvent) -> dict[str, Any]:
    found: dict[str, Any] = dict(_attributes(event))
    if event.data and _is_json(event.datacontenttype):
        return found | {"data": msgspec.Raw(event.data)}
    return found | ({"data_base64": base64.b64encode(event.data).decode()} if event.data else {})


def _is_json(kind: str) -> bool:
    plain = kind.partition(";")[0].strip().lower()
    return plain == JSON or plain.endswith("+json")


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad("the body is no event of this content type") from None


def _of_object(found: dict[str, Any]) -> CloudEvent:
    data = found.pop("data", None)
    encoded = found.pop("data_base64", None)
    if data is not None and encoded is not None:
        raise _bad("there are both data and data_base64")
    if any(not isinstance(value, str | int | bool) for value in found.values() if value is not None):
        raise _bad("an attribute is no plain value")
    texts = {name: _text(value) for name, value in found.items() if value is not None}
    kind = texts.get("datacontenttype", JSON)
    if encoded is not None:
        return _event(texts, _from_base64(encoded), kind)
    if data is None:
        return _event(texts, b"", kind)
    return _event(texts, data.encode() if isinstance(data, str) and not _is_json(kind) else _encoder.encode(data), kind)


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_base64(encoded: Any) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _bad("data_base64 is no base64") from None


def _event(given: Mapping[str, str], data: bytes, kind: str) -> CloudEvent:
    lacking = [name for name in ("specversion", "id", "source", "type") if not given.get(name)]
    if lacking:
        raise _bad(f"an event lacks {', '.join(lacking)}")
    if not given["specversion"].startswith("1."):
        raise _bad("specversion is not 1.0")
    if len(given) > MAX_ATTRIBUTES or any(not _NAME.fullmatch(name) for name in given):
        raise _bad("an attribute's name is not of small letters and digits, or there are too many")
    return CloudEvent(
        id=given["id"],
        source=given["source"],
        type=given["type"],
        data=data,
        datacontenttype=kind or JSON,
        time=given.get("time", ""),
        subject=given.get("subject", ""),
        extensions={name: value for name, value in given.items() if name not in _OWN},
    )


def _bad(message: str) -> Invalid:
    return Invalid(message, code="cloudevents.invalid", hint="CloudEvents 1.0, as KServe's logger sends them")
