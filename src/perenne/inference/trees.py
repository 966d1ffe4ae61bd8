"""Tree ensembles of scikit-learn to ONNX, decision for decision.

skl2onnx rounds the thresholds of histogram gradient boosting to float32 and forgets where trees of forests send missing values.
Here thresholds and leaves stay float64, as scikit-learn compares them, and every node keeps its side for missing values.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perenne.inference.folding import kind_of

Link: TypeAlias = Literal["identity", "logistic", "softmax", "exp"]

OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 9


class Tree(NamedTuple):
    """One tree: per node the split `x[feature] <= threshold` (left if true), the side of missing values, and the leaf's values.

    `values` is (nodes, m) and counts towards the outputs `first`, `first` + 1, …
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    leaf: NDArray[np.bool_]
    values: NDArray[np.float64]
    first: int = 0


class Ensemble(NamedTuple):
    """link(base + sum of the trees' leaves), with `base` (outputs,)."""

    trees: list[Tree]
    base: NDArray[np.float64]
    link: Link
    columns: int


_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_GRADIENT = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
TREE_KINDS = (*_HISTOGRAM, *_GRADIENT, *_FORESTS, *_TREES)
"""Names of the classes that `read_ensemble` knows."""


def read_ensemble(estimator: Any) -> Ensemble | None:
    """Read the trees of a fitted estimator of scikit-learn; None if it is no tree ensemble or one with unusual parts."""
    kind = kind_of(estimator)
    if kind in _HISTOGRAM:
        return _hist_gradient_boosting(estimator)
    if kind in _GRADIENT:
        return _gradient_boosting(estimator)
    if kind in _FORESTS:
        return _average(estimator.estimators_, estimator)
    if kind in _TREES:
        return _average([estimator], estimator)
    return None


_LINKS: dict[str, Link] = {
    "HalfBinomialLoss": "logistic",
    "ExponentialLoss": "logistic",
    "HalfMultinomialLoss": "softmax",
    "HalfSquaredError": "identity",
    "AbsoluteError": "identity",
    "HuberLoss": "identity",
    "PinballLoss": "identity",
    "HalfPoissonLoss": "exp",
    "HalfGammaLoss": "exp",
}


def _hist_gradient_boosting(estimator: Any) -> Ensemble | None:
    link = _LINKS.get(type(estimator._loss).__name__)
    if link is None or any(tree.nodes["is_categorical"].any() for trees in estimator._predictors for tree in trees):
        return None
    trees = [_hist_tree(tree.nodes, output) for trees in estimator._predictors for output, tree in enumerate(trees)]
    return Ensemble(trees, np.ravel(estimator._baseline_prediction).astype(np.float64), link, estimator.n_features_in_)


def _hist_tree(nodes: Any, output: int) -> Tree:
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        missing_left=nodes["missing_go_to_left"].astype(np.bool_),
        leaf=nodes["is_leaf"].astype(np.bool_),
        values=nodes["value"].astype(np.float64)[:, None],
        first=output,
    )


def _gradient_boosting(estimator: Any) -> Ensemble | None:
    loss = type(estimator._loss).__name__
    link = _LINKS.get(loss)
    if link is None or estimator.init not in (None, "zero"):
        return None
    # The exponential loss has the probability of twice the raw prediction.
    factor = 2.0 if loss == "ExponentialLoss" else 1.0
    base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32)).ravel()
    rate = factor * estimator.learning_rate
    trees = [
        _sklearn_tree(tree.tree_, rate * tree.tree_.value[:, 0, :], output)
        for row in estimator.estimators_
        for output, tree in enumerate(row)
    ]
    return Ensemble(trees, factor * base.astype(np.float64), link, estimator.n_features_in_)


def _average(members: Iterable[Any], estimator: Any) -> Ensemble | None:
    if estimator.n_outputs_ != 1:
        return None
    trees = [member.tree_ for member in members]
    values = [tree.value[:, 0, :] / len(trees) for tree in trees]
    if values[0].shape[1] == 2:
        values = [value[:, 1:] for value in values]
    base = np.zeros(values[0].shape[1])
    return Ensemble(
        [_sklearn_tree(tree, value) for tree, value in zip(trees, values, strict=True)],
        base,
        "identity",
        estimator.n_features_in_,
    )


