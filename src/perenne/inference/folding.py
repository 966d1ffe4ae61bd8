"""Linear models with what stands before them, folded into one set of coefficients.

For a column, imputation and scaling are x → a·x + b with missing values replaced; w·(a·x + b) + c = (w·a)·x + (c + w·b).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LINEAR = {"LogisticRegression", "LogisticRegressionCV", "LinearRegression", "Ridge", "RidgeCV", "Lasso", "ElasticNet"}


class Folded(NamedTuple):
    """(columns, m) coefficients, (m,) intercept, and per column what replaces a missing value, or None without imputation."""

    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]
    fill: NDArray[np.float64] | None


def fold(estimator: Any) -> Folded | None:
    """Fold a linear model of scikit-learn, or a pipeline of SimpleImputer and StandardScaler that ends in one.

    Returns
    -------
    Folded or None
        None if the estimator is something else.
    """
    before, model = split(estimator)
    line = line_through(before, estimator.n_features_in_) if kind_of(model) in _LINEAR else None
    if line is None:
        return None
    weights = np.atleast_2d(np.asarray(model.coef_, np.float64)).T
    constant = np.broadcast_to(np.asarray(model.intercept_, np.float64), (weights.shape[1],))
    coefficients = np.zeros((len(line.kept), weights.shape[1]))
    coefficients[line.kept] = line.a[line.kept, None] * weights
    fill = None if line.fill is None else np.where(line.kept, line.fill, 0.0)
    return Folded(coefficients, constant + line.b[line.kept] @ weights, fill)


def kind_of(estimator: Any) -> str:
    """Return the name of a class of scikit-learn itself, an empty text for any other: a subclass may answer differently."""
    kind = type(estimator)
    return kind.__name__ if kind.__module__.partition(".")[0] == "sklearn" else ""


def split(estimator: Any) -> tuple[list[Any], Any]:
    """Return what stands before the last step of a pipeline, and the last step; of any other estimator, nothing and itself."""
    *before, last = [step for _, step in estimator.steps] if kind_of(estimator) == "Pipeline" else [estimator]
    return before, last


class Line(NamedTuple):
    """Per input column: a·x + b so far, what replaces a missing x, and whether the column is still there."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    fill: NDArray[np.float64] | None
    kept: NDArray[np.bool_]

    @classmethod
    def straight(cls, columns: int) -> "Line":
        """Return the line on which nothing happens."""
        return cls(np.ones(columns), np.zeros(columns), None, np.ones(columns, np.bool_))


def line_through(steps: list[Any], columns: int) -> Line | None:
    """Follow columns through imputation and scaling; None if a step is something else."""
    line: Line | None = Line.straight(columns)
    for step in steps:
        line = line and _through(step, line)
    return line


def _through(step: Any, line: Line) -> Line | None:
    if step is None or step == "passthrough":
        return line
    match kind_of(step):
        case "StandardScaler":
            return _scaled(step, line)
        case "SimpleImputer" if line.fill is None and not step.add_indicator and np.isnan(step.missing_values):
            return _imputed(step, line)
        case _:
            return None


def _scaled(step: Any, line: Line) -> Line:
    a, b, kept = line.a.copy(), line.b.copy(), line.kept
    mean = step.mean_ if step.with_mean else 0.0
    scale = step.scale_ if step.with_std else 1.0
    a[kept] /= scale
    b[kept] = (b[kept] - mean) / scale
    return line._replace(a=a, b=b)


def _imputed(step: Any, line: Line) -> Line | None:
    statistics = np.asarray(step.statistics_, np.float64)
    if step.keep_empty_features:
        statistics = np.nan_to_num(statistics)
    # Without keep_empty_features the imputer drops the columns in which it saw no value.
    found, kept = ~np.isnan(statistics), line.kept.copy()
    kept[line.kept] = found
    fill = np.zeros(len(kept))
    fill[kept] = (statistics[found] - line.b[kept]) / line.a[kept]
    return line._replace(fill=fill, kept=kept)
