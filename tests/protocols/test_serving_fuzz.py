"""Whatever comes to a model server is answered, or refused in its protocol's form: never a 500, never more memory than may be."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.app import servers
from tests.protocols.target import Target
from tests.protocols.test_oip_binary import LENGTH, binary, body_of, outputs_of, whole_flights
from tests.protocols.test_scoring_parquet import parquet, table
from tests.serving.packages import ReleaseFolder, as_tensors, flights, made_packages

LIMIT = 1 << 20
INFER, SCORE = "/v2/models/delays/infer", "/invocations"
JSON_PATHS = [INFER, SCORE, "/v1/models/delays:predict", "/v1/models/delays:explain", "/docs/calls", "/v2/repository/index"]
JSON_PATHS += ["/v2/repository/models/delays/unload", "/v2/repository/models/delays/load"]
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> ReleaseFolder:
    release = ReleaseFolder(tmp_path_factory.mktemp("fuzz") / "release")
    release.write(release.add(made_packages()["first"], 1))
    return release


@pytest.fixture(scope="module")
def target(release: ReleaseFolder) -> Iterator[Target]:
    found = Target(release.folder, body=LIMIT, repository=True)
    yield found
    found.close()


def check(reply: httpx.Response) -> None:
    """An answer, or a refusal that is the caller's fault, in a form that clients read."""
    assert reply.status_code == 200 or 400 <= reply.status_code < 500 or reply.status_code == 503, reply.text
    if reply.status_code >= 400 and not reply.headers["content-type"].startswith("text/plain"):
        said = reply.json()
        assert said.get("error") or said["message"]
        assert len(reply.content) < 2_000


GOOD = body_of([binary(tensor) for tensor in whole_flights(3)], parameters={"binary_data_output": True})
PLAIN = json.dumps({"inputs": as_tensors(flights(2))}).encode()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([10**40, -(2**63), 1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NAMES = ["inputs", "instances", "dataframe_split", "dataframe_records", "outputs", "parameters", "params", "row", "url", "ready"]
DATATYPES = ["FP64", "FP32", "FP16", "BF16", "INT64", "UINT8", "BOOL", "BYTES", "FP128", ""]
SIZES = st.sampled_from([0, 1, 2, 3, -1, 10**9, 10**18, 2**63, 2**64, 10**40])


def damaged_binary(target: Target, data: st.DataObject) -> None:
    body, headers = GOOD
    place = data.draw(st.integers(0, len(body)))
    piece = data.draw(st.binary(max_size=12))
    how = data.draw(st.sampled_from(["cut", "insert", "replace"]))
    after = {"cut": b"", "insert": piece + body[place:], "replace": piece + body[place + len(piece) :]}
    body = body[:place] + after[how]
    length = data.draw(st.sampled_from([headers[LENGTH], "0", "1", str(len(body)), str(len(body) + 1), "-1", "x", "9" * 30]))
    sent = {LENGTH: length} if data.draw(st.booleans()) else headers
    check(target.post(INFER, body, sent))


def lying_tensor(target: Target, data: st.DataObject) -> None:
    tensors = [binary(tensor) for tensor in whole_flights(2)]
    at = data.draw(st.integers(0, 4))
    described, raw = tensors[at]
    parameters = {"binary_data_size": data.draw(st.sampled_from([len(raw), 0, 1, -1, 10**12, 2**64, None, "16", 1.5]))}
    changed = {**described, "parameters": parameters, "shape": data.draw(st.lists(SIZES, max_size=4))}
    changed["datatype"] = data.draw(st.sampled_from(DATATYPES))
    tensors[at] = (changed, data.draw(st.sampled_from([raw, raw[:-1], raw + b"\0", b""])))
    check(target.post(INFER, *body_of(tensors)))
    check(target.post(INFER, json.dumps({"inputs": [{**tensor, "data": [1, 2]} for tensor, _ in tensors]}).encode()))


def any_json(target: Target, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(JSON_PATHS))
    value = data.draw(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=3) | ANYTHING)
    check(target.post(path, json.dumps(value).encode()))
    target.post("/v2/repository/models/delays/load", b"")


def damaged_parquet(target: Target, data: st.DataObject) -> None:
    body = bytearray(PARQUET)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    sent = bytes(body[:cut]) if data.draw(st.booleans()) else bytes(body)
    check(target.post(SCORE, sent, {"content-type": "application/vnd.apache.parquet"}))


PARQUET = parquet(table(), compression="none")
WAYS = [damaged_binary, lying_tensor, any_json, damaged_parquet]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_damaged_is_refused_in_its_form(target: Target, way: Any) -> None:
    FEW(given(st.data())(lambda data: way(target, data)))()


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_what_is_damaged_is_refused_in_its_form_thousands_of_times(target: Target, way: Any) -> None:
    MANY(given(st.data())(lambda data: way(target, data)))()


def test_the_bodies_that_are_damaged_are_good_ones(target: Target) -> None:
    assert target.post(INFER, *GOOD).status_code == target.post(INFER, PLAIN).status_code == 200
    assert target.post(SCORE, PARQUET, {"content-type": "application/vnd.apache.parquet"}).status_code == 200


@cache
def bomb(coding: str, size: int) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16 if coding == "gzip" else zlib.MAX_WBITS)
    zeros = b"\0" * (1 << 20)
    return b"".join([*(machine.compress(zeros) for _ in range(size >> 20)), machine.flush()])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("path", [INFER, SCORE, "/v1/models/delays:predict"])
