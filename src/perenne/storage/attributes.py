"""Attributes that can be searched: columns of the thing itself, by what they hold."""

from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from perenne.core.filters import Clause, Op
from perenne.storage.comparing import NUMERIC, TEXTUAL, check_number, compare_numbers, compare_texts, holds, refused, text_of

_LONGEST_ID = 18


class Sort:
    """What to sort by.

    Parameters
    ----------
    value : ColumnElement
        NULL if there is none.
    absent : ColumnElement, optional
        0 for those that have a value, 1 for those whose value is no number, 2 for those without: these come last whatever the
        direction. Without it, each has a value.
    join : (FromClause, condition), optional
        What to join to have it.
    """

    def __init__(self, value: Any, absent: Any = None, join: Any = None) -> None:
        self.value, self.absent, self.join = value, absent, join


class Attribute:
    """A column of the thing itself, or an expression over its columns.

    Parameters
    ----------
    column : ColumnElement
        The column.
    indexed : bool
        Whether an index finds those that are equal to a value.
    """

    operators: ClassVar[tuple[str, ...]] = ()

    def __init__(self, column: "sa.ColumnElement[Any]", *, indexed: bool = False) -> None:
        self.column = column
        self.indexed = indexed
        self.nullable = bool(getattr(column, "nullable", True))

    def compare(self, clause: Clause) -> Any:
        """Return the condition, not yet negated, of a clause that is not IS NULL."""
        raise NotImplementedError

    def check(self, clause: Clause) -> None:
        """Refuse values that it cannot have: that is said before anything about the operator."""

    def is_null(self) -> "sa.ColumnElement[bool]":
        """Return the condition that there is none."""
        return self.column.is_(None) if self.nullable else sa.false()

    def condition(self, clause: Clause) -> "sa.ColumnElement[bool]":
        """Return the whole condition."""
        if clause.op is Op.NULL:
            return sa.not_(self.is_null()) if clause.negated else self.is_null()
        compared = self.compare(clause)
        if clause.negated:
            compared = sa.not_(compared)
        return sa.and_(self.column.is_not(None), compared) if self.nullable else compared

    def sort(self) -> Sort:
        """Return what sorts by it."""
        return Sort(self.column, sa.case((self.column.is_(None), 2), else_=0) if self.nullable else None)


class Text(Attribute):
    """A column of texts; an empty one counts as absent for IS NULL."""

    operators = TEXTUAL

    def compare(self, clause: Clause) -> Any:
        """Compare with quoted values."""
        return compare_texts(self.column, clause.op, [text_of(value, clause, "attributes") for value in clause.values])

    def check(self, clause: Clause) -> None:
        """Refuse what is not quoted."""
        for value in clause.values:
            text_of(value, clause, "attributes")

    def is_null(self) -> "sa.ColumnElement[bool]":
        """Say so of an empty text too."""
        return sa.func.coalesce(self.column, "") == ""


class Number(Attribute):
    """A column of numbers.

    Parameters
    ----------
    unit : int
        How many of the column's are one of those that clients speak of, who do not see parts of them: 1000 for a column in
        microseconds of which clients speak in milliseconds.
    times, spans : bool
        Whether a quoted time (``'2026-01-31'``) or span (``'90s'``) is understood too; the column is in microseconds.
    """

    operators = NUMERIC

    def __init__(self, column: Any, *, unit: int = 1, times: bool = False, spans: bool = False, indexed: bool = False) -> None:
        super().__init__(column, indexed=indexed)
        self.unit, self.times, self.spans = unit, times, spans

    def check(self, clause: Clause) -> None:
        """Refuse what is no number."""
        for value in clause.values:
            check_number(value, clause, f"numeric attribute: {clause.name}.")

    def compare(self, clause: Clause) -> Any:
        """Compare with numbers."""
        what = f"numeric attribute: {clause.name}."
        return compare_numbers(self.column, clause, what, unit=self.unit, times=self.times, spans=self.spans)


class Identifier(Attribute):
    """A column of whole numbers of which clients speak as texts, such as ids; they are equal or not.

    Parameters
    ----------
    wrong : str
        What is said of a text that is no number, with ``{}`` for it.
    """

    operators = ("!=", "=", "IN", "NOT IN")

    def __init__(self, column: Any, wrong: str) -> None:
        super().__init__(column, indexed=True)
        self.wrong = wrong

    def compare(self, clause: Clause) -> Any:
        """Compare with the numbers that the quoted values are."""
        numbers = [self._number(text_of(value, clause, "attributes"), clause) for value in clause.values]
        return compare_texts(self.column, clause.op, numbers)

    def _number(self, text: str, clause: Clause) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID):
            raise refused(self.wrong.format(text[:100]), "filter.value", clause)
        return int(text)


class Choice(Attribute):
    """A column with few values that clients call otherwise; they may be written in capitals or not.

    Parameters
    ----------
    names : dict
        What stands in the column, by the name clients give it.
    """

    operators = TEXTUAL

    def __init__(self, column: Any, names: Mapping[str, Any], *, indexed: bool = False) -> None:
        super().__init__(column, indexed=indexed)
        self.names = names

    def compare(self, clause: Clause) -> Any:
        """Find the names that fit, and ask for what stands in the column."""
        exact = clause.op in (Op.EQ, Op.NE, Op.IN)
        values = [text_of(value, clause, "attributes") for value in clause.values]
        values = [value.upper() for value in values] if exact else values
        fitting = [stored for name, stored in self.names.items() if holds(name.upper() if exact else name, clause.op, values)]
        return self.column.in_(fitting)

    def sort(self) -> Sort:
        """Sort by what stands in the column, as the text it is."""
        plain = super().sort()
        return Sort(sa.type_coerce(plain.value, sa.Text), plain.absent) if _is_text(self.column) else plain


def _is_text(column: Any) -> bool:
    kind = column.type
    return isinstance(getattr(kind, "impl", kind), sa.Text)
