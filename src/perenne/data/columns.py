"""The columns of a profile, a window of them at a time: a line with a picture for each, and one of them in full."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from perenne.core.errors import Invalid, NotFound
from perenne.data.comparing import ColumnDifference, Overlay, by_difference, overlay
from perenne.data.drawing import sketch
from perenne.data.model import Anomaly, ColumnProfile, DataProfile
from perenne.data.validation.inferring import infer_schema
from perenne.data.validation.rules import ColumnRules

COLUMNS = 200


class ColumnsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a profile, in which order, and which one in full; an empty order is the most telling one."""

    column: str | None = None
    find: str = ""
    order: str = ""
    offset: int = 0
    limit: int = COLUMNS


class ColumnLine(msgspec.Struct, frozen=True, kw_only=True):
    """A column: never a figure alone, always with its picture.

    Attributes
    ----------
    place : int
        Where it stands in the table, from 1; 0 if it is in the other snapshot only.
    sketch : tuple of int
        Heights of a small picture.
    low, middle, high : float, optional
        The least, the median and the greatest number; of times the first and the last.
    most : str
        The most frequent value of one that holds no numbers, with `most_rows`.
    told : float, optional
        How much it tells of the target, 0 to 1.
    findings : int
        How many rules it breaks.
    difference : ColumnDifference, optional
        From the snapshot it is compared with.
    masked : bool
        Whether its values are hidden from whoever asked.
    """

    place: int
    name: str
    type: str
    count: int
    nulls: int
    distinct: int
    flags: tuple[str, ...]
    sketch: tuple[int, ...]
    low: float | None
    middle: float | None
    high: float | None
    most: str
    most_rows: int
    told: float | None
    findings: int
    difference: ColumnDifference | None
    masked: bool = False


class ColumnDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A column in full: its profile, its histogram beside that of the other snapshot, its rules, what it breaks."""

    name: str
    profile: ColumnProfile
    overlay: Overlay | None
    reference: ColumnProfile | None
    rules: ColumnRules
    findings: tuple[Anomaly, ...]


def columns_of(
    profile: DataProfile,
    reference: DataProfile | None,
    changed: Sequence[ColumnDifference],
    findings: Sequence[Anomaly],
    wanted: ColumnsWanted,
) -> tuple[tuple[ColumnLine, ...], int]:
    """Return a window of a profile's columns, and how many match; compared ones start with what differs most.

    A window beyond the last column is the first one: whoever narrows a search may have been further on.
    """
    order = wanted.order or ("difference" if changed else "place")
    if order not in _ORDERS or (order == "difference" and not changed):
        raise Invalid(
            f"order: {wanted.order[:50]!r} is none of {', '.join(_ORDERS)}", code="data.order", hint="choose one of those"
        )
    broken = Counter(finding.column for finding in findings)
    by_name = {item.name: item for item in changed}
    mine = {column.name for column in profile.columns}
    gone = [column for column in reference.columns if column.name not in mine] if reference else []
    placed = [*enumerate(profile.columns, 1), *((0, column) for column in gone)]
    matching = [item for item in placed if wanted.find.casefold() in item[1].name.casefold()]
    matching.sort(key=lambda item: _ORDERS[order](item[0], item[1], by_name.get(item[1].name)))
    start = wanted.offset if wanted.offset < len(matching) else 0
    shown = matching[start : start + wanted.limit]
    lines = tuple(_line(place, column, by_name.get(column.name), broken[column.name]) for place, column in shown)
    return lines, len(matching)


def _by_difference(place: int, column: ColumnProfile, change: ColumnDifference | None) -> tuple[Any, ...]:
    return (3, 0.0, place) if change is None else (*by_difference(change), place)


_ORDERS: dict[str, Callable[[int, ColumnProfile, ColumnDifference | None], tuple[Any, ...]]] = {
    "place": lambda place, column, change: (place == 0, place),
    "name": lambda place, column, change: (column.name.casefold(), place),
    "missing": lambda place, column, change: (-column.nulls, place),
    "distinct": lambda place, column, change: (-column.distinct, place),
    "target": lambda place, column, change: (-(column.target.value if column.target else -1), place),
    "difference": _by_difference,
}


def _line(place: int, column: ColumnProfile, change: ColumnDifference | None, findings: int) -> ColumnLine:
    numbers, times = column.numbers, column.times
    most = column.top[0] if column.top and numbers is None and times is None else None
    low = numbers.min if numbers else times.min if times else None
    high = numbers.max if numbers else times.max if times else None
    return ColumnLine(
        place=place,
        name=column.name,
        type=column.type,
        count=column.count,
        nulls=column.nulls,
        distinct=column.distinct,
        flags=column.flags,
        sketch=sketch(column),
        low=low,
        middle=numbers.quantiles[3] if numbers else None,
        high=high,
        most=most.value if most else "",
        most_rows=most.count if most else 0,
        told=column.target.value if column.target else None,
        findings=findings,
        difference=change,
        masked=column.masked,
    )


def column_detail(profile: DataProfile, reference: DataProfile | None, findings: Sequence[Anomaly], name: str) -> ColumnDetail:
    """Return everything about one column. Raises NotFound."""
    mine, other = (_find(side, name) if side else None for side in (profile, reference))
    shown = mine or other
    if shown is None:
        raise NotFound(
            f"there is no column {name[:100]!r}",
            code="data.column_not_found",
            hint="`perenne data show SNAPSHOT` lists its columns",
        )
    owner = profile if mine else reference
    assert owner is not None
    rules = infer_schema(msgspec.structs.replace(owner, columns=(shown,))).columns[name]
    return ColumnDetail(
        name=name,
        profile=shown,
        overlay=None if shown.masked else overlay(other if mine else None, shown),
        reference=other if mine else None,
        rules=rules,
        findings=tuple(finding for finding in findings if finding.column == name),
    )


def _find(profile: DataProfile, name: str) -> ColumnProfile | None:
    return next((column for column in profile.columns if column.name == name), None)
