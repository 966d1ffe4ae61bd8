"""The model of a regression's own errors: learned at packaging, from rows that the regression had not seen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, Task
from perenne.stats.loss import LossModel, Trees
from perenne.stats.outcomes import beyond_chance

LEAST_ROWS = 400
MOST_ROWS = 40_000
_BLOCKS = 20
_SETTINGS = {"max_iter": 40, "max_leaf_nodes": 15, "min_samples_leaf": 40, "early_stopping": False, "random_state": 0}

Floats = NDArray[np.float64]


def learn_losses(reference: Reference, columns: Columns, predictions: Column, y: Column) -> LossModel | None:
    """Learn how far a regression is off, and note in the reference how steady that was; None of too few rows.

    Each half of the rows, in blocks of time, is held out from a model of the other half: that tells how good they are, and the
    mean of both is kept.

    Parameters
    ----------
    columns, predictions, y
        The reference's rows in order of time: inputs, answers of a model that had not seen them, and what came true.
    """
    known = np.flatnonzero(np.isfinite(predictions) & np.isfinite(y))
    if reference.layout.task is not Task.REGRESSION or len(known) < LEAST_ROWS:
        return None
    known = known[np.unique(np.linspace(0, len(known) - 1, MOST_ROWS).astype(np.int64))]
    cells = reference.layout.encode({name: column[known] for name, column in columns.items()}, predictions[known], None).cells
    absolute = np.abs(y[known] - predictions[known]) / reference.layout.answer_scale
    half = (np.arange(len(known)) * _BLOCKS // len(known)) % 2
    of_absolute, expected = _cross(cells, absolute, half)
    of_squared, expected_squares = _cross(cells, absolute**2, half)
    surprise = absolute**2 - expected_squares
    reference.note_steadiness("mae", _beyond_chance(absolute - expected, len(reference.chunks)) * reference.layout.answer_scale)
    return LossModel(
        of_absolute,
        of_squared,
        rows=len(known),
        doubt_absolute=float((absolute - expected).std()),
        doubt_squared=float(surprise.std()),
        peak=float(np.mean(surprise**2) / max(1e-12, float(np.mean(expected_squares**2)))),
    )


def _cross(cells: NDArray[np.uint8], target: Floats, half: NDArray[np.int64]) -> tuple[Trees, Floats]:
    """Return the mean of the models of both halves, and what each expected of the half it had not seen."""
    expected, parts = np.empty(len(target)), []
    for side in (0, 1):
        parts.append(_fit(cells[:, half == side], target[half == side]))
        expected[half != side] = parts[-1].predict(cells[:, half != side])
    return Trees.mean_of(parts), expected


def _fit(cells: NDArray[np.uint8], target: Floats) -> Trees:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="openmp"):  # for so few rows threads cost more than they save
        fitted = HistGradientBoostingRegressor(**_SETTINGS).fit(cells.T, target)
    nodes = [predictors[0].nodes for predictors in fitted._predictors]
    offsets = np.cumsum([0, *(len(tree) for tree in nodes)])[:-1]
    return Trees(base=float(np.ravel(fitted._baseline_prediction)[0]), **_flat(nodes, offsets), roots=offsets.astype(np.int32))


def _flat(trees: list[Any], offsets: NDArray[np.int64]) -> dict[str, Any]:
    joined = np.concatenate(trees)
    moved = np.repeat(offsets, [len(tree) for tree in trees])
    leaf = joined["is_leaf"].astype(bool)
    limit = np.where(leaf, 0, np.clip(np.nan_to_num(joined["num_threshold"]), 0, 255))
    return {
        "feature": np.where(leaf, -1, joined["feature_idx"]).astype(np.int32),
        "limit": np.floor(limit).astype(np.uint8),
        "left": (joined["left"] + moved).astype(np.int32),
        "right": (joined["right"] + moved).astype(np.int32),
        "value": np.where(leaf, joined["value"], 0.0),
    }


def _beyond_chance(surprise: Floats, chunks: int) -> float:
    """Return how far the mean surprise of parts of the reference scatters beyond what chance does."""
    parts = np.array_split(surprise, max(1, chunks))
    if len(parts) < 4:
        return 0.0
    deviations = [float(part.std() / np.sqrt(max(1, len(part)))) for part in parts]
    return beyond_chance([float(part.mean()) for part in parts], deviations)