def test_a_body_that_grows_is_refused_before_it_does(target: Target, path: str, coding: str) -> None:
    packed = bomb(coding, 64 << 20)
    assert len(packed) < LIMIT
    tracemalloc.start()
    try:
        reply = target.post(path, packed, {"content-encoding": coding})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    check(reply)
    assert reply.status_code == 413 and peak < 4 * LIMIT


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (gzip.compress(PLAIN)[:-4], {"content-encoding": "gzip"}, 400),
        (gzip.compress(PLAIN) + b"more", {"content-encoding": "gzip"}, 400),
        (PLAIN, {"content-encoding": "gzip"}, 400),
        (PLAIN, {"content-encoding": "br"}, 415),
        (PLAIN, {"content-encoding": "gzip, gzip"}, 415),
        (b" " * (LIMIT + 1), {}, 413),
        (gzip.compress(PLAIN), {"content-encoding": "gzip"}, 200),
        (zlib.compress(PLAIN)[2:-4], {"content-encoding": "deflate"}, 200),
    ],
)
def test_encodings_are_undone_whole_or_refused(target: Target, body: bytes, headers: dict[str, str], status: int) -> None:
    reply = target.post(INFER, body, headers)
    assert reply.status_code == status
    check(reply)


def test_an_answer_of_many_rows_is_compressed_for_those_who_take_it(target: Target) -> None:
    body = json.dumps({"inputs": as_tensors(flights(600))}).encode()
    plain = target.post(INFER, body, {"accept-encoding": "identity"})
    for accepts in ("gzip, deflate, br", "br, deflate;q=0.5"):
        packed = target.post(INFER, body, {"accept-encoding": accepts})
        assert packed.headers["content-encoding"] in accepts and packed.json()["outputs"][1] == plain.json()["outputs"][1]
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert "content-encoding" not in target.post(INFER, PLAIN, {"accept-encoding": "gzip, deflate"}).headers


def test_64_callers_of_every_protocol_each_get_their_own_answer(release: ReleaseFolder, tmp_path: Path) -> None:
    with servers.model_server(release, tmp_path, workers=2) as running, httpx.Client(base_url=running.url) as client:

        def ask(number: int) -> Any:
            tensors, way = whole_flights_of(number), number % 4
            if way == 0:
                return outputs_of(client.post(INFER, content=json.dumps({"inputs": tensors})))["prediction"]
            if way == 1:
                content, headers = body_of([binary(tensor) for tensor in tensors], parameters={"binary_data_output": True})
                return outputs_of(client.post(INFER, content=content, headers=headers))["prediction"]
            row = [{tensor["name"]: tensor["data"][0] for tensor in tensors}]
            row[0]["scheduled"] = "2013-01-01T00:00:00"
            path, name = (SCORE, "dataframe_records") if way == 2 else ("/v1/models/delays:predict", "instances")
            return client.post(path, json={name: row}).json()["predictions"]

        alone = [ask(number) for number in range(64)]
        with ThreadPoolExecutor(64) as pool:
            together = list(pool.map(ask, range(64)))
    assert together == alone and {answer[0] for answer in alone} == {"late", "on time"}


def whole_flights_of(seed: int) -> list[dict[str, Any]]:
    columns = flights(1, seed)
    columns["carrier"][0] = columns["carrier"][0] or "AA"
    return as_tensors(columns)
