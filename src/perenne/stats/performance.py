"""Performance without labels: what the scores say about themselves, once calibrated by the reference (CBPE).

Assumes scores of rows the model was not trained on, no concept drift and no new region of input space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Task
from perenne.stats.layout import Layout
from perenne.stats.profile import Profile

Floats = NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """An estimated metric, and the standard deviation of the realised one around it if the calibration is right."""

    value: float
    sd: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probability of being right per score bin.

    Attributes
    ----------
    task : Task
    threshold : float
        Two classes: from which score on the positive class is predicted.
    edges : float64 (bins + 1,)
    curves : float64 (curves, bins)
        Two classes: probability of the positive class. Else one curve for each class and the last for the top score, which may be
        the only one.
    """

    task: Task
    threshold: float
    edges: Floats
    curves: Floats

    @classmethod
    def fit(cls, layout: Layout, scores: NDArray[np.floating], labels: NDArray[np.int64]) -> "Calibration | None":
        """Calibrate by pooling adjacent violators; None without scores or labelled rows.

        Parameters
        ----------
        scores : float array (rows, classes)
        labels : int array
            Places in the classes, -1 where unknown.
        """
        known = (labels >= 0) & np.isfinite(scores).all(axis=1)
        if not layout.curves or not known.any():
            return None
        labels, scores = labels[known], np.asarray(scores, np.float64)[known]
        bins = layout.score_bins(scores)
        if layout.task is Task.BINARY:
            hits = [labels == len(layout.classes) - 1]
        else:
            hits = [labels == place for place in range(layout.curves - 1)] + [labels == scores.argmax(axis=1)]
        width = len(layout.score_edges) - 1
        middles = middles_of(layout.score_edges)
        curves = []
        for row, hit in zip(bins, hits, strict=True):
            used = row >= 0
            counts = np.bincount(row[used], minlength=width)
            positives = np.bincount(row[used], weights=hit[used], minlength=width)
            curves.append(calibrate(middles, counts, positives))
        return cls(layout.task, layout.threshold, layout.score_edges, np.array(curves))


def calibrate(middles: Floats, counts: NDArray[np.int64], positives: NDArray[Any]) -> Floats:
    """Return the probability in each bin: non-decreasing over the non-empty bins, linear between, constant outside."""
    used = np.flatnonzero(counts)
    if not len(used):
        return np.full(len(middles), np.nan)
    blocks: list[tuple[float, float, int]] = []  # positives, rows, bins
    for place in used.tolist():
        block = (float(positives[place]), float(counts[place]), 1)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    fitted = np.repeat([hits / rows for hits, rows, _ in blocks], [bins for _, _, bins in blocks])
    return np.asarray(np.interp(middles, middles[used], fitted))


def estimate(calibration: Calibration, profile: Profile, worth: Sequence[float] = ()) -> dict[str, Estimate]:
    """Estimate the metrics of a window from its score histogram; see `estimate_counts`."""
    return estimate_counts(calibration, profile.scores.astype(np.float64), worth)


def estimate_counts(calibration: Calibration, counts: Floats, worth: Sequence[float] = ()) -> dict[str, Estimate]:
    """Estimate metrics from histograms of scores.

    Parameters
    ----------
    counts : float64 (curves, bins)
        One histogram for two classes; else one for each class and the last of the top score, or that one alone.
    worth : sequence of float, optional
        For two classes: what a true positive, a false positive, a false negative and a true negative are worth.

    Returns
    -------
    dict
        Two classes: accuracy, precision, recall, specificity, f1, roc_auc, log_loss, brier, selection_rate, and with a worth
        business_value, the mean of one answer. Several: accuracy, and roc_auc and brier (macro, one against the rest). What is
        undefined, such as precision without a positive answer, is left out.
    """
    metrics = _binary(calibration, counts[0], worth) if calibration.task is Task.BINARY else _several(calibration, counts)
    return {name: estimate for name, estimate in metrics.items() if np.isfinite(estimate.value)}


