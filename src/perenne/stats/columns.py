"""The one shape in which rows travel between the parts: a mapping of column names to numpy arrays of equal length.

======== ========== ==========================================
kind     dtype      missing
======== ========== ==========================================
number   float64    NaN
category object     None; every other value is a `str`
time     float64    NaN; seconds since 1970 in UTC
======== ========== ==========================================

Booleans are categories with the levels ``"true"`` and ``"false"``.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = NDArray[Any]
Columns: TypeAlias = Mapping[str, Column]


class FieldKind(StrEnum):
    """How a column is read; see the table above."""

    NUMBER = "number"
    CATEGORY = "category"
    TIME = "time"


class Field(msgspec.Struct, frozen=True):
    """A column's name and kind. `datatype` is the finer type it came with: float64, int64, bool, string or timestamp."""

    name: str
    kind: FieldKind
    datatype: str = "float64"


class Task(StrEnum):
    """What a model answers: one of two classes, one of several, or a number."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


def row_count(columns: Columns) -> int:
    """Return the number of rows; 0 if there are no columns."""
    return len(next(iter(columns.values()), np.empty(0)))


def take(columns: Columns, rows: NDArray[Any] | slice) -> dict[str, Column]:
    """Return some rows of every column, by index, mask or slice."""
    return {name: column[rows] for name, column in columns.items()}


def missing(column: Column) -> NDArray[np.bool_]:
    """Tell which values of a column are missing."""
    if column.dtype == object:
        return np.fromiter((value is None for value in column), np.bool_, len(column))
    return np.asarray(np.isnan(column))
