"""Trees of XGBoost and LightGBM: as ONNX, and through the C libraries, they answer like the libraries' Python packages."""

import json
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from perenne.core.errors import Invalid
from perenne.inference.boosters import LightGBMForm, XGBoostForm
from perenne.inference.calibration import Calibration
from perenne.inference.foreign.boosted import lightgbm_ensemble, read_lightgbm, xgboost_ensemble
from perenne.inference.forms import OnnxForm
from perenne.inference.parity import at_thresholds, with_missing
from perenne.inference.trees import Ensemble, split_points, to_onnx


def table(rows: int = 300) -> Any:
    draw = np.random.default_rng(0)
    X = np.round(draw.normal(size=(rows, 4)), 1)
    X[draw.random(X.shape) < 0.05] = np.nan
    return X


def target(objective: str, X: Any) -> Any:
    total = np.nan_to_num(X[:, 0] + X[:, 1])
    if "multi" in objective:
        return (total > 0).astype(int) + (total > 1)
    return np.exp(total) if "poisson" in objective else (total > 0).astype(int) if "binary" in objective else total * 3 + 100


def hard(X: Any, ensemble: Ensemble) -> Any:
    """Real rows, rows on both sides of every threshold, and rows with values missing."""
    return np.concatenate([X, at_thresholds(split_points(ensemble, 500), X), with_missing(X)])


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "reg:squarederror", "count:poisson"])
def test_xgboost(objective: str) -> None:
    X = table()
    said = {"objective": objective, "max_depth": 3, "nthread": 1} | ({"num_class": 3} if "multi" in objective else {})
    booster = xgboost.train(said, xgboost.DMatrix(X, target(objective, X)), 8)
    ensemble = xgboost_ensemble(json.loads(bytes(booster.save_raw("json")))["learner"])
    assert ensemble is not None
    rows = hard(X, ensemble)
    expected = booster.predict(xgboost.DMatrix(rows)).reshape(len(rows), -1)
    np.testing.assert_allclose(OnnxForm(to_onnx(ensemble)).outputs(rows), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(XGBoostForm(bytes(booster.save_raw("ubj"))).outputs(rows), expected)


def test_classes_alone_have_probabilities_too() -> None:
    X = table()
    said = {"objective": "multi:softmax", "num_class": 3, "max_depth": 2, "nthread": 1}
    booster = xgboost.train(said, xgboost.DMatrix(X, target("multi", X)), 4)
    scores = XGBoostForm(bytes(booster.save_raw("ubj"))).outputs(X)
    np.testing.assert_array_equal(scores.argmax(axis=1), booster.predict(xgboost.DMatrix(X)))
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("objective", ["binary", "multiclass", "regression", "poisson"])
def test_lightgbm(objective: str, missing: bool) -> None:
    X = table() if missing else np.nan_to_num(table())
    said = {"objective": objective, "verbose": -1, "num_leaves": 6, "num_threads": 1} | (
        {"num_class": 3} if objective == "multiclass" else {}
    )
    booster = lightgbm.train(said, lightgbm.Dataset(X, target(objective, X)), 8)
    text = booster.model_to_string()
    ensemble = lightgbm_ensemble(read_lightgbm(text))
    assert ensemble is not None
    rows = hard(X, ensemble)
    expected = np.asarray(booster.predict(rows)).reshape(len(rows), -1)
    np.testing.assert_allclose(OnnxForm(to_onnx(ensemble, wide=True)).outputs(rows), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(LightGBMForm(text.encode()).outputs(rows), expected)


def test_what_has_no_plain_trees_is_left_to_the_library() -> None:
    X = table()
    dropout = xgboost.train({"booster": "dart", "max_depth": 2, "nthread": 1}, xgboost.DMatrix(X, target("reg", X)), 3)
    assert xgboost_ensemble(json.loads(bytes(dropout.save_raw("json")))["learner"]) is None
    levels = np.random.default_rng(0).integers(0, 5, (200, 2)).astype(float)
    said = {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_per_group": 5}
    grouped = lightgbm.train(said, lightgbm.Dataset(levels, levels[:, 0] % 2, categorical_feature=[0, 1]), 3)
    assert lightgbm_ensemble(read_lightgbm(grouped.model_to_string())) is None


@pytest.mark.parametrize("form", [XGBoostForm, LightGBMForm])
def test_nonsense_is_refused(form: Any) -> None:
    with pytest.raises(Invalid, match="cannot use the model"):
        form(b"nonsense")


def test_the_cheapest_form_is_asked_for_so_many_rows() -> None:
    found = Calibration({"onnx": (10.0, 80.0, 640.0), "xgboost": (90.0, 97.0, 153.0)}, ("onnx", "onnx", "xgboost"))
    assert [found.form_for(rows) for rows in (0, 1, 8, 9, 11, 64, 1_000)] == ["onnx"] * 4 + ["xgboost"] * 3
    assert found.cost_us(1) == 10.0 and found.cost_us(64) == 153.0 and found.cost_us(128) == pytest.approx(217.0)
    assert found.sentence == "1: onnx, 8: onnx, 64: xgboost rows"
