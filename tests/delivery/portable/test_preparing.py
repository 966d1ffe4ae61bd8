"""A graph in fewer bytes is taken where it answers like the version, and nowhere else."""

import json
import warnings
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.inference.cases import make_case, make_columns

from perenne.core.errors import Invalid
from perenne.delivery.portable.model import Limits
from perenne.delivery.portable.preparing import Source, prepare
from perenne.delivery.portable.running import Graph, GraphAnswer, compare
from perenne.delivery.portable.smaller import rounded_down, smaller_graphs
from perenne.inference import whole_graph
from perenne.stats.columns import Task


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Source:
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), MLPClassifier((256, 128), max_iter=4, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = make_case(tmp_path_factory.mktemp("network") / "package", estimator, Task.BINARY)
    return Source(case.folder, "late", "1", "abc")


@given(st.floats(allow_nan=False), st.floats(width=32, allow_nan=False))
def test_no_float32_row_lies_between_a_threshold_and_its_rounding(threshold: float, value: float) -> None:
    narrow = float(rounded_down(np.array([threshold]))[0])
    assert narrow <= threshold
    assert (value <= threshold) == (value <= narrow)


def test_trees_in_float32_decide_as_before(source: Source) -> None:
    prepared = prepare(source, make_columns(3_000, seed=9), limits=None)
    assert [(item.precision, item.accepted, item.differing) for item in prepared.tried] == [
        ("float32", True, 0),
        ("float64", True, 0),
    ]
    assert prepared.about.precision == "float32"
    assert prepared.tried[0].bytes == len(prepared.data) < prepared.tried[1].bytes
    assert prepared.tried[0].rows == 3_000
    assert 0 < prepared.tried[0].largest_difference < 1e-6


def test_a_network_is_quantised_where_that_is_near_enough(network: Source) -> None:
    rows = make_columns(2_000, seed=9)
    prepared = prepare(network, rows, Limits(differing=0.02, difference=0.05))
    assert prepared.about.precision == "int8"
    operators = {node.op_type for node in onnx.load_model_from_string(prepared.data).graph.node}
    assert "MatMulInteger" in operators
    assert prepared.tried[0].bytes < 0.6 * prepared.tried[-1].bytes
    strict = prepare(network, rows, limits=None)
    assert strict.about.precision == "float64"
    assert [item.accepted for item in strict.tried] == [False, True]


def test_a_linear_model_is_small_as_it_is(tmp_path: Path) -> None:
    estimator = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=2_000))
    case = make_case(tmp_path / "package", estimator, Task.BINARY)
    assert [item.precision for item in smaller_graphs(whole_graph(case.folder).data)] == ["float64"]


def test_what_cannot_be_counted_is_not_near(source: Source) -> None:
    limits = Limits(differing=1.0, difference=1.0)
    right = GraphAnswer(np.array([1.0, 2.0]), None)
    for wrong in (np.nan, np.inf):
        assert not compare("int8", b"", right, GraphAnswer(np.array([1.0, wrong]), None), limits).accepted
    assert compare("int8", b"", right, right, limits).accepted


def test_a_graph_that_answers_otherwise_than_its_package_is_not_handed_on(source: Source, tmp_path: Path) -> None:
    """The package's own check passes, since its example holds few rows; the rows of the comparison find it."""
    folder = tmp_path / "package"
    folder.mkdir()
    for path in source.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rows = make_columns(50, seed=2)
    graph = Graph(whole_graph(folder).data, {"carrier": "\x1a"})
    assert len(graph.ask(graph.feed(rows)).predictions) == 50
    rows["carrier"][:] = "\x1a"  # a real text that stands for a missing value in the graph
    with pytest.raises(Invalid, match="does not answer like the version"):
        prepare(source._replace(folder=folder), rows, limits=None)


def test_without_rows_only_typical_values_travel(source: Source) -> None:
    shown = prepare(source, None, limits=None, with_rows=False).example
    assert [len(values) for values in shown.inputs.values()] == [1] * 5
    stored = json.loads((source.folder / "example.json").read_bytes())["inputs"]
    assert shown.inputs["distance"] == [float(np.median(stored["distance"]))]


def test_what_it_says_of_itself_is_complete(source: Source) -> None:
    about = prepare(source, None, limits=None).about
    inputs = {put.name: put for put in about.inputs}
    assert [(put.name, put.kind, put.protocol) for put in about.inputs] == [
        ("distance", "number", "FP64"),
        ("delay", "number", "FP64"),
        ("carrier", "category", "BYTES"),
        ("scheduled", "time", "INT64"),
        ("constant", "number", "FP64"),
    ]
    assert set(inputs["carrier"].levels) == {"AA", "B6", "UA", "WN"}
    assert msgspec.json.decode(msgspec.json.encode(about), type=type(about)) == about
