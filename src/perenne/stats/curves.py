"""Evidence one can look at: the curves, tables and histograms behind a model's figures, small enough to be kept and drawn.

Receiver operating characteristic: Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006). Precision
and recall: Davis and Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006. Reliability of scores, in
bins of equally many rows: Niculescu-Mizil and Caruana, "Predicting good probabilities with supervised learning", ICML 2005, with
intervals by Wilson, JASA 22 (1927). Curves are thinned by the point that lies farthest off the line: Douglas and Peucker,
Cartographica 10 (1973).
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Task
from perenne.stats.fairness import wilson

POINTS = 200
TOLERANCE = 0.0005
"""A point nearer to the line than this, in parts of the drawing's side, is not seen to be missing."""
BINS = 10
BARS = 30
DOTS = 300
MOST_CLASSES = 20
PAIRS = 20
Z = 1.959964
_DIGITS = 6


class Curve(msgspec.Struct, frozen=True):
    """Points of a curve from left to right. `label` is the class that counts as positive, `base` its share of the rows."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    base: float


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows of like score: their mean score, the share that was positive with its 95 % interval, and how many there are."""

    score: float
    share: float
    low: float
    high: float
    rows: int


class Histogram(msgspec.Struct, frozen=True):
    """How many values lie between one edge and the next."""

    label: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Mistake(msgspec.Struct, frozen=True):
    """So many rows of one class were taken for another."""

    actual: str
    predicted: str
    rows: int


