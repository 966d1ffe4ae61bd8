"""Metrics from labelled rows, for each task and however labels are written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perenne.core.clock import HOUR
from perenne.monitoring.measuring import HEADLINE, measure
from perenne.monitoring.model import Stream, Watch, WindowKey, WindowMetric
from perenne.projects import Guardrail, Objective
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.fairness import count_groups, disparity
from perenne.stats.layout import Layout
from perenne.stats.metrics import evaluate

KEY = WindowKey(Stream("d", "champion", "m@1"), 0, HOUR)


def layout(task: Task, classes: tuple[Any, ...]) -> Layout:
    x = np.linspace(0, 1, 50)
    predictions = x if task is Task.REGRESSION else np.arange(50) % len(classes)
    scores = None if task is Task.REGRESSION else np.full((50, len(classes)), 1 / len(classes))
    reference = Reference.fit(
        {"x": x}, (Field("x", FieldKind.NUMBER),), predictions=predictions, scores=scores, task=task, classes=classes
    )
    return reference.layout


def watch(*bounds: Objective | Guardrail) -> Watch:
    return Watch(
        deployment="d",
        version="m@1",
        project="p",
        reference="0" * 64,
        window_length=HOUR,
        objectives=tuple(bound for bound in bounds if isinstance(bound, Objective)),
        guardrails=tuple(bound for bound in bounds if isinstance(bound, Guardrail)),
    )


def rows(
    labels: Sequence[str], predictions: Sequence[str | None], scores: Any = None, **groups: Sequence[str | None]
) -> pa.Table:
    columns: dict[str, Any] = {"label": pa.array(labels), "prediction": pa.array(predictions, pa.string())}
    columns["scores"] = pa.array([None] * len(labels) if scores is None else list(scores), pa.list_(pa.float64()))
    columns["time"] = pa.array(range(len(labels)), pa.int64())
    return pa.table(columns | {f"f_{name}": pa.array(values, pa.string()) for name, values in groups.items()})


def by_name(found: list[WindowMetric]) -> dict[str, WindowMetric]:
    return {metric.metric: metric for metric in found}


@pytest.mark.parametrize(
    ("classes", "written"),
    [
        ((0, 1), ("0", "1")),
        ((0, 1), ("false", "true")),
        ((0, 1), ("False", "TRUE")),
        ((False, True), ("0", "1")),
        ((False, True), ("false", "true")),
        (("no", "yes"), ("no", "yes")),
    ],
)
def test_labels_are_read_as_they_are_meant(classes: tuple[Any, Any], written: tuple[str, str]) -> None:
    two = layout(Task.BINARY, classes)
    table = rows([written[place] for place in (0, 1, 1, 0)], [two.classes[place] for place in (0, 1, 0, 0)])
    found = by_name(measure(watch(), KEY, two, table))
    assert (found["accuracy"].value, found["accuracy"].n_labelled, found["accuracy"].watermark) == (0.75, 4, 3)


def test_what_is_no_class_and_what_was_not_answered_is_left_out() -> None:
    table = rows(["yes", "maybe", "no", "yes"], ["yes", "yes", None, "no"])
    found = by_name(measure(watch(), KEY, layout(Task.BINARY, ("no", "yes")), table))
    assert (found["accuracy"].value, found["accuracy"].rows_labelled) == (0.5, 2)


def test_nothing_labelled_gives_no_value() -> None:
    found = by_name(measure(watch(), KEY, layout(Task.BINARY, ("no", "yes")), rows(["?"], ["yes"])))
    assert found["accuracy"].value is None
    assert found["roc_auc"].value is None


def test_regression_is_measured_by_its_errors() -> None:
    found = by_name(
        measure(watch(), KEY, layout(Task.REGRESSION, ()), rows(["1.5", "2", "x", "4"], ["1.0", "2.0", "3.0", "6.0"]))
    )
    assert set(found) == set(HEADLINE[Task.REGRESSION])
    assert found["mae"].value == pytest.approx(2.5 / 3)
    assert found["mae"].n_labelled == 3


def test_several_classes() -> None:
    labels, answers = ["a", "b", "c", "a"], ["a", "b", "b", "a"]
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.5, 0.4], [0.6, 0.2, 0.2]])
    found = by_name(measure(watch(), KEY, layout(Task.MULTICLASS, ("a", "b", "c")), rows(labels, answers, scores)))
    assert found["accuracy"].value == 0.75
    assert found["log_loss"].value == pytest.approx(
        evaluate("log_loss", Task.MULTICLASS, np.array([0, 1, 2, 0]), np.array([0, 1, 1, 0]), scores, 3)
    )


def test_metrics_by_group_leave_small_groups_out_and_widen_for_many() -> None:
    rng = np.random.default_rng(0)
    groups = [*(["a"] * 200), *(["b"] * 200), *(["c"] * 29), None]
    labels = [str(value) for value in rng.integers(0, 2, 430)]
    answers = [label if rng.random() < 0.7 else str(1 - int(label)) for label in labels]
    bounds = (Objective("accuracy", at_least=0.5, by="g"), Guardrail("true_positive_rate_ratio", at_least=0.5, by="g"))
    found = measure(watch(*bounds), KEY, layout(Task.BINARY, (0, 1)), rows(labels, answers, g=groups))
    slices = {metric.group: metric for metric in found if metric.by == "g" and metric.metric == "accuracy"}
    assert sorted(slices) == ["a", "b"]
    (alone,) = (
        metric
        for metric in measure(
            watch(bounds[0]), KEY, layout(Task.BINARY, (0, 1)), rows(labels[:200], answers[:200], g=groups[:200])
        )
        if metric.group == "a"
    )
    assert slices["a"].high - slices["a"].low > alone.high - alone.low  # type: ignore[operator]
    (ratio,) = (metric for metric in found if metric.metric == "true_positive_rate_ratio")
    counts = count_groups(np.array(groups, object), np.array(answers, np.int64), None, np.array(labels, np.int64))
    assert ratio.value == pytest.approx(disparity("true_positive_rate_ratio", counts))


def test_a_column_that_the_log_does_not_have_gives_no_slices() -> None:
    found = measure(watch(Objective("accuracy", at_least=0.5, by="absent")), KEY, layout(Task.BINARY, (0, 1)), rows(["1"], ["1"]))
    assert {metric.by for metric in found} == {""}
