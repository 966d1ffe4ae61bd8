"""Rows with everything in them that real rows have, and models fitted on them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.inference import Encoder, Parity, Predictor, Signature, load, package
from perenne.stats.columns import Column, Field, FieldKind, Task, take

FIELDS = (
    Field("distance", FieldKind.NUMBER),
    Field("delay", FieldKind.NUMBER),
    Field("carrier", FieldKind.CATEGORY, "string"),
    Field("scheduled", FieldKind.TIME, "timestamp"),
    Field("constant", FieldKind.NUMBER),
)
CLASSES: dict[Task, tuple[str, ...]] = {
    Task.BINARY: ("on time", "late"),
    Task.MULTICLASS: ("early", "on time", "late"),
    Task.REGRESSION: (),
}


def make_columns(rows: int, seed: int = 0) -> dict[str, Column]:
    """Return inputs with missing numbers and categories, and a constant column."""
    random = np.random.default_rng(seed)
    distance = np.round(random.gamma(2.0, 500.0, rows))
    delay = random.normal(0.0, 20.0, rows)
    delay[random.random(rows) < 0.1] = np.nan
    return {
        "distance": distance,
        "delay": delay,
        "carrier": np.array(["AA", "B6", "UA", "WN", None], object)[random.integers(0, 5, rows)],
        "scheduled": 1.36e9 + random.random(rows) * 3.15e7,
        "constant": np.full(rows, 7.0),
    }


def make_target(columns: dict[str, Column], task: Task, seed: int = 1) -> NDArray[Any]:
    """Return what the inputs cause, with noise: class indices, or minutes far from zero."""
    noise = np.random.default_rng(seed).normal(0.0, 10.0, len(columns["distance"]))
    minutes = np.nan_to_num(columns["delay"], nan=15.0) + 12.0 * (columns["carrier"] == "UA") + noise
    match task:
        case Task.BINARY:
            return np.asarray(minutes > 5.0, np.int64)
        case Task.MULTICLASS:
            return np.asarray(np.digitize(minutes, [-8.0, 15.0]))
        case _:
            return np.asarray(minutes + 10_000.0, np.float64)


class Case(NamedTuple):
    """A fitted model and its package."""

    signature: Signature
    encoder: Encoder
    estimator: Any
    folder: Path
    parity: Parity

    @property
    def predictor(self) -> Predictor:
        return load(self.folder)


def fit(estimator: Any, task: Task, rows: int = 600) -> tuple[Encoder, Any, dict[str, Column]]:
    columns = make_columns(rows)
    y = make_target(columns, task)
    encoder, matrix = Encoder.fit_transform(columns, y, FIELDS, task, len(CLASSES[task]))
    return encoder, estimator.fit(matrix, y), columns


def make_case(folder: Path, estimator: Any, task: Task, rows: int = 600, **signature: Any) -> Case:
    encoder, fitted, columns = fit(estimator, task, rows)
    signed = Signature(FIELDS, task, CLASSES[task], "late", **signature)
    parity = package(
        folder, signature=signed, encoder=encoder, estimator=fitted, sample=columns, example=take(columns, slice(0, 3))
    )
    return Case(signed, encoder, fitted, folder, parity)
