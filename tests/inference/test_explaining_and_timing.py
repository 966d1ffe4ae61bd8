import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from tests.inference.cases import CLASSES, make_case, make_columns

from perenne.core.errors import Invalid
from perenne.inference import Predictor, explain, time_predictor
from perenne.stats.columns import Task, take

TYPICAL: dict[str, float | str | None] = {"distance": 900.0, "delay": 0.0, "carrier": "AA", "scheduled": 1.37e9, "constant": 7.0}


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Predictor]:
    folder = tmp_path_factory.mktemp("packages")
    estimators = {
        Task.BINARY: HistGradientBoostingClassifier(max_iter=20, random_state=0),
        Task.MULTICLASS: HistGradientBoostingClassifier(max_iter=20, random_state=0),
        Task.REGRESSION: HistGradientBoostingRegressor(max_iter=20, random_state=0),
    }
    return {task: make_case(folder / task, estimator, task).predictor for task, estimator in estimators.items()}


ROW = {
    "distance": np.array([400.0]),
    "delay": np.array([45.0]),
    "carrier": np.array(["UA"], object),
    "scheduled": np.array([1.38e9]),
    "constant": np.array([7.0]),
}


@pytest.mark.parametrize("task", CLASSES)
def test_an_effect_is_what_the_typical_value_takes_away(predictors: dict[Task, Predictor], task: Task) -> None:
    predictor = predictors[task]
    found = {attribution.name: attribution for attribution in explain(predictor, ROW, TYPICAL)}
    assert set(found) == set(ROW)
    answer = predictor.predict(ROW)
    other = predictor.predict({**ROW, "delay": np.array([0.0])})
    if answer.scores is None or other.scores is None:
        expected = answer.predictions[0] - other.predictions[0]
    else:
        answered = 1 if task is Task.BINARY else answer.predictions[0]
        expected = answer.scores[0, answered] - other.scores[0, answered]
    assert found["delay"].effect == pytest.approx(expected, abs=1e-9)
    assert (found["delay"].value, found["delay"].typical) == (45.0, 0.0)
    assert found["constant"].effect == 0.0


def test_the_strongest_input_comes_first(predictors: dict[Task, Predictor]) -> None:
    found = explain(predictors[Task.REGRESSION], ROW, TYPICAL)
    assert found[0].name == "delay"
    assert found[0].effect > 10.0
    assert [abs(one.effect) for one in found] == sorted((abs(one.effect) for one in found), reverse=True)


def test_inputs_without_a_value_or_a_typical_one(predictors: dict[Task, Predictor]) -> None:
    row = {"delay": np.array([np.nan]), "distance": np.array([400.0])}
    found = {one.name: one for one in explain(predictors[Task.BINARY], row, {"delay": 0.0, "carrier": "AA"})}
    assert set(found) == {"delay", "carrier"}
    assert found["delay"].value is None
    assert found["carrier"].value is None


@pytest.mark.parametrize("rows", [0, 2])
def test_explained_is_one_row(predictors: dict[Task, Predictor], rows: int) -> None:
    with pytest.raises(Invalid):
        explain(predictors[Task.BINARY], take(make_columns(5), slice(0, rows)), TYPICAL)


def test_a_timing_holds_together(predictors: dict[Task, Predictor]) -> None:
    timing = time_predictor(predictors[Task.BINARY], make_columns(30), calls=40, seconds=0.02)
    assert 0 < timing.p50_ms <= timing.p99_ms
    assert timing.rows_per_second > 0
    assert timing.cpu_us_per_row > 0


def test_without_rows_nothing_is_timed(predictors: dict[Task, Predictor]) -> None:
    with pytest.raises(Invalid):
        time_predictor(predictors[Task.BINARY], make_columns(0))