class Confusion(msgspec.Struct, frozen=True):
    """What was answered for which class: `counts[actual][predicted]`, empty where there are too many classes for a table.

    Attributes
    ----------
    threshold : float or None
        The score from which on the positive class is answered; None if answers do not go by one.
    most : tuple of Mistake
        The most frequent mistakes.
    correct, rows : int
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    threshold: float | None
    most: tuple[Mistake, ...]
    correct: int
    rows: int


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """What can be drawn of a model's answers to some rows; what cannot be says why in `missing`.

    Attributes
    ----------
    rows : int
    roc, precision_recall : tuple of Curve
        One curve of two classes, one for each of several, held against all others.
    calibration : tuple of CalibrationBin
        Of two classes.
    scores : tuple of Histogram
        Scores by actual class: of the positive class, or of several each one's own.
    confusion : Confusion or None
    actual, predicted : tuple of float
        Numbers: some rows, spread evenly over what was actual.
    residuals : Histogram or None
        Actual minus predicted; what lies beyond the outermost edges is counted in the outermost bars.
    missing : dict
        Reason by name.
    """

    rows: int
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    scores: tuple[Histogram, ...] = ()
    confusion: Confusion | None = None
    actual: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()
    residuals: Histogram | None = None
    missing: dict[str, str] = {}


def curves(
    task: Task, y: NDArray[Any], predictions: NDArray[Any], scores: NDArray[np.floating] | None, classes: Sequence[object]
) -> Curves:
    """Return what can be drawn of a model's answers.

    Parameters
    ----------
    y, predictions : array (rows,)
        Places in the classes, or numbers for regression.
    scores : array (rows, classes) or None
    classes : sequence
        Labels; the last of two is the positive one.
    """
    if not len(y):
        return Curves(rows=0, missing={"all": "there are no rows"})
    if task is Task.REGRESSION:
        return _of_numbers(np.asarray(y, np.float64), np.asarray(predictions, np.float64))
    return _of_classes(np.asarray(y), np.asarray(predictions), scores, [str(label) for label in classes])


def _of_classes(y: NDArray[Any], predictions: NDArray[Any], scores: NDArray[np.floating] | None, labels: Sequence[str]) -> Curves:
    binary = len(labels) == 2
    threshold = None
    if binary and scores is not None:
        threshold = _threshold(predictions, scores[:, 1])
    found = confusion(y, predictions, labels, threshold)
    if scores is None:
        return Curves(rows=len(y), confusion=found, missing={"scores": "the model answers classes without scores"})
    if not np.isfinite(scores).all():
        return Curves(rows=len(y), confusion=found, missing={"scores": "some scores are not finite"})
    missing: dict[str, str] = {}
    if len(labels) > MOST_CLASSES:
        missing["curves"] = f"{len(labels)} classes are too many to draw a curve of each"
        return Curves(rows=len(y), confusion=found, missing=missing)
    shown = [1] if binary else list(range(len(labels)))
    drawable = [place for place in shown if 0 < np.count_nonzero(y == place) < len(y)]
    for place in shown:
        if place not in drawable:
            missing[labels[place]] = "the rows are all of it, or none are"
    return Curves(
        rows=len(y),
        roc=tuple(roc(y == place, scores[:, place], labels[place]) for place in drawable),
        precision_recall=tuple(precision_recall(y == place, scores[:, place], labels[place]) for place in drawable),
        calibration=calibration(y == 1, scores[:, 1]) if binary else (),
        scores=_score_histograms(y, scores, labels),
        confusion=found,
        missing=missing,
    )


def _of_numbers(y: NDArray[np.float64], predictions: NDArray[np.float64]) -> Curves:
    known = np.isfinite(y) & np.isfinite(predictions)
    if not known.any():
        return Curves(rows=len(y), missing={"all": "no row has both a finite number and a finite answer"})
    missing = {} if known.all() else {"rows": f"{np.count_nonzero(~known)} rows whose answer is not finite are left out"}
    y, predictions = y[known], predictions[known]
    order = np.argsort(y, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(y) - 1, min(len(y), DOTS)).astype(np.int64))]
    return Curves(
        rows=len(y),
        actual=_rounded(y[chosen]),
        predicted=_rounded(predictions[chosen]),
        residuals=_residuals(y - predictions),
        missing=missing,
    )


def roc(positive: NDArray[np.bool_], score: NDArray[Any], label: str = "") -> Curve:
    """Return the share of positives found (y) over the share of negatives taken for them (x), from the strictest threshold on.

    >>> roc(np.array([False, True, True]), np.array([0.1, 0.6, 0.9]), "yes").y
    (0.0, 1.0, 1.0)
    """
    hits, misses = _steps(positive, score)
    x, y = np.r_[0.0, misses / misses[-1]], np.r_[0.0, hits / hits[-1]]
    keep = thinned(x, y)
    return Curve(label, _rounded(x[keep]), _rounded(y[keep]), float(positive.mean()))


def precision_recall(positive: NDArray[np.bool_], score: NDArray[Any], label: str = "") -> Curve:
    """Return how many of those taken for positive are (y) over the share of positives found (x), from the strictest threshold on.

    >>> precision_recall(np.array([False, True, True, False]), np.array([0.1, 0.6, 0.9, 0.7]), "yes").y
    (1.0, 1.0, 0.5, 0.666667, 0.5)
    """
    hits, misses = _steps(positive, score)
    precision, recall = hits / (hits + misses), hits / hits[-1]
    x, y = np.r_[0.0, recall], np.r_[precision[0], precision]
    keep = thinned(x, y)
    return Curve(label, _rounded(x[keep]), _rounded(y[keep]), float(positive.mean()))


def _steps(positive: NDArray[np.bool_], score: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many positives and how many negatives score at least as high, at each score that occurs, the highest first."""
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.r_[np.flatnonzero(np.diff(falling)), len(falling) - 1]
    hits = np.cumsum(positive[order])[last].astype(np.float64)
    return hits, last + 1.0 - hits


def thinned(x: NDArray[np.float64], y: NDArray[np.float64], points: int = POINTS) -> NDArray[np.int64]:
    """Return the places of at most so many points that draw the same line: the one farthest off it is added again and again."""
    kept, waiting = {0, len(x) - 1}, [_farthest(x, y, 0, len(x) - 1)]
    while waiting and len(kept) < points:
        distance, place, first, last = heappop(waiting)
        if -distance <= TOLERANCE:
            break
        kept.add(place)
        for ends in ((first, place), (place, last)):
            if ends[1] - ends[0] > 1:
                heappush(waiting, _farthest(x, y, *ends))
    return np.array(sorted(kept), np.int64)


