"""MLflow's scoring protocol, row by row of the specification, against a worker."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.packages import FIELDS, ReleaseFolder, flights
from tests.serving.worker import Worker, numbers_of, with_worker

import perenne
from perenne.stats.columns import FieldKind

NAMES = [field.name for field in FIELDS]


@pytest.fixture
def champion(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["first"], 1))
    return release.folder


def plain_rows(rows: int) -> list[list[Any]]:
    columns = flights(rows)
    columns["scheduled"] = [f"2013-01-{1 + row:02}T10:00:00" for row in range(rows)]
    columns["weekend"] = [value == "true" for value in columns["weekend"]]
    return [list(row) for row in zip(*(list(columns[name]) for name in NAMES), strict=True)]


ROWS = plain_rows(3)
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def ask(folder: Path, body: Any, **more: Any) -> httpx.Response:
    async def work(worker: Worker) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body)
        return await worker.client.post("/invocations", content=content, **more)

    return with_worker(folder, work)


@pytest.mark.parametrize(("path", "body"), [("/ping", b"\n"), ("/health", b"\n"), ("/version", perenne.__version__.encode())])
def test_what_get_answers(champion: Path, path: str, body: bytes) -> None:
    async def work(worker: Worker) -> httpx.Response:
        return await worker.client.get(path)

    response = with_worker(champion, work)
    assert (response.status_code, response.content, response.headers["content-type"]) == (200, body, "application/json")


def test_every_layout_gives_the_same_answer(champion: Path) -> None:
    shuffled = [dict(reversed([*record.items(), ("other", 1)])) for record in RECORDS]
    header = ",".join(NAMES)
    lines = "\n".join(",".join("" if value is None else str(value) for value in row) for row in ROWS)
    json_type, csv_type = {"content-type": "application/json; charset=UTF-8"}, {"content-type": "text/csv"}
    bodies: list[tuple[Any, dict[str, str]]] = [
        ({"dataframe_split": {"columns": NAMES, "index": [0, 1, 2], "data": ROWS}}, json_type),
        ({"dataframe_split": {"data": ROWS}}, json_type),
        ({"dataframe_records": RECORDS}, json_type),
        ({"dataframe_records": shuffled, "params": {"anything": 1}}, json_type),
        ({"instances": RECORDS}, {}),
        ({"instances": ROWS}, {}),
        ({"inputs": RECORDS}, {}),
        ({"inputs": {name: [row[i] for row in ROWS] for i, name in enumerate(NAMES)}}, {}),
        (f"{header}\n{lines}\n".encode(), csv_type),
        (f"\ufeff{header}\r\n".encode() + lines.replace("\n", "\r\n").encode(), csv_type),
    ]

    async def work(worker: Worker) -> list[Any]:
        scores = []
        for body, headers in bodies:
            content = body if isinstance(body, bytes) else json.dumps(body)
            reply = await worker.client.post("/invocations", content=content, headers=headers)
            assert reply.status_code == 200, reply.text
            assert set(reply.json()) == {"predictions", "prediction_ids"} and len(reply.json()["predictions"]) == 3
            assert reply.json()["prediction_ids"][0] == f"{reply.headers['x-request-id']}-0"
            scores.append(worker.observed()[0].scores)
        return scores

    scores = with_worker(champion, work)
    assert all(score == scores[0] for score in scores)


def test_what_mlflow_accepts_in_a_column_of_numbers(champion: Path) -> None:
    values = [1, True, "1.5", None, "NaN", 2.5]
    body = {"dataframe_records": [{**RECORDS[0], "distance": value} for value in values]}

    async def work(worker: Worker) -> list[float]:
        assert (await worker.client.post("/invocations", json=body)).status_code == 200
        return numbers_of(worker.observed()[0].columns[0])

    np.testing.assert_equal(with_worker(champion, work), [1.0, 1.0, 1.5, np.nan, np.nan, 2.5])


@pytest.mark.parametrize(
    "body", [{"instances": []}, {"dataframe_split": {"columns": NAMES, "data": []}}, {"dataframe_records": []}]
)
def test_no_rows_get_no_predictions(champion: Path, body: Any) -> None:
    response = ask(champion, body)
    assert (response.status_code, response.json()) == (200, {"predictions": []})


def one(**values: Any) -> dict[str, Any]:
    return {"dataframe_records": [RECORDS[0], {**RECORDS[1], **values}]}


MISTAKES: list[tuple[Any, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    ([ROWS], "malformed"),
    ({}, "exactly one of"),
    ({"instances": ROWS, "inputs": ROWS}, "exactly one of"),
    ({"instances": ROWS, "signature_name": "x"}, "signature_name"),
    ({"instances": 1}, "malformed"),
    ({"instances": [[1], {"a": 1}]}, "rows"),
    ({"instances": [[1, 2], [1]]}, "row 1 has 1 values, expected 2"),
    ({"instances": [[1, 2]]}, "the rows have 2 values, the model takes 5"),
    ({"inputs": "secret"}, "list of rows"),
    ({"inputs": {"distance": 1}}, "must be a list"),
    ({"inputs": {"distance": [1], "seats": [1, 2]}}, "different lengths"),
    ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "same name"),
    ({"dataframe_split": {"columns": NAMES, "data": [[1]]}}, "row 0 has 1 values, expected 5"),
    ({"dataframe_split": ROWS}, "malformed"),
    ({"dataframe_records": [{"distance": 1}]}, "Model is missing inputs ['seats', 'carrier', 'weekend', 'scheduled']"),
    (one(distance="secret"), "column 'distance', row 1: expected a number"),
    (one(distance=[1]), "column 'distance', row 1: expected a number"),
    (one(distance={"secret": 1}), "column 'distance', row 1: expected a number"),
    (one(carrier=1.5), "column 'carrier', row 1: expected text"),
    (one(carrier=["secret"]), "column 'carrier', row 1: expected text"),
    (one(weekend="secret"), "column 'weekend', row 1: expected true or false"),
    (one(weekend=2), "column 'weekend', row 1: expected true or false"),
    (one(scheduled="secret"), "column 'scheduled', row 1: expected an ISO 8601 date or time"),
    (one(scheduled=5), "column 'scheduled', row 1: expected an ISO 8601 date or time"),
    (b'{"instances": ' + b"[" * 70 + b"]" * 70 + b"}", "64 levels"),
    ({"dataframe_records": [{f"name{i}": 1} for i in range(2_000)]}, "in common"),
]


@pytest.mark.parametrize(("body", "says"), MISTAKES, ids=[f"{says}-{number}" for number, (_, says) in enumerate(MISTAKES)])
def test_a_mistake_is_a_400_that_says_where_and_never_repeats_a_value(champion: Path, body: Any, says: str) -> None:
    response = ask(champion, body)
    assert response.status_code == 400, response.text
    assert response.json()["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE") and says in response.json()["message"]
    assert "secret" not in response.text and "stack_trace" not in response.json()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no header"),
        (b"distance,seats\n1\n", "row 0 has 1 values, expected 2"),
        (b"\xff\xfe\n", "UTF-8"),
        (b'a,b\n"1', "cannot be read"),
        (b"a\n" * 1_100_000, "1,000,000 lines"),
        (b"distance,distance\n1,2\n", "same name"),
    ],
)
def test_mistakes_in_csv(champion: Path, body: bytes, says: str) -> None:
    response = ask(champion, body, headers={"content-type": "text/csv"})
    assert response.status_code == 400 and says in response.json()["message"]


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        ("application/json; charset=latin-1", "The scoring server only supports UTF-8"),
        ("application/json; boundary=x", "The scoring server only supports UTF-8"),
        ("application/vnd.apache.parquet; charset=latin-1", "The scoring server only supports UTF-8"),
        ("text/plain", "content type"),
        ("application/x-python-pickle", "content type"),
    ],
)
def test_other_content_types_are_a_415_in_plain_text(champion: Path, content_type: str, says: str) -> None:
    response = ask(champion, {"instances": ROWS}, headers={"content-type": content_type})
    assert response.status_code == 415 and says in response.text and response.headers["content-type"].startswith("text/plain")


def test_a_model_of_numbers_answers_numbers_and_one_of_classes_its_labels(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    release.write(release.add(packages["regression"], 1))
    numbers = ask(release.folder, {"instances": [[1, 2, 3]]}).json()["predictions"]
    release.write(release.add(packages["multiclass"], 2))
    labels = ask(release.folder, {"instances": [[-9, 2, 3], [9, 2, 3]]}).json()["predictions"]
    assert isinstance(numbers[0], float) and labels == ["low", "high"]


def test_the_fixture_covers_every_kind_of_field() -> None:
    assert {field.kind for field in FIELDS} == set(FieldKind) - {FieldKind.TENSOR}
