"""The one shape in which rows travel between the parts: a mapping of column names to numpy arrays of equal length.

======== ========== ==========================================
kind     dtype      missing
======== ========== ==========================================
number   float64    NaN
category object     None; every other value is a `str`
time     float64    NaN; seconds since 1970 in UTC
tensor   as named   nothing is: an array of (rows, *shape)
======== ========== ==========================================

Booleans are categories with the levels ``"true"`` and ``"false"``.
"""

from collections.abc import Iterator, Mapping
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
    TENSOR = "tensor"


class Field(msgspec.Struct, frozen=True):
    """A column's name and kind.

    `datatype` is the finer type it came with: float64, int64, bool, string or timestamp; of a tensor, that of its values:
    float32, uint8, … or string. `shape` is a tensor's, of one row; -1 varies from request to request.
    """

    name: str
    kind: FieldKind
    datatype: str = "float64"
    shape: tuple[int, ...] = ()


class Task(StrEnum):
    """What a model answers: one of two classes, one of several, a number, or named tensors."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    OUTPUTS = "outputs"


class NumberTable(Mapping[str, Column]):
    """Columns that are all numbers, as one matrix: they are read, joined and passed on in one piece.

    Parameters
    ----------
    fields : tuple of Field
        What the columns are.
    matrix : ndarray
        (n, columns) float64, row by row.

    Examples
    --------
    >>> fields = Field("a", FieldKind.NUMBER), Field("b", FieldKind.NUMBER)
    >>> table = NumberTable(fields, np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> table["b"].tolist(), list(table), row_count(table)
    ([2.0, 4.0], ['a', 'b'], 2)
    """

    __slots__ = ("fields", "matrix")

    def __init__(self, fields: tuple[Field, ...], matrix: NDArray[np.float64]) -> None:
        self.fields = fields
        self.matrix = matrix

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return tuple([field.name for field in self.fields])

    def __getitem__(self, name: str) -> Column:
        try:
            return self.matrix[:, self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.fields)


def row_count(columns: Columns) -> int:
    """Return the number of rows; 0 if there are no columns."""
    return len(next(iter(columns.values()), np.empty(0)))


def take(columns: Columns, rows: NDArray[Any] | slice) -> dict[str, Column]:
    """Return some rows of every column, by index, mask or slice."""
    return {name: column[rows] for name, column in columns.items()}


def dtype_of(field: Field) -> np.dtype[Any]:
    """Return the dtype of a field's column."""
    if field.kind is FieldKind.TENSOR:
        return np.dtype(object if field.datatype == "string" else field.datatype)
    return np.dtype(object if field.kind is FieldKind.CATEGORY else np.float64)


def absent(field: Field, rows: int) -> Column:
    """Return a column in which every value is missing; of a tensor, zeros or empty texts, one where its shape varies.

    >>> absent(Field("pixels", FieldKind.TENSOR, "uint8", (2, -1)), 1).tolist()
    [[[0], [0]]]
    """
    if field.kind is not FieldKind.TENSOR:
        return np.full(rows, None if field.kind is FieldKind.CATEGORY else np.nan, dtype_of(field))
    shape = (rows, *(max(size, 1) if size < 0 else size for size in field.shape))
    return np.full(shape, "" if field.datatype == "string" else 0, dtype_of(field))


def missing(column: Column) -> NDArray[np.bool_]:
    """Tell which values of a column are missing; of a tensor, none is."""
    if column.ndim > 1:
        return np.zeros(len(column), np.bool_)
    if column.dtype == object:
        return np.fromiter((value is None for value in column), np.bool_, len(column))
    return np.asarray(np.isnan(column))
