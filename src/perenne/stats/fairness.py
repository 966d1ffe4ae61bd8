"""Fairness by group, from counts alone, under the names of fairlearn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats.bootstrap import Interval
from perenne.stats.columns import Column
from perenne.stats.levels import level_text

Floats: TypeAlias = NDArray[np.float64]

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


def disparity(name: str, counts: Sequence[GroupCounts], *, minimum_rows: int = MINIMUM_ROWS) -> float | None:
    """Return how much the groups differ in one measure.

    Parameters
    ----------
    name : str
        A rate with `_difference`, `_ratio`, `_group_min` or `_group_max` (`selection_rate_ratio`, `accuracy_score_group_min`), or
        one of fairlearn's `demographic_parity_*`, `equal_opportunity_*`, `equalized_odds_*`.
    counts : sequence of GroupCounts
    minimum_rows : int
        Groups whose rate rests on fewer rows are left out.

    Returns
    -------
    float or None
        None if fewer than two groups (for a minimum or maximum: none) are left, or the ratio is 0/0.

    Raises
    ------
    Invalid
        If there is no such measure.
    """
    value = float(_measure(name)(_columns(counts), minimum_rows)[0])
    return None if np.isnan(value) else value


def disparity_interval(
    name: str,
    counts: Sequence[GroupCounts],
    *,
    minimum_rows: int = MINIMUM_ROWS,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Return a disparity with its bootstrap limits, drawn from the counts; alarms go by the limit, not by the value."""
    value = disparity(name, counts, minimum_rows=minimum_rows)
    if value is None:
        return None
    chosen = [group for group in counts if group.count >= minimum_rows]
    drawn = _measure(name)(_drawn(chosen, draws, np.random.default_rng(seed)), 1)
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) if len(drawn) else (value, value)
    return Interval(value, float(low), float(high))


_Table: TypeAlias = Mapping[str, Floats]  # count, selected, tp, fp, fn, tn: each (draws, groups)
_Measure: TypeAlias = Callable[[_Table, int], Floats]  # to (draws,)

RATES: dict[str, Callable[[_Table], tuple[Floats, Floats]]] = {
    "selection_rate": lambda table: (table["selected"], table["count"]),
    "true_positive_rate": lambda table: (table["tp"], table["tp"] + table["fn"]),
    "false_positive_rate": lambda table: (table["fp"], table["fp"] + table["tn"]),
    "false_negative_rate": lambda table: (table["fn"], table["tp"] + table["fn"]),
    "true_negative_rate": lambda table: (table["tn"], table["fp"] + table["tn"]),
    "accuracy_score": lambda table: (table["tp"] + table["tn"], table["tp"] + table["fp"] + table["fn"] + table["tn"]),
}
"""Each rate as the rows that count and the rows they are a share of."""

_ALIASES = {"demographic_parity": "selection_rate", "equal_opportunity": "true_positive_rate"}
_COLUMNS = ("count", "selected", "tp", "fp", "fn", "tn")


def measures() -> list[str]:
    """Return the names `disparity` knows."""
    plain = [f"{rate}_{kind}" for rate in (*RATES, *_ALIASES) for kind in _KINDS]
    return [*plain, "equalized_odds_difference", "equalized_odds_ratio"]


def _measure(name: str) -> _Measure:
    if name == "equalized_odds_difference":
        return _both("difference", np.maximum)
    if name == "equalized_odds_ratio":
        return _both("ratio", np.minimum)
    for kind in _KINDS:
        rate = name.removesuffix(f"_{kind}")
        rate = _ALIASES.get(rate, rate)
        if rate != name and rate in RATES:
            return _spread(rate, kind)
    raise Invalid(f"there is no fairness measure '{name}'", code="fairness.unknown", hint=f"one of: {', '.join(measures())}")


def _both(kind: str, join: Callable[[Floats, Floats], Floats]) -> _Measure:
    first, second = _spread("true_positive_rate", kind), _spread("false_positive_rate", kind)
    return lambda table, minimum: join(first(table, minimum), second(table, minimum))


def _spread(rate: str, kind: str) -> _Measure:
    needed, join = _KINDS[kind]

    def measure(table: _Table, minimum: int) -> Floats:
        part, whole = RATES[rate](table)
        used = (whole >= max(1, minimum)) & (table["count"] >= minimum)
        values = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=used)
        low = np.where(used, values, np.inf).min(axis=1, initial=np.inf)
        high = np.where(used, values, -np.inf).max(axis=1, initial=-np.inf)
        return np.where(used.sum(axis=1) >= needed, join(low, high), np.nan)

    return measure


def _ratio(low: Floats, high: Floats) -> Floats:
    return np.asarray(np.divide(low, high, out=np.full(low.shape, np.nan), where=high > 0))


def _difference(low: Floats, high: Floats) -> Floats:
    return np.asarray(high - low)


_KINDS: dict[str, tuple[int, Callable[[Floats, Floats], Floats]]] = {
    "difference": (2, _difference),
    "ratio": (2, _ratio),
    "group_min": (1, lambda low, high: low),
    "group_max": (1, lambda low, high: high),
}


def _columns(counts: Sequence[GroupCounts]) -> dict[str, Floats]:
    return {name: np.array([[getattr(group, name) for group in counts]], np.float64) for name in _COLUMNS}


def _drawn(counts: Sequence[GroupCounts], draws: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw each group's rows anew. Labelled and selected rows are drawn apart: the counts do not say which rows are both."""
    table: dict[str, list[NDArray[np.int64]]] = {name: [] for name in _COLUMNS}
    for group in counts:
        table["count"].append(np.full(draws, group.count))
        table["selected"].append(rng.binomial(group.count, group.selected / group.count, draws))
        labels = np.array([group.tp, group.fp, group.fn, group.tn])
        cells = (
            rng.multinomial(group.labelled, labels / max(1, group.labelled), draws)
            if group.labelled
            else np.zeros((draws, 4), int)
        )
        for name, column in zip(("tp", "fp", "fn", "tn"), cells.T, strict=True):
            table[name].append(column)
    return {name: np.array(columns, np.float64).reshape(len(counts), draws).T for name, columns in table.items()}
