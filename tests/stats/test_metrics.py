from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from perenne.core.errors import Invalid
from perenne.stats.columns import Column, Task
from perenne.stats.metrics import METRICS, evaluate, prepare

BINARY: dict[str, Callable[[Column, Column, Column, Column], float]] = {
    "roc_auc": lambda y, p, s, w: oracle.roc_auc_score(y, s[:, 1], sample_weight=w),
    "average_precision": lambda y, p, s, w: oracle.average_precision_score(y, s[:, 1], sample_weight=w),
    "accuracy": lambda y, p, s, w: oracle.accuracy_score(y, p, sample_weight=w),
    "balanced_accuracy": lambda y, p, s, w: oracle.balanced_accuracy_score(y, p, sample_weight=w),
    "precision": lambda y, p, s, w: oracle.precision_score(y, p, sample_weight=w, zero_division=np.nan),
    "recall": lambda y, p, s, w: oracle.recall_score(y, p, sample_weight=w),
    "f1": lambda y, p, s, w: oracle.f1_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, s, w: oracle.log_loss(y, s, sample_weight=w, labels=[0, 1]),
    "brier": lambda y, p, s, w: oracle.brier_score_loss(y, s[:, 1], sample_weight=w),
    "selection_rate": lambda y, p, s, w: np.average(p == 1, weights=w),
}
SEVERAL: dict[str, Callable[[Column, Column, Column, Column], float]] = {
    "roc_auc": lambda y, p, s, w: np.mean([oracle.roc_auc_score(y == k, s[:, k], sample_weight=w) for k in range(3)]),
    "accuracy": BINARY["accuracy"],
    "balanced_accuracy": BINARY["balanced_accuracy"],
    "f1": lambda y, p, s, w: oracle.f1_score(y, p, average="macro", sample_weight=w),
    "log_loss": lambda y, p, s, w: oracle.log_loss(y, s, sample_weight=w, labels=[0, 1, 2]),
}
NUMBERS: dict[str, Callable[[Column, Column, Column], float]] = {
    "r2": lambda y, p, w: oracle.r2_score(y, p, sample_weight=w),
    "mae": lambda y, p, w: oracle.mean_absolute_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: oracle.root_mean_squared_error(y, p, sample_weight=w),
    "mape": lambda y, p, w: oracle.mean_absolute_percentage_error(y, p, sample_weight=w),
}


@st.composite
def answers(draw: st.DrawFn, classes: int) -> tuple[Column, Column, Column, Column]:
    """Draw truth, predictions, tied scores and whole weights; every class occurs."""
    rows = draw(st.integers(classes * 2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    scores = rng.integers(1, 6, (rows, classes)).astype(float)
    scores /= scores.sum(axis=1, keepdims=True)
    return y, rng.integers(0, classes, rows), scores, rng.integers(1, 4, rows).astype(float)


def test_the_tables_cover_every_metric() -> None:
    assert {name for name, metric in METRICS.items() if Task.BINARY in metric.tasks} == set(BINARY)
    assert {name for name, metric in METRICS.items() if Task.MULTICLASS in metric.tasks} == set(SEVERAL)
    assert {name for name, metric in METRICS.items() if Task.REGRESSION in metric.tasks} == {*NUMBERS, "median_absolute_error"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:y_pred contains classes")
@settings(deadline=None, max_examples=25)
@given(answers(2))
def test_metrics_of_two_classes_are_scikit_learns(drawn: tuple[Column, ...]) -> None:
    y, predictions, scores, weights = drawn
    for name, exact in BINARY.items():
        weighted = prepare(name, Task.BINARY, y, predictions, scores, (0, 1))(weights)
        assert weighted == pytest.approx(exact(y, predictions, scores, weights), abs=1e-12, nan_ok=True), name


@settings(deadline=None, max_examples=25)
@given(answers(3))
def test_metrics_of_several_classes_are_scikit_learns(drawn: tuple[Column, ...]) -> None:
    y, predictions, scores, weights = drawn
    for name, exact in SEVERAL.items():
        weighted = prepare(name, Task.MULTICLASS, y, predictions, scores, ("a", "b", "c"))(weights)
        assert weighted == pytest.approx(exact(y, predictions, scores, weights), abs=1e-12), name


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 50), st.integers(0, 1000))
def test_metrics_of_numbers_are_scikit_learns(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(5, 2, rows).round(1)
    y[0] = -100  # never without spread
    predictions, weights = y + rng.normal(0, 1, rows), rng.integers(1, 4, rows).astype(float)
    for name, exact in NUMBERS.items():
        weighted = prepare(name, Task.REGRESSION, y, predictions)(weights)
        assert weighted == pytest.approx(exact(y, predictions, weights)), name
    median = prepare("median_absolute_error", Task.REGRESSION, y, predictions)
    assert median(np.ones(rows)) == pytest.approx(oracle.median_absolute_error(y, predictions))
    assert median(weights) == pytest.approx(np.median(np.repeat(np.abs(y - predictions), weights.astype(int))))


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if Task.REGRESSION not in metric.tasks])
@pytest.mark.parametrize("y", [[], [0], [1, 1, 1], [0, 0, 0]])
def test_degenerate_rows_give_a_number_or_nan(name: str, y: list[int]) -> None:
    truth = np.array(y, np.int64)
    scores = np.full((len(y), 2), 0.5)
    value = evaluate(name, Task.BINARY, truth, truth, scores, (0, 1))
    assert np.isnan(value) or 0 <= value <= 1
    if not y or (len(y) == 3 and name == "roc_auc"):
        assert np.isnan(value)


