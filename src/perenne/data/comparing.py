"""Two profiles beside each other: what differs in each column, by how much, and both histograms in the same cells.

Only the profiles are read, never the rows. Values that a profile names are counted exactly, the others as if they lay evenly
within the cells of its histogram; a comparison says which of the two it rests on.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.data.drawing import SKETCH, Cells, is_discrete, points_of, rest_of
from perenne.data.model import ColumnProfile, DataProfile, ValueCount
from perenne.stats.distances import js_distance, js_excess, psi

_LEVELS = 20
_PERIODS = 150
_BEYOND = 8
_NUMBERS = ("int64", "float64")
_PERIOD_LETTERS = {"hour": 13, "day": 10, "month": 7, "year": 4}
OTHERS = "(others)"

Floats = NDArray[np.float64]


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """Two columns in the same cells, as shares of all rows of each; `reference` is None if there is one only.

    Either `edges` parts the cells, or `levels` names them. `missing` holds the share of missing values of both; `exact` tells
    whether every value was counted, or some were taken as spread evenly within their cells.
    """

    edges: tuple[float, ...] | None = None
    levels: tuple[str, ...] | None = None
    reference: tuple[float, ...] | None
    current: tuple[float, ...]
    missing: tuple[float | None, float]
    exact: bool = True


class ColumnDifference(msgspec.Struct, frozen=True):
    """How a column differs from the same one elsewhere.

    `change` is `new`, `gone`, `retyped` or empty; `js` the Jensen-Shannon distance, 0 to 0.83, and `psi` the population
    stability index, both None where there is nothing to compare; `words` say what moved.
    """

    name: str
    change: str
    js: float | None
    psi: float | None
    words: str


def by_difference(change: ColumnDifference) -> tuple[int, float]:
    """Order differences: columns that came, went or changed their type, then by distance, then what is not measured."""
    if change.js is None:
        return (0 if change.change else 2, 0.0)
    return (1, -change.js)


def compare(reference: DataProfile, current: DataProfile) -> tuple[ColumnDifference, ...]:
    """Compare two profiles, the columns of the current one first, then those that are gone."""
    before = {column.name: column for column in reference.columns}
    found = [_difference(before.get(column.name), column) for column in current.columns]
    present = {column.name for column in current.columns}
    gone = (column for column in reference.columns if column.name not in present)
    return (*found, *(ColumnDifference(column.name, "gone", None, None, "is not there any more") for column in gone))


def _difference(before: ColumnProfile | None, after: ColumnProfile) -> ColumnDifference:
    if before is None:
        return ColumnDifference(after.name, "new", None, None, "was not there before")
    if before.type != after.type and not {before.type, after.type} <= set(_NUMBERS):
        return ColumnDifference(after.name, "retyped", None, None, f"was {before.type}, is {after.type}")
    change = "retyped" if before.type != after.type else ""
    if before.masked or after.masked:
        return ColumnDifference(after.name, change, None, None, _missing_words(before, after) or "its values are hidden")
    drawn = None if after.times is not None else overlay(before, after)
    if drawn is None or _names_rows(before, after):
        return ColumnDifference(after.name, change, None, None, _missing_words(before, after) or _span_words(before, after))
    rows = (before.count + before.nulls, after.count + after.nulls)
    p, q = ((np.array([*shares, missing]) * n) for shares, missing, n in zip(_sides(drawn), drawn.missing, rows, strict=True))
    figures = float(js_distance(p, q)), float(psi(p, q))
    return ColumnDifference(after.name, change, *figures, _words(before, after, drawn, float(js_excess(p, q))))


def _sides(drawn: Overlay) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return drawn.reference or (), drawn.current


def _names_rows(before: ColumnProfile, after: ColumnProfile) -> bool:
    """Tell whether a column holds a different value in nearly every row: none of them can come again."""
    return "id" in before.flags and "id" in after.flags


def overlay(before: ColumnProfile | None, after: ColumnProfile) -> Overlay | None:
    """Put one or two columns of a kind into the same cells; None if neither has a value, or they cannot share any."""
    sides = [column for column in (before, after) if column is not None]
    if not any(column.count for column in sides):
        return None
    if all(column.type in _NUMBERS for column in sides) and any(column.numbers is not None for column in sides):
        return _numbers(before, after)
    if len({column.type for column in sides}) > 1:
        return None
    if after.type == "timestamp":
        return _times(before, after)
    return _levels(before, after)


def _built(
    before: ColumnProfile | None, after: ColumnProfile, counts: Sequence[Sequence[float] | Floats], **cells: object
) -> Overlay:
    """Turn counts of the columns into shares of all their rows."""
    sides = [column for column in (before, after) if column is not None]
    rows = [max(column.count + column.nulls, 1) for column in sides]
    shares = [tuple((np.asarray(count, np.float64) / n).tolist()) for count, n in zip(counts, rows, strict=True)]
    missing = [column.nulls / n for column, n in zip(sides, rows, strict=True)]
    reference, absent = (shares[0], missing[0]) if before is not None else (None, None)
    return Overlay(reference=reference, current=shares[-1], missing=(absent, missing[-1]), **cells)  # type: ignore[arg-type]


# --- numbers --------------------------------------------------------------------------------------------------------------------


def _numbers(before: ColumnProfile | None, after: ColumnProfile) -> Overlay:
    sides = [column for column in (before, after) if column is not None]
    points = [points_of(column) for column in sides]
    exact = all(column.distinct <= len(column.top) for column in sides)
    values = sorted({value for found in points for value in found})
    if len(values) <= SKETCH and all(is_discrete(column) for column in sides):
        counts = [[found.get(value, 0) for value in values] for found in points]
        return _built(before, after, counts, levels=tuple(f"{value:.6g}" for value in values))
    edges = _shared_edges(sides)
    binned = [_binned(column, found, edges) for column, found in zip(sides, points, strict=True)]
    same = all(column.numbers is None or tuple(column.numbers.edges) == tuple(edges) for column in sides)
    return _built(before, after, binned, edges=tuple(edges.tolist()), exact=exact or same)


def _shared_edges(sides: Iterable[ColumnProfile]) -> Floats:
    """Return the cells of the first column that has any, and beyond its range those of the other."""
    numbers = [column.numbers for column in sides if column.numbers is not None]
    first = np.array(numbers[0].edges)
    beyond = [_thinned(side) for item in numbers[1:] for side in _outside(np.array(item.edges), first[0], first[-1])]
    edges: Floats = np.unique(np.concatenate([first, *beyond]))
    return edges if edges.size > 1 else np.array([first[0], np.nextafter(first[0], np.inf)])


def _outside(edges: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    return edges[edges < low], edges[edges > high][::-1]


def _thinned(edges: Floats) -> Floats:
    """Keep the outermost edge and few enough of the others."""
    return edges[:: max(1, -(-edges.size // _BEYOND))]


def _binned(column: ColumnProfile, points: Mapping[float, int], edges: Floats) -> Floats:
    """Count a column's values in other cells than its own: the named ones exactly, the rest evenly within their cells."""
    found = np.histogram(np.array([*points], np.float64), edges, weights=np.array([*points.values()], np.float64))[0]
    rest: Cells = rest_of(column, points)
    if not rest.counts.sum():
        return np.asarray(found)
    below = np.interp(edges, rest.edges, np.concatenate(([0.0], np.cumsum(rest.counts))))
    return np.asarray(found + np.diff(below))


