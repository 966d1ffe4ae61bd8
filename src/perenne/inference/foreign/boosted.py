"""Trees of XGBoost and LightGBM as an `Ensemble`, read from the libraries' own model files: what ONNX makes of them is exact.

XGBoost rounds inputs to float32 and goes left below a threshold; LightGBM compares float64 and goes left up to it. Ensembles with
parts that have no such form (categories, linear leaves, dropout, several values a leaf) are left to the libraries themselves.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.inference.trees import Ensemble, Link, Tree
from perenne.stats.columns import Task


class Objective(NamedTuple):
    """What a booster answers: the task, how many classes, and the link from its trees to its answers; None if unknown."""

    task: Task
    classes: int
    link: Link | None


_XGBOOST: dict[str, tuple[Task, Link | None]] = {
    "binary:logistic": (Task.BINARY, "logistic"),
    "multi:softprob": (Task.MULTICLASS, "softmax"),
    "multi:softmax": (Task.MULTICLASS, "softmax"),
    "reg:squarederror": (Task.REGRESSION, "identity"),
    "reg:absoluteerror": (Task.REGRESSION, "identity"),
    "reg:pseudohubererror": (Task.REGRESSION, "identity"),
    "reg:logistic": (Task.REGRESSION, "logistic"),
    "count:poisson": (Task.REGRESSION, "exp"),
    "reg:gamma": (Task.REGRESSION, "exp"),
    "reg:tweedie": (Task.REGRESSION, "exp"),
}
_LIGHTGBM: dict[str, tuple[Task, Link | None]] = {
    "binary": (Task.BINARY, "logistic"),
    "multiclass": (Task.MULTICLASS, "softmax"),
    "multiclassova": (Task.MULTICLASS, None),
    "cross_entropy": (Task.REGRESSION, "logistic"),
    "poisson": (Task.REGRESSION, "exp"),
    "gamma": (Task.REGRESSION, "exp"),
    "tweedie": (Task.REGRESSION, "exp"),
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), (Task.REGRESSION, "identity")),
}


def xgboost_objective(learner: dict[str, Any]) -> Objective:
    """Read what a booster answers from the `learner` of its JSON."""
    task, link = _XGBOOST.get(learner["objective"]["name"], (Task.REGRESSION, None))
    classes = int(learner["learner_model_param"]["num_class"])
    return Objective(task, {Task.BINARY: 2, Task.MULTICLASS: classes}.get(task, 0), link)


def xgboost_ensemble(learner: dict[str, Any]) -> Ensemble | None:
    """Read the trees from the `learner` of a booster's JSON; None if they are no plain ones."""
    objective, booster = xgboost_objective(learner), learner["gradient_booster"]
    parameters = learner["learner_model_param"]
    if objective.link is None or booster["name"] != "gbtree" or int(parameters.get("num_target", "1")) > 1:
        return None
    model, outputs = booster["model"], max(int(parameters["num_class"]), 1)
    groups = zip(model["trees"], model["tree_info"], strict=True)
    trees = [_xgboost_tree(tree, int(output)) for tree, output in groups]
    if any(tree is None for tree in trees):
        return None
    base = np.array(_base_scores(parameters["base_score"], outputs), np.float64)
    if objective.link == "logistic":
        base = np.log(base / (1 - base))
    elif objective.link == "exp":
        base = np.log(base)
    return Ensemble([tree for tree in trees if tree], base, objective.link, int(parameters["num_feature"]))


def _base_scores(text: str, outputs: int) -> list[float]:
    """Read `5E-1`, or as newer releases write it, `[5E-1]`."""
    values = [float(value) for value in text.strip("[]").split(",")]
    return values if len(values) == outputs else values[:1] * outputs


def _xgboost_tree(tree: dict[str, Any], output: int) -> Tree | None:
    if any(tree.get("split_type", [])) or int(tree["tree_param"].get("size_leaf_vector", "1")) > 1:
        return None
    left, right = np.array(tree["left_children"], np.int64), np.array(tree["right_children"], np.int64)
    leaf = left == -1
    conditions = np.array(tree["split_conditions"], np.float32)
    below = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)  # x < t is x <= the float32 before t
    return Tree(
        feature=np.where(leaf, 0, np.array(tree["split_indices"], np.int64)),
        threshold=np.where(leaf, 0.0, below),
        left=np.where(leaf, 0, left),
        right=np.where(leaf, 0, right),
        missing_left=np.array(tree["default_left"], np.bool_) & ~leaf,
        leaf=leaf,
        values=conditions.astype(np.float64)[:, None],  # a leaf's value stands where others have their threshold
        first=output,
    )