@pytest.mark.parametrize(
    ("name", "y", "predictions"),
    [("precision", [1, 0], [0, 0]), ("recall", [0, 0], [1, 0]), ("f1", [0, 0], [0, 0]), ("average_precision", [0, 0], [0, 0])],
)
def test_nothing_to_divide_by_is_nan(name: str, y: list[int], predictions: list[int]) -> None:
    assert np.isnan(evaluate(name, Task.BINARY, np.array(y), np.array(predictions), np.full((2, 2), 0.5)))


def test_regression_without_spread_is_undefined() -> None:
    assert np.isnan(evaluate("r2", Task.REGRESSION, np.ones(3), np.ones(3)))
    assert np.isnan(evaluate("mae", Task.REGRESSION, np.ones(0), np.ones(0)))


def test_a_metric_that_needs_scores_has_none_without() -> None:
    y = np.array([0, 1])
    for name, metric in METRICS.items():
        if Task.BINARY in metric.tasks:
            assert np.isnan(evaluate(name, Task.BINARY, y, y)) == metric.needs_scores


def test_scores_that_are_no_numbers_rank_nothing() -> None:
    y, scores = np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, np.nan]])
    assert np.isnan(evaluate("roc_auc", Task.BINARY, y, y, scores))


def test_one_column_of_scores_is_the_positive_class() -> None:
    y, positive = np.array([0, 1, 1]), np.array([0.2, 0.3, 0.9])
    given: list[Any] = [positive, positive[:, None], np.column_stack([1 - positive, positive])]
    assert len({evaluate("log_loss", Task.BINARY, y, y, scores) for scores in given}) == 1


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid) as refused:
        evaluate("roc_auc", Task.REGRESSION, np.ones(2), np.ones(2))
    assert "rmse" in refused.value.hint and "roc_auc" not in refused.value.hint


def test_ideal_is_what_perfect_answers_reach() -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([[0, 1], rng.integers(0, 2, 50)])
    numbers = rng.normal(0, 1, 50)
    for name, metric in METRICS.items():
        if metric.ideal is not None and Task.BINARY in metric.tasks:
            assert evaluate(name, Task.BINARY, y, y, np.eye(2)[y]) == pytest.approx(metric.ideal, abs=1e-12)
        if metric.ideal is not None and Task.REGRESSION in metric.tasks:
            assert evaluate(name, Task.REGRESSION, numbers, numbers) == pytest.approx(metric.ideal)