# --- levels ---------------------------------------------------------------------------------------------------------------------


def _levels(before: ColumnProfile | None, after: ColumnProfile) -> Overlay:
    """Show the levels whose count is known on both sides, the most frequent ones; all others are one cell."""
    sides = [column for column in (before, after) if column is not None]
    tops = [{item.value: item.count for item in column.top} for column in sides]
    complete = [column.distinct <= len(column.top) for column in sides]
    known = {
        level
        for top in tops
        for level in top
        if all(level in other or whole for other, whole in zip(tops, complete, strict=True))
    }
    rows = [max(column.count, 1) for column in sides]
    weight = {level: sum(top.get(level, 0) / n for top, n in zip(tops, rows, strict=True)) for level in known}
    shown = sorted(known, key=lambda level: (-weight[level], level))[:_LEVELS]
    counts = [[top.get(level, 0) for level in shown] for top in tops]
    others = [column.count - sum(count) for column, count in zip(sides, counts, strict=True)]
    if any(others):
        shown, counts = [*shown, OTHERS], [[*count, other] for count, other in zip(counts, others, strict=True)]
    return _built(before, after, counts, levels=tuple(shown))


def _times(before: ColumnProfile | None, after: ColumnProfile) -> Overlay | None:
    """Count times by the coarser of both periods; None if that makes too many cells to look at."""
    sides = [column for column in (before, after) if column is not None]
    known = [column.times for column in sides if column.times is not None]
    letters = min(_PERIOD_LETTERS[times.period] for times in known)
    cut = letters if len({times.period for times in known}) > 1 else None
    found = [_per_period(column.times.counts if column.times else (), cut) for column in sides]
    periods = sorted({period for counts in found for period in counts})
    if len(periods) > _PERIODS:
        return None
    return _built(before, after, [[counts.get(period, 0) for period in periods] for counts in found], levels=tuple(periods))


