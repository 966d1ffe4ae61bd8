"""Keys of any name, which stand in rows of other tables: tags, parameters and metrics of a thing, and what else belongs to it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from perenne.core.errors import Invalid
from perenne.core.filters import Clause, Op
from perenne.storage.attributes import Attribute, Sort
from perenne.storage.comparing import (
    NUMERIC,
    TEXTUAL,
    Words,
    braced,
    check_number,
    compare_numbers,
    compare_texts,
    is_number,
    refused,
    text_of,
)
from perenne.storage.matching import number_in

Keys: TypeAlias = Mapping[str, int]
"""The numbers of names, where names are kept as numbers."""

_ONE: Any = sa.literal_column("1")


class Family:
    """Keys that one entity of the language has.

    Attributes
    ----------
    together : bool
        Whether clauses that AND joins speak of the same row.
    label : str
        What its keys are called in messages; the key table says it.
    root : ColumnElement
        The key of the thing that is searched; the key table says it.
    """

    together = False
    label = ""
    root: Any = None

    def looked_up(self, name: str) -> str | None:
        """Return the name whose number is needed, if any is."""
        return None

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Return the condition that the clauses hold: one, or several if `together`."""
        raise NotImplementedError

    def source(self, clause: Clause, keys: Keys, words: Words) -> "sa.Select[Any] | sa.CompoundSelect[Any] | None":
        """Return a query for the keys of all things that fit, found by an index; None if there is no such index."""
        return None

    def sort(self, name: str, keys: Keys, said: str) -> Sort | None:
        """Return what sorts by a key; None if nothing has it."""
        raise Invalid(f"Invalid order_by entity type '{self.label}'", code="filter.order", hint=f"in {said[:200]}")


