"""KServe's first protocol, row by row of the specification, against a worker."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.protocols.test_scoring import NAMES, RECORDS, ROWS
from tests.serving.packages import ReleaseFolder
from tests.serving.worker import Worker, with_worker

from perenne.inference import load
from perenne.serving.challengers import REFERENCE
from perenne.stats.cells import Reference

PREDICT, EXPLAIN = "/v1/models/delays:predict", "/v1/models/delays:explain"


@pytest.fixture
def champion(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["first"], 1))
    return release.folder


def ask(folder: Path, path: str, body: Any = None, method: str = "POST") -> httpx.Response:
    async def work(worker: Worker) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body)
        return await worker.client.request(method, path, content=None if method == "GET" else content)

    return with_worker(folder, work)


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/v1/models", 200, {"models": ["delays"]}),
        ("/v1/models/delays", 200, {"name": "delays", "ready": True}),
    ],
)
def test_what_get_answers(champion: Path, path: str, status: int, answer: Any) -> None:
    response = ask(champion, path, method="GET")
    assert (response.status_code, response.json()) == (status, answer)


def test_instances_are_objects_or_rows_and_answered_in_order(champion: Path) -> None:
    by_name, bare = (ask(champion, PREDICT, {"instances": rows}) for rows in (RECORDS, ROWS))
    called_inputs = ask(champion, PREDICT, {"inputs": RECORDS, "parameters": {"ignored": 1}})
    assert by_name.status_code == 200 and set(by_name.json()) == {"predictions", "prediction_ids"}
    assert by_name.json()["predictions"] == bare.json()["predictions"] == called_inputs.json()["predictions"]
    assert by_name.json()["prediction_ids"][2] == f"{by_name.headers['x-request-id']}-2"
    assert [by_name.headers[f"x-{name}"] for name in ("model-name", "model-version", "variant")] == ["late", "1", "champion"]


def test_a_draining_worker_is_not_ready(champion: Path) -> None:
    async def work(worker: Worker) -> httpx.Response:
        worker.runtime.draining = True
        return await worker.client.get("/v1/models/delays")

    response = with_worker(champion, work)
    assert response.status_code == 503 and response.json()["error"] and response.headers["retry-after"] == "1"


def test_an_explanation_tells_what_each_input_did(champion: Path, packages: dict[str, Path]) -> None:
    response = ask(champion, EXPLAIN, {"instances": RECORDS})
    assert response.status_code == 200 and response.headers["x-model-version"] == "1"
    explained = response.json()["explanations"]
    assert [sorted(item["name"] for item in row) for row in explained] == [sorted(NAMES)] * 3
    first = {item["name"]: item for item in explained[0]}
    reference = Reference.from_bytes((packages["first"] / REFERENCE).read_bytes())
    assert first["distance"]["value"] == RECORDS[0]["distance"] and first["distance"]["typical"] == reference.typical("distance")
    strengths = [abs(item["effect"]) for item in explained[0]]
    assert strengths == sorted(strengths, reverse=True)
    predictor = load(packages["first"])
    row: dict[str, Any] = {
        name: np.array([first[name]["value"]], object if name in ("carrier", "weekend") else float) for name in NAMES
    }
    typical = {**row, "distance": np.array([first["distance"]["typical"]])}
    scores = [predictor.predict(columns).scores for columns in (row, typical)]
    assert scores[0] is not None and scores[1] is not None
    assert first["distance"]["effect"] == pytest.approx(scores[0][0, 1] - scores[1][0, 1])


def test_an_explanation_is_not_logged_as_a_prediction(champion: Path) -> None:
    async def work(worker: Worker) -> int:
        assert (await worker.client.post(EXPLAIN, json={"instances": RECORDS})).status_code == 200
        return len(worker.observed())

    assert with_worker(champion, work) == 0


def test_without_a_reference_the_example_says_what_is_typical(packages: dict[str, Path], release: ReleaseFolder) -> None:
    champion = release.add(packages["first"], 1)
    place = release.folder / "versions" / champion.tree
    target = place.resolve()
    place.unlink()
    shutil.copytree(target, place, ignore=shutil.ignore_patterns("monitor"))
    release.write(champion)
    explained = ask(release.folder, EXPLAIN, {"instances": RECORDS[:1]}).json()["explanations"][0]
    typical = {item["name"]: item["typical"] for item in explained}
    example = load(target).example.inputs
    assert typical["distance"] == pytest.approx(float(np.median([float(value or 0) for value in example["distance"]])))


MISTAKES: list[tuple[Any, str]] = [
    (b"", "not JSON"),
    ([1], "malformed"),
    ({}, "list of instances"),
    ({"instances": 1}, "malformed"),
    ({"instances": RECORDS, "inputs": RECORDS}, "list of instances"),
    ({"instances": [1, 2]}, "the rows have 1 values, the model takes 5"),
    ({"instances": [{"distance": 1}]}, "Model is missing inputs"),
    ({"instances": [{**RECORDS[0], "distance": "secret"}]}, "column 'distance', row 0: expected a number"),
    (b'{"instances": ' + b"[" * 70 + b"]" * 70 + b"}", "64 levels"),
]


@pytest.mark.parametrize("path", [PREDICT, EXPLAIN])
@pytest.mark.parametrize(("body", "says"), MISTAKES)
def test_a_mistake_is_a_400_in_the_protocols_form(champion: Path, path: str, body: Any, says: str) -> None:
    response = ask(champion, path, body)
    assert response.status_code == 400 and says in response.json()["error"] and "secret" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/v1/models/other:predict", 404, None),
        ("GET", "/v1/models/other", 404, None),
        ("POST", "/v1/models/delays:classify", 405, "GET"),
        ("GET", PREDICT, 405, "POST"),
        ("POST", "/v1/models/delays", 405, "GET"),
        ("POST", "/v1/models/:predict", 405, "GET"),
    ],
)
def test_what_is_not_there(champion: Path, method: str, path: str, status: int, allow: str | None) -> None:
    response = ask(champion, path, {"instances": RECORDS}, method)
    assert (response.status_code, response.headers.get("allow")) == (status, allow) and response.json()["error"]


def test_too_many_rows_are_not_explained_at_once(champion: Path) -> None:
    response = ask(champion, EXPLAIN, {"instances": RECORDS[:1] * 101})
    assert response.status_code == 400 and "at most 100 rows" in response.json()["error"]