def _per_period(counts: Iterable[ValueCount], letters: int | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in counts:
        found[item.value[:letters]] = found.get(item.value[:letters], 0) + item.count
    return found


# --- words ----------------------------------------------------------------------------------------------------------------------

_SAME = 0.001
"""The Jensen-Shannon divergence, less what chance alone brings, below which nothing is said to have changed."""
_MISSING_STEP = 0.01


def _words(before: ColumnProfile, after: ColumnProfile, drawn: Overlay, moved: float) -> str:
    told = [_missing_words(before, after)]
    if before.type != after.type:
        told.append(f"was {before.type}, is {after.type}")
    if moved >= _SAME:
        told.append(_level_words(drawn) if drawn.levels is not None else _number_words(before, after))
    return "; ".join(text for text in told if text) or ("about the same" if moved < _SAME else "the shape has changed")


def _missing_words(before: ColumnProfile, after: ColumnProfile) -> str:
    p, q = (column.nulls / max(column.count + column.nulls, 1) for column in (before, after))
    return f"missing {_percent(p)} → {_percent(q)}" if abs(p - q) >= _MISSING_STEP else ""


def _number_words(before: ColumnProfile, after: ColumnProfile) -> str:
    if before.numbers is None or after.numbers is None:
        return ""
    (low, middle, high), (lower, median, upper) = (item.quantiles[2:5] for item in (before.numbers, after.numbers))
    spread = high - low or abs(middle) or 1.0
    if abs(median - middle) >= 0.05 * spread:
        return f"median {middle:.4g} → {median:.4g}"
    if abs((upper - lower) - (high - low)) >= 0.1 * spread:
        return f"middle half {high - low:.4g} → {upper - lower:.4g} wide"
    return ""


def _level_words(drawn: Overlay) -> str:
    p, q = (np.array(side) for side in _sides(drawn))
    moved = int(np.abs(q - p).argmax())
    name = f"'{(drawn.levels or ())[moved][:40]}'"
    if p[moved] == 0:
        return f"new: {name} {_percent(q[moved])}"
    return f"{name} {_percent(p[moved])} → {_percent(q[moved])}"


def _span_words(before: ColumnProfile, after: ColumnProfile) -> str:
    if before.times is None or after.times is None:
        return "names rows, so no value comes again" if after.count else "holds no value"
    return "the same span of time" if before.times.max == after.times.max else "another span of time"


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"