class LightGBMText(NamedTuple):
    """A model's text: the values of its head, and of each tree."""

    head: dict[str, str]
    trees: list[dict[str, str]]


def read_lightgbm(text: str) -> LightGBMText:
    """Read a model's text."""
    head, _, rest = text.partition("\nTree=")
    blocks = rest.partition("\nend of trees")[0].split("\nTree=") if rest else []
    return LightGBMText(_values(head), [_values(block) for block in blocks])


def _values(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def lightgbm_objective(head: dict[str, str]) -> Objective:
    """Read what a model answers from its head."""
    name, *options = head.get("objective", "regression").split() or ["regression"]
    task, link = _LIGHTGBM.get(name, (Task.REGRESSION, None))
    if "sqrt" in options:
        link = None
    return Objective(task, {Task.BINARY: 2, Task.MULTICLASS: int(head["num_class"])}.get(task, 0), link)


def lightgbm_ensemble(model: LightGBMText) -> Ensemble | None:
    """Read the trees of a model; None if they are no plain ones."""
    objective, outputs = lightgbm_objective(model.head), int(model.head["num_tree_per_iteration"])
    if objective.link is None or "average_output" in model.head:
        return None
    scale = 1.0
    for option in model.head["objective"].split()[1:]:
        if option.startswith("sigmoid:"):
            scale = float(option.partition(":")[2])
    trees = [_lightgbm_tree(tree, number % outputs, scale) for number, tree in enumerate(model.trees)]
    if any(tree is None for tree in trees):
        return None
    return Ensemble([tree for tree in trees if tree], np.zeros(outputs), objective.link, int(model.head["max_feature_idx"]) + 1)


_ZERO = float(np.float32(1e-35))
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_ZERO, _MISSING_NAN = 1, 2, 4, 8


def _lightgbm_tree(tree: dict[str, str], output: int, scale: float) -> Tree | None:
    leaves = int(tree["num_leaves"])
    values = _numbers(tree["leaf_value"]) * scale
    if int(tree.get("is_linear", "0")):
        return None
    if leaves == 1:
        return _lone_leaf(values, output)
    kinds = _numbers(tree["decision_type"]).astype(np.int64)
    if (kinds & (_CATEGORICAL | _MISSING_ZERO)).any():
        return None
    inner = leaves - 1
    thresholds = _numbers(tree["threshold"])
    # The library takes values up to this size for 0, so that the threshold below 0 has none of them on its left.
    thresholds = np.where(thresholds == -_ZERO, np.nextafter(-_ZERO, -np.inf), thresholds)
    # Where the training rows had none missing, a missing value counts as 0.
    missing_left = np.where(kinds & _MISSING_NAN, (kinds & _DEFAULT_LEFT) > 0, thresholds >= 0.0)
    left, right = (_children(_numbers(tree[side]), inner) for side in ("left_child", "right_child"))
    padding = np.zeros(leaves)
    return Tree(
        feature=np.concatenate([_numbers(tree["split_feature"]), padding]).astype(np.int64),
        threshold=np.concatenate([thresholds, padding]),
        left=np.concatenate([left, padding]).astype(np.int64),
        right=np.concatenate([right, padding]).astype(np.int64),
        missing_left=np.concatenate([missing_left, np.zeros(leaves, np.bool_)]),
        leaf=np.arange(inner + leaves) >= inner,
        values=np.concatenate([np.zeros(inner), values])[:, None],
        first=output,
    )


def _lone_leaf(values: NDArray[np.float64], output: int) -> Tree:
    zero = np.zeros(1, np.int64)
    nothing = np.zeros(1, np.bool_)
    return Tree(zero, np.zeros(1), zero, zero, nothing, ~nothing, values[:, None], output)


def _children(given: NDArray[np.float64], inner: int) -> NDArray[np.float64]:
    """Number leaves, which the text has as -1, -2, …, after the inner nodes."""
    return np.where(given < 0, inner - given - 1, given)


def _numbers(text: str) -> NDArray[np.float64]:
    found = np.array([float(value) for value in text.split()], np.float64)
    return np.nan_to_num(found, posinf=1e300, neginf=-1e300)
