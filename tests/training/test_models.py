"""Fitting, building and evaluating: three kinds of task, on real rows, in the form that is served."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.conftest import Prepared, boosting, linear

from perenne import inference
from perenne.core.errors import Invalid
from perenne.projects import Guardrail, Objective
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Task
from perenne.stats.metrics import METRICS
from perenne.storage.objects import FileObjects
from perenne.storage.trees import put_tree
from perenne.training import best_trial, build, compare_packages, evaluate, fit_trial, search_metric
from perenne.training.fitting import ModelFunction
from perenne.training.model import Compared, Evaluation, Trial
from perenne.training.rows import load_rows


def measure(made: Prepared, package: Path, **bounds: Any) -> Evaluation:
    return evaluate(
        made.objects, made.snapshot, made.plan, package,
        objectives=bounds.get("objectives", ()), guardrails=bounds.get("guardrails", ()),
    )  # fmt: skip


def held_against(made: Prepared, challenger: Path, champion: Path) -> Compared:
    return compare_packages(made.objects, made.snapshot, made.plan, challenger, champion, "roc_auc")


def built(made: Prepared, function: ModelFunction, folder: Path, **parameters: Any) -> Path:
    build(made.objects, made.snapshot, made.plan, function, parameters, folder)
    return folder


@pytest.mark.parametrize("function", [linear, boosting])
def test_the_package_answers_like_the_model_and_is_measured(prepared: Prepared, function: ModelFunction, tmp_path: Path) -> None:
    package = built(prepared, function, tmp_path / "package")
    found = measure(prepared, package)
    assert found.rows == prepared.plan.rows - prepared.plan.validation
    assert 0 < found.latency_p50_ms <= found.latency_p99_ms
    first = next(item for item in found.metrics if item.metric == search_metric(prepared.plan.task, ()))
    assert first.value is not None and first.low is not None and first.high is not None
    assert first.low <= first.value <= first.high
    learned = {Task.BINARY: first.value > 0.85, Task.MULTICLASS: first.value > 0.8, Task.REGRESSION: first.value < 75}
    assert learned[prepared.plan.task]
    reference = Reference.from_bytes((package / "monitor" / "reference.npz").read_bytes())
    assert reference.profile.rows == prepared.plan.rows - prepared.plan.train
    assert (reference.calibration is None) == (prepared.plan.task is Task.REGRESSION)


def test_the_same_inputs_make_the_same_package(binary: Prepared, tmp_path: Path) -> None:
    store = FileObjects(tmp_path / "kept")
    digests = {put_tree(store, built(binary, boosting, tmp_path / name)) for name in ("one", "two")}
    assert len(digests) == 1


def test_the_holdout_is_never_learned_from(binary: Prepared, tmp_path: Path) -> None:
    seen: list[int] = []

    def spy(X: Column, y: Column, params: Mapping[str, Any]) -> Any:
        seen.append(len(X))
        return linear(X, y, params)

    built(binary, spy, tmp_path / "package")
    assert seen == [binary.plan.train, binary.plan.validation]


def test_the_best_trial_is_best_in_the_metrics_direction() -> None:
    def trial(metric: str, value: float | None) -> Trial:
        return Trial({"value": value}, metric, value, 0.0, "Model")

    assert best_trial([trial("roc_auc", 0.7), trial("roc_auc", None), trial("roc_auc", 0.9)]).value == 0.9
    assert best_trial([trial("rmse", 3.0), trial("rmse", 2.0), trial("rmse", 2.0)]).value == 2.0
    with pytest.raises(Invalid, match="could be measured"):
        best_trial([trial("rmse", None)])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda X, y, params: 1 / 0, "ZeroDivisionError"),
        (lambda X, y, params: "a text", "is no estimator"),
        (lambda X, y, params: linear(X, y, {"C": -1.0}), "InvalidParameterError"),
    ],
)
def test_a_fit_that_fails_says_what_and_with_which_parameters(binary: Prepared, function: ModelFunction, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        fit_trial(binary.objects, binary.snapshot, binary.plan, function, {"depth": 3}, "roc_auc")
    assert "depth" in caught.value.message


def test_bounds_are_held_against_the_served_form(binary: Prepared, tmp_path: Path) -> None:
    objectives = (
        Objective("roc_auc", at_least=0.5),
        Objective("accuracy", at_least=1.01),
        Objective("rmse", at_most=1.0),
        Objective("latency_p99_ms", at_most=1_000),
        Objective("availability", at_least=0.99),
        Objective("accuracy", at_least=0.5, by="group"),
    )
    guardrails = (Guardrail("selection_rate_ratio", by="group", at_least=0.0),)
    checks = measure(binary, built(binary, linear, tmp_path / "package"), objectives=objectives, guardrails=guardrails).checks
    verdicts = {check.check: check.met for check in checks}
    assert verdicts["objective: roc_auc ≥ 0.5"] is True
    assert verdicts["objective: accuracy ≥ 1.01"] is False
    assert verdicts["objective: rmse ≤ 1"] is None
    assert verdicts["objective: latency_p99_ms ≤ 1000"] is True
    assert "objective: availability ≥ 0.99" not in verdicts
    assert {check.kind for check in checks} == {"objective", "guardrail"}


def test_a_challenger_and_a_champion_answer_the_same_rows(binary: Prepared, tmp_path: Path) -> None:
    good = built(binary, linear, tmp_path / "good")

    def coin(X: Column, y: Column, params: Mapping[str, Any]) -> Any:
        return linear(X, y, params).fit(X, np.random.default_rng(0).permutation(y))

    bad = built(binary, coin, tmp_path / "bad")
    better, worse = held_against(binary, good, bad), held_against(binary, bad, good)
    assert better.p_superior is not None and better.difference is not None
    assert worse.p_superior is not None
    assert better.p_superior < 0.05 < worse.p_superior
    assert better.difference > 0
    assert better.rows == binary.plan.rows - binary.plan.validation


def test_a_champion_that_cannot_answer_is_said_and_not_guessed(binary: Prepared, tmp_path: Path) -> None:
    package = built(binary, linear, tmp_path / "package")
    (tmp_path / "empty").mkdir()
    compared = held_against(binary, package, tmp_path / "empty")
    assert compared.p_superior is None
    assert compared.reason


def test_what_is_served_equals_what_was_evaluated(binary: Prepared, tmp_path: Path) -> None:
    package = built(binary, boosting, tmp_path / "package")
    rows = load_rows(binary.objects, binary.snapshot, binary.plan).part(binary.plan.validation, binary.plan.rows)
    answer = inference.load(package).predict(rows.columns)
    value = next(item.value for item in measure(binary, package).metrics if item.metric == "accuracy")
    assert value == pytest.approx(float(np.mean(answer.predictions == rows.y)))
    assert METRICS["accuracy"].better == "higher"


def test_what_was_answered_is_drawn_for_every_kind_of_task(prepared: Prepared, tmp_path: Path) -> None:
    found = measure(prepared, built(prepared, linear, tmp_path / "package"))
    assert found.curves is not None
    assert found.curves.rows == found.rows
    assert found.curves.missing == {}
    assert len(found.curves.roc) == {Task.BINARY: 1, Task.MULTICLASS: 3, Task.REGRESSION: 0}[prepared.plan.task]
    assert (found.curves.residuals is not None) == (prepared.plan.task is Task.REGRESSION)
