"""Paths, methods, limits and the log-in of MLflow's REST: whatever is refused is refused in its form."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app import servers
from tests.app.servers import open_workspace, token

from perenne.auth.roles import Role
from perenne.protocols.mlflow.groups import endpoints
from perenne.protocols.mlflow.left_out import refusal
from perenne.protocols.mlflow.routes import Routes
from perenne.protocols.mlflow.wire import MlflowError
from perenne.protocols.otlp import traces as otlp

OLD = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """Run one control plane for all these tests, on one kind of database: what is asked here hardly comes to it."""
    workspace = open_workspace(tmp_path_factory.mktemp("routes"), empty_database)
    with workspace, servers.control_plane(workspace) as port:
        yield f"http://127.0.0.1:{port}"


def in_form(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, which has MLflow's form."""
    body = answer.json()
    assert {"error_code", "message", "sqlstate", "error_class"} <= body.keys(), body
    assert body["sqlstate"] == ("KAM00" if answer.status_code < 500 else "XXM00")
    return answer.status_code, body["error_code"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/2.0/mlflow/nothing", (404, "ENDPOINT_NOT_FOUND")),
        ("POST", "/api/9.9/mlflow/runs/create", None),
        ("GET", "/ajax-api/3.0/mlflow/nothing", (404, "ENDPOINT_NOT_FOUND")),
        ("GET", f"{OLD}/runs/create", (405, "METHOD_NOT_ALLOWED")),
        ("DELETE", f"{OLD}/runs/search", (405, "METHOD_NOT_ALLOWED")),
        ("POST", f"{OLD}/runs/create/", (404, "ENDPOINT_NOT_FOUND")),
        ("GET", "/ajax-api/3.0/mlflow/gateway/supported-providers", (501, "NOT_IMPLEMENTED")),
        ("POST", "/api/3.0/mlflow/gateway/endpoints/create", (501, "NOT_IMPLEMENTED")),
        ("POST", "/graphql", (501, "NOT_IMPLEMENTED")),
        ("GET", "/api/3.0/mlflow/workspaces", (501, "NOT_IMPLEMENTED")),
        ("POST", "/api/3.0/mlflow/prompt-optimization/jobs", (501, "NOT_IMPLEMENTED")),
        ("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", (501, "NOT_IMPLEMENTED")),
        ("GET", "/ajax-api/3.0/mlflow/ui-telemetry", (501, "NOT_IMPLEMENTED")),
        ("GET", f"{OLD}/get-online-trace-details", (501, "NOT_IMPLEMENTED")),
        ("POST", f"{OLD}/users/create", (501, "NOT_IMPLEMENTED")),
        ("GET", f"{OLD}/experiments/permissions/get", (501, "NOT_IMPLEMENTED")),
    ],
)
def test_what_is_not_there_says_so_in_mlflows_form(
    client: httpx.Client, method: str, path: str, expected: tuple[int, str] | None
) -> None:
    answer = client.request(method, path)
    if expected is None:
        assert (answer.status_code, answer.json()["error_code"]) == (404, "request.path"), "not MLflow's"
    else:
        assert in_form(answer) == expected


def test_a_path_is_answered_below_ajax_api_too_and_a_head_has_no_body(client: httpx.Client) -> None:
    for path in ("/api", "/ajax-api"):
        assert (
            client.get(f"{path}/2.0/mlflow/experiments/get", params={"experiment_id": "0"}).json()["experiment"]["name"]
            == "Default"
        )
    head = client.head(f"{OLD}/experiments/get", params={"experiment_id": "0"})
    assert (head.status_code, head.content) == (200, b"")


