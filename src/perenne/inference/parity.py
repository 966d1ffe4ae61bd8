"""Proof that a compiled form answers like its source: on real rows, on rows at split thresholds, and with values missing."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.inference.folding import line_through, split
from perenne.inference.forms import Matrix
from perenne.inference.model import Prediction, Signature, decide
from perenne.inference.trees import read_ensemble, split_points
from perenne.stats.columns import Task

TOLERANCE = 1e-5
MAX_ROWS = 20_000
MAX_SPLITS = 2_000
_NAMED = 10


class ParityRows(NamedTuple):
    """The matrix both forms answer: real rows first, then rows at thresholds, then rows with values taken away."""

    matrix: Matrix
    real: int
    at_thresholds: int
    missing: int


class Source(NamedTuple):
    """The source's answers for the parity rows, and the medians it needs in place of missing values; None if it takes them."""

    prediction: Prediction
    medians: NDArray[np.float64] | None


class Difference(NamedTuple):
    """How far a compiled form is from its source: labels, the largest difference, and the first rows over the tolerance."""

    labels: int
    largest: float
    rows: tuple[int, ...]

    @property
    def accepted(self) -> bool:
        """Whether the form may serve."""
        return self.labels == 0 and self.largest < TOLERANCE


def parity_rows(estimator: Any, sample: Matrix) -> ParityRows:
    """Lay out the rows on which forms are compared.

    For a tree ensemble, two rows stand at each split: a real row with the largest float32 that goes left, and with the next one;
    behind imputation and scaling, with the values that become these. One more row per column has that column missing, and one has
    nothing at all.
    """
    real = sample[np.unique(np.linspace(0, len(sample) - 1, min(len(sample), MAX_ROWS)).astype(int))]
    placed, missing = at_thresholds(_splits(estimator, real.shape[1]), real), with_missing(real)
    return ParityRows(np.concatenate([real, placed, missing]), len(real), len(placed), len(missing))


def with_missing(real: Matrix) -> Matrix:
    """Return one real row per column with that column missing, and one that has nothing at all."""
    columns = real.shape[1]
    missing: Matrix = real[np.arange(columns + 1) % len(real)].copy()
    missing[np.arange(columns), np.arange(columns)] = np.nan
    missing[columns] = np.nan
    return missing


def _splits(estimator: Any, columns: int) -> list[tuple[int, float]]:
    """Return (column, threshold) pairs of a tree ensemble in terms of the matrix, also if it ends a pipeline."""
    before, model = split(estimator)
    ensemble, line = read_ensemble(model), line_through(before, columns)
    if ensemble is None or line is None:
        return []
    kept = np.nonzero(line.kept)[0]
    found = ((int(kept[column]), threshold) for column, threshold in split_points(ensemble, MAX_SPLITS))
    return [(column, float((threshold - line.b[column]) / line.a[column])) for column, threshold in found]


def at_thresholds(splits: list[tuple[int, float]], real: Matrix) -> Matrix:
    """Return two real rows per (column, threshold): with the largest float32 that goes left there, and with the next one."""
    rows = real[np.repeat(np.arange(len(splits)) % len(real), 2)].copy()
    for index, (column, threshold) in enumerate(splits):
        nearest = np.float32(threshold)
        left = nearest if nearest <= threshold else np.nextafter(nearest, np.float32(-np.inf))
        rows[2 * index, column] = left
        rows[2 * index + 1, column] = np.nextafter(left, np.float32(np.inf))
    return rows


def ask_source(estimator: Any, signature: Signature, rows: ParityRows) -> Source:
    """Let the estimator itself answer the parity rows.

    An estimator that refuses missing values is asked, and will be served, with each replaced by the median of its column.

    Raises
    ------
    Invalid
        If the estimator fails on rows without missing values as well.
    """
    if _takes_missing(estimator, rows.matrix[-1:]):
        return Source(_answer(estimator, signature, rows.matrix), None)
    medians = np.array([_median(column) for column in rows.matrix[: rows.real].T])
    filled = np.where(np.isnan(rows.matrix), medians.astype(np.float32), rows.matrix)
    return Source(_answer(estimator, signature, filled), medians)


def _takes_missing(estimator: Any, row: Matrix) -> bool:
    try:
        estimator.predict(row)
    except ValueError:
        return False
    return True


def _median(column: Matrix) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else 0.0


def _answer(estimator: Any, signature: Signature, matrix: Matrix) -> Prediction:
    try:
        if signature.task is Task.REGRESSION:
            return Prediction(np.asarray(estimator.predict(matrix), np.float64).reshape(len(matrix)), None)
        scores = np.asarray(estimator.predict_proba(matrix), np.float64)
    except AttributeError as error:
        raise _not_answering(
            error, "a classifier needs predict_proba: set probability=True, or use CalibratedClassifierCV"
        ) from None
    except Exception as error:
        raise _not_answering(error, "it has to answer every row of the float32 matrix of its own encoder") from error
    return Prediction(decide(signature.task, scores, signature.threshold), scores)


def _not_answering(error: Exception, hint: str) -> Invalid:
    return Invalid(f"the estimator does not answer: {type(error).__name__}: {error}", code="inference.not_compilable", hint=hint)


def compare(source: Prediction, compiled: Prediction) -> Difference:
    """Compare answers row by row; values of a regression relative to their size and spread."""
    if source.scores is None or compiled.scores is None:
        scale = np.maximum(np.abs(source.predictions), max(float(np.std(source.predictions)), np.finfo(np.float64).tiny))
        difference = np.abs(source.predictions - compiled.predictions) / scale
        labels = np.zeros(len(difference), np.bool_)
    elif source.scores.shape != compiled.scores.shape:
        return Difference(len(source.scores), np.inf, (0,))
    else:
        difference = np.abs(source.scores - compiled.scores).max(axis=1)
        labels = source.predictions != compiled.predictions
    difference = np.where(np.isnan(difference), np.inf, difference)
    wrong = np.nonzero(labels | (difference >= TOLERANCE))[0]
    return Difference(int(labels.sum()), float(difference.max(initial=0.0)), tuple(wrong[:_NAMED].tolist()))
