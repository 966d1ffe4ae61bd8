"""Runs at an offset of a list that is filtered and ordered, and groups of them: people drag a scrollbar to the middle."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from perenne.core.errors import Invalid
from perenne.core.filters import Ordering, Tree, parse_filter
from perenne.core.paging import Page
from perenne.storage.bounds import bounded
from perenne.storage.database import Transaction
from perenne.storage.ordering import check_orders, read_orders
from perenne.tracking import experiments, keys
from perenne.tracking.model import RunState
from perenne.tracking.searchable import RUNS
from perenne.tracking.tables import run, run_latest, run_param, run_tag
from perenne.tracking.walking import Scope, count_runs, find_runs

MOST_WORDS = 8
MOST_RUNS = 10_000_000
_ASKS = re.compile(r"[=<>!'\"`]|\b(?:LIKE|ILIKE|RLIKE|IN|BETWEEN|IS)\b", re.IGNORECASE)
_ATTRIBUTES = {"status": run.c.state, "user_id": run.c.started_by, "experiment": run.c.experiment}
_FUNCTIONS = {"mean": "avg", "least": "min", "most": "max"}
_NAMED = {"params": run_param, "tags": run_tag}


class Found(NamedTuple):
    """Numbers of runs in order, and how many fit in all."""

    keys: tuple[int, ...]
    total: int


class Figure(msgspec.Struct, frozen=True):
    """What the values of a metric come to: mean, least, most."""

    mean: float
    least: float
    most: float


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that have something in common.

    Attributes
    ----------
    value : str or None
        What it is, as a filter is asked for it; None of those without it. `label` is how people call it.
    runs, newest : int
        How many, and when the newest began.
    figures : dict
        By metric, such as ``metrics.auc``.
    """

    value: str | None
    label: str
    runs: int
    newest: int
    figures: dict[str, Figure]


class GroupWindow(msgspec.Struct, frozen=True):
    """Some groups, the largest first, and how many there are."""

    rows: tuple[Group, ...]
    total: int
    columns: tuple[str, ...]


def read(text: str) -> tuple[Tree | None, list[Any]]:
    """Read a filter, or words: each of them stands in name, id, user, project or outcome.

    Raises
    ------
    Invalid
        If the filter is wrong, with the place.
    """
    if text.strip() and not _ASKS.search(text):
        return None, [_holds(word) for word in text.lower().split()[:MOST_WORDS]]
    return parse_filter(text), []


def _holds(word: str) -> Any:
    columns = (run.c.name, run.c.id, run.c.started_by, run.c.project, run.c.outcome)
    return sa.or_(*(sa.func.lower(column).contains(word, autoescape=True) for column in columns))


def window(tx: Transaction, scope: Scope, text: str, order: Sequence[str], page: Page) -> Found:
    """Find the runs of a window. Raises Invalid if filter or order are wrong, or it takes too long."""
    tree, words = read(text)
    orders = read_orders(order)
    check_orders(RUNS, orders)
    total = count_runs(tx, scope, tree, most=MOST_RUNS, extra=words)
    if page.offset >= total:
        return Found((), total)
    found = find_runs(tx, scope, tree, _as_people_sort(orders), limit=page.limit, offset=page.offset, extra=words)
    return Found(found.keys, total)


def _as_people_sort(orders: Sequence[Ordering]) -> list[Ordering]:
    """Return orders in which parameters that are numbers come first, as numbers, and then those that are none, as texts."""
    sorted_by = []
    for order in orders:
        if order.entity and RUNS.entity(order) == "parameter":
            sorted_by.append(msgspec.structs.replace(order, entity="number"))
        sorted_by.append(order)
    return sorted_by


def groups(tx: Transaction, scope: Scope, text: str, by: str, columns: Sequence[str], page: Page) -> GroupWindow:
    """Put runs together by an attribute, a parameter or a tag, with what some metrics come to.

    Raises
    ------
    Invalid
        If the filter is wrong, or runs cannot be put together by that.
    """
    tree, words = read(text)
    conditions = [*scope.conditions(), *words, *RUNS.conjuncts(tree, RUNS.keys(tx, tree))]
    source, value = _parted(tx, by)
    many, every = sa.func.count(), sa.func.count().over()
    query = sa.select(value.label("value"), many.label("many"), sa.func.max(run.c.started).label("newest"), every.label("every"))
    query = query.select_from(source).where(*conditions).group_by(value).order_by(many.desc(), value)
    with bounded(tx):
        rows = list(tx.execute(query.offset(page.offset).limit(page.limit)))
        figures = _figures(tx, source, value, conditions, columns, [row.value for row in rows])
    labels = _labels(tx, by, [row.value for row in rows])
    told = tuple(
        Group(
            value=_said(row.value), label=labels.get(row.value, str(row.value)), runs=row.many, newest=row.newest,
            figures=figures.get(row.value, {}),
        )
        for row in rows
    )  # fmt: skip
    return GroupWindow(told, rows[0].every if rows else 0, tuple(columns))


def _parted(tx: Transaction, by: str) -> tuple[Any, Any]:
    """Return what to go through, and the value that groups have in common."""
    kind, _, name = by.partition(".")
    if kind == "attributes" and name in _ATTRIBUTES:
        return run, _ATTRIBUTES[name]
    if kind not in _NAMED:
        known = ", ".join(f"attributes.{key}" for key in _ATTRIBUTES)
        raise Invalid(f"runs cannot be grouped by {by[:100]!r}", code="request.query", hint=f"{known}, params.… or tags.…")
    table = _NAMED[kind]
    key = keys.known_keys(tx, [name]).get(name, -1)
    return run.outerjoin(table, sa.and_(table.c.run == run.c.number, table.c.key == key)), table.c.value


def _figures(
    tx: Transaction, source: Any, value: Any, conditions: Sequence[Any], columns: Sequence[str], values: Sequence[Any]
) -> dict[Any, dict[str, Figure]]:
    wanted = [column.partition(".")[2] for column in columns if column.startswith("metrics.")]
    ids = {number: name for name, number in keys.known_keys(tx, wanted).items()} if wanted else {}
    if not ids or not values:
        return {}
    metric = run_latest.c
    known = [one for one in values if one is not None]
    among = sa.or_(value.in_(known), value.is_(None)) if len(known) < len(values) else value.in_(known)
    measured = sa.and_(metric.run == run.c.number, metric.key.in_(sorted(ids)), sa.not_(metric.nan))
    sums = [getattr(sa.func, name)(metric.value).label(as_) for as_, name in _FUNCTIONS.items()]
    query = sa.select(value.label("value"), metric.key.label("key"), *sums).select_from(source.join(run_latest, measured))
    found: dict[Any, dict[str, Figure]] = {}
    for row in tx.execute(query.where(*conditions, among).group_by(value, metric.key)):
        found.setdefault(row.value, {})[f"metrics.{ids[row.key]}"] = Figure(row.mean, row.least, row.most)
    return found


def _said(value: Any) -> str | None:
    """Return a value as a filter is asked for it."""
    return value.name if isinstance(value, RunState) else None if value is None else str(value)


def _labels(tx: Transaction, by: str, values: Sequence[Any]) -> Mapping[Any, str]:
    if by == "attributes.experiment":
        return {item.id: item.name for item in experiments.some(tx, [value for value in values if value is not None])}
    return {value: value.value for value in values if isinstance(value, RunState)}