class Attached(Family):
    """Rows of a key and a value that belong to a thing; one of them must fit.

    Parameters
    ----------
    owner, key, value : Column
        Whose it is, what it is called, and what it is. An integer `key` is a number of the dictionary of names.
    numeric : bool
        Whether the value is a number; a text otherwise.
    number : Column, optional
        Of texts: the number that the text is. Without it, the text is read.
    comparable : bool
        Of texts: whether they may be compared with numbers.
    nan : Column, optional
        Of numbers: whether it is none (NaN), which equals nothing.
    where : sequence of conditions
        What else must be true of a row.
    short : int, optional
        An index of (key, value, owner) holds values up to this length, and one of (key, owner) the longer ones; 0 if it holds
        all. None if there is no such index.
    newest : sequence of orderings
        Which row sorts the thing, if there are several of one key: the first. Without it there is but one.
    """

    def __init__(
        self, owner: Any, key: Any, value: Any, *, numeric: bool = False, number: Any = None, comparable: bool = False,
        nan: Any = None, where: Sequence[Any] = (), short: int | None = None, newest: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        self.owner, self.key, self.value, self.numeric, self.nan = owner, key, value, numeric, nan
        self.number = number_in(value) if number is None and comparable else number
        self.where, self.short, self.newest = tuple(where), short, tuple(newest)
        self.dictionary = isinstance(key.type, sa.Integer)
        self.kept = [value.is_not(None)] if value.nullable else []

    def looked_up(self, name: str) -> str | None:
        """Return the name, if the table has numbers for names."""
        return name if self.dictionary else None

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Return that there is a row of the thing that fits, or for IS NULL none of this key."""
        (clause,) = clauses
        compared = [] if clause.op is Op.NULL else [self._compare(clause, words)]
        named = self.named(clause.name, keys)
        absent = clause.op is Op.NULL and not clause.negated
        if named is None:
            return sa.true() if absent else sa.false()
        row = sa.select(_ONE).where(self.owner == self.root, named, *self.kept, *self.where, *compared).exists()
        return sa.not_(row) if absent else row

    def source(self, clause: Clause, keys: Keys, words: Words) -> "sa.Select[Any] | sa.CompoundSelect[Any] | None":
        """Return a query for the things that fit."""
        named = self.named(clause.name, keys)
        if named is None and clause.op is not Op.NULL:
            return sa.select(self.owner).where(sa.false())
        if self.short is None or named is None or clause.op in (Op.NULL, Op.NE) or clause.negated:
            return None
        found = sa.select(self.owner).where(named, *self.kept, *self.where, self._compare(clause, words))
        if self.numeric or not self.short or all(is_number(value) for value in clause.values):
            return found
        length, limit = sa.func.length(self.value), literal(self.short)
        few = found.where(length <= limit)
        if clause.op is Op.EQ and len(str(clause.values[0].value)) <= self.short:
            return few
        return few.union_all(found.where(length > limit))

    def sort(self, name: str, keys: Keys, said: str) -> Sort | None:
        """Return what sorts by a key: its row, or the newest of its rows."""
        named = self.named(name, keys)
        if named is None:
            return None
        if self.newest:
            row = sa.select(self.value).where(self.owner == self.root, named, *self.where).order_by(*self.newest).limit(1)
            nan = None if self.nan is None else row.with_only_columns(self.nan).scalar_subquery()
            return Sort(*present(row.scalar_subquery(), nan))
        rows = self.owner.table.alias()
        there = sa.and_(rows.c[self.owner.name] == self.root, rows.c[self.key.name] == named.right)
        return Sort(*present(rows.c[self.value.name], None if self.nan is None else rows.c[self.nan.name]), (rows, there))

    def named(self, name: str, keys: Keys) -> Any:
        """Return the condition that a row is of this key; None if nothing has such a key."""
        if not self.dictionary:
            return self.key == name
        return self.key == keys[name] if name in keys else None

    def _compare(self, clause: Clause, words: Words) -> Any:
        if not self.numeric:
            return self._compare_text(clause, words)
        for value in clause.values:
            check_number(value, clause, f"{self.label}.")
        words.check(clause, NUMERIC)
        compared = _negated(compare_numbers(self.value, clause, f"{self.label}."), clause)
        if self.nan is None:
            return compared
        unequal = clause.op is Op.NE or clause.negated
        return sa.or_(self.nan == sa.true(), compared) if unequal else sa.and_(self.nan == sa.false(), compared)

    def _compare_text(self, clause: Clause, words: Words) -> Any:
        numbers = tuple(value for value in clause.values if is_number(value))
        if not numbers or self.number is None or clause.comparator not in NUMERIC:
            texts = [text_of(value, clause, self.label) for value in clause.values]
            words.check(clause, TEXTUAL)
            return _negated(compare_texts(self.value, clause.op, texts), clause)
        if clause.op is not Op.IN or len(numbers) == len(clause.values):
            compared = compare_numbers(self.number, clause, f"{self.label}.")
            return sa.and_(self.number.is_not(None), _negated(compared, clause))
        texts = [text_of(value, clause, self.label) for value in clause.values if not is_number(value)]
        among = compare_numbers(self.number, msgspec.structs.replace(clause, values=numbers), f"{self.label}.")
        either = sa.or_(sa.and_(self.number.is_not(None), among), compare_texts(self.value, Op.IN, texts))
        return _negated(either, clause)


def _negated(condition: Any, clause: Clause) -> Any:
    return sa.not_(condition) if clause.negated else condition


class Related(Family):
    """Rows of another table that belong to a thing and have attributes of their own; one of them must fit.

    Parameters
    ----------
    rows : FromClause
        The table, or a join of tables.
    belongs : condition
        That a row belongs to the thing.
    attributes : dict of Attribute
        What is asked of a row.
    together : bool
        Whether all clauses that AND joins must hold for the same row.
    dynamic : callable, optional
        Returns the attribute of a name that is not in `attributes`, or None.
    """

    def __init__(
        self, rows: Any, belongs: Any, attributes: Mapping[str, Attribute], *, together: bool = False, dynamic: Any = None
    ) -> None:
        self.rows, self.belongs, self.attributes, self.together, self._dynamic = rows, belongs, attributes, together, dynamic

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Return that for a row of the thing the clauses hold; IS NULL alone says that no row has the attribute."""
        row = sa.select(_ONE).select_from(self.rows).where(self.belongs)
        if len(clauses) == 1 and clauses[0].op is Op.NULL:
            has = msgspec.structs.replace(clauses[0], negated=True)
            found = row.where(self._one(has, words)).exists()
            return found if clauses[0].negated else sa.not_(found)
        return row.where(*(self._one(clause, words) for clause in clauses)).exists()

    def _one(self, clause: Clause, words: Words) -> "sa.ColumnElement[bool]":
        found = self.attributes.get(clause.name)
        if found is None and self._dynamic is not None:
            found = self._dynamic(clause.name)
        if found is None:
            valid = f"Valid keys are '{braced(self.attributes)}'"
            raise refused(f"Invalid {self.label} key '{clause.name[:200]}' specified. {valid}", "filter.key", clause)
        if clause.comparator not in found.operators:
            found.check(clause)
            words.check(clause, found.operators)
        return found.condition(clause)


def literal(number: int) -> Any:
    """Return a number as part of the statement: an index over some rows is used only if its condition is there word for word."""
    return sa.literal_column(str(number))


def present(value: Any, nan: Any) -> tuple[Any, Any]:
    """Return a value that is NULL where it is no number, and whether it is there: 0, no number 1, or not at all 2."""
    if nan is None:
        return value, sa.case((value.is_(None), 2), else_=0)
    absent = sa.case((value.is_(None), 2), (nan == sa.true(), 1), else_=0)
    return sa.case((nan == sa.false(), value)), absent
