import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.inference.cases import CLASSES, FIELDS, Case, fit, make_case, make_columns, make_target

from perenne.core.errors import Conflict, Invalid
from perenne.inference import Encoder, Prediction, Signature, decide, package
from perenne.inference.source import write_source
from perenne.stats.columns import Columns, FieldKind, Task, take


def scaled(model: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), model)


CASES: dict[str, tuple[Any, Task, str]] = {
    "histogram-binary": (HistGradientBoostingClassifier(max_iter=8, random_state=0), Task.BINARY, "trees"),
    "histogram-multiclass": (HistGradientBoostingClassifier(max_iter=8, random_state=0), Task.MULTICLASS, "trees"),
    "histogram-regression": (HistGradientBoostingRegressor(max_iter=8, random_state=0), Task.REGRESSION, "trees"),
    "forest-binary": (RandomForestClassifier(8, random_state=0), Task.BINARY, "trees"),
    "forest-multiclass": (ExtraTreesClassifier(8, random_state=0), Task.MULTICLASS, "trees"),
    "forest-regression": (RandomForestRegressor(8, random_state=0), Task.REGRESSION, "trees"),
    "logistic-binary": (scaled(LogisticRegression()), Task.BINARY, "folding"),
    "logistic-multiclass": (scaled(LogisticRegression()), Task.MULTICLASS, "folding"),
    "linear": (scaled(LinearRegression()), Task.REGRESSION, "folding"),
    "ridge": (scaled(Ridge()), Task.REGRESSION, "folding"),
    "scaler, histogram": (
        make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=8, random_state=0)),
        Task.MULTICLASS,
        "skl2onnx",
    ),
    "boosting": (scaled(GradientBoostingRegressor(n_estimators=8, random_state=0)), Task.REGRESSION, "skl2onnx"),
    "network": (scaled(MLPClassifier((4,), max_iter=5, random_state=0)), Task.BINARY, "skl2onnx"),
    "calibrated": (CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), cv=2), Task.BINARY, "skl2onnx"),
    "stacked": (
        StackingRegressor(
            [("a", HistGradientBoostingRegressor(max_iter=4, random_state=0)), ("b", RandomForestRegressor(4, random_state=0))],
            cv=2,
        ),
        Task.REGRESSION,
        "skl2onnx",
    ),
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Packages made when first asked for."""
    folder = tmp_path_factory.mktemp("packages")

    class Made(dict[str, Case]):
        def __missing__(self, name: str) -> Case:
            estimator, task, _ = CASES[name]
            self[name] = make_case(folder / name, estimator, task)
            return self[name]

    return Made()


def source_answer(case: Case, columns: Columns) -> Prediction:
    matrix = case.encoder.transform(columns)
    if case.signature.task is Task.REGRESSION:
        return Prediction(case.estimator.predict(matrix), None)
    scores = case.estimator.predict_proba(matrix)
    return Prediction(decide(case.signature.task, scores, case.signature.threshold), scores)


def assert_alike(case: Case, columns: Columns) -> None:
    found, expected = case.predictor.predict(columns), source_answer(case, columns)
    if expected.scores is None or found.scores is None:
        assert found.scores is None
        assert found.predictions == pytest.approx(expected.predictions, rel=1e-6)
    else:
        assert np.array_equal(found.predictions, expected.predictions)
        assert np.abs(found.scores - expected.scores).max() < 1e-5


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("name", CASES)
def test_a_package_answers_like_its_source(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    columns = make_columns(300, seed=5)
    columns["carrier"][::7] = "never seen"
    assert_alike(case, columns)
    assert_alike(case, {name: column for name, column in columns.items() if name != "delay"})
    assert_alike(case, {"distance": columns["distance"]})
    assert case.parity.converter == CASES[name][2]
    assert case.parity.rows == 600
    assert (case.parity.threshold_rows > 0) == any(word in name for word in ("histogram", "forest", "boosting"))
    assert case.parity.missing_rows == len(case.encoder.names) + 1
    assert case.parity.labels_differing == 0
    assert case.parity.largest_difference < case.parity.tolerance == 1e-5
    assert case.predictor.parity == case.parity


@pytest.mark.parametrize("name", ["histogram-binary", "logistic-multiclass", "linear"])
def test_no_rows_get_no_answers(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    predictor = case.predictor
    for columns in ({}, take(make_columns(3), slice(0, 0))):
        prediction = predictor.predict(columns)
        assert prediction.predictions.shape == (0,)
        assert predictor.labels(prediction) == []
        if case.signature.task is not Task.REGRESSION:
            assert prediction.scores is not None
            assert prediction.scores.shape == (0, len(case.signature.classes))


row = st.fixed_dictionaries(
    {
        "distance": st.floats(0, 5_000) | st.just(np.nan),
        "delay": st.floats(),
        "carrier": st.sampled_from(["AA", "UA", "unseen", None]),
        "scheduled": st.floats(1.3e9, 1.5e9) | st.just(np.nan),
    }
)


@pytest.mark.parametrize("name", ["histogram-binary", "forest-multiclass", "logistic-binary", "network", "linear"])
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=30))
def test_a_row_is_answered_alone_as_among_others(cases: dict[str, Case], name: str, rows: list[dict[str, Any]]) -> None:
    predictor = PREDICTORS.setdefault(name, cases[name].predictor)
    columns = {
        field.name: np.array([row[field.name] for row in rows], object if field.kind is FieldKind.CATEGORY else np.float64)
        for field in FIELDS
        if field.name != "constant"
    }
    together = predictor.predict(columns)
    alone = [predictor.predict(take(columns, slice(index, index + 1))) for index in range(len(rows))]
    assert np.concatenate([one.predictions for one in alone]) == pytest.approx(together.predictions, rel=1e-6)
    if together.scores is not None:
        assert np.concatenate([one.scores for one in alone]) == pytest.approx(together.scores, abs=1e-6)
        assert together.scores.sum(axis=1) == pytest.approx(1.0)


PREDICTORS: dict[str, Any] = {}


def test_labels_are_those_of_the_signature(cases: dict[str, Case]) -> None:
    predictor = cases["forest-multiclass"].predictor
    prediction = predictor.predict(make_columns(50))
    assert predictor.labels(prediction) == [CLASSES[Task.MULTICLASS][index] for index in prediction.predictions]
    assert json.loads(json.dumps(predictor.labels(prediction))) == predictor.labels(prediction)
    value = cases["linear"].predictor
    assert value.labels(value.predict(make_columns(2))) == value.predict(make_columns(2)).predictions.tolist()


def test_the_threshold_moves_the_label_only(tmp_path: Path) -> None:
    estimator = HistGradientBoostingClassifier(max_iter=8, random_state=0)
    half = make_case(tmp_path / "half", estimator, Task.BINARY).predictor.predict(make_columns(300))
    low = make_case(tmp_path / "low", estimator, Task.BINARY, threshold=0.2).predictor.predict(make_columns(300))
    assert half.scores is not None and low.scores is not None
    assert np.array_equal(half.scores, low.scores)
    assert np.array_equal(low.predictions, half.scores[:, 1] >= 0.2)
    assert low.predictions.sum() > half.predictions.sum()


def test_an_even_vote_is_the_positive_class() -> None:
    scores = np.array([[0.5, 0.5], [0.5 + 1e-8, 0.5 - 1e-8], [0.501, 0.499]])
    assert decide(Task.BINARY, scores).tolist() == [1, 1, 0]
    assert decide(Task.MULTICLASS, np.array([[1 / 3, 1 / 3 + 1e-9, 1 / 3]])).tolist() == [0]


def test_the_example_is_kept_with_its_answers(cases: dict[str, Case]) -> None:
    predictor = cases["histogram-multiclass"].predictor
    columns = take(make_columns(600), slice(0, 3))
    assert predictor.example.inputs["carrier"] == columns["carrier"].tolist()
    assert predictor.example.predictions == predictor.predict(columns).predictions.tolist()
    assert predictor.example.labels == predictor.labels(predictor.predict(columns))
    predictor.check_example()


def test_an_estimator_that_refuses_missing_values_gets_medians(tmp_path: Path) -> None:
    columns = {name: column for name, column in make_columns(400).items() if name != "delay"}
    fields = tuple(field for field in FIELDS if field.name in columns)
    y = (columns["distance"] > 900).astype(int)
    encoder, matrix = Encoder.fit_transform(columns, y, fields, Task.BINARY)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, y)
    parity = package(
        tmp_path, signature=Signature(fields, Task.BINARY, (False, True), "far"), encoder=encoder, estimator=estimator,
        sample=columns, example=columns,
    )  # fmt: skip
    case = Case(Signature(fields, Task.BINARY, (False, True), "far"), encoder, estimator, tmp_path, parity)
    predictor = case.predictor
    assert not parity.missing_accepted
    median = np.array([np.median(columns["distance"])])
    gone, filled = ({**take(columns, slice(0, 1)), "distance": value} for value in (np.array([np.nan]), median))
    assert predictor.predict(gone).scores == pytest.approx(predictor.predict(filled).scores)
    assert predictor.labels(predictor.predict(gone)) in ([False], [True])


class Contrary(LogisticRegression):  # type: ignore[misc]
    """Answers the opposite of what its coefficients say."""

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X)[:, ::-1]


def refused(folder: Path, estimator: Any, task: Task = Task.BINARY, **changes: Any) -> Invalid:
    encoder, fitted, columns = fit(estimator, task)
    arguments: dict[str, Any] = {
        "signature": Signature(FIELDS, task, CLASSES[task], "late"),
        "encoder": encoder,
        "estimator": fitted,
        "sample": columns,
        "example": columns,
    }
    with pytest.raises(Invalid) as caught:
        package(folder, **(arguments | changes))
    assert not list(folder.iterdir())
    return caught.value


def test_a_class_of_ones_own_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, make_pipeline(SimpleImputer(), Contrary()))
    assert error.code == "inference.not_compilable"
    assert "Contrary" in error.message


def test_a_form_that_answers_differently_is_refused(tmp_path: Path) -> None:
    estimator = HistGradientBoostingClassifier(max_iter=8, random_state=0)
    honest = estimator.predict_proba
    estimator.predict_proba = lambda matrix: honest(matrix)[:, ::-1]
    error = refused(tmp_path, estimator)
    assert error.code == "inference.not_compilable"
    assert "labels differ" in error.message


def test_one_deviating_score_is_enough(tmp_path: Path) -> None:
    estimator = HistGradientBoostingClassifier(max_iter=8, random_state=0)
    honest = estimator.predict_proba

    def deviating(matrix: Any) -> Any:
        scores = honest(matrix)
        scores[123] += [2e-5, -2e-5]
        return scores

    estimator.predict_proba = deviating
    assert refused(tmp_path, estimator).code == "inference.not_compilable"


def test_a_source_that_only_a_pickle_could_keep_is_refused(tmp_path: Path) -> None:
    estimator = HistGradientBoostingClassifier(max_iter=2)
    estimator.rows = (row for row in range(3))
    assert refused(tmp_path, estimator).code == "inference.not_compilable"


def test_a_classifier_without_scores_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, scaled(RidgeClassifier()))
    assert error.code == "inference.not_compilable"
    assert "predict_proba" in error.hint


def test_classes_must_be_those_of_the_signature(tmp_path: Path) -> None:
    signature = Signature(FIELDS, Task.BINARY, ("only",), "late")
    assert refused(tmp_path, HistGradientBoostingClassifier(max_iter=2), signature=signature).code == "inference.classes"


def test_inputs_must_be_those_of_the_signature(tmp_path: Path) -> None:
    signature = Signature(FIELDS[::-1], Task.BINARY, CLASSES[Task.BINARY], "late")
    assert refused(tmp_path, HistGradientBoostingClassifier(max_iter=2), signature=signature).code == "inference.signature"


def test_without_rows_there_is_no_proof(tmp_path: Path) -> None:
    assert refused(tmp_path, HistGradientBoostingClassifier(max_iter=2), sample={}).code == "inference.sample_empty"


def test_a_package_is_not_overwritten(cases: dict[str, Case]) -> None:
    case = cases["linear"]
    with pytest.raises(Conflict):
        make_case(case.folder, case.estimator, Task.REGRESSION)


@pytest.mark.parametrize("before", [[], [StandardScaler()]], ids=["alone", "scaled"])
def test_labels_of_the_signature_may_be_the_estimators_own(tmp_path: Path, before: list[Any]) -> None:
    columns = make_columns(300)
    y = make_target(columns, Task.BINARY)
    encoder, matrix = Encoder.fit_transform(columns, y, FIELDS, Task.BINARY)
    estimator = make_pipeline(*before, HistGradientBoostingClassifier(max_iter=4)).fit(matrix, np.array(["no", "yes"])[y])
    signature = Signature(FIELDS, Task.BINARY, ("no", "yes"), "late")
    package(tmp_path, signature=signature, encoder=encoder, estimator=estimator, sample=columns, example=columns)
    assert len(json.loads((tmp_path / "example.json").read_bytes())["labels"]) == 20


@pytest.mark.parametrize("name", ["histogram-binary", "logistic-multiclass", "network"])
def test_same_inputs_same_bytes(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    estimator, task, _ = CASES[name]
    make_case(tmp_path, estimator, task)
    first = {path.name: path.read_bytes() for path in cases[name].folder.iterdir()}
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert first == again
    form = "linear.npz" if name.startswith("logistic") else "model.onnx"
    assert set(first) == {"package.json", "encoder.json", form, "source.skops", "parity.json", "example.json"}


def test_another_process_writes_the_same_bytes(cases: dict[str, Case], tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.inference.test_packaging import CASES, make_case
make_case(Path({str(tmp_path)!r}), *CASES["forest-binary"][:2])
"""
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2], env=environment)
    for path in cases["forest-binary"].folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("name", ["histogram-binary", "logistic-binary", "stacked"])
def test_the_source_can_be_read_again(cases: dict[str, Case], name: str) -> None:
    from skops.io import get_untrusted_types, loads

    case = cases[name]
    data = write_source(case.estimator)
    assert data == (case.folder / "source.skops").read_bytes()
    again = loads(data, trusted=get_untrusted_types(data=data))
    matrix = case.encoder.transform(make_columns(100))
    assert np.array_equal(again.predict(matrix), case.estimator.predict(matrix))
