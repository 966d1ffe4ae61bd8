"""Values as they come over a wire, read as the columns a signature asks for.

A refusal names the column, the type expected and the row; it never repeats a value.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perenne.core.clock import SECOND, parse_time
from perenne.core.errors import Invalid
from perenne.formats.oip import FLOATS, INTEGERS
from perenne.stats.columns import Column, Field, FieldKind, dtype_of

TensorReader: TypeAlias = Callable[[NDArray[Any]], Column]
_BOOLEANS = {"true": "true", "false": "false", "True": "true", "False": "false", "TRUE": "true", "FALSE": "false"}
_MAX_WHOLE = 2**63
WIRE_DATATYPES = {
    **{dtype.name: name for name, dtype in {**INTEGERS, **FLOATS}.items()},
    "bool": "BOOL",
    "string": "BYTES",
}
"""Datatypes of the inference protocol by those of tensors."""


def read_values(field: Field, values: Sequence[Any]) -> Column:
    """Read a column of text, numbers, booleans and None.

    Numbers may come as text. Categories may come as whole numbers or booleans. Times come as ISO 8601. A tensor is nested lists.

    Raises
    ------
    Invalid
        If a value is not of the field's kind.
    """
    match field.kind:
        case FieldKind.NUMBER:
            return _numbers(field, values)
        case FieldKind.TIME:
            return np.array([_seconds(field, row, value) for row, value in enumerate(values)], np.float64)
        case FieldKind.TENSOR:
            return _tensor(field, values)
        case _:
            return _categories(field, values)


def tensor_readers(field: Field) -> dict[str, TensorReader]:
    """Return how a field's column is read from the flat values of an inference tensor, by the tensor's datatype.

    Where a time is due, whole numbers are nanoseconds since 1970.
    """

    def read_plain(values: NDArray[Any]) -> Column:
        return read_values(field, values.tolist())

    match field.kind:
        case FieldKind.NUMBER:
            return dict.fromkeys((*INTEGERS, *FLOATS, "BF16"), _as_float)
        case FieldKind.TIME:
            return {"INT64": _from_nanoseconds, "BYTES": read_plain}
        case FieldKind.TENSOR:
            return _tensor_readers(field)
        case _ if field.datatype == "bool":
            return {"BOOL": read_plain, "BYTES": read_plain}
        case _:
            return {"BYTES": _unchanged, "BOOL": read_plain, **dict.fromkeys(INTEGERS, read_plain)}


def _as_float(values: NDArray[Any]) -> Column:
    return values.astype(np.float64, copy=False)


def _from_nanoseconds(values: NDArray[Any]) -> Column:
    return values / 1e9


def _unchanged(values: NDArray[Any]) -> Column:
    return values


def expected_datatype(field: Field) -> str:
    """Return the datatype of the inference protocol a field is declared with."""
    match field.kind:
        case FieldKind.TIME:
            return "INT64"
        case FieldKind.NUMBER:
            return "INT64" if field.datatype == "int64" else "FP64"
        case FieldKind.TENSOR:
            return WIRE_DATATYPES[field.datatype]
        case _:
            return {"bool": "BOOL", "int64": "INT64"}.get(field.datatype, "BYTES")


def fit_shape(field: Field, shape: Sequence[int]) -> bool:
    """Tell whether a tensor's shape, its rows first, is what a field asks for."""
    return len(shape) == len(field.shape) + 1 and all(
        wanted in (-1, size) for wanted, size in zip(field.shape, shape[1:], strict=True)
    )


def shape_text(field: Field) -> str:
    """Return the shape a field asks for: `[n, 3, 224, 224]`, with `?` for what varies."""
    return f"[{', '.join(['n', *('?' if size < 0 else str(size) for size in field.shape)])}]"


def _tensor_readers(field: Field) -> dict[str, TensorReader]:
    """Numbers may come in a narrower type of their kind; texts and booleans as what they are."""
    dtype = dtype_of(field)
    if dtype.kind in "Ob":
        return {WIRE_DATATYPES[field.datatype]: _unchanged}
    known = {**INTEGERS, **FLOATS} if dtype.kind == "f" else INTEGERS
    fitting = [name for name, given in known.items() if dtype.kind == "f" or np.can_cast(given, dtype)]
    fitting += ["BF16"] if dtype.kind == "f" else []
    return dict.fromkeys(fitting, lambda values: values.astype(dtype, copy=False))


def _tensor(field: Field, values: Sequence[Any]) -> Column:
    dtype = dtype_of(field)
    try:
        column = np.array(values, dtype).reshape(0, *(max(size, 0) for size in field.shape)) if not values else np.array(values)
    except (ValueError, OverflowError):
        raise _wrong_tensor(field) from None
    kinds = {"O": "U", "b": "b", "f": "fiu"}.get(dtype.kind, "iu")
    if len(column) and column.dtype.kind not in kinds:
        raise _wrong_tensor(field)
    if not fit_shape(field, column.shape) or (dtype.kind in "iu" and not _within(column, dtype)):
        raise _wrong_tensor(field)
    return column.astype(dtype)


def _within(values: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return not values.size or (int(values.min()) >= limits.min and int(values.max()) <= limits.max)


def _wrong_tensor(field: Field) -> Invalid:
    return Invalid(
        f"column {field.name!r}: expected {field.datatype} values of shape {shape_text(field)}", code="INVALID_PARAMETER_VALUE"
    )


def _numbers(field: Field, values: Sequence[Any]) -> Column:
    try:
        return np.array(values, np.float64).reshape(len(values))
    except (TypeError, ValueError, OverflowError):
        return np.array([_number(field, row, value) for row, value in enumerate(values)], np.float64)


def _number(field: Field, row: int, value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(field, row, "a number") from None


def _categories(field: Field, values: Sequence[Any]) -> Column:
    column = np.empty(len(values), object)
    read = _boolean if field.datatype == "bool" else _category
    column[:] = [value if value is None else read(field, row, value) for row, value in enumerate(values)]
    return column


def _category(field: Field, row: int, value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer() and abs(value) < _MAX_WHOLE:
            return str(int(value))
        case _:
            raise _wrong(field, row, "text")


def _boolean(field: Field, row: int, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise _wrong(field, row, "true or false")


def _seconds(field: Field, row: int, value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, str):
        try:
            return parse_time(value) / SECOND
        except (Invalid, OverflowError):
            pass
    raise _wrong(field, row, "an ISO 8601 date or time")


def _wrong(field: Field, row: int, expected: str) -> Invalid:
    return Invalid(f"column {field.name!r}, row {row}: expected {expected}", code="INVALID_PARAMETER_VALUE")