def test_what_clients_ask_a_server_about_itself(client: httpx.Client) -> None:
    assert (client.get("/health").text, client.get("/version").text) == ("OK", "3.17.2")
    assert client.get("/version").headers["x-perenne-version"]
    info = client.get("/api/3.0/mlflow/server-info").json()
    assert (info["store_type"], info["workspaces_enabled"], info["features_enabled"]) == ("SqlStore", False, {"gateway": False})


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (None, 200),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
    ],
)
def test_a_body_is_json_and_says_so_or_nothing(client: httpx.Client, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = client.post(f"{OLD}/experiments/search", content=b'{"max_results": 1}', headers=headers)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["message"] == "Bad Request. Content-Type must be one of ['application/json']."


def test_bodies_are_bounded_before_and_after_they_are_unpacked(client: httpx.Client, run: str) -> None:
    path, packed = f"{OLD}/runs/log-batch", {"content-encoding": "gzip"}
    large = b'{"run_id": "%s", "tags": [{"key": "k", "value": "%s"}]}' % (run.encode(), b"v" * (33 << 20))
    assert in_form(client.post(path, content=large)) == (413, "BAD_REQUEST")
    assert in_form(client.post(path, content=iter([large[: 1 << 20]] * 40))) == (413, "BAD_REQUEST")
    assert in_form(client.post(path, content=gzip.compress(large), headers=packed)) == (413, "BAD_REQUEST")
    assert in_form(client.post(path, content=b"not packed", headers=packed)) == (400, "INVALID_PARAMETER_VALUE")
    assert in_form(client.post(path, content=b"{}", headers={"content-encoding": "br"})) == (415, "BAD_REQUEST")
    deep = b'{"run_id": ' + b"[" * 200 + b"]" * 200 + b"}"
    assert in_form(client.post(path, content=deep)) == (400, "INVALID_PARAMETER_VALUE")
    good = gzip.compress(json.dumps({"run_id": run, "params": [{"key": "p", "value": "1"}]}).encode())
    assert client.post(path, content=good, headers=packed).json() == {}


def test_what_is_no_text_is_refused(client: httpx.Client, run: str) -> None:
    for content in (b'{"run_id": "%s", "key": "k", "value": "\\u0000"}', b'{"run_id": "%s", "key": "k", "value": "\0"}'):
        answer = client.post(f"{OLD}/runs/set-tag", content=content.replace(b"%s", run.encode()))
        assert in_form(answer) == (400, "INVALID_PARAMETER_VALUE")
    assert in_form(client.get(f"{OLD}/runs/get?run_id=%ff")) == (400, "BAD_REQUEST")
    assert in_form(client.get(f"{OLD}/runs/get?run_id=%00")) == (400, "INVALID_PARAMETER_VALUE")


def test_another_host_and_another_sites_page_are_refused_in_mlflows_form(client: httpx.Client) -> None:
    asked: dict[str, Any] = {"params": {"experiment_id": "0"}, "headers": {"host": "elsewhere.example"}}
    assert in_form(client.get(f"{OLD}/experiments/get", **asked)) == (403, "PERMISSION_DENIED")
    answer = client.post(f"{OLD}/runs/create", json={}, headers={"origin": "http://elsewhere.example"})
    assert in_form(answer) == (403, "PERMISSION_DENIED")


def test_a_token_comes_as_bearer_or_as_a_password_and_opens_what_its_roles_allow(tmp_path: Path, empty_database: Path) -> None:
    workspace = open_workspace(tmp_path, empty_database, "tokens")
    _, viewer = token(workspace, Role.VIEWER, name="viewer")
    _, contributor = token(workspace, Role.CONTRIBUTOR, name="contributor")
    basic = "Basic " + base64.b64encode(f"anybody:{contributor}".encode()).decode()
    with workspace, servers.control_plane(workspace) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def ask(method: str, path: str, authorization: str | None, **more: Any) -> httpx.Response:
            headers = {} if authorization is None else {"authorization": authorization}
            return client.request(method, f"{OLD}/{path}", headers=headers, **more)

        refused = ask("GET", "experiments/get", None, params={"experiment_id": "0"})
        assert in_form(refused) == (401, "UNAUTHENTICATED")
        assert refused.headers["www-authenticate"] == 'Basic realm="mlflow"'
        assert in_form(ask("GET", "experiments/get", "Bearer wrong", params={"experiment_id": "0"})) == (401, "UNAUTHENTICATED")
        assert client.get("/version").text == "3.17.2", "what says who answers is asked before a log-in"
        for authorization in (f"Bearer {viewer}", f"Bearer {contributor}", basic):
            assert ask("GET", "experiments/get", authorization, params={"experiment_id": "0"}).status_code == 200
        assert in_form(ask("POST", "runs/create", f"Bearer {viewer}", json={})) == (403, "PERMISSION_DENIED")
        assert ask("POST", "runs/create", basic, json={}).status_code == 200


def test_a_token_for_one_project_sees_no_other(tmp_path: Path, empty_database: Path) -> None:
    workspace = open_workspace(tmp_path, empty_database, "tokens")
    _, everywhere = token(workspace, Role.OWNER, name="owner")
    _, own = token(workspace, Role.CONTRIBUTOR, name="team", projects=["mine"])
    with workspace, servers.control_plane(workspace) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def post(path: str, text: str, **given: Any) -> httpx.Response:
            return client.post(f"{OLD}/{path}", json=given, headers={"authorization": f"Bearer {text}"})

        mine, other = (post("experiments/create", everywhere, name=name).json()["experiment_id"] for name in ("mine", "other"))
        foreign = post("runs/create", everywhere, experiment_id=other).json()["run"]["info"]["run_id"]
        assert post("runs/create", own, experiment_id=mine).status_code == 200
        unseen = post("runs/create", own, experiment_id=other)
        assert (unseen.status_code, unseen.json()["message"]) == (404, f"No Experiment with id={other} exists")
        told = post("runs/set-tag", own, run_id=foreign, key="k", value="v").json()["message"]
        assert told == f"Run with id={foreign} not found"
        names = [one["name"] for one in post("experiments/search", own).json()["experiments"]]
        assert names == ["mine"]
        assert in_form(post("experiments/create", own, name="third")) == (403, "PERMISSION_DENIED")


def test_every_endpoint_of_mlflows_server_is_here_or_says_that_it_is_not() -> None:
    routes, refused = Routes([*endpoints(), *otlp.ENDPOINTS]), 0
    for line in Path(__file__).with_name("endpoints.txt").read_text().splitlines():
        method, path = line.split()
        try:
            found = routes.find(method, path.replace("{path}", "a/b").replace("{id}", "x"))
        except MlflowError as error:
            found, refused = error.code == "NOT_IMPLEMENTED", refused + 1  # type: ignore[assignment]
        assert found, line
    assert refused == 67, "what is left out stands in docs/mlflow.md"


def test_no_endpoint_stands_twice_and_none_hides_another() -> None:
    known = [(endpoint.method, endpoint.path) for endpoint in endpoints()]
    assert len(known) == len(set(known))
    routes = Routes(endpoints())
    for endpoint in endpoints():
        path = endpoint.path if endpoint.path.startswith("/") else f"/api/{endpoint.path}"
        found = routes.find(endpoint.method, path.replace("{*}", "a/b").replace("{}", "x"))
        assert found is not None and found.endpoint is endpoint, path
        assert refusal(path) is None, path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"value": True}, "Invalid value true for parameter 'value' supplied:  Hint: Value was of type 'bool'."),
        ({"step": 8.5}, "Invalid value 8.5 for parameter 'step' supplied:  Hint: Value was of type 'float'."),
        ({"step": True}, "Invalid value true for parameter 'step' supplied:  Hint: Value was of type 'bool'."),
    ],
)
def test_where_we_are_stricter_the_field_is_named(client: httpx.Client, run: str, given: dict[str, Any], said: str) -> None:
    answer = client.post(f"{OLD}/runs/log-metric", json={"run_id": run, "key": "m", "value": 1, "timestamp": 1, **given})
    assert in_form(answer) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith(said)
    assert client.get(f"{OLD}/metrics/get-history", params={"run_id": run, "metric_key": "m"}).json() == {}


