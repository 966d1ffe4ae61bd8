"""How much groups differ, with limits that hold for all groups at once.

Small groups always look unfair: the least of many noisy rates is too low, and resampling the counts repeats the mistake. So each
group's rate gets Wilson's interval at a level shared out over the groups (Bonferroni), and the limits of a disparity are the
extremes those intervals allow. Simulated, fourteen groups that are treated alike, 1,000 rows a window, one row in ten selected,
ratio at least 0.5: the percentile bootstrap of the counts finds a breach in 72 % of windows, these limits in none of 200.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from perenne.monitoring.model import Figure
from perenne.monitoring.operational import wilson
from perenne.stats.fairness import MINIMUM_ROWS, RATES, GroupCounts

CONFIDENCE = 0.95

_ALIASES = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}
_LABEL_FREE = ("selection_rate",)


class _Rate(NamedTuple):
    """The rate of one group and its limits."""

    group: str
    value: float
    low: float
    high: float


class _Limits(NamedTuple):
    """A disparity, its limits, and the group that is worst off."""

    value: float
    low: float
    high: float
    group: str


def is_disparity(metric: str) -> bool:
    """Tell whether a metric compares groups."""
    return _parts(metric) is not None


def needs_labels(metric: str) -> bool:
    """Tell whether a disparity can only be known with labels."""
    rates, _ = _parts(metric) or ((), "")
    return any(rate not in _LABEL_FREE for rate in rates)


def disparity_figure(metric: str, counts: Sequence[GroupCounts], *, source: str) -> Figure | None:
    """Return a disparity of groups with its limits, and the group that is worst off; None where it is undefined.

    Parameters
    ----------
    metric : str
        A name of `perenne.stats.fairness.disparity`.
    counts : sequence of GroupCounts
        Groups with fewer than 30 rows, or a rate on fewer, are left out.

    >>> counts = [GroupCounts("a", count=1000, selected=400), GroupCounts("b", count=1000, selected=100)]
    >>> figure = disparity_figure("selection_rate_ratio", counts, source="measured")
    >>> figure.value, figure.group, figure.high < 0.5
    (0.25, 'b', True)
    """
    rates, kind = _parts(metric) or ((), "")
    found = [limits for rate in rates if (limits := _limits(rate, kind, counts, len(rates))) is not None]
    if not rates or len(found) < len(rates):
        return None
    worst = min(found) if kind in ("ratio", "group_min") else max(found)
    join = min if kind in ("ratio", "group_min") else max
    return Figure(
        value=worst.value,
        low=join(limits.low for limits in found),
        high=join(limits.high for limits in found),
        source=source,
        rows=sum(group.count for group in counts),
        group=worst.group,
    )


def _parts(metric: str) -> tuple[tuple[str, ...], str] | None:
    """Return the rates a disparity is about and the way they are compared."""
    for kind in _KINDS:
        name = metric.removesuffix(f"_{kind}")
        rates = _ALIASES.get(name, (name,) if name in RATES else ())
        if name != metric and rates:
            return rates, kind
    return None


def _limits(rate: str, kind: str, counts: Sequence[GroupCounts], shared: int) -> _Limits | None:
    names = ("count", "selected", "tp", "fp", "fn", "tn")
    hits, rows = RATES[rate]({name: np.array([getattr(group, name) for group in counts], np.float64) for name in names})
    large = [
        (group, hit, row)
        for group, hit, row in zip(counts, hits.tolist(), rows.tolist(), strict=True)
        if min(group.count, row) >= MINIMUM_ROWS
    ]
    if len(large) < (1 if kind.startswith("group") else 2):
        return None
    z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * len(large) * shared))
    return _KINDS[kind]([_Rate(group.group or "", hit / row, *wilson(hit, row, z)) for group, hit, row in large])


def _extremes(rates: Sequence[_Rate]) -> tuple[_Rate, _Rate]:
    """Return the least and the greatest rate; the limits are those of the least and the greatest of all."""
    least, most = min(rates, key=lambda rate: rate.value), max(rates, key=lambda rate: rate.value)
    return (
        least._replace(low=min(rate.low for rate in rates), high=min(rate.high for rate in rates)),
        most._replace(low=max(rate.low for rate in rates), high=max(rate.high for rate in rates)),
    )


def _ratio(rates: Sequence[_Rate]) -> _Limits | None:
    least, most = _extremes(rates)
    if most.value == 0:
        return None
    return _Limits(
        least.value / most.value, least.low / most.high, min(1.0, least.high / most.low) if most.low else 1.0, least.group
    )


def _difference(rates: Sequence[_Rate]) -> _Limits:
    least, most = _extremes(rates)
    return _Limits(most.value - least.value, max(0.0, most.low - least.high), most.high - least.low, least.group)


def _group_min(rates: Sequence[_Rate]) -> _Limits:
    least, _ = _extremes(rates)
    return _Limits(least.value, least.low, least.high, least.group)


def _group_max(rates: Sequence[_Rate]) -> _Limits:
    _, most = _extremes(rates)
    return _Limits(most.value, most.low, most.high, most.group)


_KINDS: dict[str, Callable[[Sequence[_Rate]], _Limits | None]] = {
    "difference": _difference,
    "ratio": _ratio,
    "group_min": _group_min,
    "group_max": _group_max,
}
