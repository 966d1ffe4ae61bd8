"""What a model server says of itself: a description that is valid and complete, a form from the signature, calls that run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.app import servers
from tests.serving.packages import ReleaseFolder, made_packages
from tests.serving.worker import Worker, with_worker

from perenne.app.model_docs.description import ABOUT, PAGES
from perenne.app.model_server import build_routes
from perenne.serving import metrics
from perenne.serving.model import Role


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ReleaseFolder:
    release = ReleaseFolder(tmp_path_factory.mktemp("docs") / "delays")
    release.write(release.add(made_packages()["first"], 1), release.add(made_packages()["second"], 2, Role.PREVIOUS))
    return release


def ask(release: ReleaseFolder, method: str, path: str, **more: Any) -> httpx.Response:
    async def work(worker: Worker) -> httpx.Response:
        return await worker.client.request(method, path, **more)

    return with_worker(release.folder, work)


@pytest.fixture(scope="module")
def document(folder: ReleaseFolder) -> dict[str, Any]:
    found: dict[str, Any] = ask(folder, "GET", "/openapi.json").json()
    return found


def test_the_description_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names)) > 20


def test_every_route_is_described_and_nothing_else(folder: ReleaseFolder, document: dict[str, Any]) -> None:
    async def work(worker: Worker) -> list[tuple[str, str]]:
        routes = [*build_routes(worker.runtime), *metrics.routes(worker.runtime)]
        return [(route.method, route.path) for route in routes]

    routes = with_worker(folder.folder, work)
    listed = [(method, path) for method, path in routes if path not in PAGES[:2] and not path.startswith(PAGES[2])]
    assert [route for route in listed if route not in ABOUT] == []
    paths = {path.replace("{}", "delays", 1).replace("{}", "{version}") for method, path in listed if path != "/metrics"}
    assert paths <= document["paths"].keys()


def test_the_examples_of_the_description_are_answered_as_its_schemas_say(folder: ReleaseFolder, document: dict[str, Any]) -> None:
    asked = [(path, methods["post"]) for path, methods in document["paths"].items() if "post" in methods]
    for path, operation in asked:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        examples = document["components"]["schemas"][schema].get("examples")
        if not examples:
            continue
        checker(document, schema).validate(examples[0])
        answered = ask(folder, "POST", path.replace("{version}", "2"), json=examples[0])
        assert answered.status_code == 200, (path, answered.text)
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        checker(document, answer).validate(answered.json())


def checker(document: dict[str, Any], name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_the_form_has_a_field_for_each_input_with_what_is_known_of_it(folder: ReleaseFolder) -> None:
    form = ask(folder, "GET", "/docs/form").json()
    assert (form["deployment"], form["model"], form["version"], form["classes"]) == ("delays", "late", "1", ["on time", "late"])
    by_name = {item["name"]: item for item in form["inputs"]}
    kinds = {name: item["kind"] for name, item in by_name.items()}
    assert kinds == {"distance": "number", "seats": "whole", "carrier": "text", "weekend": "boolean", "scheduled": "time"}
    assert sorted(by_name["carrier"]["choices"]) == ["AA", "DL", "UA"] and by_name["carrier"]["example"] in ("AA", "DL", "UA")
    assert by_name["distance"]["least"] < by_name["distance"]["example"] < by_name["distance"]["most"]
    assert isinstance(by_name["seats"]["example"], int) and by_name["scheduled"]["example"].startswith("2013-")


def test_the_page_holds_nothing_and_may_not_run_what_stands_in_it(folder: ReleaseFolder) -> None:
    page = ask(folder, "GET", "/docs")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "'unsafe-inline'" not in page.headers["content-security-policy"] and "delays" not in page.text
    assert page.text.count("<script") == 2 and "<script>" not in page.text and "<style" not in page.text
    names = [line.partition('"')[2].partition('"')[0] for line in page.text.split("src=")[1:]]
    for name in [
        *names,
        names[0].replace("theme-first.js", "all.css"),
        names[0].replace("core/theme-first.js", "vendor/inter.woff2"),
    ]:
        file = ask(folder, "GET", name)
        assert file.status_code == 200 and "immutable" in file.headers["cache-control"], name
    assert ask(folder, "GET", "/static/0/core/parts.js").status_code == 404
    assert ask(folder, "GET", names[0].rpartition("/")[0] + "/nothing.js").status_code == 404
    assert ask(folder, "GET", "/").content == page.content


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        ({"row": {}}, "url"),
        ({"row": {}, "url": "javascript:alert(1)"}, "url"),
        ({"row": {}, "url": "http://a'b"}, "url"),
        ({"row": {"other": 1}, "url": "http://x"}, "no input 'other'"),
        ({"row": {"distance": "secret"}, "url": "http://x"}, "column 'distance', row 0: expected a number"),
    ],
)
def test_mistakes_in_a_row_are_named(folder: ReleaseFolder, body: Any, says: str) -> None:
    response = ask(folder, "POST", "/docs/calls", content=body if isinstance(body, bytes) else json.dumps(body))
    assert response.status_code == 400 and says in response.json()["error"] and "secret" not in response.text


@pytest.fixture(scope="module")
def url(folder: ReleaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.model_server(folder, tmp_path_factory.mktemp("model")) as running:
        yield running.url


def written(url: str, **changes: Any) -> dict[str, str]:
    form = httpx.get(f"{url}/docs/form").raise_for_status().json()
    row = {item["name"]: item["example"] for item in form["inputs"]} | changes
    answer = httpx.post(f"{url}/docs/calls", json={"row": row, "url": url}).raise_for_status().json()
    return {call["key"]: call["text"] for call in answer["calls"]}


def run(text: str, python: str | None = None) -> str:
    command = [python or sys.executable, "-c", text] if not text.startswith("curl") else ["sh", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_calls_run_as_they_stand_and_answer_the_same(url: str) -> None:
    texts = written(url, carrier='it\'s "new"')
    scores = json.loads(run(texts["curl"]))["outputs"][1]["data"]
    assert f"probabilities {scores}" in run(texts["python"])
    assert "probabilities [[" in run(texts["tritonclient"])
    label = json.loads(run(texts["curl"]))["outputs"][0]["data"][0]
    assert f"prediction [b'{label}']" in run(texts["tritonclient"])


def test_a_row_with_missing_values_is_written_as_far_as_a_client_can_send_it(url: str) -> None:
    texts = written(url, carrier=None, distance=None, seats=None, weekend=None, scheduled=None)
    scores = json.loads(run(texts["curl"]))["outputs"][1]["data"]
    assert f"probabilities {scores}" in run(texts["python"])
    assert texts["tritonclient"].startswith("# tritonclient cannot send") and run(texts["tritonclient"]) == ""
    assert "np.nan" in written(url, distance=None)["tritonclient"]


@pytest.mark.long
def test_the_call_with_mlflows_client_runs(url: str) -> None:
    python = os.environ.get("PERENNE_MLFLOW", "")
    if not Path(python).is_file():
        pytest.skip("PERENNE_MLFLOW names no Python with mlflow")
    assert run(written(url)["mlflow"], python).split("0", 2)[2].strip() in ("late", "on time")
