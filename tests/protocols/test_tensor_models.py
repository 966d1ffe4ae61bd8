"""A model that takes and answers tensors, through every protocol: the same answer, and clear words for what it cannot do."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper
from tests.protocols.test_oip_binary import LENGTH
from tests.serving.packages import ReleaseFolder
from tests.serving.worker import Worker, with_worker

from perenne.core.hashing import digest_bytes
from perenne.inference.foreign import package_model
from perenne.serving.model import Role, Variant

INFER = "/v2/models/delays/infer"
IMAGES = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensor")
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["mean"]),
        helper.make_node("ArgMax", ["mean"], ["best"], axis=1, keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", 4])]
    outputs = [
        helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 3]),
        helper.make_tensor_value_info("best", TensorProto.INT64, ["n"]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    package_model(folder / "m.onnx", folder / "package")
    return folder / "package"


@pytest.fixture
def served(packaged: Path, release: ReleaseFolder) -> Path:
    tree = digest_bytes((packaged / "package.json").read_bytes())
    (release.folder / "versions" / tree).symlink_to(packaged)
    release.write(Variant("champion", Role.CHAMPION, "images@1", tree))
    return release.folder


def ask(folder: Path, path: str, content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    async def work(worker: Worker) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content)
        return await worker.client.post(path, content=body, headers=headers or {})

    return with_worker(folder, work)


def tensor(data: Any, shape: tuple[int, ...] = IMAGES.shape, datatype: str = "FP32") -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": list(shape), "datatype": datatype, "data": data}]}


def raw(images: Any, datatype: str) -> tuple[bytes, dict[str, str]]:
    data = images.tobytes()
    described = {"name": "x", "shape": list(images.shape), "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    return text + data, {LENGTH: str(len(text))}


def test_it_is_described_with_its_shapes(served: Path) -> None:
    async def work(worker: Worker) -> Any:
        return (await worker.client.get("/v2/models/delays")).json()

    described = with_worker(served, work)
    assert described["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3, -1, 4]}]
    assert described["outputs"] == [
        {"name": "mean", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "best", "datatype": "INT64", "shape": [-1]},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
    ]
    assert described["platform"] == "onnx_onnxv1"


def test_every_layout_of_every_protocol_gives_the_same_answer(served: Path) -> None:
    bodies = [tensor(IMAGES.tolist()), tensor(IMAGES.ravel().tolist()), tensor(IMAGES.tolist(), datatype="FP64")]
    expected = IMAGES.mean(axis=(2, 3))
    for body in bodies:
        outputs = {output["name"]: output for output in ask(served, INFER, body).json()["outputs"]}
        assert outputs["mean"]["shape"] == [3, 3] and len(outputs["prediction_id"]["data"]) == 3
        np.testing.assert_allclose(np.array(outputs["mean"]["data"]).reshape(3, 3), expected, atol=1e-6)
    for images, datatype in ((IMAGES, "FP32"), (IMAGES.astype(np.float64), "FP64")):
        response = ask(served, INFER, *raw(images, datatype))
        rest = response.content[int(response.headers[LENGTH]) :]
        np.testing.assert_allclose(np.frombuffer(rest[:36], np.float32).reshape(3, 3), expected, atol=1e-6)
        assert np.frombuffer(rest[36:60], np.int64).tolist() == expected.argmax(axis=1).tolist()
    rows = [{"x": image.tolist()} for image in IMAGES]
    layouts = [
        {"instances": IMAGES.tolist()},
        {"instances": rows},
        {"inputs": IMAGES.tolist()},
        {"inputs": {"x": IMAGES.tolist()}},
    ]
    asked = [("/invocations", layout) for layout in [*layouts, {"dataframe_records": rows}]]
    asked += [("/v1/models/delays:predict", layout) for layout in layouts[:3]]
    for path, layout in asked:
        predictions = ask(served, path, layout).json()["predictions"]
        np.testing.assert_allclose([row["mean"] for row in predictions], expected, atol=1e-6)
        assert [row["best"] for row in predictions] == expected.argmax(axis=1).tolist()


def test_no_rows_are_answered_with_tensors_of_none(served: Path) -> None:
    outputs = ask(served, INFER, tensor([], (0, 3, 4, 4))).json()["outputs"]
    assert [(output["shape"][0], output["data"]) for output in outputs] == [(0, []), (0, []), (0, [])]
    assert ask(served, "/invocations", {"instances": []}).json() == {"predictions": []}


MISTAKES: list[tuple[str, Any, str]] = [
    (INFER, tensor(IMAGES.ravel().tolist(), (3, 48)), "expected shape [n, 3, ?, 4]"),
    (INFER, tensor(IMAGES.tolist(), (3, 3, 4, 5)), "expected shape [n, 3, ?, 4]"),
    (INFER, tensor([1.0], (10**9, 3, 0, 4)), "rows of nothing"),
    (INFER, {"inputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": [1]}]}, "missing inputs: x"),
    (INFER, tensor(["a"] * 12, (1, 3, 1, 4), "BYTES"), "expected FP32, got BYTES"),
    (INFER, raw(IMAGES, "FP64")[0], "not UTF-8"),
    ("/invocations", {"instances": IMAGES[0].tolist()}, "shape [n, 3, ?, 4]"),
    ("/invocations", {"instances": [[["a"]]]}, "expected float32 values"),
    ("/invocations", {"instances": [[[1.0], [2.0, 3.0]]]}, "expected float32 values"),
    ("/v1/models/delays:predict", {"instances": [1, 2]}, "expected float32 values"),
]


@pytest.mark.parametrize(("path", "body", "says"), MISTAKES)
def test_a_mistake_is_a_400_that_says_what_is_due(served: Path, path: str, body: Any, says: str) -> None:
    response = ask(served, path, body)
    assert response.status_code == 400, response.text
    assert says in response.json()["message"]


def test_what_it_cannot_do_it_says(served: Path) -> None:
    explained = ask(served, "/v1/models/delays:explain", {"instances": IMAGES.tolist()})
    assert explained.status_code == 501 and "cannot be explained" in explained.json()["error"]


def test_the_page_has_a_field_for_a_small_tensor_and_calls_with_it(served: Path) -> None:
    async def work(worker: Worker) -> tuple[Any, Any, Any]:
        form = (await worker.client.get("/docs/form")).raise_for_status().json()
        row = {item["name"]: item["example"] for item in form["inputs"]}
        written = (await worker.client.post("/docs/calls", json={"row": row, "url": "http://test"})).json()
        return form, written, await worker.client.post(written["path"], json=written["body"])

    form, written, answered = with_worker(served, work)
    (field,) = form["inputs"]
    assert (field["kind"], field["datatype"], field["shape"]) == ("tensor", "FP32", "[n, 3, ?, 4]")
    assert form["outputs"] == ["mean", "best"] and answered.status_code == 200
    assert ".reshape([1, 3, 1, 4])" in next(call["text"] for call in written["calls"] if call["key"] == "tritonclient")
