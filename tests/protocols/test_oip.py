"""The Open Inference Protocol, row by row of the specification, against a worker."""

import asyncio
import gzip
import json
import math
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.packages import FIELDS, NUMBERS, ReleaseFolder, as_tensors, flights, numbers
from tests.serving.worker import Worker, numbers_of, with_worker

import perenne
from perenne.serving.model import Role

INFER = "/v2/models/delays/infer"


@pytest.fixture
def champion(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["first"], 1))
    return release.folder


@pytest.fixture
def regression(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["regression"], 1))
    return release.folder


def ask(folder: Path, method: str, path: str, **more: Any) -> httpx.Response:
    async def work(worker: Worker) -> httpx.Response:
        return await worker.client.request(method, path, **more)

    return with_worker(folder, work)


def infer(folder: Path, body: Any, **more: Any) -> httpx.Response:
    return ask(folder, "POST", INFER, content=body if isinstance(body, bytes) else json.dumps(body), **more)


def output(response: httpx.Response, name: str) -> dict[str, Any]:
    return next(tensor for tensor in response.json()["outputs"] if tensor["name"] == name)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v2", {"name": "perenne", "version": perenne.__version__, "extensions": ["binary_tensor_data"]}),
        ("/v2/", {"name": "perenne", "version": perenne.__version__, "extensions": ["binary_tensor_data"]}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models", {"models": ["delays"]}),
        ("/v2/models/delays/ready", {"name": "delays", "ready": True}),
        ("/v2/models/delays/versions/1/ready", {"name": "delays", "ready": True}),
    ],
)
def test_what_get_answers(champion: Path, path: str, answer: Any) -> None:
    response = ask(champion, "GET", path)
    assert (response.status_code, response.json()) == (200, answer)


def test_metadata_names_every_input_and_output(champion: Path) -> None:
    metadata = ask(champion, "GET", "/v2/models/delays/versions/1").json()
    assert metadata["name"] == "delays" and metadata["versions"] == ["1"] and metadata["platform"] == "onnx_onnxv1"
    assert metadata["inputs"] == [
        {"name": "distance", "datatype": "FP64", "shape": [-1]},
        {"name": "seats", "datatype": "INT64", "shape": [-1]},
        {"name": "carrier", "datatype": "BYTES", "shape": [-1]},
        {"name": "weekend", "datatype": "BOOL", "shape": [-1]},
        {"name": "scheduled", "datatype": "INT64", "shape": [-1]},
    ]
    assert metadata["outputs"] == [
        {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}'])
def test_the_repository_index_takes_an_empty_body(champion: Path, body: bytes) -> None:
    response = ask(champion, "POST", "/v2/repository/index", content=body)
    assert response.json() == [{"name": "delays", "version": "1", "state": "READY", "reason": ""}]


def test_an_answer_has_ids_labels_and_probabilities(champion: Path) -> None:
    response = infer(champion, {"id": "mine", "inputs": as_tensors(flights(3))})
    body = response.json()
    assert response.status_code == 200 and response.headers["content-type"] == "application/json"
    assert (body["model_name"], body["model_version"], body["id"]) == ("delays", "1", "mine")
    assert body["parameters"] == {"variant": "champion"}
    assert set(output(response, "prediction")["data"]) <= {"late", "on time"}
    assert output(response, "probabilities")["shape"] == [3, 2]
    request_id = response.headers["x-request-id"]
    assert output(response, "prediction_id")["data"] == [f"{request_id}-{row}" for row in range(3)]
    assert [response.headers[f"x-{name}"] for name in ("model-name", "model-version", "variant")] == ["late", "1", "champion"]


def test_every_layout_gives_the_same_answer(champion: Path) -> None:
    table = flights(4)
    columns = as_tensors(table)
    nested = [{**tensor, "shape": [4, 1], "data": [[value] for value in tensor["data"]]} for tensor in columns]
    flat = [{**tensor, "shape": [4, 1]} for tensor in columns]
    bodies = [columns, nested, flat, columns[::-1], [*columns, {"name": "other", "shape": [1], "datatype": "FP64", "data": [1]}]]

    async def work(worker: Worker) -> list[Any]:
        replies = [await worker.client.post(INFER, content=json.dumps({"inputs": inputs})) for inputs in bodies]
        return [output(reply, "probabilities")["data"] for reply in replies]

    answered = with_worker(champion, work)
    assert all(data == answered[0] for data in answered)


def test_one_tensor_of_numbers_equals_a_tensor_per_column(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["regression"], 1))
    table = numbers(5)
    matrix = np.stack([table[field.name] for field in NUMBERS], axis=1)
    whole = {"name": "input-0", "shape": [5, 3], "datatype": "FP64"}
    bodies = [as_tensors(table, NUMBERS), [{**whole, "data": matrix.tolist()}], [{**whole, "data": matrix.ravel().tolist()}]]

    async def work(worker: Worker) -> list[Any]:
        replies = [await worker.client.post(INFER, content=json.dumps({"inputs": inputs})) for inputs in bodies]
        return [output(reply, "prediction") for reply in replies]

    answered = with_worker(release.folder, work)
    assert answered[0]["datatype"] == "FP64" and all(item == answered[0] for item in answered)


