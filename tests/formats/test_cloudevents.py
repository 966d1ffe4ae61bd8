"""CloudEvents in the three forms of HTTP: what is written is read again, and what is none is refused."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.formats import cloudevents
from perenne.formats.cloudevents import BATCH, REQUEST, STRUCTURED, CloudEvent

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True).filter(lambda name: name not in cloudevents._OWN and name != "data")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
EVENTS = st.builds(
    CloudEvent,
    id=TEXTS,
    source=TEXTS,
    type=TEXTS,
    data=st.sampled_from([b"", b'{"inputs":[]}', b"[1,2]"]),
    time=st.sampled_from(["", "2026-11-28T10:00:00.000Z"]),
    subject=st.one_of(st.just(""), TEXTS),
    extensions=st.dictionaries(NAMES, TEXTS, max_size=3),
)


@settings(max_examples=30)
@given(EVENTS)
def test_an_event_comes_back_from_each_form(event: CloudEvent) -> None:
    for headers, body in (
        cloudevents.write_binary(event),
        cloudevents.write_structured(event),
        cloudevents.write_batch([event]),
    ):
        assert all(value.isascii() and value.isprintable() for value in headers.values())
        assert cloudevents.read(headers, body) == [event]


@settings(max_examples=20)
@given(st.binary(max_size=50))
def test_bytes_that_are_no_json_come_back_from_each_form(data: bytes) -> None:
    event = CloudEvent(id="1", source="/a", type="b", data=data, datacontenttype="application/octet-stream")
    for headers, body in (cloudevents.write_binary(event), cloudevents.write_structured(event)):
        assert cloudevents.read(headers, body) == [event]


def test_what_kserves_logger_sends_is_read() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "0009174a-24a8-4603-b098-09c8799950e9",
        "ce-time": "2021-04-10T00:23:26.0789529Z",
        "ce-source": "http://localhost:9081/",
        "ce-type": "org.kubeflow.serving.inference.request",
        "ce-inferenceservicename": "sklearn-iris",
        "ce-namespace": "kserve-test",
        "ce-component": "predictor",
        "ce-endpoint": "",
        "content-type": "application/x-www-form-urlencoded",
        "host": "message-dumper",
    }
    body = b'{"instances": [[6.8, 2.8, 4.8, 1.4]]}'
    (event,) = cloudevents.read(headers, body)
    assert (event.type, event.data, event.extensions["namespace"]) == (REQUEST, body, "kserve-test")


def test_data_may_be_text_or_base64() -> None:
    plain: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/a", "type": "b"}
    text = {**plain, "datacontenttype": "text/plain", "data": "héllo"}
    coded = {**plain, "datacontenttype": "image/png", "data_base64": base64.b64encode(b"\x89").decode(), "count": 3, "flag": True}
    first, second = cloudevents.read({"content-type": BATCH}, json.dumps([text, coded]).encode())
    assert first.data.decode() == "héllo" and second.data == b"\x89" and second.extensions == {"count": "3", "flag": "true"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (STRUCTURED, b"{"),
        (STRUCTURED, b"[]"),
        (STRUCTURED, b'{"specversion": "1.0", "id": "1", "source": "/a"}'),
        (STRUCTURED, b'{"specversion": "0.3", "id": "1", "source": "/a", "type": "b"}'),
        (STRUCTURED, b'{"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "Bad-Name": "x"}'),
        (STRUCTURED, b'{"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "deep": {}}'),
        (STRUCTURED, b'{"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "data": 1, "data_base64": "AA=="}'),
        (STRUCTURED, b'{"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "data_base64": "%"}'),
        (BATCH, b"{}"),
        ("application/json", b"{}"),
    ],
)
def test_what_is_no_event_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(Invalid):
        cloudevents.read({"content-type": kind}, body)
