"""Metrics that compare groups, as figures to hold bounds against."""

from collections.abc import Sequence

from perenne.monitoring.model import Figure
from perenne.stats.fairness import GroupCounts, disparity_interval, measures

_MEASURES = frozenset(measures())
_LABEL_FREE = ("selection_rate_", "demographic_parity_")


def is_disparity(metric: str) -> bool:
    """Tell whether a metric compares groups."""
    return metric in _MEASURES


def needs_labels(metric: str) -> bool:
    """Tell whether a disparity can only be known with labels: all but the selection rate's."""
    return not metric.startswith(_LABEL_FREE)


def disparity_figure(metric: str, counts: Sequence[GroupCounts], *, source: str) -> Figure | None:
    """Return a disparity with limits that hold for all groups at once, and the group that is worst off; None if undefined."""
    found = disparity_interval(metric, counts)
    if found is None:
        return None
    rows = sum(group.count for group in counts)
    return Figure(value=found.value, low=found.low, high=found.high, source=source, rows=rows, group=found.group or "missing")
