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


def numbers_in(parameter: str) -> sa.Select[tuple[int]]:
    """Return the whole numbers of a JSON list as a subquery, for a prepared statement that gets the list as a parameter."""
    listed = _EachText(sa.bindparam(parameter, type_=sa.Text)).table_valued(sa.column("value", sa.Text))
    return sa.select(sa.cast(listed.c.value, sa.BigInteger))


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
