"""ONNX models of any shape: what they take and answer is found out, and asked accordingly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from perenne.core.errors import Invalid
from perenne.inference import Predictor, load
from perenne.inference.foreign import package_model
from perenne.inference.model import Output
from perenne.stats.columns import FieldKind, Task

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
POOLED = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["e"])]


def save(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], held: tuple[Any, ...] = ()) -> Path:
    ports = [[helper.make_tensor_value_info(name, *said) for name, said in part.items()] for part in (inputs, outputs)]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph(nodes, "g", *ports, list(held)), opset_imports=opsets, ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def made(path: Path) -> Predictor:
    package_model(path, path.parent / "made")
    return load(path.parent / "made")


def test_images_to_vectors(tmp_path: Path) -> None:
    predictor = made(save(tmp_path / "m.onnx", POOLED, {"x": (FLOAT, ["n", 3, 8, 8])}, {"e": (FLOAT, ["n", 3])}))
    (field,) = predictor.signature.fields
    assert (field.kind, field.datatype, field.shape) == (FieldKind.TENSOR, "float32", (3, 8, 8))
    assert predictor.signature.outputs == (Output("e", "float32", (3,)),)
    images = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)
    answer = predictor.predict({"x": images})
    assert answer.outputs is not None and answer.size == 5
    np.testing.assert_allclose(answer.outputs["e"], images.mean(axis=(2, 3)), atol=1e-6)
    assert predictor.predict({"x": images[:0]}).size == 0
    assert predictor.calibrate().chosen == ("onnx",) * 3


def test_a_model_for_one_row_is_asked_row_by_row(tmp_path: Path) -> None:
    predictor = made(save(tmp_path / "m.onnx", POOLED, {"x": (FLOAT, [1, 3, 8, 8])}, {"e": (FLOAT, [1, 3])}))
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    answer = predictor.predict({"x": images})
    assert answer.outputs is not None and answer.outputs["e"].shape == (4, 3)


def test_a_model_without_a_dimension_for_rows_takes_one_each(tmp_path: Path) -> None:
    summed = [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0)]
    predictor = made(save(tmp_path / "m.onnx", summed, {"x": (FLOAT, [2, 2])}, {"s": (FLOAT, [])}))
    assert predictor.signature.fields[0].shape == (2, 2)
    answer = predictor.predict({"x": np.arange(12, dtype=np.float32).reshape(3, 2, 2)})
    assert answer.outputs is not None and answer.outputs["s"].tolist() == [6.0, 22.0, 38.0]


def test_several_inputs_and_outputs_and_texts(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["a", "b"], ["c"], axis=1), helper.make_node("Identity", ["t"], ["u"])]
    inputs = {"a": (FLOAT, ["n", 2]), "b": (FLOAT, ["n", 3]), "t": (STRING, ["n", "w"])}
    predictor = made(save(tmp_path / "m.onnx", nodes, inputs, {"c": (FLOAT, ["n", 5]), "u": (STRING, ["n", "w"])}))
    assert [field.shape for field in predictor.signature.fields] == [(2,), (3,), (-1,)]
    rows = {
        "a": np.ones((2, 2), np.float32),
        "b": np.zeros((2, 3), np.float32),
        "t": np.array([["x", "y"], ["z", "ü"]], object),
    }
    (first, second) = predictor.labels(predictor.predict(rows))
    assert first == {"c": [1.0, 1.0, 0.0, 0.0, 0.0], "u": ["x", "y"]} and second["u"] == ["z", "ü"]


def test_a_number_for_a_table_is_a_regression(tmp_path: Path) -> None:
    held = (numpy_helper.from_array(np.array([[2.0], [1.0]], np.float32), "w"),)
    product = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    predictor = made(save(tmp_path / "m.onnx", product, {"x": (FLOAT, ["n", 2])}, {"y": (FLOAT, ["n", 1])}, held))
    assert (predictor.signature.task, predictor.signature.names) == (Task.REGRESSION, ("x0", "x1"))
    assert predictor.predict({"x0": np.array([1.0, 2.0]), "x1": np.array([5.0, 6.0])}).predictions.tolist() == [7.0, 10.0]


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_label_with_probabilities_is_a_classifier(zipmap: bool, tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    X = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    model = LogisticRegression().fit(X, np.array(["low", "middle", "high"])[(X[:, 0] > 0).astype(int) + (X[:, 0] > 1)])
    graph = to_onnx(model, X[:1], options=None if zipmap else {"zipmap": False})
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    predictor = made(tmp_path / "m.onnx")
    assert (predictor.signature.task, predictor.signature.classes) == (Task.MULTICLASS, ("high", "low", "middle"))
    answer = predictor.predict({f"x{place}": X[:, place] for place in range(3)})
    assert answer.scores is not None
    np.testing.assert_allclose(answer.scores, model.predict_proba(X), atol=1e-5)
    assert predictor.labels(answer) == model.predict(X).tolist()


def test_scores_that_are_no_probabilities_are_tensors(tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.svm import LinearSVC

    X = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    graph = to_onnx(LinearSVC().fit(X, X[:, 0] > 0), X[:1])
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    predictor = made(tmp_path / "m.onnx")
    assert predictor.signature.task is Task.OUTPUTS and len(predictor.signature.outputs) == 2


def test_columns_of_their_own(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Identity", ["word"], ["same"]),
        helper.make_node("Add", ["number", "number"], ["y"]),
    ]
    predictor = made(
        save(tmp_path / "m.onnx", nodes, {"word": (STRING, ["n"]), "number": (INT64, ["n", 1])},
             {"same": (STRING, ["n"]), "y": (INT64, ["n", 1])})
    )  # fmt: skip
    assert [(field.kind, field.datatype) for field in predictor.signature.fields] == [
        (FieldKind.CATEGORY, "string"),
        (FieldKind.NUMBER, "int64"),
    ]
    rows = {"word": np.array(["Ab", "C"], object), "number": np.array([3.0, 4.0])}
    assert predictor.labels(predictor.predict(rows)) == [{"same": "Ab", "y": [6]}, {"same": "C", "y": [8]}]


def test_data_in_other_files_is_refused_and_an_input_named_location_is_not(tmp_path: Path) -> None:
    named = [helper.make_node("MatMul", ["location", "w"], ["y"])]
    held = numpy_helper.from_array(np.ones((2, 1), np.float32), "w")
    path = save(tmp_path / "m.onnx", named, {"location": (FLOAT, ["n", 2])}, {"y": (FLOAT, ["n", 1])}, (held,))
    assert made(path).signature.task is Task.REGRESSION
    held.ClearField("raw_data")
    held.data_location = TensorProto.EXTERNAL
    entry = held.external_data.add()
    entry.key, entry.value = "location", "../secret"
    path = save(tmp_path / "e.onnx", named, {"location": (FLOAT, ["n", 2])}, {"y": (FLOAT, ["n", 1])}, (held,))
    with pytest.raises(Invalid, match="other files"):
        package_model(path, tmp_path / "other")
