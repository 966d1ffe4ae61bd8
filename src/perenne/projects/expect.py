"""What a dataset is expected to keep, in words that validation checks: `unique`, `not_null`, `holds`."""

from enum import StrEnum

import msgspec


class ExpectationKind(StrEnum):
    """How an expectation is checked."""

    UNIQUE = "unique"
    NOT_NULL = "not_null"
    HOLDS = "holds"


class Expectation(msgspec.Struct, frozen=True):
    """One expectation: of some columns, or an SQL predicate that every row must fulfil."""

    kind: ExpectationKind
    columns: tuple[str, ...] = ()
    name: str = ""
    predicate: str = ""


def unique(*columns: str) -> Expectation:
    """Expect that no two rows agree in these columns."""
    return Expectation(ExpectationKind.UNIQUE, columns, f"unique({', '.join(columns)})")


def not_null(*columns: str) -> Expectation:
    """Expect that no value of these columns is missing."""
    return Expectation(ExpectationKind.NOT_NULL, columns, f"not_null({', '.join(columns)})")


def holds(name: str, predicate: str) -> Expectation:
    """Expect that a condition in SQL holds in every row, as in ``holds("positive distance", "distance > 0")``."""
    return Expectation(ExpectationKind.HOLDS, (), name, predicate)
