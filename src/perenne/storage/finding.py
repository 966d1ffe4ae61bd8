"""Finding things by a piece of their name: those that begin with it from an index, then those that hold it elsewhere."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from perenne.storage.transaction import Transaction

SHORTEST_PART = 3
"""Fewer letters are only looked for at the beginning: in the middle they are everywhere."""


class _Begins(FunctionElement[Any]):
    """Whether a column begins with a text, so that an index of the column serves."""

    name = "begins"
    type = sa.types.NullType()  # a truth value would be compared with 1, which no index serves
    inherit_cache = True


@compiles(_Begins, "sqlite")
def _on_sqlite(element: _Begins, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} >= {text} AND {column} < {text} || char(1114111))"


@compiles(_Begins, "postgresql")
def _on_postgres(element: _Begins, compiler: Any, **options: Any) -> str:
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return f"starts_with({column}, CAST({text} AS TEXT))"


def find_names(
    tx: Transaction,
    column: "sa.Column[str]",
    text: str,
    limit: int,
    where: Iterable["sa.ColumnElement[bool]"] = (),
    *,
    inside: bool = True,
) -> list[str]:
    """Return values of a column that begin with a text, then such that hold it elsewhere; each once, in their order.

    Parameters
    ----------
    text : str
        As it is, in capitals or in small letters.
    where : iterable, optional
        What else must be true of a row.
    inside : bool
        Whether to look elsewhere than at the beginning, which no index helps with.
    """
    query = sa.select(column).distinct().order_by(column).limit(limit).where(*where)
    found: dict[str, None] = {}
    for form in dict.fromkeys((text, text.lower(), text.upper())):  # each for itself, or no index would serve
        found |= dict.fromkeys(str(row[0]) for row in tx.execute(query.where(_Begins(column, sa.literal(form, sa.Text)))))
    if inside and len(found) < limit and len(text) >= SHORTEST_PART:
        found |= dict.fromkeys(str(row[0]) for row in tx.execute(query.where(column.icontains(text, autoescape=True))))
    return list(found)[:limit]
