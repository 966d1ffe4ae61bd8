"""What labels say about a window: every metric that matters, overall and by group, with the interval that chance allows."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from perenne.monitoring.disparity import disparity_figure, is_disparity, needs_labels
from perenne.monitoring.model import Figure, Watch, WindowKey, WindowMetric, finite
from perenne.monitoring.performance.measured import Z
from perenne.monitoring.performance.rows import LabelledRows
from perenne.stats.bootstrap import interval
from perenne.stats.columns import Column, Task
from perenne.stats.fairness import MINIMUM_ROWS, count_groups
from perenne.stats.layout import Layout
from perenne.stats.metrics import METRICS

if TYPE_CHECKING:
    import pyarrow as pa

HEADLINE: dict[Task, tuple[str, ...]] = {
    Task.BINARY: ("roc_auc", "accuracy", "log_loss"),
    Task.MULTICLASS: ("accuracy", "f1", "log_loss"),
    Task.REGRESSION: ("mae", "rmse", "r2"),
    Task.OUTPUTS: (),
}
LEVEL = 0.95
DRAWS, GROUP_DRAWS = 200, 400


def measure(watch: Watch, key: WindowKey, layout: Layout, table: "pa.Table") -> list[WindowMetric]:
    """Compute the metrics of a window from its labelled rows: the headline ones of the task, and all that bounds ask for.

    Parameters
    ----------
    layout : Layout
        Of the version's reference; tells the task and the classes.
    table : Table
        The labelled rows, as `perenne.monitoring.joining` keeps them.
    """
    rows = LabelledRows.of(table, layout)
    names = dict.fromkeys(HEADLINE[layout.task]) | {bound.metric: None for bound in watch.bounds if bound.by is None}
    figures = [(name, "", _figure(name, layout, rows)) for name in names if _defined(name, layout)]
    worth = watch.plan.performance.worth
    if worth and layout.task is Task.BINARY and len(rows.y):
        figures.append(("business_value", "", _value(worth, rows)))
    for name, by in dict.fromkeys((bound.metric, bound.by or "") for bound in watch.bounds if bound.by in rows.groups):
        figures += [(name, by, figure) for figure in _by_group(name, layout, rows, rows.groups[by])]
    return [
        WindowMetric(
            deployment=key.stream.deployment,
            variant=key.stream.variant,
            version=key.stream.version,
            window_start=key.start,
            window_length=key.length,
            metric=name,
            by=by,
            group=figure.group,
            n_labelled=figure.rows,
            rows_labelled=len(rows.y),
            watermark=rows.watermark,
            value=figure.value,
            low=figure.low,
            high=figure.high,
        )
        for name, by, figure in figures
    ]


def _value(worth: Sequence[float], rows: LabelledRows) -> Figure:
    """Return what one answer was worth on average, with the interval of a mean."""
    hit, false_alarm, miss, quiet = worth
    table = np.array([[quiet, miss], [false_alarm, hit]], np.float64)
    values = table[rows.predictions.astype(np.int64), rows.y.astype(np.int64)]
    mean, error = float(values.mean()), float(values.std() / np.sqrt(len(values)))
    return Figure(value=mean, low=mean - Z * error, high=mean + Z * error, source="realised", rows=len(values))


def _defined(name: str, layout: Layout) -> bool:
    return name in METRICS and layout.task in METRICS[name].tasks


def _by_group(name: str, layout: Layout, rows: LabelledRows, groups: Column) -> Iterator[Figure]:
    """Yield a metric of each group that is large enough, or the one figure of a metric that compares the groups."""
    if is_disparity(name):
        if layout.task is Task.BINARY and needs_labels(name):
            figure = disparity_figure(name, count_groups(groups, rows.predictions, None, rows.y), source="realised")
            if figure is not None:
                yield figure
        return
    if not _defined(name, layout):
        return
    levels, counts = np.unique(groups[[level is not None for level in groups]].astype(str), return_counts=True)
    large = levels[counts >= MINIMUM_ROWS].tolist()
    for level in large:
        # The limits must hold for all groups at once, or the worst of many would look too bad.
        yield _figure(name, layout, rows, groups == level, level, share=len(large))


def _figure(
    name: str,
    layout: Layout,
    rows: LabelledRows,
    chosen: NDArray[np.bool_] | slice = slice(None),
    group: str = "",
    share: int = 1,
) -> Figure:
    scores = None if rows.scores is None else rows.scores[chosen]
    found = interval(
        name,
        layout.task,
        rows.y[chosen],
        rows.predictions[chosen],
        scores,
        layout.classes,
        draws=DRAWS if not group else GROUP_DRAWS,
        level=1 - (1 - LEVEL) / share,
    )
    return Figure(
        value=finite(found.value),
        low=finite(found.low),
        high=finite(found.high),
        source="realised",
        rows=len(rows.y[chosen]),
        group=group,
    )
