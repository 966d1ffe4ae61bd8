"""Sorting by keys of the filter language, and going on after a row: numbers that are none, then what is absent, come last."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.errors import Invalid
from perenne.core.filters import MOST_ORDERINGS, Ordering, parse_ordering
from perenne.core.hashing import key_of
from perenne.core.tokens import Value
from perenne.storage.attributes import Sort
from perenne.storage.families import Keys
from perenne.storage.filtering import KeyTable


class Column:
    """One expression to sort by."""

    def __init__(self, value: Any, ascending: bool) -> None:
        self.value, self.ascending = value, ascending

    @property
    def order(self) -> Any:
        """The term of ORDER BY."""
        return self.value.asc() if self.ascending else self.value.desc()

    def beyond(self, value: Value) -> Any:
        """Return the condition that a row comes after the value."""
        return self.value > value if self.ascending else self.value < value

    def fits(self, value: Value) -> bool:
        """Tell whether a value may be one of this column."""
        kind: Any = self.value.type
        if isinstance(getattr(kind, "impl", kind), sa.Text):
            return value is None or isinstance(value, str)
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class Orders:
    """What a search is sorted by.

    Attributes
    ----------
    sorts : list of (Sort, bool)
        The keys asked for that something has, and whether they ascend.
    columns : list of Column
        All expressions, those that decide between equals included.
    joins : list of (FromClause, condition)
        What to join from outside.
    """

    def __init__(self, table: KeyTable, orders: Sequence[Ordering], keys: Keys) -> None:
        found = [(table.sort(order, keys), order.ascending) for order in orders]
        self.sorts: list[tuple[Sort, bool]] = [(sort, ascending) for sort, ascending in found if sort is not None]
        self.joins = [sort.join for sort, _ in self.sorts if sort.join is not None]
        self.columns = columns_of(self.sorts, table.ties if orders else table.default)
        self._said = tuple(order.said for order in orders)

    def digest(self, *bound: object) -> str:
        """Return what stands for the order, and whatever else a token is bound to."""
        return key_of("order", self._said, *bound)[:16]


def columns_of(sorts: Sequence[tuple[Sort, bool]], ties: Sequence[tuple[Any, bool]]) -> list[Column]:
    """Return the expressions of keys, then those that decide between equals and are not among them."""
    columns: list[Column] = []
    for sort, ascending in sorts:
        if sort.absent is not None:
            columns.append(Column(sort.absent, True))
        columns.append(Column(sort.value, ascending))
    used = [column.value for column in columns]
    return columns + [Column(value, ascending) for value, ascending in ties if not any(value is other for other in used)]


def read_orders(clauses: Sequence[str]) -> list[Ordering]:
    """Read what to sort by.

    Raises
    ------
    Invalid
        If one cannot be read or comes twice: `filter.order`.
    """
    if len(clauses) > MOST_ORDERINGS:
        raise Invalid(f"order_by has {len(clauses)} keys", code="filter.limit", hint=f"at most {MOST_ORDERINGS}")
    return [parse_ordering(clause) for clause in clauses]


def check_orders(table: KeyTable, orders: Sequence[Ordering]) -> None:
    """Refuse a key that nothing is sorted by, or that comes twice."""
    seen = set()
    for order in orders:
        table.sort(order, {})
        entity = table.entity(order)
        key: object = table.attributes.get(order.name) if entity == "attribute" else (entity, order.name)
        if key in seen and key is not None:
            said = [order.said for order in orders]
            raise Invalid(f"`order_by` contains duplicate fields: {said}"[:500], code="filter.order", hint="each key once")
        seen.add(key)


def after(columns: Sequence[Column], values: Sequence[Value]) -> "sa.ColumnElement[bool]":
    """Return the condition that a row comes after the one with these values.

    Raises
    ------
    Invalid
        If the values are not those of such a row: the token was forged.
    """
    if len(values) != len(columns) or not all(column.fits(value) for column, value in zip(columns, values, strict=True)):
        raise Invalid(f"Invalid page token, parsed value={list(values)}"[:300], code="page.token", hint="begin anew")
    ways: list[Any] = []
    same: list[Any] = []
    for column, value in zip(columns, values, strict=True):
        if value is None:
            continue  # none of those that come later has a value either: the column before says so
        ways.append(sa.and_(*same, column.beyond(value)))
        same.append(column.value == value)
    if not ways:
        raise Invalid("Invalid page token, parsed value=[]", code="page.token", hint="begin anew")
    first, value = columns[0], values[0]
    near = [] if value is None else [first.value >= value if first.ascending else first.value <= value]
    return sa.and_(*near, sa.or_(*ways))
