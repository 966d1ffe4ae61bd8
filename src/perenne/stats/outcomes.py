"""What came true in the reference: how often it was wrong, what came true by part of the inputs, how steady estimates were.

By this, labels that come later tell a change of the concept (other outcomes where answers are as before) from one of the model
or of an input that nobody watches (other answers where inputs are as before).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column, Task
from perenne.stats.layout import FIXED, Layout, class_places
from perenne.stats.numeric import GROUPS, NumberCells
from perenne.stats.performance import Calibration, calibrate, estimate_counts, middles_of

MIN_CHUNKS = 4
_CLIP = 0.999
_LEAST = 200
_DIFFERENT = 4.0
_IN_GROUP = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The labelled rows of a reference.

    Attributes
    ----------
    rows, loss : int, float
        How many, and their mean loss from 0 to 1.
    scale : float
        Which loss counts as 1: of numbers the 99.9 % quantile of what the answers were off, of classes 1.
    counts, truths : int64 (features, 16)
        Labelled rows per group of cells, and the sum of what came true, in multiples of 1/65,536 of the answer's unit.
    steadiness : dict
        By metric: how far its estimate was off in parts of the reference, beyond chance (standard deviation).
    """

    rows: int
    loss: float
    scale: float
    counts: NDArray[np.int64]
    truths: NDArray[np.int64]
    steadiness: dict[str, float] = field(default_factory=dict)


def fit_outcomes(
    layout: Layout,
    cells: NDArray[np.uint8],
    predictions: Column,
    scores: NDArray[np.floating] | None,
    labels: Column,
    chunks: int,
) -> Outcomes | None:
    """Sum the labelled rows of a reference; None without any, or for answers that are tensors."""
    y, answers = places(layout, labels), places(layout, predictions)
    known = np.isfinite(y) & np.isfinite(answers)
    if layout.task is Task.OUTPUTS or not known.any():
        return None
    loss = losses(layout, y, answers)
    scale = 1.0 if layout.task is not Task.REGRESSION else float(np.quantile(loss[known], _CLIP)) or 1.0
    counts, truths = truth_sums(layout, cells[:, known], y[known], answers[known])
    steady = {}
    if scores is not None and layout.curves:
        steady = _steadiness(layout, layout.score_bins(scores), y, answers, known, chunks)
    return Outcomes(int(known.sum()), float(np.minimum(loss[known] / scale, 1).mean()), scale, counts, truths, steady)


def places(layout: Layout, values: Column) -> Floats:
    """Return labels or answers as places in the classes, or as numbers; NaN where there is none."""
    if layout.task is Task.REGRESSION:
        return np.asarray(values, np.float64)
    found = class_places(layout.classes, values).astype(np.float64)
    return np.where(found < 0, np.nan, found)


def losses(layout: Layout, y: Floats, answers: Floats) -> Floats:
    """Return each row's loss: 1 for a wrong class, or how far a number is off; NaN where something is not known."""
    if layout.task is Task.REGRESSION:
        return np.asarray(np.abs(y - answers))
    return np.where(np.isnan(y) | np.isnan(answers), np.nan, (y != answers).astype(np.float64))


