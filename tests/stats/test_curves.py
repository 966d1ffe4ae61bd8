"""Curves: the figures read off them are those of the metrics, thinned ones too; what cannot be drawn says so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core import json
from perenne.stats import curves as module
from perenne.stats.columns import Task
from perenne.stats.curves import Curve, Curves, calibration, curves, precision_recall, roc, thinned
from perenne.stats.metrics import evaluate


def answers(rows: int, seed: int = 0, classes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, answers and scores that know something."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    raw = rng.random((rows, classes)) + 0.8 * (np.arange(classes) == y[:, None])
    scores = raw / raw.sum(1, keepdims=True)
    return y, scores.argmax(1), scores


def area(curve: Curve) -> float:
    return float(np.trapezoid(curve.y, curve.x))


@pytest.mark.parametrize("rows", [50, 3_000, 60_000])
def test_the_area_under_a_thinned_curve_is_the_metric(rows: int) -> None:
    y, _, scores = answers(rows)
    found = roc(y == 1, scores[:, 1])
    assert len(found.x) <= module.POINTS
    assert area(found) == pytest.approx(evaluate("roc_auc", Task.BINARY, y, y, scores, 2), abs=2e-3)


def test_thinning_does_not_move_a_curve_visibly() -> None:
    y, _, scores = answers(40_000, 3)
    order = np.argsort(-scores[:, 1])
    x = np.cumsum(y[order] == 0) / (y == 0).sum()
    up = np.cumsum(y[order] == 1) / (y == 1).sum()
    keep = thinned(x, up)
    across = np.linspace(0, 1, 500)
    assert len(keep) <= module.POINTS
    assert np.abs(np.interp(across, x[keep], up[keep]) - np.interp(across, x, up)).max() < 0.01


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
def test_curves_begin_and_end_where_they_must(rows: list[tuple[bool, int]]) -> None:
    positive = np.array([hit for hit, _ in rows])
    score = np.array([value / 6 for _, value in rows])
    if not 0 < positive.sum() < len(positive):
        return
    found, against = roc(positive, score), precision_recall(positive, score)
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert list(found.x) == sorted(found.x) and list(found.y) == sorted(found.y)
    assert against.x[-1] == 1.0
    assert against.y[-1] == pytest.approx(positive.mean(), abs=1e-5)


def test_calibration_holds_every_row_once_and_ties_together() -> None:
    score = np.repeat([0.1, 0.4, 0.9], [500, 30, 470])
    positive = np.random.default_rng(0).random(1_000) < score
    found = calibration(positive, score)
    assert [(item.score, item.rows) for item in found] == [(0.1, 500), (0.87, 500)]
    assert all(item.low <= item.share <= item.high for item in found)


def test_two_classes_show_everything_at_the_threshold_in_use() -> None:
    y, said, scores = answers(2_000)
    found = curves(Task.BINARY, y, said, scores, ("stays", "leaves"))
    assert found.confusion is not None
    assert (found.confusion.labels, found.confusion.threshold) == (("stays", "leaves"), 0.5)
    assert sum(map(sum, found.confusion.counts)) == 2_000
    assert found.confusion.counts[1][1] == int(((y == 1) & (said == 1)).sum())
    assert [sum(item.counts) for item in found.scores] == [int((y == 0).sum()), int((y == 1).sum())]
    assert len(found.roc) == len(found.precision_recall) == 1
    assert found.missing == {}
    moved = curves(Task.BINARY, y, (scores[:, 1] > 0.3).astype(int), scores, ("stays", "leaves"))
    assert moved.confusion is not None and moved.confusion.threshold is None


def test_several_classes_each_have_a_curve_and_many_only_their_mistakes() -> None:
    y, said, scores = answers(900, classes=3)
    found = curves(Task.MULTICLASS, y, said, scores, ("a", "b", "c"))
    assert [curve.label for curve in found.roc] == ["a", "b", "c"]
    y, said, scores = answers(4_000, classes=25)
    many = curves(Task.MULTICLASS, y, said, scores, [f"class {place}" for place in range(25)])
    assert many.roc == () and many.confusion is not None
    assert many.confusion.counts == () and len(many.confusion.most) == module.PAIRS
    assert many.confusion.most[0].rows == max(item.rows for item in many.confusion.most)
    assert "25 classes" in many.missing["curves"]


def test_numbers_show_what_was_actual_and_what_is_left() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(100, 20, 5_000)
    said = y + rng.normal(0, 3, 5_000)
    said[0] = np.nan
    found = curves(Task.REGRESSION, y, said, None, ())
    assert len(found.actual) == len(found.predicted) == module.DOTS
    assert found.residuals is not None and sum(found.residuals.counts) == 4_999
    assert found.missing == {"rows": "1 rows whose answer is not finite are left out"}
    exact = curves(Task.REGRESSION, np.zeros(4), np.zeros(4), None, ())
    assert exact.residuals is not None and sum(exact.residuals.counts) == 4


@pytest.mark.parametrize(
    ("y", "scores", "name"),
    [
        ([], [], "all"),
        ([1, 1], [[0.2, 0.8], [0.1, 0.9]], "leaves"),
        ([0, 1], [[np.nan, 0.5], [0.1, 0.9]], "scores"),
        ([0, 1], None, "scores"),
    ],
)
def test_what_cannot_be_drawn_says_why(y: list[int], scores: list[list[float]] | None, name: str) -> None:
    given = None if scores is None else np.array(scores).reshape(len(y), 2)
    found = curves(Task.BINARY, np.array(y, int), np.ones(len(y), int), given, ("stays", "leaves"))
    assert name in found.missing
    assert json.decode(json.encode(found), Curves, what="curves") == found
