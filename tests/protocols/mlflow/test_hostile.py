"""Bad input to every endpoint: whatever comes, the answer is a refusal in MLflow's form or a good one, and the server goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from tests.app import servers
from tests.app.servers import open_workspace

from perenne.protocols.mlflow.endpoint import Endpoint, Kind
from perenne.protocols.mlflow.groups import endpoints

ENDPOINTS = [endpoint for endpoint in endpoints() if endpoint.kind is not Kind.STREAM]
EXAMPLES, MANY = 8, 400

FORGED = ("eyJvZmZzZXQiOiAzfQ==", "eyJvZmZzZXQiOiAtM30=", "eyJhZnRlciI6IFsxXSwgInF1ZXJ5IjogIiJ9", "%2e%2e%2f", "?")
PLACES = ("..", "a/../b", "/etc/passwd", "runs:/a/b", "models:/m/1", "s3://b/k", "file:///etc", "mlflow-artifacts:/0/x/artifacts")
WORDS = (
    "name = 'a'",
    "metrics.m > 1 ORDER",
    "' OR 1=1 --",
    "(" * 100,
    "NOT " * 100,
    "mlflow.runName",
    "READY",
    "latest",
    "attributes.x",
)
ODD = (
    "",
    "0",
    "1",
    "-1",
    "abc",
    "a b",
    "x" * 300,
    "a" * 20_000,
    "999999999999",
    "NaN",
    "{}",
    "[]",
    "%",
    "\u00fc\u2603",
    "\u202e",
)
KNOWN = ("{run}", "{model}", "0", "Default")
TEXTS = st.sampled_from([*FORGED, *PLACES, *WORDS, *ODD, *KNOWN, *KNOWN]) | st.text(max_size=10)
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**63, 2**63 - 1, -(2**63), 10**400, 0.5, 1e308, float("nan"), float("inf")])
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)


Hostile: TypeAlias = tuple[httpx.Client, dict[str, str]]
"""Who asks, and the ids of what there is."""


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Return values of a type, some of them of another."""
    match kind:
        case inspect.StrType():
            fitting: st.SearchStrategy[Any] = TEXTS
        case inspect.IntType() | inspect.FloatType():
            fitting = NUMBERS | st.integers(-5, 5)
        case inspect.BoolType():
            fitting = st.booleans()
        case inspect.EnumType():
            fitting = st.sampled_from([member.name for member in kind.cls]) | st.integers(-1, 6)
        case inspect.ListType() | inspect.VarTupleType():
            fitting = st.lists(values_of(kind.item_type), max_size=3)
        case inspect.DictType():
            fitting = st.dictionaries(TEXTS, values_of(kind.value_type), max_size=3)
        case inspect.StructType():
            fitting = fields_of(kind.cls)
        case inspect.UnionType():
            fitting = st.one_of([values_of(one) for one in kind.types])
        case _:
            fitting = JUNK
    return st.integers(0, 9).flatmap(lambda die: JUNK if die == 0 else fitting)


def fields_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests, some with fields left out."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return st.fixed_dictionaries({}, optional={field.encode_name: values_of(field.type) for field in described.fields})


def paths_of(endpoint: Endpoint) -> st.SearchStrategy[str]:
    """Return paths of an endpoint, with all sorts of things in its open places."""
    path = endpoint.path if endpoint.path.startswith("/") else f"/api/{endpoint.path}"
    if "{" not in path:
        return st.just(path)
    places = st.sampled_from(
        ["x", "..", "%2e%2e", "0", "m-x", "a b", "%00", "%ff", "é", "a%2fb", "1" * 300, "-", "tr-" + "0" * 32, *KNOWN]
    )
    return places.map(lambda place: path.replace("{*}", f"{place}/y").replace("{}", place))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Hostile]:
    workspace = open_workspace(tmp_path_factory.mktemp("hostile"), empty_database)
    with (
        workspace,
        servers.control_plane(workspace) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        run = client.post("/api/2.0/mlflow/runs/create", json={}).json()["run"]["info"]["run_id"]
        model = client.post("/api/2.0/mlflow/logged-models", json={"experiment_id": "0"}).json()["model"]["info"]["model_id"]
        yield client, {"{run}": run, "{model}": model}


def attack(hostile: Hostile, endpoint: Endpoint, data: st.DataObject) -> None:
    client, known = hostile
    path, text = data.draw(paths_of(endpoint)), json.dumps(data.draw(fields_of(endpoint.asked)))
    for place, identity in known.items():
        path, text = path.replace(place, identity), text.replace(place, identity)
    if endpoint.method == "GET" or (endpoint.method == "DELETE" and data.draw(st.booleans())):
        answer = client.request(endpoint.method, path, params=httpx.QueryParams(_as_query(json.loads(text))))
    else:
        answer = client.request(endpoint.method, path, content=text)
    assert answer.status_code < 500 or answer.status_code == 501, (endpoint.method, path, text, answer.text[:500])
    if answer.status_code >= 400:
        assert answer.status_code not in (408, 429), "clients would try again"
        assert answer.json().keys() >= {"error_code", "message"}


def _as_query(fields: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs = [(name, one) for name, value in fields.items() for one in (value if isinstance(value, list) else [value])]
    return [(name, (value if isinstance(value, str) else json.dumps(value))[:1_000]) for name, value in pairs]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_comes_the_answer_is_none_that_clients_would_wait_for(
    hostile: Hostile, endpoint: Endpoint, data: st.DataObject
) -> None:
    attack(hostile, endpoint, data)


@pytest.mark.long
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
@settings(max_examples=MANY, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_comes_many_times(hostile: Hostile, endpoint: Endpoint, data: st.DataObject) -> None:
    attack(hostile, endpoint, data)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"5", b'"x"', b"{", b"\xff\xfe", b"{}{}", b'{"a":' * 100, b"[" * 70 + b"]" * 70]
)
@pytest.mark.parametrize("path", ["runs/create", "runs/log-batch", "experiments/search", "logged-models/search"])
def test_bodies_that_are_no_requests(hostile: Hostile, path: str, body: bytes) -> None:
    answer = hostile[0].post(f"/api/2.0/mlflow/{path}", content=body)
    assert answer.status_code in (200, 400) and answer.headers["content-type"] == "application/json"
