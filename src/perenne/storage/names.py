"""A list of texts as a table: what is asked about many things is asked in one statement, however many they are."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class _EachText(FunctionElement[str]):
    """A function that makes rows of a JSON list of texts."""

    name = "each_text"
    inherit_cache = True


@compiles(_EachText, "sqlite")
def _on_sqlite(element: _EachText, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_EachText, "postgresql")
def _on_postgres(element: _EachText, compiler: Any, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def table_of(names: Iterable[str]) -> sa.TableValuedAlias:
    """Return the distinct names as a table with one column, `value`."""
    body = msgspec.json.encode(list(dict.fromkeys(names))).decode()
    return _EachText(sa.bindparam(None, body, sa.Text)).table_valued(sa.column("value", sa.Text))


def chosen(names: Iterable[str]) -> sa.Select[tuple[str]]:
    """Return the names as a subquery, for `column.in_(chosen(names))`."""
    return sa.select(table_of(names).c.value)


class _Among(FunctionElement[Any]):
    """Whether a column holds one of the whole numbers of a JSON list."""

    name = "among"
    type = sa.types.NullType()
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: Any, **options: Any) -> str:
    column, listed = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({listed}))"


@compiles(_Among, "postgresql")
def _among_on_postgres(element: _Among, compiler: Any, **options: Any) -> str:
    column, listed = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (CAST(translate({listed}, '[]', '{{}}') AS INT8[]))"


def among(column: "sa.Column[int]", parameter: str) -> Any:
    """Return the condition that a column is among whole numbers, for a prepared statement that gets them as a JSON list.

    PostgreSQL knows how to look up each number of an array in an index; of a subquery it guesses how many there will be.
    """
    return _Among(column, sa.bindparam(parameter, type_=sa.Text))


def chosen_numbers(numbers: Iterable[int]) -> sa.Select[tuple[int]]:
    """Return whole numbers as a subquery, for `column.in_(chosen_numbers(numbers))`."""
    return sa.select(sa.cast(table_of(map(str, numbers)).c.value, sa.BigInteger))


def newest_id(table: sa.Table, group: str, order: str, names: Iterable[str], key: str = "id") -> sa.Select[Any]:
    """Return, as a subquery, the key of the last row in order of each named group: one search of an index for each name.

    Parameters
    ----------
    group, order, key : str
        Columns of the table: what the names name, what grows, and what is returned.
    """
    named, rows = table_of(names), table.alias()
    last = sa.select(rows.c[key]).where(rows.c[group] == named.c.value).order_by(rows.c[order].desc()).limit(1)
    return sa.select(last.scalar_subquery()).select_from(named)
