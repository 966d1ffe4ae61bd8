"""A package as one ONNX graph answers like the package, to the last bit of its inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.inference.cases import make_case, make_columns

from perenne.core.errors import Invalid
from perenne.inference import foreign, load, whole_graph
from perenne.inference.encodings import LARGEST, LATEST
from perenne.inference.model import example_columns
from perenne.inference.whole import WholeGraph
from perenne.stats.columns import Column, FieldKind, Task

CASES = {
    "linear": (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2_000)), Task.BINARY),
    "softmax": (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2_000)), Task.MULTICLASS),
    "line": (make_pipeline(SimpleImputer(), StandardScaler(), Ridge()), Task.REGRESSION),
    "boosting": (HistGradientBoostingClassifier(max_iter=6), Task.MULTICLASS),
    "values": (HistGradientBoostingRegressor(max_iter=6), Task.REGRESSION),
    "forest": (ExtraTreesClassifier(8, max_depth=5, random_state=0), Task.BINARY),
    "network": (make_pipeline(SimpleImputer(), StandardScaler(), MLPClassifier((8,), max_iter=60)), Task.BINARY),
}


def hard_rows() -> dict[str, Column]:
    """Return real rows, and rows with everything that is odd."""
    columns = make_columns(400, seed=5)
    columns["distance"][:6] = [np.nan, np.inf, -np.inf, LARGEST * 1.01, LARGEST, -0.0]
    columns["scheduled"][:7] = [np.nan, -1.0, 0.0, LATEST * 1.01, -LATEST, 951_868_799.0, 1_709_251_199.5]
    columns["carrier"][:5] = ["", "never seen", None, "UA ", "ünïcode"]
    return columns


def ask(graph: WholeGraph, columns: dict[str, Column]) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(graph.data, providers=["CPUExecutionProvider"])
    feed = {
        name: np.array([graph.missing[name] if value is None else value for value in column], object)
        if name in graph.missing
        else column.astype(np.float64)
        for name, column in columns.items()
    }
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_graph_answers_like_the_package(name: str, tmp_path: Path) -> None:
    estimator, task = CASES[name]
    case = make_case(tmp_path / "package", estimator, task)
    columns = hard_rows()
    expected, found = case.predictor.predict(columns), ask(whole_graph(case.folder), columns)
    if expected.scores is None:
        assert np.allclose(found["prediction"], expected.predictions, rtol=1e-12, atol=0)
    else:
        assert np.allclose(found["probabilities"], expected.scores, rtol=0, atol=1e-12)
        assert found["prediction"].tolist() == case.predictor.labels(expected)


def test_each_row_is_answered_as_if_it_were_alone(tmp_path: Path) -> None:
    case = make_case(tmp_path / "package", *CASES["boosting"])
    columns = {name: column[:12] for name, column in hard_rows().items()}
    graph = whole_graph(case.folder)
    together = ask(graph, columns)["probabilities"]
    alone = [ask(graph, {name: column[row : row + 1] for name, column in columns.items()})["probabilities"] for row in range(12)]
    assert np.array_equal(together, np.concatenate(alone))


def test_equal_packages_give_equal_bytes(tmp_path: Path) -> None:
    graphs = [whole_graph(make_case(tmp_path / name, *CASES["linear"]).folder) for name in ("one", "two")]
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize(("classes", "expected"), [((False, True), [True]), ((0, 7), [7]), ((0.5, 1), [1.0]), (("no", 1), ["1"])])
def test_labels_keep_their_type(tmp_path: Path, classes: tuple[Any, ...], expected: list[Any]) -> None:
    import msgspec

    case = make_case(tmp_path / "package", *CASES["linear"], threshold=0.0)
    manifest = msgspec.json.decode((case.folder / "package.json").read_bytes())
    manifest["signature"]["classes"] = classes
    (case.folder / "package.json").write_bytes(msgspec.json.encode(manifest))
    row = {name: column[:1] for name, column in make_columns(1).items()}
    assert ask(whole_graph(case.folder), row)["prediction"].tolist() == expected


def test_an_input_is_text_only_where_it_is_a_category(tmp_path: Path) -> None:
    case = make_case(tmp_path / "package", *CASES["linear"])
    session = onnxruntime.InferenceSession(whole_graph(case.folder).data, providers=["CPUExecutionProvider"])
    kinds = {field.name: "string" if field.kind is FieldKind.CATEGORY else "double" for field in case.signature.fields}
    assert {put.name: put.type for put in session.get_inputs()} == {name: f"tensor({kind})" for name, kind in kinds.items()}


LOGGED = Path(__file__).parent / "foreign" / "logged"


@pytest.mark.parametrize("name", ["onnx", "xgboost", "lightgbm", "sklearn_skops"])
def test_a_model_that_a_client_logged_answers_like_its_package(name: str, tmp_path: Path) -> None:
    foreign.package_model(LOGGED / name, tmp_path / "package")
    predictor = load(tmp_path / "package")
    rows = {
        name: np.resize(column, 40).copy() for name, column in example_columns(predictor.example, predictor.signature).items()
    }
    for place, column in enumerate(rows.values()):
        if column.dtype.kind == "f":
            column[20:] += np.linspace(-1.0, 1.0, 20) * (1 + place)
    expected, found = predictor.predict(rows), ask(whole_graph(tmp_path / "package"), rows)
    if expected.scores is None:
        assert np.allclose(found["prediction"], expected.predictions, rtol=1e-5)
    else:
        assert np.allclose(found["probabilities"], expected.scores, rtol=0, atol=1e-5)
        assert found["prediction"].tolist() == predictor.labels(expected)


def test_tensors_are_no_columns(tmp_path: Path) -> None:
    given = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 2, 2])
    taken = onnx.helper.make_tensor_value_info("twice", onnx.TensorProto.FLOAT, ["n", 2, 2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["image", "image"], ["twice"])], "g", [given], [taken])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "double.onnx").write_bytes(model.SerializeToString())
    foreign.package_model(tmp_path / "double.onnx", tmp_path / "package")
    assert load(tmp_path / "package").signature.task is Task.OUTPUTS
    with pytest.raises(Invalid, match="a model of tensors"):
        whole_graph(tmp_path / "package")
