"""The folder for the edge answers without perenne, says what is wrong, and speaks the protocols of its clients."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tritonclient.http
from tests.inference.cases import make_columns

from perenne.core.errors import Conflict
from perenne.delivery.portable.edge import write_edge
from perenne.delivery.portable.preparing import Source
from perenne.inference import load

Post = Callable[[str, Any], tuple[int, Any]]


class Edge(NamedTuple):
    """A folder and the server that answers from it."""

    folder: Path
    process: "subprocess.Popen[str]"
    url: str


@pytest.fixture(scope="module")
def folder(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("edge") / "out"
    write_edge(target, source, rows=make_columns(500, seed=4), limits=None, with_rows=True)
    return target


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Edge]:
    command = [sys.executable, "-I", str(folder / "server.py"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        yield Edge(folder, process, line.split(" answers on ")[1].partition("/invocations")[0])
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def edge(folder: Path) -> Iterator[Edge]:
    with running(folder) as started:
        yield started


def call(url: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


ROW: dict[str, Any] = {"distance": 500.0, "delay": None, "carrier": "UA", "scheduled": "2013-07-24T19:45:18Z", "constant": 7}


def expected(source: Source, rows: int) -> tuple[list[Any], list[list[float]]]:
    predictor = load(source.folder)
    columns = {name: column[:rows] for name, column in make_columns(rows, seed=8).items()}
    found = predictor.predict(columns)
    assert found.scores is not None
    return predictor.labels(found), found.scores.tolist()


def test_the_folder_holds_everything_and_nothing_of_perenne(folder: Path) -> None:
    names = {"README.md", "example.json", "model.json", "model.onnx", "report.json", "requirements.txt", "server.py"}
    assert {path.name for path in folder.iterdir()} == names
    assert "import perenne" not in (folder / "server.py").read_text()
    report = json.loads((folder / "report.json").read_bytes())
    assert report["kind"] == "edge"
    assert report["p50_us"] > 0
    assert report["graph_bytes"] == (folder / "model.onnx").stat().st_size


def test_it_runs_where_perenne_cannot_be_imported(folder: Path) -> None:
    program = (
        "import sys, runpy\n"
        "class Barred:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] == 'perenne': raise ImportError('barred')\n"
        "sys.meta_path.insert(0, Barred())\n"
        f"sys.argv = ['server.py', '--check']\nrunpy.run_path({str(folder / 'server.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == {"rows": 3, "differing": 0, "largest_difference": pytest.approx(0, abs=1e-6)}
    assert done.returncode == 0


def test_both_protocols_answer_like_the_version(edge: Edge, source: Source) -> None:
    columns = make_columns(20, seed=8)
    labels, scores = expected(source, 20)
    given: dict[str, list[Any]] = {
        name: [None if value != value else value for value in column.tolist()] for name, column in columns.items()
    }
    given["scheduled"] = [round(value * 1e9) for value in given["scheduled"]]
    assert call(edge.url + "/invocations", {"inputs": given})[1]["predictions"] == labels
    tensors = [
        {"name": name, "shape": [20], "datatype": {"carrier": "BYTES", "scheduled": "INT64"}.get(name, "FP64"), "data": values}
        for name, values in given.items()
    ]
    status, answer = call(edge.url + "/v2/models/late/infer", {"id": "7", "inputs": tensors})
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert (status, answer["id"], answer["model_version"]) == (200, "7", "3")
    assert outputs["prediction"]["data"] == labels
    assert np.allclose(np.reshape(outputs["probabilities"]["data"], (20, 3)), scores, atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": [ROW, ROW]},
        {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())] * 2}},
        {"instances": [list(ROW.values())] * 2},
        {"inputs": {name: [value] * 2 for name, value in ROW.items()}},
    ],
)
def test_every_layout_of_a_table_gives_the_same_answer(edge: Edge, body: Any) -> None:
    one = call(edge.url + "/invocations", {"dataframe_records": [ROW]})[1]["predictions"]
    assert call(edge.url + "/invocations", body) == (200, {"predictions": one * 2})


def test_no_rows_have_no_answers(edge: Edge) -> None:
    assert call(edge.url + "/invocations", {"inputs": {name: [] for name in ROW}}) == (200, {"predictions": []})


def test_tritonclient_is_answered(edge: Edge) -> None:
    client = tritonclient.http.InferenceServerClient(edge.url.removeprefix("http://"))
    assert client.is_server_ready() and client.is_model_ready("late")
    assert client.get_model_metadata("late")["inputs"][3] == {"name": "scheduled", "datatype": "INT64", "shape": [-1]}
    inputs = []
    for name, kind, values in (
        ("distance", "FP64", np.array([500.0])),
        ("delay", "FP64", np.array([3.0])),
        ("carrier", "BYTES", np.array(["UA"], object)),
        ("scheduled", "INT64", np.array([1_374_695_118_000_000_000])),
        ("constant", "FP64", np.array([7.0])),
    ):
        put = tritonclient.http.InferInput(name, [1], kind)
        put.set_data_from_numpy(values, binary_data=False)
        inputs.append(put)
    answer = client.infer("late", inputs, outputs=[tritonclient.http.InferRequestedOutput("prediction", binary_data=False)])
    assert answer.as_numpy("prediction").tolist()[0] in ("early", "on time", "late")
    client.close()


WRONG = {
    "not json": b"{",
    "a list": [],
    "no layout": {},
    "two layouts": {"instances": [], "inputs": {}},
    "a missing input": {"dataframe_records": [{"distance": 1}]},
    "text for a number": {"dataframe_records": [ROW | {"distance": "far"}]},
    "a list for a number": {"dataframe_records": [ROW | {"distance": [1]}]},
    "no time": {"dataframe_records": [ROW | {"scheduled": "soon"}]},
    "a number too many": {"instances": [[1, 2, 3]]},
    "ragged columns": {"inputs": {name: [1] * (1 + (name == "delay")) for name in ROW}},
    "deep": b"[" * 100_000,
    "an object for a category": {"dataframe_records": [ROW | {"carrier": {}}]},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_the_callers_400(edge: Edge, name: str) -> None:
    status, answer = call(edge.url + "/invocations", WRONG[name])
    assert (status, list(answer)) == (400, ["error"])


@pytest.mark.parametrize(
    "tensor",
    [
        {},
        {"name": "x", "shape": [1, 5], "datatype": "FP64", "data": [1, 2]},
        {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]},
        {"name": "x", "shape": [1e9, 1e9], "datatype": "FP64", "data": [1]},
        {"name": "x", "shape": [-1], "datatype": "FP64", "data": []},
        {"name": "x", "shape": [2], "datatype": "COMPLEX", "data": [1, 2]},
        {"name": "x", "shape": [2], "datatype": "FP64", "data": [[[[1]]], 2]},
        {"name": "x", "shape": [2], "datatype": "FP64"},
    ],
)
def test_a_tensor_that_is_wrong_is_the_callers_400(edge: Edge, tensor: Any) -> None:
    status, answer = call(edge.url + "/v2/models/late/infer", {"inputs": [tensor]})
    assert (status, list(answer)) == (400, ["error"])


def test_other_paths_and_large_bodies_are_refused(edge: Edge) -> None:
    assert call(edge.url + "/v2/models/other/infer", {})[0] == 404
    assert call(edge.url + "/nothing")[0] == 404
    request = urllib.request.Request(edge.url + "/invocations", b"{}", {"content-length": str(1 << 40)})
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request, timeout=20)


def test_a_token_is_asked_for_where_one_is_set(folder: Path) -> None:
    with running(folder, MODEL_TOKEN="secret") as guarded:
        assert call(guarded.url + "/v2/health/ready")[0] == 200
        assert call(guarded.url + "/invocations", {"dataframe_records": [ROW]})[0] == 401
        assert call(guarded.url + "/invocations", {"dataframe_records": [ROW]}, token="wrong")[0] == 401
        assert call(guarded.url + "/invocations", {"dataframe_records": [ROW]}, token="secret")[0] == 200


def test_a_file_is_answered_row_by_row(folder: Path, tmp_path: Path) -> None:
    lines = [",".join(ROW), *([",".join("" if value is None else str(value) for value in ROW.values())] * 3)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-I", str(folder / "server.py"), "--score", str(tmp_path / "rows.csv"), str(tmp_path / "out.csv")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == "3 rows answered\n"
    head, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert head == "prediction,probability_early,probability_on time,probability_late"
    assert len(rows) == 3 and len(set(rows)) == 1
    (tmp_path / "rows.csv").write_text("distance\nfar\n")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1 and "missing inputs" in failed.stderr
    assert len(list(tmp_path.iterdir())) == 2


def test_a_changed_graph_is_not_answered(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + (b"\0" if path.name == "model.onnx" else b""))
    done = subprocess.run([sys.executable, str(tmp_path / "server.py"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "not the file that was packaged" in done.stderr


def test_the_same_version_gives_the_same_files_and_nothing_is_overwritten(source: Source, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_edge(tmp_path / name, source, rows=None, limits=None, with_rows=True)
    for path in (tmp_path / "one").iterdir():
        assert path.name == "report.json" or path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    with pytest.raises(Conflict):
        write_edge(tmp_path / "one", source, rows=None, limits=None, with_rows=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
