"""Real tables of three kinds, with holes and categories, as snapshots; and the model function of a project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from perenne import data
from perenne.stats.columns import Column
from perenne.storage.objects import FileObjects
from perenne.training import Plan, Recipe, make_plan


class Prepared(NamedTuple):
    """A snapshot and its plan."""

    objects: FileObjects
    snapshot: str
    plan: Plan


def table_of(name: str) -> pa.Table:
    """Return breast cancer (binary), wine (three classes) or diabetes (a number), with a category, a time and missing values."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    rows = np.random.default_rng(0).permutation(len(bunch.target))
    columns: dict[str, Any] = {}
    for index, feature in enumerate(list(bunch.feature_names)[:8]):
        values = bunch.data[rows, index].astype(float)
        columns[str(feature)] = pa.array(values, mask=np.arange(len(rows)) % (17 + index) == 0)
    groups = np.where(bunch.data[rows, 0] > np.median(bunch.data[:, 0]), "high", "low").astype(object)
    columns["group"] = pa.array(groups, mask=np.arange(len(rows)) % 29 == 0)
    columns["day"] = pa.array(np.datetime64("2020-01-01", "us") + np.arange(len(rows)) * np.timedelta64(1, "D"))
    names = bunch.target_names if name != "diabetes" else None
    columns["target"] = pa.array([str(names[label]) if names is not None else float(label) for label in bunch.target[rows]])
    return pa.table(columns)


def recipe(**changes: Any) -> Recipe:
    """Return what a project would say about such a table."""
    said: dict[str, Any] = {"dataset": "rows", "time": "day", "target": "target", "holdout": 10**15, "seed": 1}
    return Recipe(**said | changes)


def prepare(folder: Path, table: pa.Table, **changes: Any) -> Prepared:
    """Keep a table and plan its training."""
    objects = FileObjects(folder / "objects")
    snapshot = data.snapshots.write_snapshot(objects, table)
    return Prepared(objects, snapshot, make_plan(data.snapshots.read_snapshot(objects, snapshot), recipe(**changes)))


def linear(X: Column, y: Column, params: Mapping[str, Any]) -> Any:
    """Return an unfitted linear model of the task's kind."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    last = Ridge() if y.dtype == np.float64 else LogisticRegression(max_iter=2_000, **params)
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


def boosting(X: Column, y: Column, params: Mapping[str, Any]) -> Any:
    """Return a fitted gradient boosting model of the task's kind."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if y.dtype == np.float64 else HistGradientBoostingClassifier
    return kind(max_iter=20, random_state=0, **params).fit(X, y)


@pytest.fixture(params=["breast_cancer", "wine", "diabetes"])
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Prepared:
    return prepare(tmp_path, table_of(request.param), slices=("group",))


@pytest.fixture
def binary(tmp_path: Path) -> Prepared:
    return prepare(tmp_path, table_of("breast_cancer"), slices=("group",))
