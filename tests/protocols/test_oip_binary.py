"""The binary tensor extension, rule by rule, against a worker."""

import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.packages import FIELDS, NUMBERS, ReleaseFolder, as_tensors, flights, numbers
from tests.serving.worker import Worker, with_worker

INFER = "/v2/models/delays/infer"
LENGTH = "inference-header-content-length"
DTYPES = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "INT64": "<i8", "INT32": "<i4", "UINT8": "u1", "BOOL": "?"}


@pytest.fixture
def champion(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["first"], 1))
    return release.folder


@pytest.fixture
def regression(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["regression"], 1))
    return release.folder


def raw(values: Any, datatype: str) -> bytes:
    if datatype == "BYTES":
        texts = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if datatype == "BF16":
        return (np.asarray(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.asarray(values, DTYPES[datatype]).tobytes()


def binary(tensor: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Take a tensor's data out of its JSON."""
    data = raw(tensor["data"], tensor["datatype"])
    described = {key: value for key, value in tensor.items() if key != "data"}
    return {**described, "parameters": {"binary_data_size": len(data)}}, data


def body_of(inputs: list[tuple[dict[str, Any], bytes]], **more: Any) -> tuple[bytes, dict[str, str]]:
    text = json.dumps({"inputs": [tensor for tensor, _ in inputs], **more}).encode()
    return text + b"".join(data for _, data in inputs), {LENGTH: str(len(text))}


def infer(folder: Path, content: bytes, headers: dict[str, str]) -> httpx.Response:
    async def work(worker: Worker) -> httpx.Response:
        return await worker.client.post(INFER, content=content, headers=headers)

    return with_worker(folder, work)


def outputs_of(response: httpx.Response) -> dict[str, Any]:
    """Read an answer, raw or not."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get(LENGTH, len(response.content)))
    text, rest = response.content[:length], response.content[length:]
    found = {}
    for tensor in json.loads(text)["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[tensor["name"]] = tensor["data"]
        else:
            found[tensor["name"]] = read(rest[:size], tensor["datatype"])
            rest = rest[size:]
    assert rest == b""
    return found


def read(data: bytes, datatype: str) -> list[Any]:
    if datatype != "BYTES":
        values: list[Any] = np.frombuffer(data, DTYPES[datatype]).tolist()
        return values
    texts = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        texts.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return texts


def whole_flights(rows: int) -> list[dict[str, Any]]:
    columns = flights(rows)
    columns["carrier"] = np.array([value or "AA" for value in columns["carrier"]], object)
    return as_tensors(columns)


def test_raw_mixed_and_json_inputs_and_outputs_give_the_same_answer(champion: Path) -> None:
    tensors = whole_flights(4)
    plain = json.dumps({"inputs": tensors}).encode()
    everything = body_of([binary(tensor) for tensor in tensors])
    some = body_of([binary(tensor) if place % 2 else (tensor, b"") for place, tensor in enumerate(tensors)])
    raw_answer = body_of([binary(tensor) for tensor in reversed(tensors)], parameters={"binary_data_output": True})
    only_raw_answer = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()

    async def work(worker: Worker) -> list[dict[str, Any]]:
        bodies = [(plain, {}), everything, some, raw_answer, (only_raw_answer, {})]
        replies = [await worker.client.post(INFER, content=content, headers=headers) for content, headers in bodies]
        kinds = [reply.headers["content-type"] for reply in replies]
        assert kinds == ["application/json"] * 3 + ["application/octet-stream"] * 2
        return [outputs_of(reply) for reply in replies]

    answered = with_worker(champion, work)
    for outputs in answered:
        assert (outputs["prediction"], outputs["probabilities"]) == (answered[0]["prediction"], answered[0]["probabilities"])
        assert [identity[-2:] for identity in outputs["prediction_id"]] == ["-0", "-1", "-2", "-3"]


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "BF16", "INT32", "UINT8"])
def test_a_table_may_be_of_every_number_type(regression: Path, datatype: str) -> None:
    values = np.arange(6.0).reshape(2, 3)
    data = raw(values, datatype)
    tensor = {"name": "x", "shape": [2, 3], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    column = [{"name": name, "shape": [2], "datatype": "FP64", "data": values[:, at].tolist()} for at, name in enumerate("abc")]
    found = outputs_of(infer(regression, *body_of([(tensor, data)])))["prediction"]
    assert found == outputs_of(infer(regression, json.dumps({"inputs": column}).encode(), {}))["prediction"]


def test_an_output_says_for_itself_whether_it_is_raw(champion: Path) -> None:
    outputs = [{"name": "prediction", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    body, headers = body_of([binary(t) for t in whole_flights(2)], outputs=outputs, parameters={"binary_data_output": True})
    response = infer(champion, body, headers)
    described = json.loads(response.content[: int(response.headers[LENGTH])])["outputs"]
    assert [("data" in tensor, tensor.get("parameters")) for tensor in described] == [
        (True, None),
        (False, {"binary_data_size": 32}),
    ]


def test_tensors_of_no_rows_are_legal(champion: Path) -> None:
    response = infer(champion, *body_of([binary(t) for t in whole_flights(0)], parameters={"binary_data_output": True}))
    assert outputs_of(response) == {"prediction": [], "probabilities": [], "prediction_id": []}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_and_answers_may_be_compressed_and_lengths_count_what_is_not(champion: Path, coding: str) -> None:
    content, headers = body_of([binary(t) for t in whole_flights(3)], parameters={"binary_data_output": True})
    pack = gzip.compress if coding == "gzip" else zlib.compress
    sent = {**headers, "content-encoding": coding, "accept-encoding": coding}
    response = infer(champion, pack(content), sent)
    assert response.headers["content-encoding"] == coding and response.headers["vary"] == "accept-encoding"
    plain = outputs_of(infer(champion, content, {**headers, "accept-encoding": "identity"}))
    assert outputs_of(response)["probabilities"] == plain["probabilities"]


def first(**changes: Any) -> tuple[bytes, dict[str, str]]:
    """Return a good raw request with its first input changed; `data` replaces its bytes."""
    tensors = [binary(tensor) for tensor in whole_flights(2)]
    data = changes.pop("data", tensors[0][1])
    return body_of([({**tensors[0][0], **changes}, data), *tensors[1:]])


def lying(value: str) -> tuple[bytes, dict[str, str]]:
    return first()[0], {LENGTH: value}


def texts(data: bytes) -> tuple[bytes, dict[str, str]]:
    tensors = [binary(tensor) for tensor in whole_flights(2)]
    tensors[2] = ({**tensors[2][0], "parameters": {"binary_data_size": len(data)}}, data)
    return body_of(tensors)


MISTAKES: list[tuple[tuple[bytes, dict[str, str]], str]] = [
    (lying("99999999"), "larger than the body"),
    (lying("-1"), "not a number"),
    (lying("1e3"), "not a number"),
    (lying("²"), "not a number"),
    (lying(""), "not a number"),
    (lying("9" * 5_000), "not a number"),
    (lying("0"), "not JSON"),
    (lying("10"), "not JSON"),
    (first(parameters={"binary_data_size": 15}, data=b"x" * 15), "make 16 bytes, binary_data_size is 15"),
    (first(parameters={"binary_data_size": 10**15}), "ends before its"),
    (first(parameters={"binary_data_size": -16}), "whole number of bytes"),
    (first(parameters={"binary_data_size": "16"}), "whole number of bytes"),
    (first(parameters={"binary_data_size": True}), "whole number of bytes"),
    (first(parameters={"binary_data_size": 16, "shared_memory_region": "x"}), "shared memory"),
    (first(shape=[10**9, 10**9]), "expected shape"),
    (first(shape=[10**12]), "make 8,000,000,000,000 bytes"),
    (first(shape=[-2]), "negative"),
    (first(data=b""), "ends before"),
    ((first()[0][:-3], first()[1]), "ends before"),
    ((first()[0] + b"xx", first()[1]), "2 bytes more than"),
    (first(datatype="FP128"), "expected FP64, got FP128"),
    (texts(b"\x02\0\0\0AA"), "too small for 2 texts"),
    (texts(b"\x02\0\0\0AA\xff\xff\xff\xffBB"), "do not add up"),
    (texts(b"\x02\0\0\0AA\x02\0\0\0BBC"), "do not add up"),
    (texts(b"\x02\0\0\0AA\x02\0\0\0\xff\xff"), "text 1 is not UTF-8"),
    (texts(b"\x02\0\0\0AA\x02\0\0\0B\0"), "NUL"),
]


@pytest.mark.parametrize(("sent", "says"), MISTAKES, ids=[f"{says}-{number}" for number, (_, says) in enumerate(MISTAKES)])
def test_a_mistake_is_a_400_that_says_where(champion: Path, sent: tuple[bytes, dict[str, str]], says: str) -> None:
    content, headers = sent
    response = infer(champion, content, {name: value.encode() for name, value in headers.items()})  # type: ignore[misc]
    assert response.status_code == 400 and says in response.json()["error"]
    assert response.headers["x-model-version"] == "1" and response.headers["x-variant"] == "champion"


def test_both_kinds_of_data_in_one_input_are_too_many(champion: Path) -> None:
    tensors = whole_flights(2)
    both = {**tensors[0], "parameters": {"binary_data_size": 16}}
    response = infer(champion, *body_of([(both, raw(tensors[0]["data"], "FP64")), *((tensor, b"") for tensor in tensors[1:])]))
    assert response.status_code == 400 and "both data and binary_data_size" in response.json()["error"]


def test_a_boolean_is_one_byte_of_zero_or_one(champion: Path) -> None:
    tensors = [binary(tensor) for tensor in whole_flights(2)]
    weekend = {"name": "weekend", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}}
    good, bad = ([*tensors[:3], (weekend, data), tensors[4]] for data in (b"\0\1", b"\0\2"))
    assert infer(champion, *body_of(good)).status_code == 200
    response = infer(champion, *body_of(bad))
    assert response.status_code == 400 and "0 or 1" in response.json()["error"]


def test_the_signature_has_what_these_tests_send() -> None:
    assert [field.name for field in FIELDS[:3]] == ["distance", "seats", "carrier"] and len(NUMBERS) == 3
    assert set(numbers(1)) == set("abc")
