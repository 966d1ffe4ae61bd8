"""What a window's labelled rows say beyond its metrics: gaps, worst slices, and what changed where inputs are as before. Pure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perenne.monitoring.rightness import Gap, Labelled
from perenne.stats.cells import Reference
from perenne.stats.columns import Task
from perenne.stats.contribution import contributions
from perenne.stats.layout import FIXED, PREDICTION, SCORE
from perenne.stats.metrics import METRICS, evaluate
from perenne.stats.outcomes import Inside, Means, inner, inside, losses, truth_sums
from perenne.stats.performance import Estimate, estimate_counts
from perenne.stats.profile import Profile
from perenne.stats.slices import worst_cells

if TYPE_CHECKING:
    import pyarrow as pa

Z = 1.96
BEYOND_CHANCE = 3.3
BEYOND_SPREAD = 4.0
LEAST = 50
MATERIAL = {"accuracy": 0.02, "roc_auc": 0.02}
MATERIAL_SHARE = 0.05
"""For errors of numbers: of what was estimated."""

MATTERS = 0.1
"""The least contribution of an input that has a part in the answer."""

ALARMING = {Task.BINARY: ("accuracy", "roc_auc"), Task.MULTICLASS: ("accuracy",), Task.REGRESSION: ("mae",), Task.OUTPUTS: ()}

_ANSWER = {Task.BINARY: SCORE, Task.MULTICLASS: SCORE, Task.REGRESSION: PREDICTION, Task.OUTPUTS: ""}

Floats = NDArray[np.float64]


def cells_of(table: "pa.Table", features: int) -> "NDArray[np.uint8] | None":
    """Return the cells of labelled rows, (features, rows); None if some were kept before there were cells."""
    if "cells" not in table.column_names or table["cells"].null_count or not table.num_rows:
        return None
    raw = b"".join(value for value in table["cells"].to_pylist() if value is not None)
    return np.frombuffer(raw, np.uint8).reshape(table.num_rows, -1).T if len(raw) == features * table.num_rows else None


def labelled(
    reference: Reference,
    y: NDArray[Any],
    answers: NDArray[Any],
    scores: Floats | None,
    cells: NDArray[np.uint8] | None,
    window: Profile | None,
) -> Labelled | None:
    """Tell what labelled rows say; None without any.

    Parameters
    ----------
    y, answers : array (rows,)
        Places in the classes, or numbers.
    cells : uint8 (features, rows) or None
    window : Profile or None
        Of all the window's rows.
    """
    layout, outcomes = reference.layout, reference.outcomes
    if not len(y):
        return None
    y, answers = np.asarray(y, np.float64), np.asarray(answers, np.float64)
    loss = losses(layout, y, answers)
    scale = outcomes.scale if outcomes is not None else 1.0
    gaps = tuple(_gaps(reference, y, answers, scores, cells))
    if cells is None:
        return Labelled(float(np.minimum(loss / scale, 1).mean()), gaps)
    tested = [feature.tests[row] for feature, row in zip(layout.features, cells, strict=True)]
    slices = tuple(worst_cells(layout.features, tested, loss))
    return Labelled(float(np.minimum(loss / scale, 1).mean()), gaps, slices, _inside(reference, y, answers, cells, window))


def _gaps(
    reference: Reference, y: Floats, answers: Floats, scores: Floats | None, cells: NDArray[np.uint8] | None
) -> Iterator[Gap]:
    """Hold estimates of the labelled rows themselves against what came true: it matters not which labels come early."""
    layout, rows = reference.layout, len(y)
    known = reference.outcomes.rows if reference.outcomes is not None else 0
    told: dict[str, Estimate] = {}
    if layout.task is Task.REGRESSION and reference.losses is not None and cells is not None:
        told = reference.losses.estimate(cells, layout.answer_scale)
    elif reference.calibration is not None and scores is not None and layout.curves:
        bins = layout.score_bins(scores)
        width = len(layout.score_edges) - 1
        counts = np.array([np.bincount(curve[curve >= 0], minlength=width) for curve in bins], np.float64)
        told = estimate_counts(reference.calibration, counts)
    for name, estimate in told.items():
        if rows >= LEAST and name in METRICS and layout.task in METRICS[name].tasks and estimate.sd > 0:
            realised = evaluate(name, layout.task, y, answers, scores, len(layout.classes))
            if np.isfinite(realised):
                yield _gap(reference, name, estimate, realised, rows, known)


def _gap(reference: Reference, name: str, estimate: Estimate, realised: float, rows: int, known: int) -> Gap:
    """Chance is that of these rows, and that of the reference's by which the estimate was learned."""
    sd = estimate.sd * float(np.sqrt(1 + rows / known)) if known else estimate.sd
    gap = estimate.value - realised
    steadiness = reference.outcomes.steadiness.get(name, 0.0) if reference.outcomes is not None else 0.0
    limit = max(MATERIAL.get(name, MATERIAL_SHARE * estimate.value), BEYOND_SPREAD * steadiness)
    worse = gap if METRICS[name].better == "higher" else -gap
    wide = name in ALARMING[reference.layout.task] and worse > limit and worse > BEYOND_CHANCE * sd
    return Gap(
        metric=name,
        estimated=estimate.value,
        realised=float(realised),
        gap=gap,
        low=gap - Z * sd,
        high=gap + Z * sd,
        rows=rows,
        limit=limit,
        wide=wide,
    )


def _inside(reference: Reference, y: Floats, answers: Floats, cells: NDArray[np.uint8], window: Profile | None) -> Inside | None:
    """Compare outcomes and answers with the reference's inside the cells of every input."""
    layout, outcomes = reference.layout, reference.outcomes
    inputs = [place for place, feature in enumerate(layout.features) if not feature.name.startswith("@")]
    last = [place for place, feature in enumerate(layout.features) if feature.name == _ANSWER[layout.task]]
    if outcomes is None or window is None or not inputs or not last:
        return None
    mask, known = inner(layout), [*inputs, *last]
    counts, truths = truth_sums(layout, cells, y, answers)
    mean = outcomes.truths.sum(axis=1)[inputs[0]] / FIXED / max(1, outcomes.rows)
    variance = 1.0 if layout.task is Task.REGRESSION else float(max(mean * (1 - mean), 1e-6))
    before, after = (
        Means((rows * mask)[known], sums[known], variance)
        for rows, sums in ((outcomes.counts, outcomes.truths), (counts, truths))
    )
    whole = reference.profile
    told = [
        Means((profile.group_counts() * mask)[inputs], profile.sums[inputs][:, :, 0], _variance(whole))
        for profile in (whole, window)
    ]
    matters = contributions(reference, whole)[0][inputs] >= MATTERS
    return inside([layout.features[place].name for place in inputs], (before, after), (told[0], told[1]), matters)


def _variance(profile: Profile) -> float:
    """Variance of the answer, in its unit."""
    total, squares = (profile.sums[0].sum(axis=0) / FIXED).tolist()
    rows = max(1, profile.rows)
    return float(max(squares / rows - (total / rows) ** 2, 1e-6))