def test_a_bare_nan_is_kept_with_its_time_and_step(client: httpx.Client, run: str) -> None:
    body = b'{"run_id": "%s", "key": "m", "value": NaN, "timestamp": 7, "step": 3}' % run.encode()
    assert client.post(f"{OLD}/runs/log-metric", content=body).status_code == 200
    points = client.get(f"{OLD}/metrics/get-history", params={"run_id": run, "metric_key": "m"}).json()["metrics"]
    assert points == [{"key": "m", "value": "NaN", "timestamp": 7, "step": 3}]


def test_a_status_nobody_knows_is_refused_and_a_wrong_state_is_no_reason_to_try_again(
    client: httpx.Client, run: str, post: Callable[..., Any]
) -> None:
    assert in_form(client.post(f"{OLD}/runs/update", json={"run_id": run, "status": "BOGUS"})) == (400, "INVALID_PARAMETER_VALUE")
    number = post("experiments/create", name="gone")["experiment_id"]
    post("experiments/delete", experiment_id=number)
    renamed = client.post(f"{OLD}/experiments/update", json={"experiment_id": number, "new_name": "back"})
    assert (in_form(renamed), renamed.json()["message"]) == ((409, "INVALID_STATE"), "Cannot rename a non-active experiment.")
    again = client.post(f"{OLD}/experiments/create", json={"name": "gone"})
    assert in_form(again) == (400, "RESOURCE_ALREADY_EXISTS"), "a deleted one keeps its name"


