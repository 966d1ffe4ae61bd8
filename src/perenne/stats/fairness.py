"""Fairness by group, from counts alone, under the names of fairlearn."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats.columns import Column
from perenne.stats.levels import level_text

Floats: TypeAlias = NDArray[np.float64]
Limits: TypeAlias = Callable[[int, int, float], tuple[float, float]]

MINIMUM_ROWS = 30
"""Groups with fewer rows, or a rate over fewer rows, are listed but left out of comparisons: small groups always look unfair."""


class GroupCounts(msgspec.Struct, frozen=True):
    """What is known of one group; counts of several windows add up.

    Attributes
    ----------
    group : str or None
        The level of the sensitive feature; None if missing.
    count, selected : int
        Rows, and rows with a positive prediction.
    score : float
        Sum of the positive scores, or of the predictions.
    tp, fp, fn, tn : int
        Of the labelled rows.
    """

    group: str | None
    count: int = 0
    selected: int = 0
    score: float = 0.0
    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @property
    def labelled(self) -> int:
        """Rows whose label is known."""
        return self.tp + self.fp + self.fn + self.tn

    def __add__(self, other: "GroupCounts") -> "GroupCounts":
        """Add the counts of the same group."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__ if name != "group"}
        return GroupCounts(self.group, **sums)


class GroupRates(msgspec.Struct, frozen=True):
    """The rates of one group; None where there is nothing to divide by."""

    group: str | None
    count: int
    labelled: int
    selection_rate: float | None
    mean_prediction: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None
    false_negative_rate: float | None
    true_negative_rate: float | None
    accuracy_score: float | None


def count_groups(
    groups: Column,
    predictions: NDArray[np.integer],
    scores: NDArray[np.floating] | None = None,
    y: NDArray[np.integer] | None = None,
) -> list[GroupCounts]:
    """Count the rows of each group, by the group's name.

    Parameters
    ----------
    groups : array (rows,)
        The sensitive feature.
    predictions : int array (rows,)
        1 for the positive class.
    scores : float array (rows, classes) or None
    y : int array (rows,) or None
        1 for the positive class, -1 where unknown.
    """
    names = [level_text(value) for value in groups.tolist()]
    known: list[str | None] = [*sorted({name for name in names if name is not None}), *([None] if None in names else [])]
    place = {name: place for place, name in enumerate(known)}
    member = np.fromiter((place[name] for name in names), np.int64, len(names))
    positive = predictions == 1
    score = positive.astype(np.float64) if scores is None else np.asarray(scores, np.float64).reshape(len(names), -1)[:, -1]
    truth = np.full(len(names), -1) if y is None else np.asarray(y)

    def count(mask: NDArray[np.bool_]) -> list[int]:
        counted: list[int] = np.bincount(member[mask], minlength=len(known)).tolist()
        return counted

    table = zip(
        known,
        count(np.ones(len(names), np.bool_)),
        count(positive),
        np.bincount(member, weights=score, minlength=len(known)).tolist(),
        *(
            count((truth == actual) & (positive == answered))
            for actual, answered in ((1, True), (0, True), (1, False), (0, False))
        ),
        strict=True,
    )
    return [GroupCounts(*row) for row in table]


def rates(counts: Sequence[GroupCounts]) -> list[GroupRates]:
    """Return the rates of each group."""
    return [
        GroupRates(
            group=group.group,
            count=group.count,
            labelled=group.labelled,
            mean_prediction=group.score / group.count if group.count else None,
            **{name: _one(name, group) for name in RATES},
        )
        for group in counts
    ]


def _one(name: str, group: GroupCounts) -> float | None:
    part, whole = (value.item() for value in RATES[name](_columns([group])))
    return part / whole if whole else None


class Disparity(msgspec.Struct, frozen=True):
    """How much groups differ, the limits within which that lies for all groups at once, and the group that is worst off."""

    value: float
    low: float
    high: float
    group: str | None


def disparity(name: str, counts: Sequence[GroupCounts], *, minimum_rows: int = MINIMUM_ROWS) -> float | None:
    """Return how much the groups differ in one measure; see `disparity_interval`."""
    found = disparity_interval(name, counts, minimum_rows=minimum_rows)
    return None if found is None else found.value


def disparity_interval(
    name: str,
    counts: Sequence[GroupCounts],
    *,
    minimum_rows: int = MINIMUM_ROWS,
    level: float = 0.95,
    limits: Limits | None = None,
) -> Disparity | None:
    """Return how much the groups differ in one measure, with limits; alarms go by a limit, not by the value.

    The least of many noisy rates is too low, and a bootstrap of the counts repeats the mistake. So each rate gets Wilson's
    interval at a level shared out over the groups (Bonferroni), and the limits are the extremes which those intervals allow.

    Parameters
    ----------
    name : str
        A rate with `_difference`, `_ratio`, `_group_min` or `_group_max` (`selection_rate_ratio`, `accuracy_score_group_min`), or
        one of fairlearn's `demographic_parity_*`, `equal_opportunity_*`, `equalized_odds_*`.
    counts : sequence of GroupCounts
    minimum_rows : int
        Groups with fewer rows, or whose rate rests on fewer, are left out.
    level : float
        Confidence, two-sided.
    limits : callable, optional
        The interval of one rate, given hits, rows and the chance that it leaves the truth out; Wilson's if not given. With
        `stats.sequential.rate_interval` the limits hold for all looks at growing counts together.

    Returns
    -------
    Disparity or None
        None if fewer than two groups (for a minimum or maximum: none) are left, or the ratio is 0/0.

    Raises
    ------
    Invalid
        If there is no such measure.

    >>> counts = [GroupCounts("a", count=1000, selected=400), GroupCounts("b", count=1000, selected=100)]
    >>> found = disparity_interval("selection_rate_ratio", counts)
    >>> found.value, found.group, found.high < 0.5
    (0.25, 'b', True)
    """
    names, kind = _parts(name)
    needed, join, worse = _KINDS[kind]
    found = []
    for rate in names:
        spans = _spans(rate, counts, minimum_rows, (1 - level) / len(names), limits or _wilson)
        if len(spans) < needed or (kind == "ratio" and not max(span.value for span in spans)):
            return None
        found.append(join(spans))
    worst = worse(found, key=lambda span: span.value)
    return Disparity(worst.value, worse(span.low for span in found), worse(span.high for span in found), worst.group)


