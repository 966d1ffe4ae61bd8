from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from perenne.inference.folding import fold
from perenne.inference.forms import FilledForm, LinearForm
from perenne.stats.columns import Task


def make_matrix() -> np.ndarray:
    random = np.random.default_rng(0)
    matrix = (random.normal(size=(200, 5)) * [1, 100, 0.01, 1, 1] + [0, 1000, 0, 5, 0]).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 4] = np.nan  # (never known: the imputer drops it)
    return matrix


def outputs(estimator: Any, matrix: np.ndarray, task: Task) -> np.ndarray:
    folded = fold(estimator)
    assert folded is not None
    form = LinearForm.read(LinearForm(folded.coefficients, folded.intercept, task).write(), task)
    return (form if folded.fill is None else FilledForm(form, folded.fill)).outputs(matrix)


Build: TypeAlias = Callable[[Any], Any]

PIPELINES: dict[str, Build] = {
    "imputer": lambda model: make_pipeline(SimpleImputer(), model),
    "imputer, scaler": lambda model: make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model),
    "scaler, imputer": lambda model: make_pipeline(StandardScaler(), SimpleImputer(), model),
    "scaler, imputer, scaler": lambda model: make_pipeline(
        StandardScaler(with_mean=False), SimpleImputer(strategy="constant", fill_value=3.0), StandardScaler(with_std=False), model
    ),
    "kept empty": lambda model: make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), model),
    "passthrough": lambda model: Pipeline([("a", SimpleImputer()), ("b", "passthrough"), ("c", model)]),
}


@pytest.mark.filterwarnings("ignore:Skipping features:UserWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize("model", [LinearRegression(), Ridge(), ElasticNet(0.1)], ids=lambda model: type(model).__name__)
def test_regressions_fold(pipeline: Build, model: Any) -> None:
    matrix = make_matrix()
    estimator = pipeline(model).fit(matrix, np.nan_to_num(matrix[:, 0] + matrix[:, 1]))
    assert outputs(estimator, matrix, Task.REGRESSION)[:, 0] == pytest.approx(estimator.predict(matrix), rel=1e-4)


@pytest.mark.filterwarnings("ignore:Skipping features:UserWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("pipeline", [PIPELINES["imputer, scaler"], PIPELINES["scaler, imputer"]])
@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regressions_fold(pipeline: Build, classes: int) -> None:
    matrix = make_matrix()
    y = np.digitize(np.nan_to_num(matrix[:, 0]), [0.0, 0.5][: classes - 1])
    estimator = pipeline(LogisticRegression()).fit(matrix, y)
    found = outputs(estimator, matrix, Task.BINARY if classes == 2 else Task.MULTICLASS)
    assert np.abs(found - estimator.predict_proba(matrix)[:, -found.shape[1] :]).max() < 1e-5


def test_extreme_scores_do_not_overflow() -> None:
    matrix = np.array([[-1e4], [0.0], [1e4]], np.float32)
    one = LinearForm(np.ones((1, 1)), np.zeros(1), Task.BINARY)
    assert one.outputs(matrix)[:, 0].tolist() == [0.0, 0.5, 1.0]
    two = LinearForm(np.array([[1.0, -1.0]]), np.zeros(2), Task.MULTICLASS)
    assert two.outputs(matrix).tolist() == [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]


def test_other_estimators_do_not_fold() -> None:
    class Other(LogisticRegression):  # type: ignore[misc]
        pass

    matrix = np.nan_to_num(make_matrix())
    y = matrix[:, 0] > 0
    indicator = SimpleImputer(add_indicator=True)
    for estimator in (Other(), make_pipeline(MinMaxScaler(), Ridge()), make_pipeline(indicator, LinearRegression())):
        assert fold(estimator.fit(matrix, y)) is None