def test_values_that_are_cut_are_told_of(client: httpx.Client, run: str) -> None:
    given = {"run_id": run, "params": [{"key": "p", "value": "x" * 7_000}], "tags": [{"key": "t", "value": "ü" * 9_000}]}
    answer = client.post(f"{OLD}/runs/log-batch", json=given)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["x-perenne-warning"] == (
        "parameter p was cut from 7000 to 6000 characters; tag t was cut from 9000 to 8000 characters"
    )
    data = client.get(f"{OLD}/runs/get", params={"run_id": run}).json()["run"]["data"]
    assert (data["params"][0]["value"], len(data["tags"][-1]["value"])) == ("x" * 6_000, 8_000)


def test_a_batch_that_fails_leaves_nothing(client: httpx.Client, run: str) -> None:
    given = {
        "run_id": run,
        "metrics": [{"key": "m", "value": 1, "timestamp": 1}],
        "params": [{"key": "p", "value": "1"}],
        "tags": [{"key": "bad?", "value": "1"}],
    }
    assert client.post(f"{OLD}/runs/log-batch", json=given).status_code == 400
    data = client.get(f"{OLD}/runs/get", params={"run_id": run}).json()["run"]["data"]
    assert [tag["key"] for tag in data["tags"]] == ["mlflow.runName"] and data.keys() == {"tags"}


@pytest.mark.parametrize(
    "location",
    ["/etc", "file:///etc", "relative", "../up", "s3://bucket/../other", "s3://bucket#part", "ftp://host/x", "http://[bad"],
)
def test_no_client_chooses_a_folder_of_the_server(client: httpx.Client, location: str) -> None:
    answer = client.post(f"{OLD}/experiments/create", json={"name": "x", "artifact_location": location})
    assert in_form(answer) == (400, "INVALID_PARAMETER_VALUE")


def test_more_than_fifty_views_of_an_experiment_are_too_many(client: httpx.Client, post: Callable[..., Any]) -> None:
    view = "mlflow.customView.view"
    tags = [{"key": f"{view}{number}", "value": "{}"} for number in range(50)]
    number = post("experiments/create", name="viewed", tags=tags)["experiment_id"]
    post("experiments/set-experiment-tag", experiment_id=number, key=f"{view}7", value="changed")
    answer = client.post(
        f"{OLD}/experiments/set-experiment-tag", json={"experiment_id": number, "key": f"{view}50", "value": "{}"}
    )
    assert answer.json()["message"].startswith(f"Unable to create another custom view for experiment {number}; the maximum")


def test_more_at_once_than_there_is_room_for_are_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_database: Path
) -> None:
    monkeypatch.setattr("perenne.protocols.mlflow.routes.AT_ONCE", 0)
    workspace = open_workspace(tmp_path, empty_database)
    with workspace, servers.control_plane(workspace) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}{OLD}/experiments/get", params={"experiment_id": "0"})
    assert (in_form(answer), answer.headers["retry-after"]) == ((503, "TEMPORARILY_UNAVAILABLE"), "1")
