"""Parquet bodies of MLflow's scoring protocol: what has a type is not guessed at, and nothing is read before it was measured."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.protocols.target import Target
from tests.protocols.test_scoring import NAMES, RECORDS
from tests.serving.packages import ReleaseFolder, made_packages
from tests.serving.worker import numbers_of

from perenne.protocols.mlflow.reader import ParquetReader

TYPE = {"content-type": "application/vnd.apache.parquet"}


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    release = ReleaseFolder(tmp_path_factory.mktemp("parquet") / "release")
    release.write(release.add(made_packages()["first"], 1))
    found = Target(release.folder)
    yield found
    found.close()


def table(rows: int = 3, **columns: Any) -> pa.Table:
    given = {name: [record[name] for record in RECORDS][:rows] for name in NAMES}
    arrays: dict[str, Any] = {
        "distance": pa.array(given["distance"], pa.float64()),
        "seats": pa.array([int(seats) for seats in given["seats"]], pa.int64()),
        "carrier": pa.array(given["carrier"], pa.string()),
        "weekend": pa.array(given["weekend"], pa.bool_()),
        "scheduled": pa.array(np.array(given["scheduled"], "datetime64[us]")),
    }
    return pa.table({**arrays, **columns})


def parquet(content: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink, **options)
    return sink.getvalue().to_pybytes()


def ask(champion: Target, body: bytes) -> httpx.Response:
    return champion.post("/invocations", body, TYPE)


def test_parquet_gives_the_same_answer_as_json(champion: Target) -> None:
    extra = table().add_column(0, "other", pa.array([1, 2, 3])).select([*reversed(NAMES), "other"])
    bodies = [parquet(table()), parquet(table(), compression="zstd", row_group_size=1), parquet(extra, use_dictionary=False)]

    scores = []
    for body in bodies:
        reply = ask(champion, body)
        assert reply.status_code == 200, reply.text
        scores.append(champion.worker.observed()[0].scores)
    champion.post("/invocations", json.dumps({"dataframe_records": RECORDS}).encode())
    scores.append(champion.worker.observed()[0].scores)
    assert len(scores[0]) == 3 * 2 * 8 and all(score == scores[3] for score in scores)


ACCEPTED: list[tuple[str, Any, list[Any]]] = [
    ("distance", pa.array([1.5, None, 2.5], pa.float32()), [1.5, np.nan, 2.5]),
    ("distance", pa.array([1, 2, None], pa.int32()), [1.0, 2.0, np.nan]),
    ("distance", pa.array([0, 1, 1], pa.int64()), [0.0, 1.0, 1.0]),
    ("seats", pa.array([1, 2, 3], pa.int32()), [1.0, 2.0, 3.0]),
    ("seats", pa.array([1.0, None, 3.0], pa.float64()), [1.0, np.nan, 3.0]),
    ("scheduled", pa.array([1_500, None, 2_000], pa.timestamp("ms")), [1.5, np.nan, 2.0]),
    ("scheduled", pa.array([1_500_000_000, 0, 1], pa.timestamp("ns", tz="UTC")), [1.5, 0.0, 1e-9]),
    ("scheduled", pa.array([1, 0, None], pa.date32()), [86_400.0, 0.0, np.nan]),
]


@pytest.mark.parametrize(("name", "column", "expected"), ACCEPTED)
def test_types_that_lose_nothing_are_taken(champion: Target, name: str, column: Any, expected: list[float]) -> None:
    champion.worker.observed()
    reply = ask(champion, parquet(table(**{name: column})))
    assert reply.status_code == 200, reply.text
    np.testing.assert_equal(numbers_of(champion.worker.observed()[0].columns[NAMES.index(name)]), expected)


def test_texts_may_be_packed_and_missing(champion: Target) -> None:
    columns: list[Any] = [pa.array(["AA", None, "UA"], kind) for kind in (pa.string(), pa.large_string())]
    columns.append(pa.array(["AA", None, "UA"]).dictionary_encode())
    columns.append(pa.nulls(3))
    for column in columns:
        assert ask(champion, parquet(table(carrier=column))).status_code == 200, column.type


REFUSED: list[tuple[str, Any, str]] = [
    ("distance", pa.array([1, 2, 3], pa.int64()), "expected float64; 64-bit integers may lose digits"),
    ("distance", pa.array(["1", "2", "3"]), "expected numbers, got string"),
    ("distance", pa.array([True, False, True]), "expected numbers, got bool"),
    ("seats", pa.array([1.5, 2.0, 3.0]), "expected whole numbers, got double"),
    ("carrier", pa.array([1, 2, 3]), "expected texts, got int64"),
    ("carrier", pa.array([b"\xff", b"b", b"c"]), "expected texts, got binary"),
    ("weekend", pa.array(["true", "false", "true"]), "expected booleans, got string"),
    ("scheduled", pa.array(["2013-01-01", None, None]), "expected timestamps, got string"),
    ("scheduled", pa.array([1, 2, 3]), "expected timestamps, got int64"),
    ("scheduled", pa.array([{"a": 1}, None, None]), "expected timestamps, got struct"),
]


@pytest.mark.parametrize(("name", "column", "says"), REFUSED)
def test_other_types_are_refused_by_name(champion: Target, name: str, column: Any, says: str) -> None:
    response = ask(champion, parquet(table(**{name: column})))
    assert response.status_code == 400 and response.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert f"column '{name}': {says}" in response.json()["message"]


def test_no_rows_get_no_predictions(champion: Target) -> None:
    response = ask(champion, parquet(table().slice(0, 0)))
    assert (response.status_code, response.json()) == (200, {"predictions": []})


def test_damage_is_a_400(champion: Target) -> None:
    whole = parquet(table())
    bodies = [
        b"",
        b"PAR1",
        whole[:-9],
        whole[20:],
        whole[:60] + b"\xff" * 60 + whole[120:],
        whole[:-200] + b"\0" * 190 + whole[-10:],
    ]
    for body in bodies:
        response = ask(champion, body)
        assert response.status_code == 400 and response.json()["error_code"] == "BAD_REQUEST", response.text
        assert "/" not in response.json()["message"]
    lacking = ask(champion, parquet(table().drop_columns(["seats"])))
    assert lacking.status_code == 400 and "Model is missing inputs ['seats']" in lacking.json()["message"]


def test_what_grows_when_it_is_read_is_refused_by_its_footer(champion: Target) -> None:
    rows = 900_000
    repeated = pa.table({name: pa.nulls(rows, pa.float64()) for name in NAMES})
    many = ask(champion, parquet(repeated))
    assert many.status_code == 400 and "4,000,000 values" in many.json()["message"]
    texts = (
        table().select([name for name in NAMES if name != "carrier"]).append_column("carrier", pa.array(["a" * 12_000_000] * 3))
    )
    large = ask(champion, parquet(texts, compression="zstd", use_dictionary=False))
    assert large.status_code == 413 and large.json()["error_code"] == "BAD_REQUEST"


def test_a_body_that_ends_whoever_reads_it_costs_one_answer(champion: Target) -> None:
    assert ask(champion, parquet(table())).status_code == 200
    held = [getattr(leave, "__self__", None) for leave in champion.worker.runtime.at_end]
    (reader,) = [each for each in held if isinstance(each, ParquetReader)]
    assert reader._process is not None
    os.kill(reader._process.pid, signal.SIGKILL)
    lost = ask(champion, parquet(table()))
    assert lost.status_code == 400 and "not Parquet that can be read" in lost.json()["message"]
    assert ask(champion, parquet(table())).status_code == 200


def test_a_worker_never_has_arrow(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.serving.worker import with_worker\n"
        "async def work(worker):\n"
        f"    reply = await worker.client.post('/invocations', content=Path(sys.argv[2]).read_bytes(), headers={TYPE!r})\n"
        "    return reply.status_code, 'pyarrow' in sys.modules\n"
        "print(with_worker(Path(sys.argv[1]), work))"
    )
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    body = tmp_path / "body.parquet"
    body.write_bytes(parquet(table()))
    command = [sys.executable, "-c", program, str(release.folder), str(body)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(200, False)"