def truth_sums(
    layout: Layout, cells: NDArray[np.uint8], y: Floats, answers: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count labelled rows per group of cells and sum what came true, in the unit in which profiles sum the answer.

    That is the positive class of two, the number, or of several classes whether the answer was right.
    """
    if layout.task is Task.REGRESSION:
        truth = np.clip((y - layout.answer_center) / layout.answer_scale, -1024, 1024)
    else:
        truth = (y == len(layout.classes) - 1 if layout.task is Task.BINARY else y == answers).astype(np.float64)
    weights = np.rint(truth * FIXED)
    groups = np.array([feature.groups for feature in layout.features], np.uint8)
    counts, sums = (np.zeros((len(groups), GROUPS), np.int64) for _ in range(2))
    for place, row in enumerate(cells):
        group = groups[place][row]
        counts[place] = np.bincount(group, minlength=GROUPS)
        sums[place] = np.rint(np.bincount(group, weights=weights, minlength=GROUPS))
    return counts, sums


def _steadiness(
    layout: Layout, bins: NDArray[np.int64], y: Floats, answers: Floats, known: NDArray[np.bool_], chunks: int
) -> dict[str, float]:
    """Estimate every part of the reference by a calibration of the others, and hold that against what came true in it."""
    curve = bins[0] if layout.task is Task.BINARY else bins[-1]
    hit = (y == len(layout.classes) - 1) if layout.task is Task.BINARY else (y == answers)
    used = known & (curve >= 0)
    width = len(layout.score_edges) - 1
    parts = np.array_split(np.arange(len(y)), max(1, chunks))
    rows = [part[used[part]] for part in parts]
    counts = np.array([np.bincount(curve[part], minlength=width) for part in rows])
    hits = np.array([np.bincount(curve[part], weights=hit[part], minlength=width) for part in rows])
    if sum(len(part) >= _LEAST for part in rows) < MIN_CHUNKS:
        return {}
    gaps: dict[str, list[tuple[float, float]]] = {}
    for count, positive in zip(counts, hits, strict=True):
        if count.sum() < _LEAST:
            continue
        fitted = calibrate(middles_of(layout.score_edges), counts.sum(axis=0) - count, hits.sum(axis=0) - positive)
        calibration = Calibration(layout.task, layout.threshold, layout.score_edges, fitted[None, :])
        exact = Calibration(layout.task, layout.threshold, layout.score_edges, (positive / np.maximum(count, 1))[None, :])
        told, true = (estimate_counts(each, count[None, :].astype(np.float64)) for each in (calibration, exact))
        for name in ("accuracy", "roc_auc"):
            if name in told and name in true:
                gaps.setdefault(name, []).append((told[name].value - true[name].value, told[name].sd))
    return {
        name: beyond_chance([gap for gap, _ in found], [sd for _, sd in found])
        for name, found in gaps.items()
        if len(found) >= MIN_CHUNKS
    }


def beyond_chance(surprises: Sequence[float], chances: Sequence[float]) -> float:
    """Return how far the surprises of several parts scatter beyond what chance does, two deviations of that itself included.

    >>> beyond_chance([0.1, -0.1, 0.1, -0.1], [0.1, 0.1, 0.1, 0.1])
    0.0
    """
    chance = float(np.mean(np.square(chances))) * (1 + 2 * float(np.sqrt(2 / len(chances))))
    return float(np.sqrt(max(0.0, float(np.mean(np.square(surprises))) - chance)))


class Inside(msgspec.Struct, frozen=True):
    """What changed inside the cells of the inputs.

    Attributes
    ----------
    truth : float
        How far the means of what came true differ from the reference's where the answer is the same: beyond chance, in standard
        deviations of that. No shift of inputs that the answer knows brings this about.
    answer : float
        The same of the answers, inside the cells of that input that matters in which they differ least: an input that moved
        explains what changes inside the cells of others, and nothing inside its own.
    feature : str
        The input by whose cells the truth differs most.
    change : float
        By how much the truth differs there, in the unit of the answer.
    """

    truth: float
    answer: float
    feature: str
    change: float

    @property
    def words(self) -> str:
        """Say what that means; empty if neither changed."""
        if self.answer >= _DIFFERENT:
            return "other answers where inputs are as before: the model, or an input that is not watched, changed"
        if self.truth >= _DIFFERENT:
            return f"other outcomes where answers are as before, most by {self.feature}: the concept changed"
        return ""


class Means(msgspec.Struct, frozen=True):
    """Rows per group of cells, (features, 16), the sum of some value over them in multiples of 1/65,536, and its variance."""

    rows: NDArray[np.int64]
    sums: NDArray[np.int64]
    variance: float


def inside(
    names: Sequence[str], truths: tuple[Means, Means], answers: tuple[Means, Means], matters: NDArray[np.bool_]
) -> Inside | None:
    """Compare means inside groups of cells, so that a shift of the inputs alone says nothing; None without inputs.

    Parameters
    ----------
    names : sequence of str
        The inputs.
    truths : (Means, Means)
        What came true in labelled rows, of the reference and of the window: by the cells of the inputs, and last of the answer.
    answers : (Means, Means)
        What was answered in all rows, by the cells of the inputs.
    matters : bool (inputs,)
        Which inputs have a part in the answer.
    """
    if not names:
        return None
    change, error = _change(*truths)
    truth, answer = _pooled(change, error), _pooled(*_change(*answers))
    most = int(truth[:-1].argmax())
    least = float(answer[matters].min()) if matters.any() else 0.0
    return Inside(float(truth[-1]), least, names[most], _mean(change, truths[1].rows, most))


def inner(layout: Layout) -> NDArray[np.bool_]:
    """Return the groups of cells that have two ends, (features, 16): beyond the others' a shift goes on and on."""
    chosen = np.ones((len(layout.features), GROUPS), np.bool_)
    for place, feature in enumerate(layout.features):
        if isinstance(feature, NumberCells):
            used = feature.groups[: len(feature.bounds()[0])]
            chosen[place, [used.min(), used.max()]] = False
    return chosen


def _change(before: Means, after: Means) -> tuple[Floats, Floats]:
    """Return by how much the mean of each group differs, and its standard error; 0 where one side has too few rows."""
    enough = (before.rows >= _IN_GROUP) & (after.rows >= _IN_GROUP)
    means, errors = [], np.zeros(enough.shape)
    for side in (before, after):
        means.append(np.divide(side.sums, side.rows, out=np.zeros(enough.shape), where=enough) / FIXED)
        errors += np.divide(side.variance, side.rows, out=np.zeros(enough.shape), where=enough)
    return np.where(enough, means[1] - means[0], 0.0), np.sqrt(errors)


def _pooled(change: Floats, error: Floats) -> Floats:
    """Return for each feature how far the squares of its standardised changes add up beyond chance, (features,)."""
    used = error > 0
    z = np.divide(change, error, out=np.zeros(change.shape), where=used)
    groups = used.sum(axis=1)
    return np.asarray(((z**2).sum(axis=1) - groups) / np.sqrt(2 * np.maximum(1, groups)))


def _mean(change: Floats, rows: NDArray[np.int64], place: int) -> float:
    total = rows[place].sum()
    return float((change[place] * rows[place]).sum() / total) if total else 0.0