def _binary(calibration: Calibration, h: Floats, worth: Sequence[float]) -> dict[str, Estimate]:
    c, total = calibration.curves[0], h.sum()
    if not total or np.isnan(c).any():
        return {}
    middle, positive = middles_of(calibration.edges), calibration.edges[:-1] >= calibration.threshold
    log_odds = np.log(middle) - np.log1p(-middle)
    right = np.where(positive, c, 1 - c)
    selected, relevant, hits = h[positive].sum(), (h * c).sum(), (h * c)[positive].sum()
    variance = h * c * (1 - c)

    def of(value: float, gradient: Floats) -> Estimate:
        """`gradient`: change of the metric if one row of the bin turns from negative to positive."""
        return Estimate(float(value), float(np.sqrt((variance * gradient**2).sum())))

    with np.errstate(invalid="ignore", divide="ignore"):
        recall, f1 = hits / relevant, 2 * hits / (selected + relevant)
        irrelevant, refused = total - relevant, (h * (1 - c))[~positive].sum()
        specificity = refused / irrelevant
        found = {
            "accuracy": of((h * right).sum() / total, np.where(positive, 1, -1) / total),
            "precision": of(hits / selected, positive / selected),
            "recall": of(recall, (positive - recall) / relevant),
            "f1": of(f1, (2 * positive - f1) / (selected + relevant)),
            "roc_auc": _area(c, h),
            "log_loss": of(-(h * (c * np.log(middle) + (1 - c) * np.log1p(-middle))).sum() / total, -log_odds / total),
            "brier": _brier(calibration, c, h),
            "specificity": of(specificity, (specificity - ~positive) / irrelevant),
            "selection_rate": Estimate(float(selected / total), 0.0),
        }
    if worth:
        hit, false_alarm, miss, quiet = worth
        true, false = np.where(positive, hit, miss), np.where(positive, false_alarm, quiet)
        found["business_value"] = of((h * (c * true + (1 - c) * false)).sum() / total, (true - false) / total)
    return found


def _area(c: Floats, h: Floats) -> Estimate:
    """Area under the ROC curve; a row that turns positive wins over the negatives below, and loses to no positive above."""
    p, q = h * c, h * (1 - c)
    positives, negatives = p.sum(), q.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        won, lost = np.cumsum(q) - q / 2, positives - np.cumsum(p) + p / 2
        area = (p * won).sum() / (positives * negatives)
        gradient = (won - lost) / (positives * negatives) - area * (1 / positives - 1 / negatives)
        sd = np.sqrt((p * (1 - c) * gradient**2).sum())
    return Estimate(float(area), float(sd))


def _several(calibration: Calibration, h: Floats) -> dict[str, Estimate]:
    metrics = {}
    top, c = h[-1], calibration.curves[-1]
    if top.sum() and not np.isnan(c).any():
        metrics["accuracy"] = Estimate(float((top * c).sum() / top.sum()), float(np.sqrt((top * c * (1 - c)).sum()) / top.sum()))
    pairs = [(curve, row) for curve, row in zip(calibration.curves[:-1], h[:-1], strict=True) if not np.isnan(curve).any()]
    areas = [_area(curve, row) for curve, row in pairs]
    areas = [area for area in areas if np.isfinite(area.value)]
    if areas:
        sd = float(np.sqrt(sum(area.sd**2 for area in areas))) / len(areas)
        metrics["roc_auc"] = Estimate(float(np.mean([area.value for area in areas])), sd)
    briers = [_brier(calibration, curve, row) for curve, row in pairs if row.sum()]
    if briers:
        sd = float(np.sqrt(sum(brier.sd**2 for brier in briers))) / len(briers)
        metrics["brier"] = Estimate(float(np.mean([brier.value for brier in briers])), sd)
    return metrics


def _brier(calibration: Calibration, c: Floats, h: Floats) -> Estimate:
    """Mean square of the score's distance from the truth, of one class against the rest."""
    middle, total = middles_of(calibration.edges), h.sum()
    sd = np.sqrt((h * c * (1 - c) * (1 - 2 * middle) ** 2).sum()) / total
    return Estimate(float((h * (c * (1 - middle) ** 2 + (1 - c) * middle**2)).sum() / total), float(sd))


def middles_of(edges: Floats) -> Floats:
    """Return the middles of bins."""
    return np.asarray((edges[:-1] + edges[1:]) / 2)