def _sklearn_tree(tree: Any, values: NDArray[np.float64], output: int = 0) -> Tree:
    leaf = tree.children_left == -1
    return Tree(
        feature=np.where(leaf, 0, tree.feature),
        threshold=np.where(leaf, 0.0, tree.threshold),
        left=np.where(leaf, 0, tree.children_left),
        right=np.where(leaf, 0, tree.children_right),
        missing_left=tree.missing_go_to_left.astype(np.bool_) & ~leaf,
        leaf=leaf,
        values=values,
        first=output,
    )


def split_points(ensemble: Ensemble, most: int) -> list[tuple[int, float]]:
    """Return up to `most` different (column, threshold) pairs, spread evenly over all of them."""
    pairs = {
        (feature, threshold)
        for tree in ensemble.trees
        for feature, threshold in zip(tree.feature[~tree.leaf].tolist(), tree.threshold[~tree.leaf].tolist(), strict=True)
        if np.isfinite(threshold)
    }
    ordered = sorted(pairs)
    chosen = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).astype(int))
    return [ordered[index] for index in chosen]


OPERATORS: dict[Link, str] = {"identity": "Identity", "logistic": "Sigmoid", "softmax": "Softmax", "exp": "Exp"}
"""The ONNX operator of each link."""


def to_onnx(ensemble: Ensemble, *, wide: bool = False) -> bytes:
    """Write an ensemble as ONNX: float32 input `x`, float64 output `outputs`; equal ensembles give equal bytes.

    `wide` takes float64 input: for ensembles whose library compares inputs unrounded.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["x"], ["exact"], to=TensorProto.DOUBLE),
        helper.make_node("TreeEnsembleRegressor", ["exact"], ["sums"], domain="ai.onnx.ml", **attributes(ensemble)),
        helper.make_node("Cast", ["sums"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["wide", "base"], ["raw"]),
        helper.make_node(OPERATORS[ensemble.link], ["raw"], ["outputs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE if wide else TensorProto.FLOAT, ["rows", ensemble.columns])],
        [helper.make_tensor_value_info("outputs", TensorProto.DOUBLE, ["rows", len(ensemble.base)])],
        [numpy_helper.from_array(ensemble.base, "base")],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="perenne")
    return bytes(model.SerializeToString(deterministic=True))


def attributes(ensemble: Ensemble) -> dict[str, Any]:
    """Lay the trees out as the ONNX operator TreeEnsembleRegressor of ai.onnx.ml 3 wants them."""
    from onnx import numpy_helper

    trees = ensemble.trees
    leaf = np.concatenate([tree.leaf for tree in trees])
    weights = [np.nonzero(tree.leaf)[0] for tree in trees]
    widths = [tree.values.shape[1] for tree in trees]

    def joined(parts: Iterable[NDArray[Any]]) -> list[Any]:
        return list(np.concatenate(list(parts)).tolist())

    return {
        "n_targets": len(ensemble.base),
        "nodes_treeids": joined(np.full(len(tree.leaf), number) for number, tree in enumerate(trees)),
        "nodes_nodeids": joined(np.arange(len(tree.leaf)) for tree in trees),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_featureids": joined(np.where(tree.leaf, 0, tree.feature) for tree in trees),
        "nodes_values_as_tensor": numpy_helper.from_array(
            np.concatenate([np.where(tree.leaf, 0.0, tree.threshold) for tree in trees]), "thresholds"
        ),
        "nodes_truenodeids": joined(np.where(tree.leaf, 0, tree.left) for tree in trees),
        "nodes_falsenodeids": joined(np.where(tree.leaf, 0, tree.right) for tree in trees),
        "nodes_missing_value_tracks_true": joined((tree.missing_left & ~tree.leaf).astype(int) for tree in trees),
        "target_treeids": joined(
            np.full(len(at) * width, number) for number, (at, width) in enumerate(zip(weights, widths, strict=True))
        ),
        "target_nodeids": joined(np.repeat(at, width) for at, width in zip(weights, widths, strict=True)),
        "target_ids": joined(
            np.tile(np.arange(tree.first, tree.first + width), len(at))
            for tree, at, width in zip(trees, weights, widths, strict=True)
        ),
        "target_weights_as_tensor": numpy_helper.from_array(
            np.concatenate([tree.values[at].ravel() for tree, at in zip(trees, weights, strict=True)]), "leaves"
        ),
    }
