"""Finding things by a piece of their name: those that begin with it from an index, then those that hold it elsewhere."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from perenne.storage.transaction import Transaction

SHORTEST_PART = 3
"""Fewer letters are only looked for at the beginning: in the middle they are everywhere."""


class _Begins(FunctionElement[bool]):
    """Whether a column begins with a text, so that an index of the column serves."""

    name = "begins"
    type = sa.Boolean()
    inherit_cache = True


@compiles(_Begins, "sqlite")
def _on_sqlite(element: _Begins, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} >= {text} AND {column} < {text} || char(1114111))"


@compiles(_Begins, "postgresql")
def _on_postgres(element: _Begins, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return f"starts_with({column}, CAST({text} AS TEXT))"


def begins(column: "sa.ColumnElement[str]", text: str) -> "sa.ColumnElement[bool]":
    """Return the condition that a column begins with a text, as it is, in capitals or in small letters."""
    forms = dict.fromkeys((text, text.lower(), text.upper()))
    return sa.or_(*(_Begins(column, sa.literal(form, sa.Text)) for form in forms))


def find_names(
    tx: Transaction, column: "sa.Column[str]", text: str, limit: int, where: Iterable["sa.ColumnElement[bool]"] = ()
) -> list[str]:
    """Return values of a column that begin with a text, then such that hold it elsewhere; each once, in their order.

    Parameters
    ----------
    where : iterable, optional
        What else must be true of a row.
    """
    only = tuple(where)
    query = sa.select(column).distinct().order_by(column).limit(limit)
    found = [str(row[0]) for row in tx.execute(query.where(begins(column, text), *only))]
    if len(found) == limit or len(text) < SHORTEST_PART:
        return found
    holds = column.icontains(text, autoescape=True)
    more = [str(row[0]) for row in tx.execute(query.where(holds, *only))]
    return [*found, *(name for name in more if name not in found)][:limit]