_Table: TypeAlias = Mapping[str, Floats]  # count, selected, tp, fp, fn, tn: each (groups,)

RATES: dict[str, Callable[[_Table], tuple[Floats, Floats]]] = {
    "selection_rate": lambda table: (table["selected"], table["count"]),
    "true_positive_rate": lambda table: (table["tp"], table["tp"] + table["fn"]),
    "false_positive_rate": lambda table: (table["fp"], table["fp"] + table["tn"]),
    "false_negative_rate": lambda table: (table["fn"], table["tp"] + table["fn"]),
    "true_negative_rate": lambda table: (table["tn"], table["fp"] + table["tn"]),
    "accuracy_score": lambda table: (table["tp"] + table["tn"], table["tp"] + table["fp"] + table["fn"] + table["tn"]),
}
"""Each rate as the rows that count and the rows they are a share of."""

_FAIRLEARN = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}
_COLUMNS = ("count", "selected", "tp", "fp", "fn", "tn")


def measures() -> list[str]:
    """Return the names `disparity` knows."""
    plain = [f"{rate}_{kind}" for rate in RATES for kind in _KINDS]
    return [*plain, *(f"{name}_{kind}" for name in _FAIRLEARN for kind in ("difference", "ratio"))]


def wilson(hits: float, rows: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share, `z` standard deviations wide to either side.

    >>> [round(limit, 3) for limit in wilson(0, 100, 1.96)]
    [0.0, 0.037]
    """
    share, weight = hits / rows, z * z / rows
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / rows + weight / (4 * rows)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def _parts(name: str) -> tuple[tuple[str, ...], str]:
    """Return the rates a measure is about and the way they are compared."""
    if name not in measures():
        raise Invalid(f"there is no fairness measure '{name}'", code="fairness.unknown", hint=f"one of: {', '.join(measures())}")
    kind = next(kind for kind in _KINDS if name.endswith(f"_{kind}"))
    rate = name.removesuffix(f"_{kind}")
    return _FAIRLEARN.get(rate, (rate,)), kind


def rate_spans(
    rate: str, counts: Sequence[GroupCounts], *, minimum_rows: int = MINIMUM_ROWS, level: float = 0.95
) -> list[Disparity]:
    """Return the rate of each group that is large enough, with limits that hold for all of them at once.

    >>> [span.group for span in rate_spans("selection_rate", [GroupCounts("a", count=90, selected=9), GroupCounts("b", count=9)])]
    ['a']
    """
    return _spans(rate, counts, minimum_rows, 1 - level, _wilson)


def _wilson(hits: float, rows: float, alpha: float) -> tuple[float, float]:
    return wilson(hits, rows, NormalDist().inv_cdf(1 - alpha / 2))


def _spans(rate: str, counts: Sequence[GroupCounts], minimum_rows: int, alpha: float, limits: Limits) -> list[Disparity]:
    """Return the rate of each group that is large enough, with its limits."""
    hits, rows = RATES[rate](_columns(counts))
    large = [
        (group.group, hit, row)
        for group, hit, row in zip(counts, hits.tolist(), rows.tolist(), strict=True)
        if min(group.count, row) >= max(1, minimum_rows)
    ]
    return [Disparity(hit / row, *limits(int(hit), int(row), alpha / len(large)), group) for group, hit, row in large]


def _least(spans: Sequence[Disparity]) -> Disparity:
    worst = min(spans, key=lambda span: span.value)
    return Disparity(worst.value, min(span.low for span in spans), min(span.high for span in spans), worst.group)


def _most(spans: Sequence[Disparity]) -> Disparity:
    worst = max(spans, key=lambda span: span.value)
    return Disparity(worst.value, max(span.low for span in spans), max(span.high for span in spans), worst.group)


def _ratio(spans: Sequence[Disparity]) -> Disparity:
    least, most = _least(spans), _most(spans)
    high = min(1.0, least.high / most.low) if most.low else 1.0
    return Disparity(least.value / most.value, least.low / most.high, high, least.group)


def _difference(spans: Sequence[Disparity]) -> Disparity:
    least, most = _least(spans), _most(spans)
    return Disparity(most.value - least.value, max(0.0, most.low - least.high), most.high - least.low, least.group)


# How many groups it takes, how their rates are compared, and which of two such figures is the worse.
_KINDS: dict[str, tuple[int, Callable[[Sequence[Disparity]], Disparity], Callable[..., Any]]] = {
    "difference": (2, _difference, max),
    "ratio": (2, _ratio, min),
    "group_min": (1, _least, min),
    "group_max": (1, _most, max),
}


def _columns(counts: Sequence[GroupCounts]) -> dict[str, Floats]:
    return {name: np.array([getattr(group, name) for group in counts], np.float64) for name in _COLUMNS}