def test_missing_values_may_be_null_or_a_token(champion: Path) -> None:
    tensors = as_tensors(flights(1))
    bodies = []
    for text in ("null", "NaN"):
        distance = f'{{"name": "distance", "shape": [1], "datatype": "FP64", "data": [{text}]}}'
        bodies.append(f'{{"inputs": [{distance}, {json.dumps(tensors[1:])[1:-1]}]}}'.encode())

    async def work(worker: Worker) -> list[Any]:
        replies = [await worker.client.post(INFER, content=body) for body in bodies]
        assert [math.isnan(numbers_of(served.columns[0])[0]) for served in worker.observed()] == [True, True]
        return [output(reply, "probabilities")["data"] for reply in replies]

    first, second = with_worker(champion, work)
    assert first == second


def test_times_come_as_nanoseconds_or_text(champion: Path) -> None:
    tensors = as_tensors(flights(1))
    text = {"name": "scheduled", "shape": [1], "datatype": "BYTES", "data": ["2013-01-02T03:04:05Z"]}
    whole = {"name": "scheduled", "shape": [1], "datatype": "INT64", "data": [1_357_095_845_000_000_000]}

    async def work(worker: Worker) -> list[float]:
        for last in (text, whole):
            await worker.client.post(INFER, content=json.dumps({"inputs": [*tensors[:4], last]}))
        return [numbers_of(served.columns[4])[0] for served in worker.observed()]

    assert with_worker(champion, work) == [1_357_095_845.0, 1_357_095_845.0]


def test_only_the_outputs_asked_for_come_back_in_that_order(champion: Path) -> None:
    outputs = [{"name": "probabilities"}, {"name": "prediction"}]
    response = infer(champion, {"inputs": as_tensors(flights(1)), "outputs": outputs})
    assert [tensor["name"] for tensor in response.json()["outputs"]] == ["probabilities", "prediction"]


def test_no_rows_get_no_answers(champion: Path) -> None:
    response = infer(champion, {"inputs": as_tensors(flights(0))})
    assert response.status_code == 200 and output(response, "probabilities") == {
        "name": "probabilities",
        "datatype": "FP64",
        "shape": [0, 2],
        "data": [],
    }


@pytest.mark.parametrize(("encoding", "data"), [("gzip", gzip.compress), ("identity", bytes)])
def test_a_body_may_be_compressed(champion: Path, encoding: str, data: Any) -> None:
    body = json.dumps({"inputs": as_tensors(flights(2))}).encode()
    assert infer(champion, data(body), headers={"content-encoding": encoding}).status_code == 200


def changed(position: int = 0, **values: Any) -> dict[str, Any]:
    tensors = as_tensors(flights(2))
    tensors[position] |= values
    return {"inputs": tensors}


MISTAKES: list[tuple[Any, str]] = [
    (b"", "not JSON"),
    (b'{"inputs": [', "not JSON"),
    (b"null", "malformed"),
    (b"[]", "malformed"),
    (b"\xff\xfe", "not UTF-8"),
    ({}, "inputs"),
    ({"inputs": []}, "missing inputs: distance, seats, carrier, weekend, scheduled"),
    ({"inputs": [1]}, "malformed"),
    (changed(name="other"), "missing inputs: distance"),
    (changed(name="seats"), "same name"),
    (changed(shape=[3]), "shape says 3 values, data has 2"),
    (changed(shape=[-2]), "negative"),
    (changed(shape=[]), "no dimensions"),
    (changed(shape=[1e9]), "malformed"),
    (changed(shape=["2"]), "malformed"),
    (changed(shape=[10**9, 10**9]), "expected shape"),
    (changed(shape=[1] * 40), "more than 32 dimensions"),
    (changed(datatype="BF16"), "BF16 is read as binary"),
    ({**changed(), "outputs": [{"name": "prediction", "parameters": {"shared_memory_region": "x"}}]}, "shared memory"),
    ({**changed(), "parameters": {"binary_data_output": "yes"}}, "binary_data_output: expected true or false"),
    (changed(shape=[1, 2]), "expected shape"),
    (changed(shape=[2, 1], data=[[1.0], [2.0, 3.0]]), "nested"),
    (changed(shape=[1], data=[1.0]), "another number of rows"),
    (changed(datatype="FP65"), "expected FP64, got FP65"),
    (changed(datatype="object"), "expected FP64, got object"),
    (changed(datatype="BYTES", data=["1", "2"]), "'distance': expected FP64, got BYTES"),
    (changed(datatype="BOOL", data=[True, False]), "'distance': expected FP64, got BOOL"),
    (changed(data=[1.0, "secret"]), "'distance': value 1 is no FP64"),
    (changed(data=[1.0, [2.0]]), "value 1 is no FP64"),
    (changed(data={"secret": 1}), "list"),
    (changed(datatype="INT64", data=[1, None]), "value 1 is no INT64"),
    (changed(datatype="INT8", data=[1, 300]), "outside the range of INT8"),
    (changed(datatype="FP32", data=[1, 1e300]), "outside the range of FP32"),
    (changed(2, datatype="FP64", data=[1.0, 2.0]), "'carrier': expected BYTES, got FP64"),
    (changed(2, data=["AA", 3]), "value 1 is no BYTES"),
    (changed(3, data=["true", "maybe"]), "column 'weekend', row 1: expected true or false"),
    (changed(4, datatype="BYTES", data=["2013-01-01", "secret"]), "column 'scheduled', row 1: expected an ISO 8601"),
    (changed(parameters={"binary_data_size": 16}), "binary_data_size, but there is no Inference-Header-Content-Length"),
    (changed(parameters={"shared_memory_region": "x"}), "shared memory"),
    ({**changed(), "outputs": [{"name": "nothing"}]}, "prediction, probabilities, prediction_id"),
    ({**changed(), "outputs": [{"name": "prediction", "parameters": {"classification": 1}}]}, "classification"),
    ({**changed(), "parameters": {"timeout": "soon"}}, "timeout"),
    (b'{"inputs": [{"name": "distance", "shape": [1], "datatype": "FP64", "data": [1e999]}]}', "missing inputs"),
    (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "64 levels"),
    (b"[" * 100_000, "64 levels"),
    (b"[" * 1_000_000, "more than 500,000 rows"),
    (b'{"inputs": [' + b"1," * 5_000_000 + b"1]}", "4,000,000 values"),
]


