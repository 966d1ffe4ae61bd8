"""How one column is compared with the values of one clause, and what is said when it cannot be: the texts are MLflow's."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.clock import parse_duration, parse_time
from perenne.core.errors import Invalid
from perenne.core.filters import Clause, Literal, Op
from perenne.core.patterns import matches
from perenne.storage.matching import ilike, like, rlike

NUMERIC = ("!=", "<", "<=", "=", ">", ">=", "BETWEEN", "IN", "IS NOT NULL", "IS NULL", "NOT BETWEEN", "NOT IN")
TEXTUAL = (
    "!=", "=", "ILIKE", "IN", "IS NOT NULL", "IS NULL", "LIKE", "NOT ILIKE", "NOT IN", "NOT LIKE", "NOT RLIKE", "RLIKE",
)  # fmt: skip
_LARGEST = 2**63 - 1
_SAID = 200


class Words:
    """What is said of a clause that cannot be; searches of which MLflow says it otherwise have their own."""

    def entity(self, entity: str, families: Sequence[str]) -> str:
        """Say that there is no such entity."""
        return f"Invalid entity type '{entity[:_SAID]}'. Valid values are {list(families)}"

    def attribute(self, name: str, names: Iterable[str]) -> str:
        """Say that there is no such attribute."""
        return f"Invalid attribute key '{name[:_SAID]}' specified. Valid keys are '{braced(names)}'"

    def comparator(self, clause: Clause, allowed: Iterable[str]) -> str:
        """Say that a key has no such operator."""
        return f"Invalid comparator '{clause.comparator}' not one of '{braced(allowed)}'"

    def check(self, clause: Clause, allowed: Sequence[str]) -> None:
        """Refuse a clause whose operator is not allowed."""
        if clause.comparator not in allowed:
            raise refused(self.comparator(clause, allowed), "filter.comparator", clause)


def braced(names: Iterable[str]) -> str:
    """Write names as a set, sorted.

    >>> braced(["b", "a"])
    "{'a', 'b'}"
    """
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"


def refused(message: str, code: str, clause: Clause) -> Invalid:
    """Return the error that a clause is wrong; the hint says where it stands."""
    return Invalid(message, code=code, hint=f"in the clause at column {clause.column}")


def is_number(value: Literal) -> bool:
    """Tell whether a number is written."""
    return isinstance(value.value, int | float)


def check_number(value: Literal, clause: Clause, what: str) -> None:
    """Refuse what is no number."""
    if not is_number(value):
        raise _no_number(value, clause, what)


def _no_number(value: Literal, clause: Clause, what: str) -> Invalid:
    return refused(f"Expected numeric value type for {what} Found {value.said[:_SAID]}", "filter.value", clause)


def text_of(value: Literal, clause: Clause, label: str) -> str:
    """Return the text of a quoted value. Raises Invalid for everything else."""
    if isinstance(value.value, str):
        return value.value
    if value.value is None:
        message = (
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{value.said[:_SAID]}. Use either single or double quotes."
        )
    else:
        example = "" if label.startswith(("attributes", "dataset")) else " (e.g. 'my-value')"
        message = f"Expected a quoted string value for {label}{example}. Got value {value.said[:_SAID]}"
    raise refused(message, "filter.value", clause)


def compare_texts(column: Any, op: Op, values: Sequence[Any]) -> Any:
    """Compare a column with texts: one, or those of a list."""
    if op is Op.IN:
        return column.in_(values)
    if op in (Op.LIKE, Op.ILIKE, Op.RLIKE):
        return {Op.LIKE: like, Op.ILIKE: ilike, Op.RLIKE: rlike}[op](column, values[0])
    return column != values[0] if op is Op.NE else column == values[0]


def holds(value: str, op: Op, values: Sequence[str]) -> bool:
    """Compare one short text, as `compare_texts` does in a database."""
    if op is Op.RLIKE:
        return matches(values[0], value)
    if op in (Op.LIKE, Op.ILIKE):
        pattern = "".join({"%": ".*", "_": "."}.get(sign) or re.escape(sign) for sign in re.sub("%+", "%", values[0]))
        return re.fullmatch(pattern, value, re.DOTALL | (re.IGNORECASE if op is Op.ILIKE else 0)) is not None
    return (value in values) != (op is Op.NE)


def compare_numbers(column: Any, clause: Clause, what: str, *, unit: int = 1, times: bool = False, spans: bool = False) -> Any:
    """Compare a column with numbers; `Number` in `perenne.storage.attributes` tells of the parameters.

    Parameters
    ----------
    what : str
        What is told of a value that is no number: ``Expected numeric value type for`` this.
    """

    def one(op: Op, value: Literal) -> Any:
        if isinstance(value.value, int | float):
            return _compare(column, op, value.value, unit)
        read: Callable[[str], int] | None = parse_time if times else parse_duration if spans else None
        try:
            if read is not None and isinstance(value.value, str):
                return _compare(column, op, max(-_LARGEST, min(read(value.value), _LARGEST)), 1)
        except (Invalid, OverflowError):
            pass
        raise _no_number(value, clause, what)

    if clause.op is Op.IN:
        return sa.or_(*(one(Op.EQ, value) for value in clause.values))
    if clause.op is Op.BETWEEN:
        return sa.and_(one(Op.GE, clause.values[0]), one(Op.LE, clause.values[1]))
    (value,) = clause.values
    return one(clause.op, value)


def _compare(column: Any, op: Op, value: Any, unit: int) -> Any:
    if unit == 1:
        return _compare_plainly(column, op, _bindable(column, value))
    if abs(value) >= _LARGEST // unit - 1:  # beyond whatever the column can hold
        beyond = op not in (Op.EQ, Op.NE) and (op in (Op.LT, Op.LE)) == (value > 0)
        return sa.true() if beyond or op is Op.NE else sa.false()
    low, high = math.floor(value), math.ceil(value)
    if op in (Op.EQ, Op.NE):
        same = sa.and_(column >= low * unit, column < (low + 1) * unit) if low == high else sa.false()
        return sa.not_(same) if op is Op.NE else same
    if op in (Op.GT, Op.LE):
        return column >= (low + 1) * unit if op is Op.GT else column < (low + 1) * unit
    return column >= high * unit if op is Op.GE else column < high * unit


def _bindable(column: Any, value: Any) -> Any:
    """Return the value as the drivers take it: no whole number that has more than 64 bits."""
    if isinstance(column.type, sa.Double) or abs(value) > _LARGEST:
        try:
            return sa.literal(float(value), sa.Double)
        except OverflowError:
            return sa.literal(math.inf if value > 0 else -math.inf, sa.Double)
    return sa.literal(value, sa.Double if isinstance(value, float) else sa.BigInteger)


def _compare_plainly(column: Any, op: Op, value: Any) -> Any:
    if op is Op.EQ:
        return column == value
    if op is Op.NE:
        return column != value
    if op is Op.LT:
        return column < value
    if op is Op.LE:
        return column <= value
    return column > value if op is Op.GT else column >= value
