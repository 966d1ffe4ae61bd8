"""Events of KServe's logger: three modes, both versions, any order and twice; and what is no event changes nothing."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.asked import ask
from tests.monitoring.elsewhere.conftest import START

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import HOUR, SECOND, format_time
from perenne.formats import cloudevents
from perenne.formats.cloudevents import REQUEST, RESPONSE, CloudEvent
from perenne.monitoring.elsewhere import events, service, store
from perenne.monitoring.elsewhere.bodies import read_request, read_response
from perenne.monitoring.elsewhere.counting import count_sent
from perenne.monitoring.elsewhere.keeping import read_part
from perenne.monitoring.elsewhere.model import Foreign
from perenne.monitoring.elsewhere.sending import journal
from perenne.storage.journal import journals
from perenne.storage.workspace import Workspace

SERVICE = {"namespace": "shop", "inferenceservicename": "fees"}


@pytest.fixture
def watched(workspace: Workspace, actor: Principal) -> Foreign:
    journal.cache_clear()
    new = Foreign(name="fees", project="fees", version="fees@1", kserve="shop/fees", window=HOUR)
    return service.add(workspace, actor, new)


def event(identity: str, kind: str, body: Any, **more: Any) -> CloudEvent:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    values = {"source": "http://node:9081", "time": format_time(START), "extensions": SERVICE} | more
    return CloudEvent(id=identity, type=kind, data=data, **values)


def asked(identity: str, wind: float = 3.5, **more: Any) -> CloudEvent:
    return event(identity, REQUEST, {"instances": [[wind, 1]]}, **more)


def answered(identity: str, said: Any = "yes", **more: Any) -> CloudEvent:
    return event(identity, RESPONSE, {"predictions": [said]}, **more)


def send(workspace: Workspace, actor: Principal, written: tuple[dict[str, str], bytes], path: str = "/v1/events") -> Any:
    return ask(workspace, actor, "POST", path, headers=written[0], content=written[1])


def rows(workspace: Workspace) -> list[dict[str, Any]]:
    with workspace.database.read() as tx:
        parts = store.parts_between(tx, "fees", 0, 1 << 62)
    return [row for part in parts for row in read_part(workspace, part).to_pylist()]


def test_halves_come_in_any_mode_and_order_and_twice_and_count_once(
    workspace: Workspace, actor: Principal, watched: Foreign
) -> None:
    answers = [
        send(workspace, actor, cloudevents.write_binary(asked("1"))),
        send(workspace, actor, cloudevents.write_structured(answered("2", "no")), "/api/v1/events"),
        send(workspace, actor, cloudevents.write_batch([asked("3"), asked("2"), asked("1")])),
        send(workspace, actor, cloudevents.write_binary(answered("1"))),
        send(workspace, actor, cloudevents.write_binary(answered("1"))),
        send(workspace, actor, cloudevents.write_binary(asked("4"))),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert count_sent(workspace) == 0, "another half may come for a minute"
    assert count_sent(workspace, at_once=True) == 2
    send(workspace, actor, cloudevents.write_batch([asked("1"), answered("1"), answered("4", "late")]))
    assert count_sent(workspace, at_once=True) == 0, "one is known by its id, of the other the first half is gone"
    assert sorted((row["id"], row["prediction"], row["time"], row["f_x0"]) for row in rows(workspace)) == [
        ("1-0", "yes", START, 3.5),
        ("2-0", "no", START, 3.5),
    ]


def test_pairs_wait_for_a_minute_and_no_longer() -> None:
    def half(name: str, second: int, side: str) -> events.Half:
        plain = events.Half("fees", name, second * SECOND, 1)
        return msgspec.structs.replace(plain, **{side: [[1.0]] if side == "features" else [1]})

    halves = [half("a", 0, "features"), half("b", 1, "features"), half("a", 59, "prediction"), half("b", 62, "prediction")]
    found = [(msgspec.msgpack.encode(one), place + 1) for place, one in enumerate(halves)]
    first = events.pair(found, 0, 0)
    assert ([row.id for row in first.rows["fees"]], first.end, first.waiting) == ([["a-0"]], 1, True)
    rest = events.pair(found[first.end :], first.end, 62 * SECOND)
    assert [row.id for row in rest.rows["fees"]] == [["b-0"]]
    assert (rest.end, rest.unpaired, rest.waiting) == (4, 1, False)


def test_both_versions_are_read_and_tensors_behind_the_json() -> None:
    raw = np.array([[1, 2], [3, 4]], "<f4").tobytes()
    header = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}]}
    assert read_request(json.dumps(header).encode() + raw) == [[1.0, 2.0], [3.0, 4.0]]
    named = {"inputs": [{"name": "a", "shape": [2], "datatype": "INT64", "data": [1, 2]},
                        {"name": "b", "shape": [2, 1], "datatype": "BYTES", "data": ["x", "y"]}]}  # fmt: skip
    assert read_request(json.dumps(named).encode()) == {"a": [1, 2], "b": ["x", "y"]}
    assert read_request(b'{"instances": [{"a": 1, "b": "x"}]}') == {"a": [1], "b": ["x"]}
    assert read_response(b'{"predictions": [1, 0]}') == ([1, 0], None)
    assert read_response(b'{"predictions": [[0.1, 0.9]]}') == ([1], [[0.1, 0.9]])
    both = {"outputs": [{"name": "label", "shape": [1], "datatype": "INT64", "data": [2]},
                        {"name": "probabilities", "shape": [1, 3], "datatype": "FP64", "data": [0.1, 0.2, 0.7]}]}  # fmt: skip
    assert read_response(json.dumps(both).encode()) == ([2], [[0.1, 0.2, 0.7]])
    out = np.array([[0.25]], "<f8").tobytes()
    packed = {"outputs": [{"name": "y", "shape": [1, 1], "datatype": "FP64", "parameters": {"binary_data_size": len(out)}}]}
    assert read_response(json.dumps(packed).encode() + out) == ([0.25], None)


HOSTILE = [
    (cloudevents.write_binary(asked("1", extensions={"namespace": "shop"})), 400),
    (cloudevents.write_binary(asked("1", extensions=SERVICE | {"namespace": "other"})), 404),
    (cloudevents.write_binary(asked("x" * 201)), 400),
    (cloudevents.write_binary(asked("1", time="yesterday")), 400),
    (cloudevents.write_binary(event("1", "org.example.other", {})), 400),
    (cloudevents.write_binary(event("1", REQUEST, b"no json")), 400),
    (cloudevents.write_binary(event("1", REQUEST, {"instances": []})), 400),
    (cloudevents.write_binary(event("1", REQUEST, {"instances": [[{"a": []}]]})), 400),
    (cloudevents.write_binary(event("1", REQUEST, {"inputs": [{"name": "x", "shape": [1 << 40], "datatype": "FP32"}]})), 400),
    (cloudevents.write_binary(event("1", RESPONSE, {"outputs": [{"name": 3, "datatype": "FP32"}]})), 400),
    (cloudevents.write_binary(event("1", RESPONSE, {"predictions": [[1], [1, 2]]})), 400),
    (({"content-type": cloudevents.BATCH}, b"[{}]"), 400),
    (({"content-type": cloudevents.STRUCTURED}, b"[" * 100_000), 400),
    (({"content-type": "text/html"}, b"<p>"), 415),
    (({}, b""), 400),
    (cloudevents.write_batch([asked("1"), answered("1", {"a": {}})]), 400),
]


def test_what_is_no_event_of_ours_is_refused_and_changes_nothing(
    workspace: Workspace, actor: Principal, watched: Foreign
) -> None:
    for written, status in HOSTILE:
        answer = send(workspace, actor, written)
        assert answer.status_code == status, (written, answer.text)
        assert answer.json()["error_code"]
    reader = Principal("rita", roles=frozenset({Role.VIEWER}))
    assert send(workspace, reader, cloudevents.write_binary(asked("1"))).status_code == 403
    outside = Principal("oda", roles=frozenset({Role.CONTRIBUTOR}), projects=frozenset({"others"}))
    assert send(workspace, outside, cloudevents.write_binary(asked("1"))).status_code == 404
    assert journals(workspace.settings.spool / "elsewhere", "events") == []
