"""One page of a search: filter, order and place in one statement, keys only."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.filters import parse_filter
from perenne.core.tokens import make_token, read_token
from perenne.storage.bounds import bounded
from perenne.storage.filtering import KeyTable
from perenne.storage.ordering import Column, Orders, after, check_orders, read_orders
from perenne.storage.transaction import Transaction


class Found(msgspec.Struct, frozen=True):
    """The keys of the things on a page, in order, and the token of the next; an empty one after the last."""

    keys: tuple[Any, ...]
    token: str = ""


def search(
    tx: Transaction,
    table: KeyTable,
    text: str = "",
    order: Sequence[str] = (),
    *,
    where: Sequence["sa.ColumnElement[bool]"] = (),
    limit: int,
    token: str = "",
    bound: Sequence[object] = (),
) -> Found:
    """Find what fits a filter.

    Parameters
    ----------
    text, order : str, sequence of str
        The filter, and the keys to sort by, as they are written.
    where : sequence of conditions
        What else must be true: what somebody may see, what is not deleted.
    limit : int
        How many at most.
    token : str
        That of the page before; empty for the first.
    bound : sequence
        What a token is bound to beside the order: it is refused if this differs.

    Raises
    ------
    Invalid
        If filter, order or token is wrong, or the search takes too long.
    """
    tree, orders = parse_filter(text), read_orders(order)
    check_orders(table, orders)
    keys = table.keys(tx, tree, orders)
    sorting = Orders(table, orders, keys)
    fitting = [*where, *table.conjuncts(tree, keys)]
    return read_page(tx, table, fitting, sorting.columns, sorting.joins, limit=limit, token=token, query=sorting.digest(*bound))


def read_page(
    tx: Transaction,
    table: KeyTable,
    where: Sequence["sa.ColumnElement[bool]"],
    columns: Sequence[Column],
    joins: Sequence[tuple[Any, Any]],
    *,
    limit: int,
    token: str,
    query: str,
) -> Found:
    """Read the page of a token, of what is sorted by some columns; see `search`."""
    place = read_token(token, query)
    source = table.root.table
    for joined, condition in joins:
        source = source.outerjoin(joined, condition)
    shown = [column.value.label(f"s{number}") for number, column in enumerate(columns)]
    rows = sa.select(table.root, *shown).select_from(source).where(*where)
    if place.after is not None:
        rows = rows.where(after(columns, place.after))
    rows = rows.order_by(*(column.order for column in columns)).limit(limit + 1)
    with bounded(tx):
        found = tx.execute(rows.offset(place.offset) if place.offset else rows).all()
    return page(found, limit, query)


def page(rows: Sequence[Any], limit: int, query: str) -> Found:
    """Return the first rows, of key and sort values each, as a page; there is a next one if there are more."""
    keys = tuple(row[0] for row in rows[:limit])
    return Found(keys, make_token(tuple(rows[limit - 1][1:]), query) if len(rows) > limit else "")
