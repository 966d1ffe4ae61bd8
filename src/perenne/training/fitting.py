"""Fitting: encode the training rows, ask the project for an estimator, fit it, and try it on the validation rows."""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from perenne import inference
from perenne.core.errors import Invalid, PerenneError
from perenne.projects import Objective
from perenne.stats.columns import Column, Columns, Task
from perenne.storage.objects import ObjectStore
from perenne.training.model import Plan, Trial
from perenne.training.rows import Rows, load_rows

# Read when OpenMP is loaded: threads that wait by sleeping leave the processor to a model server beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ModelFunction = Callable[[Column, Column, Mapping[str, Any]], Any]
DEFAULT_METRIC = {Task.BINARY: "roc_auc", Task.MULTICLASS: "accuracy", Task.REGRESSION: "rmse"}


def search_metric(task: Task, objectives: Sequence[Objective]) -> str:
    """Return the metric candidates are ranked by: the first objective over all rows that the task has."""
    from perenne.stats.metrics import METRICS

    for objective in objectives:
        if objective.by is None and objective.metric in METRICS and task in METRICS[objective.metric].tasks:
            return objective.metric
    return DEFAULT_METRIC[task]


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the best value; of equals, the first. Raises Invalid if none could be measured."""
    from perenne.stats.metrics import METRICS

    measured = [trial for trial in trials if trial.value is not None]
    if not measured:
        raise Invalid(
            "no candidate could be measured", code="training.no_trial", hint="are there rows of each class in every part?"
        )
    sign = 1.0 if METRICS[measured[0].metric].better == "higher" else -1.0
    return max(measured, key=lambda trial: sign * (trial.value or 0.0))


def fit_trial(
    objects: ObjectStore, snapshot: str, plan: Plan, function: ModelFunction, parameters: Mapping[str, Any], metric: str
) -> Trial:
    """Fit one set of parameters on the training rows and measure it on the validation rows.

    Raises
    ------
    Invalid
        If the project's function or its estimator fails; the message has the error and the parameters.
    """
    from perenne.stats.metrics import evaluate

    rows = load_rows(objects, snapshot, plan)
    started = time.process_time()
    encoder, estimator = fit(function, rows.part(0, plan.train), plan, parameters)
    seconds = time.process_time() - started
    held = rows.part(plan.train, plan.validation)
    predictions, scores = predict(encoder, estimator, held.columns, plan.task)
    value = evaluate(metric, plan.task, held.y, predictions, scores, plan.classes)
    return Trial(dict(parameters), metric, None if np.isnan(value) else float(value), round(seconds, 3), describe(estimator))


def fit(function: ModelFunction, rows: Rows, plan: Plan, parameters: Mapping[str, Any]) -> "tuple[inference.Encoder, Any]":
    """Fit encoder and estimator on some rows; the matrix the estimator sees is cross-fitted: no row encodes its own target."""
    encoder, X = inference.Encoder.fit_transform(
        rows.columns, rows.y, plan.fields, plan.task, n_classes=len(plan.classes), seed=plan.seed
    )
    random.seed(plan.seed)
    np.random.seed(plan.seed)  # (scikit-learn's random_state=None draws from the global generator)
    try:
        estimator = function(X, rows.y, dict(parameters))
        if not _is_fitted(estimator):
            estimator.fit(X, rows.y)
    except PerenneError:
        raise
    except Exception as error:
        raise Invalid(
            f"{getattr(function, '__name__', 'the model')}({dict(parameters)}) failed: {type(error).__name__}: {error}",
            code="training.fit_failed",
            hint="X is float32 with NaN for missing numbers; the estimator has to take that, or impute",
        ) from error
    return encoder, estimator


def _is_fitted(estimator: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict"):
        raise TypeError(f"it returned {type(estimator).__name__}, which is no estimator")
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def predict(encoder: "inference.Encoder", estimator: Any, columns: Columns, task: Task) -> tuple[Column, Column | None]:
    """Predict with the estimator itself; what is served is the compiled form, which has proven to say the same."""
    X = encoder.transform(columns)
    if task is Task.REGRESSION:
        return np.asarray(estimator.predict(X), np.float64), None
    scores = np.asarray(estimator.predict_proba(X), np.float64)
    return inference.decide(task, scores), scores


def describe(estimator: Any) -> str:
    """Name the estimator; of a pipeline, its last step."""
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return type(last).__name__