def _farthest(x: NDArray[np.float64], y: NDArray[np.float64], first: int, last: int) -> tuple[float, int, int, int]:
    """Return minus the largest distance from the line between two points, and where it is; the least comes first in a heap."""
    if last - first < 2:
        return 0.0, first, first, last
    inner = slice(first + 1, last)
    across, up = x[last] - x[first], y[last] - y[first]
    length = float(np.hypot(across, up))
    away = np.abs(across * (y[inner] - y[first]) - up * (x[inner] - x[first])) / length if length else np.hypot(
        x[inner] - x[first], y[inner] - y[first]
    )  # fmt: skip
    place = int(away.argmax())
    return -float(away[place]), first + 1 + place, first, last


def calibration(positive: NDArray[np.bool_], score: NDArray[Any], bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Return bins of about equally many rows, rising in score; rows of one score stay together.

    >>> [(found.score, found.share) for found in calibration(np.array([False, True]), np.array([0.25, 0.75]))]
    [(0.25, 0.0), (0.75, 1.0)]
    """
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    place = np.searchsorted(edges, score, "left")
    found = []
    for number in np.unique(place):
        mine = place == number
        rows, hits = int(mine.sum()), int(positive[mine].sum())
        low, high = wilson(hits, rows, Z)
        found.append(CalibrationBin(_round(score[mine].mean()), _round(hits / rows), _round(low), _round(high), rows))
    return tuple(found)


def confusion(y: NDArray[Any], predictions: NDArray[Any], labels: Sequence[str], threshold: float | None = None) -> Confusion:
    """Count what was answered for which class.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), ["no", "yes"]).counts
    ((1, 0), (1, 1))
    """
    count = len(labels)
    table = np.bincount(np.asarray(y, np.int64) * count + np.asarray(predictions, np.int64), minlength=count * count)
    table = table.reshape(count, count)
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(place), count) for place in order if wrong.flat[place]]
    return Confusion(
        labels=tuple(labels) if count <= MOST_CLASSES else (),
        counts=tuple(tuple(int(cell) for cell in row) for row in table) if count <= MOST_CLASSES else (),
        threshold=threshold,
        most=tuple(Mistake(labels[actual], labels[given], int(table[actual, given])) for actual, given in places),
        correct=int(np.trace(table)),
        rows=len(y),
    )


def _threshold(predictions: NDArray[Any], score: NDArray[Any]) -> float | None:
    """Return one half if the answers go by it, None if not."""
    half = np.float64(0.5)
    as_half = np.array_equal(predictions == 1, score >= half) or np.array_equal(predictions == 1, score > half)
    return 0.5 if as_half else None


def _score_histograms(y: NDArray[Any], scores: NDArray[np.floating], labels: Sequence[str]) -> tuple[Histogram, ...]:
    edges = np.linspace(0.0, 1.0, BARS + 1)
    found = []
    for place, label in enumerate(labels):
        of = 1 if len(labels) == 2 else place
        counts, _ = np.histogram(np.clip(scores[y == place, of], 0.0, 1.0), edges)
        found.append(Histogram(label, _rounded(edges), tuple(counts.tolist())))
    return tuple(found)


def _residuals(values: NDArray[np.float64]) -> Histogram:
    low, high = np.quantile(values, (0.005, 0.995))
    if not low < high:
        low, high = float(values.min()) - 0.5, float(values.max()) + 0.5
    edges = np.linspace(low, high, BARS + 1)
    counts, _ = np.histogram(np.clip(values, low, high), edges)
    return Histogram("actual − predicted", _rounded(edges), tuple(counts.tolist()))


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _rounded(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(_round(value) for value in values.tolist())