@pytest.mark.parametrize(("body", "says"), MISTAKES, ids=[f"{says}-{number}" for number, (_, says) in enumerate(MISTAKES)])
def test_a_mistake_is_a_400_that_says_where_and_never_repeats_a_value(champion: Path, body: Any, says: str) -> None:
    response = infer(champion, body)
    assert response.status_code == 400
    assert says in response.json()["error"]
    assert "secret" not in response.text and "Traceback" not in response.text and "/" not in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/delays/versions/9", 404),
        ("POST", "/v2/models/delays/versions/9/infer", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/V2/health/live", 404),
        ("GET", "/v2//health/live", 404),
        ("GET", "/v2/health/live/", 404),
        ("GET", INFER, 405),
        ("DELETE", "/v2/health/live", 405),
    ],
)
def test_what_is_not_there(champion: Path, method: str, path: str, status: int) -> None:
    response = ask(champion, method, path)
    assert response.status_code == status and response.json()["error"] and response.headers["x-request-id"]
    assert status != 405 or response.headers["allow"] in ("POST", "GET")


def test_the_callers_own_id_and_trace_come_back_if_they_are_plain(champion: Path) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = json.dumps({"inputs": as_tensors(flights(1))})
    plain = infer(champion, body.encode(), headers={"x-request-id": "order-66", "traceparent": trace})
    assert (plain.headers["x-request-id"], plain.headers["traceparent"]) == ("order-66", trace)
    assert not output(plain, "prediction_id")["data"][0].startswith("order")
    odd = infer(champion, body.encode(), headers={"x-request-id": "<script>", "traceparent": "x"})
    assert "script" not in odd.headers["x-request-id"] and "traceparent" not in odd.headers


def test_a_version_in_the_url_is_answered_by_that_version(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["second"], 2), release.add(packages["first"], 1, Role.PREVIOUS))
    body = json.dumps({"inputs": as_tensors(flights(3))})

    async def work(worker: Worker) -> list[httpx.Response]:
        paths = ["/v2/models/delays", "/v2/models/delays/versions/1", "/v2/models/delays/versions/late@2"]
        return [await worker.client.post(f"{path}/infer", content=body) for path in paths]

    default, old, explicit = with_worker(release.folder, work)
    assert [reply.json()["model_version"] for reply in (default, old, explicit)] == ["2", "1", "2"]
    assert default.json()["outputs"][1] == explicit.json()["outputs"][1] != old.json()["outputs"][1]


def test_the_deadline_of_the_caller_is_kept(champion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(worker: Worker) -> httpx.Response:
        body = json.dumps({"inputs": as_tensors(flights(2)), "parameters": {"timeout": 1}})
        asyncio.get_running_loop().slow_callback_duration = 9.0
        # As if predicting took a second: it is queued for the thread.
        monkeypatch.setattr(type(worker.runtime.require_lineup().champion), "cost_us", lambda _, rows: 1e6)
        return await worker.client.post(INFER, content=body)

    response = with_worker(champion, work)
    assert response.status_code == 504 and response.json()["error"]


def test_fields_of_the_signature_are_the_inputs(champion: Path) -> None:
    names = [tensor["name"] for tensor in ask(champion, "GET", "/v2/models/delays").json()["inputs"]]
    assert names == [field.name for field in FIELDS]
