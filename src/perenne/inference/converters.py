"""Converters that skl2onnx calls in place of its own, wherever in a pipeline or composite such an estimator stands.

Its own scale by multiplying with a rounded inverse, which moves rows over the thresholds behind; trees go the way of `trees`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from perenne.inference.folding import kind_of
from perenne.inference.trees import OPERATORS, OPSETS, TREE_KINDS, attributes, read_ensemble

Converter: TypeAlias = Callable[[Any, Any, Any], None]


def converters() -> Mapping[type, Converter]:
    """Return the converters by class."""
    from sklearn import ensemble, preprocessing, tree

    trees = [getattr(ensemble, kind, None) or getattr(tree, kind) for kind in TREE_KINDS]
    return dict.fromkeys(trees, convert_trees) | {preprocessing.StandardScaler: convert_scaler}


class _Nodes:
    """Adds nodes to the graph that skl2onnx builds, under names of their own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def add(self, kind: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), [output], domain, OPSETS[domain], name=name, **attributes)
        return output

    def constant(self, values: Any, kind: int) -> str:
        """Add a constant and return its name."""
        name = str(self._scope.get_unique_variable_name("constant"))
        array = np.asarray(values)
        self._container.add_initializer(name, kind, list(array.shape), array.ravel().tolist())
        return name


def convert_scaler(scope: Any, operator: Any, container: Any) -> None:
    """Convert a StandardScaler as scikit-learn computes: two steps, each rounded to float32."""
    from onnx import TensorProto

    scaler, nodes = operator.raw_operator, _Nodes(scope, container)
    name = nodes.add("Cast", [operator.inputs[0].full_name], to=TensorProto.FLOAT)
    if scaler.with_mean:
        name = nodes.add("Sub", [name, nodes.constant(scaler.mean_.astype(np.float32), TensorProto.FLOAT)])
    if scaler.with_std:
        name = nodes.add("Div", [name, nodes.constant(scaler.scale_.astype(np.float32), TensorProto.FLOAT)])
    nodes.add("Identity", [name], operator.outputs[0].full_name)


def convert_trees(scope: Any, operator: Any, container: Any) -> None:
    """Convert a tree ensemble, decision for decision.

    Raises
    ------
    NotImplementedError
        If it has parts that `read_ensemble` does not know.
    """
    from onnx import TensorProto

    estimator, nodes = operator.raw_operator, _Nodes(scope, container)
    ensemble = read_ensemble(estimator)
    if ensemble is None:
        raise NotImplementedError(f"this {kind_of(estimator)}")
    exact = nodes.add("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    sums = nodes.add("TreeEnsembleRegressor", [exact], domain="ai.onnx.ml", **attributes(ensemble))
    base = nodes.constant(ensemble.base, TensorProto.DOUBLE)
    raw = nodes.add("Add", [nodes.add("Cast", [sums], to=TensorProto.DOUBLE), base])
    wants_raw = (
        container.has_options(estimator, "raw_scores") and container.get_options(estimator, {"raw_scores": False})["raw_scores"]
    )
    answers = raw if wants_raw else nodes.add(OPERATORS[ensemble.link], [raw])
    if len(operator.outputs) == 1:
        nodes.add("Cast", [answers], operator.outputs[0].full_name, to=TensorProto.FLOAT)
        return
    if len(ensemble.base) == 1:
        other = nodes.add("Neg", [raw]) if wants_raw else nodes.add("Sub", [nodes.constant([1.0], TensorProto.DOUBLE), answers])
        answers = nodes.add("Concat", [other, answers], axis=1)
    nodes.add("Cast", [answers], operator.outputs[1].full_name, to=TensorProto.FLOAT)
    texts = estimator.classes_.dtype.kind in "OU"
    classes = nodes.constant(estimator.classes_.astype(str if texts else int), TensorProto.STRING if texts else TensorProto.INT64)
    nodes.add("Gather", [classes, nodes.add("ArgMax", [answers], axis=1, keepdims=0)], operator.outputs[0].full_name)
