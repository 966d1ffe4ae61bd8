"""Comparisons of texts that mean the same on every database, for `perenne.storage.filtering`.

LIKE looks at the case and ILIKE does not, `%` stands for any characters and `_` for one, and there is no escape. SQLite's own
LIKE is blind to the case of ASCII letters, so GLOB does what LIKE is to do there. RLIKE is `perenne.core.patterns` on SQLite, and
PostgreSQL's own engine, which takes the pattern in a form that both read alike; neither goes back over a text.
"""

import sqlite3
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from perenne.core.patterns import compiled, portable

_GLOB_SIGNS = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]", "%": "*", "_": "?"})
_NUMBER = r"^-?(0|[1-9][0-9]{0,250})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$"


class _Like(FunctionElement[bool]):
    name = "like_text"
    type = sa.Boolean()
    inherit_cache = True


class _Ilike(FunctionElement[bool]):
    name = "ilike_text"
    type = sa.Boolean()
    inherit_cache = True


class _Rlike(FunctionElement[bool]):
    name = "rlike_text"
    type = sa.Boolean()
    inherit_cache = True


class _NumberIn(FunctionElement[float]):
    name = "number_in_text"
    type = sa.Double()
    inherit_cache = True


class _Unindexed(FunctionElement[Any]):
    name = "unindexed"
    inherit_cache = True


def like(column: "sa.ColumnElement[Any]", pattern: str) -> "sa.ColumnElement[bool]":
    """Compare with a pattern of `%` and `_`; the case counts."""
    return _Like(column, sa.literal(pattern, sa.Text), sa.literal(pattern.translate(_GLOB_SIGNS), sa.Text))


def ilike(column: "sa.ColumnElement[Any]", pattern: str) -> "sa.ColumnElement[bool]":
    """Compare with a pattern of `%` and `_`, whatever the case of ASCII letters."""
    return _Ilike(column, sa.literal(pattern, sa.Text))


def rlike(column: "sa.ColumnElement[Any]", pattern: str) -> "sa.ColumnElement[bool]":
    """Find a regular expression in it. Raises Invalid for one that `perenne.core.patterns` does not take."""
    return _Rlike(column, sa.literal(pattern, sa.Text), sa.literal(portable(pattern), sa.Text))


def number_in(column: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
    """Return the number that a text is, written as JSON has it; NULL if it is none."""
    return _NumberIn(column)


def unindexed(column: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
    """Return a column by which SQLite is not to look for rows, since another order of going through them was chosen."""
    wrapped = _Unindexed(column)
    wrapped.type = column.type
    return wrapped


def add_functions(raw: sqlite3.Connection) -> None:
    """Give a connection to SQLite the function that `rlike` calls."""
    raw.create_function("perenne_rlike", 2, _found, deterministic=True)


def _found(text: object, pattern: str) -> bool | None:
    return compiled(pattern)(text) if isinstance(text, str) else None


def _arguments(element: FunctionElement[Any], compiler: Any, places: tuple[int, ...], options: dict[str, Any]) -> list[str]:
    clauses = list(element.clauses)
    return [compiler.process(clauses[place], **options) for place in places]


@compiles(_Like, "sqlite")
def _like_on_sqlite(element: _Like, compiler: Any, **options: Any) -> str:
    column, pattern = _arguments(element, compiler, (0, 2), options)
    return f"({column} GLOB {pattern})"


@compiles(_Like, "postgresql")
def _like_on_postgres(element: _Like, compiler: Any, **options: Any) -> str:
    column, pattern = _arguments(element, compiler, (0, 1), options)
    return f"({column} LIKE {pattern} ESCAPE '')"


@compiles(_Ilike, "sqlite")
def _ilike_on_sqlite(element: _Ilike, compiler: Any, **options: Any) -> str:
    column, pattern = _arguments(element, compiler, (0, 1), options)
    return f"({column} LIKE {pattern})"


@compiles(_Ilike, "postgresql")
def _ilike_on_postgres(element: _Ilike, compiler: Any, **options: Any) -> str:
    column, pattern = _arguments(element, compiler, (0, 1), options)
    return f"({column} ILIKE {pattern} ESCAPE '')"


@compiles(_Rlike, "sqlite")
def _rlike_on_sqlite(element: _Rlike, compiler: Any, **options: Any) -> str:
    column, pattern = _arguments(element, compiler, (0, 1), options)
    return f"perenne_rlike({column}, {pattern})"


@compiles(_Rlike, "postgresql")
def _rlike_on_postgres(element: _Rlike, compiler: Any, **options: Any) -> str:
    column, pattern = _arguments(element, compiler, (0, 2), options)
    return f"({column} ~ {pattern})"


@compiles(_NumberIn, "sqlite")
def _number_on_sqlite(element: _NumberIn, compiler: Any, **options: Any) -> str:
    (text,) = _arguments(element, compiler, (0,), options)
    number = f"CASE WHEN json_type({text}) IN ('integer', 'real') THEN CAST({text} AS REAL) END"
    return f"(CASE WHEN json_valid({text}) THEN {number} END)"


@compiles(_NumberIn, "postgresql")
def _number_on_postgres(element: _NumberIn, compiler: Any, **options: Any) -> str:
    (text,) = _arguments(element, compiler, (0,), options)
    return f"(CASE WHEN {text} ~ '{_NUMBER}' THEN CAST({text} AS DOUBLE PRECISION) END)"


@compiles(_Unindexed, "sqlite")
def _unindexed_on_sqlite(element: _Unindexed, compiler: Any, **options: Any) -> str:
    return "+" + _arguments(element, compiler, (0,), options)[0]


@compiles(_Unindexed, "postgresql")
def _unindexed_on_postgres(element: _Unindexed, compiler: Any, **options: Any) -> str:
    return _arguments(element, compiler, (0,), options)[0]
