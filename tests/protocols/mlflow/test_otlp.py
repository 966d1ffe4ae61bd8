"""`POST /v1/traces` on a real server: encodings, limits, what is refused and how, and no trace of what was."""

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.formats.test_otlp import otlp_json_of, request_of, span_with
from tests.llm.spans import TRACE, span

from perenne.formats.otlp import Batch

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def request(**changes: Any) -> ExportTraceServiceRequest:
    return request_of([Batch({"service.name": "bot"}, [span(1, name="root", **changes), span(2, 1)])])


def send(client: httpx.Client, body: bytes, kind: str = PROTOBUF, **headers: str) -> httpx.Response:
    told = {"content-type": kind, "x-mlflow-experiment-id": "0"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return client.post("/v1/traces", content=body, headers=told)


def read(client: httpx.Client) -> httpx.Response:
    return client.get("/api/3.0/mlflow/traces/get", params={"trace_id": f"tr-{TRACE}", "allow_partial": "true"})


def raw_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()


@pytest.mark.parametrize(
    ("pack", "encoding"), [(bytes, ""), (gzip.compress, "gzip"), (zlib.compress, "deflate"), (raw_deflate, "deflate")]
)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON, "application/json; charset=utf-8"])
def test_spans_come_in_every_encoding(client: httpx.Client, pack: Any, encoding: str, kind: str) -> None:
    sent = request()
    body = sent.SerializeToString() if kind == PROTOBUF else otlp_json_of(sent)
    answer = send(client, pack(body), kind, **({"content_encoding": encoding} if encoding else {}))
    assert (answer.status_code, answer.content) == (200, b"" if kind == PROTOBUF else b"{}"), answer.text
    assert answer.headers["content-type"] == kind.partition(";")[0]
    found = read(client).json()["trace"]
    assert [one["name"] for one in found["spans"]] == ["root", "span 2"]
    assert found["trace_info"]["tags"]["service.name"] == "bot"


def refused(answer: httpx.Response, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert said in body["message"] and body["error_code"], body


def test_what_is_no_request_is_refused(client: httpx.Client) -> None:
    body = request().SerializeToString()
    refused(send(client, body, "text/plain"), 400, "Invalid Content-Type: text/plain. Expected: application/x-protobuf or")
    refused(client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF}), 400, "x-mlflow-experiment-id")
    refused(send(client, body, x_mlflow_experiment_id="abc"), 400, "Invalid experiment ID 'abc'")
    refused(send(client, body, x_mlflow_experiment_id="99"), 404, "No Experiment with id=99 exists")
    refused(send(client, b"junk"), 400, "no protobuf message")
    refused(send(client, b"{", JSON), 400, "JSON")
    refused(send(client, b""), 400, "Invalid OpenTelemetry format - no spans found")
    refused(send(client, b"{}", JSON), 400, "Invalid OpenTelemetry format - no spans found")
    refused(send(client, b"no gzip", content_encoding="gzip"), 400, "gzip")
    assert send(client, body, content_encoding="br").status_code in (400, 415)
    assert client.get("/v1/traces").status_code == 405
    assert read(client).status_code == 404, "nothing of it was kept"


def test_what_is_beyond_a_limit_is_refused_before_it_costs_memory(client: httpx.Client) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    assert send(client, bomb, content_encoding="gzip").status_code in (400, 413)
    many = span_with(attributes={f"a{number}": number for number in range(5_000)})
    refused(send(client, many.SerializeToString()), 400, "attributes")
    large = span_with(attributes={"prompt": "x" * (9 << 20)})
    refused(send(client, large.SerializeToString()), 400, "text")


def test_a_bad_span_among_good_ones_keeps_all_of_them_out(client: httpx.Client) -> None:
    both = request_of([Batch({}, [span(1), span(2, trace="00" * 16)])])
    refused(send(client, both.SerializeToString()), 400, "no trace id")
    assert read(client).status_code == 404


def test_the_run_of_a_header_is_linked(client: httpx.Client) -> None:
    made = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).json()
    run = made["run"]["info"]["run_id"]
    assert send(client, request().SerializeToString(), x_mlflow_run_id=run).status_code == 200
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    body = {"locations": [place], "filter": f"run_id = '{run}'"}
    found = client.post("/api/3.0/mlflow/traces/search", content=json.dumps(body)).json()
    assert [one["trace_id"] for one in found["traces"]] == [f"tr-{TRACE}"]
    assert client.post("/api/2.0/mlflow/runs/delete", json={"run_id": run}).status_code == 200


def test_deleting_a_run_takes_what_it_judged(client: httpx.Client) -> None:
    made = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).json()
    run = made["run"]["info"]["run_id"]
    send(client, request().SerializeToString())
    said = {"assessment_name": "ok", "source": {"source_type": "CODE", "source_id": "c"}, "feedback": {"value": 1}}
    for told in (said | {"metadata": {"mlflow.assessment.sourceRunId": run}}, said):
        answer = client.post(f"/api/3.0/mlflow/traces/tr-{TRACE}/assessments", json={"assessment": told})
        assert answer.status_code == 200
    client.post("/api/2.0/mlflow/runs/delete", json={"run_id": run})
    left = read(client).json()["trace"]["trace_info"]["assessments"]
    assert [one.get("metadata") for one in left] == [None]


def test_spans_of_a_client_before_mlflow_3_are_read_from_their_file(client: httpx.Client) -> None:
    begun = client.post("/api/2.0/mlflow/traces", json={"experiment_id": "0", "timestamp_ms": 5}).json()["trace_info"]
    place = next(tag["value"] for tag in begun["tags"] if tag["key"] == "mlflow.artifactLocation")
    spans: list[dict[str, Any]] = [
        {
            "name": "old",
            "context": {"span_id": "0x1", "trace_id": "0x2"},
            "parent_id": None,
            "start_time": 10,
            "end_time": 20,
            "status_code": "OK",
            "status_message": "",
            "attributes": {"mlflow.spanInputs": '{"q": 1}'},
            "events": [],
        }
    ]
    path = place.removeprefix("mlflow-artifacts:/")
    put = client.put(f"/api/2.0/mlflow-artifacts/artifacts/{path}/traces.json", content=json.dumps({"spans": spans}))
    assert put.status_code == 200, put.text
    found = client.get("/api/3.0/mlflow/traces/get", params={"trace_id": begun["request_id"]}).json()["trace"]
    assert [(one["name"], one["start_time_unix_nano"], one["status"]) for one in found["spans"]] == [
        ("old", 10, {"code": "STATUS_CODE_OK"})
    ]
    several = client.get("/api/3.0/mlflow/traces/batchGet", params={"trace_ids": begun["request_id"]}).json()
    assert len(several["traces"][0]["spans"]) == 1
    file = client.get("/ajax-api/3.0/mlflow/get-trace-artifact", params={"request_id": begun["request_id"]})
    assert file.json()["spans"] == spans


def test_spans_in_the_database_are_given_as_a_file_too(client: httpx.Client) -> None:
    send(client, request().SerializeToString())
    answer = client.get("/ajax-api/3.0/mlflow/get-trace-artifact", params={"request_id": f"tr-{TRACE}"})
    assert answer.headers["content-disposition"] == 'attachment; filename="traces.json"'
    assert [one["name"] for one in answer.json()["spans"]] == ["root", "span 2"]
