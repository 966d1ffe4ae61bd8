from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from perenne.inference.forms import OnnxForm
from perenne.inference.parity import parity_rows
from perenne.inference.trees import read_ensemble, split_points, to_onnx

CLASSIFIERS = [
    HistGradientBoostingClassifier(max_iter=8, random_state=0),
    RandomForestClassifier(8, random_state=0),
    ExtraTreesClassifier(8, random_state=0),
    GradientBoostingClassifier(n_estimators=8, random_state=0),
    DecisionTreeClassifier(random_state=0),
]
BINARY = [GradientBoostingClassifier(n_estimators=8, loss="exponential", random_state=0)]
REGRESSORS = [
    HistGradientBoostingRegressor(max_iter=8, random_state=0),
    HistGradientBoostingRegressor(max_iter=8, loss="poisson", random_state=0),
    HistGradientBoostingRegressor(max_iter=8, loss="gamma", random_state=0),
    HistGradientBoostingRegressor(max_iter=8, loss="absolute_error", random_state=0),
    RandomForestRegressor(8, random_state=0),
    ExtraTreesRegressor(8, random_state=0),
    GradientBoostingRegressor(n_estimators=8, loss="huber", random_state=0),
    GradientBoostingRegressor(n_estimators=8, init="zero", random_state=0),
    DecisionTreeRegressor(random_state=0),
]


def make_matrix(rows: int = 500, *, missing: bool = True) -> np.ndarray:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(rows, 4)).astype(np.float32)
    matrix[:, 1] = np.round(matrix[:, 1] * 3) / 3  # (thirds: no float32, so thresholds lie between neighbours)
    matrix[:, 2] *= 1e6
    if missing:
        matrix[random.random(matrix.shape) < 0.1] = np.nan
    return matrix


def takes_missing(estimator: object) -> bool:
    return not isinstance(estimator, GradientBoostingClassifier | GradientBoostingRegressor)


def compiled(estimator: object, matrix: np.ndarray) -> np.ndarray:
    ensemble = read_ensemble(estimator)
    assert ensemble is not None
    return OnnxForm(to_onnx(ensemble)).outputs(matrix)


@pytest.mark.parametrize(
    ("estimator", "classes"),
    [*((estimator, classes) for estimator in CLASSIFIERS for classes in (2, 3)), *((estimator, 2) for estimator in BINARY)],
    ids=lambda value: value if isinstance(value, int) else type(value).__name__,
)
def test_classifiers_answer_alike_at_every_split_and_with_values_missing(estimator: Any, classes: int) -> None:
    matrix = make_matrix(missing=takes_missing(estimator))
    y = np.digitize(np.nan_to_num(matrix[:, 0] + matrix[:, 1]), [0.0, 1.0][: classes - 1])
    estimator.fit(matrix, y)
    rows = parity_rows(estimator, matrix).matrix
    rows = rows if takes_missing(estimator) else rows[~np.isnan(rows).any(axis=1)]
    scores = estimator.predict_proba(rows)
    found = compiled(estimator, rows)
    assert len(rows) > len(matrix)
    assert np.abs(found - scores[:, -found.shape[1] :]).max() < 1e-6


@pytest.mark.parametrize(
    "estimator", REGRESSORS, ids=lambda estimator: f"{type(estimator).__name__}-{estimator.get_params().get('loss')}"
)
def test_regressors_answer_alike_at_every_split_and_with_values_missing(estimator: Any) -> None:
    matrix = make_matrix(missing=takes_missing(estimator))
    y = np.exp(np.nan_to_num(matrix[:, 0])) + np.nan_to_num(matrix[:, 2] > 0) * 1e4 + 1.0
    estimator.fit(matrix, y)
    rows = parity_rows(estimator, matrix).matrix
    rows = rows if takes_missing(estimator) else rows[~np.isnan(rows).any(axis=1)]
    assert len(rows) > len(matrix)
    assert compiled(estimator, rows)[:, 0] == pytest.approx(estimator.predict(rows), rel=1e-6)


def test_rows_stand_on_both_sides_of_a_split() -> None:
    matrix = make_matrix(missing=False)
    estimator = DecisionTreeClassifier(max_depth=3, random_state=0).fit(matrix, matrix[:, 0] > 0)
    ensemble = read_ensemble(estimator)
    assert ensemble is not None
    splits = split_points(ensemble, 100)
    rows = parity_rows(estimator, matrix)
    pairs = rows.matrix[rows.real : rows.real + rows.at_thresholds].reshape(len(splits), 2, 4)
    assert len(pairs) == len(splits)
    for place, (column, threshold) in enumerate(splits):
        left, right = pairs[place]
        assert left[column] <= threshold < right[column]
        assert np.nextafter(left[column], np.float32(np.inf)) == right[column]


def test_missing_values_alone_can_split() -> None:
    matrix = np.array([[1.0], [2.0], [np.nan]] * 40, np.float32)
    y = np.array([0, 0, 1] * 40)
    for estimator in (HistGradientBoostingClassifier(max_iter=2), RandomForestClassifier(3, random_state=0)):
        estimator.fit(matrix, y)
        assert compiled(estimator, matrix)[:, 0] == pytest.approx(estimator.predict_proba(matrix)[:, 1], abs=1e-6)


def test_a_tree_may_be_a_single_leaf() -> None:
    matrix = make_matrix(50)
    estimator = HistGradientBoostingRegressor(max_iter=2).fit(matrix, np.full(50, 3.0))
    assert compiled(estimator, matrix)[:, 0] == pytest.approx(3.0)


def test_categories_of_the_estimator_itself_are_left_alone() -> None:
    matrix = np.arange(60, dtype=np.float32)[:, None] % 3
    estimator = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0], min_samples_leaf=1)
    assert read_ensemble(estimator.fit(matrix, matrix[:, 0] == 1)) is None


def test_a_subclass_is_none_of_ours() -> None:
    class Other(DecisionTreeClassifier):  # type: ignore[misc]
        pass

    matrix = make_matrix(50)
    assert read_ensemble(Other().fit(matrix, matrix[:, 0] > 0)) is None
