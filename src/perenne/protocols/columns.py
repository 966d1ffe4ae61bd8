"""Values as they come over a wire, read as the columns a signature asks for.

A refusal names the column, the type expected and the row; it never repeats a value.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.core.clock import SECOND, parse_time
from perenne.core.errors import Invalid
from perenne.stats.columns import Column, Field, FieldKind

_BOOLEANS = {"true": "true", "false": "false", "True": "true", "False": "false", "TRUE": "true", "FALSE": "false"}
_MAX_WHOLE = 2**63


def read_values(field: Field, values: Sequence[Any]) -> Column:
    """Read a column of text, numbers, booleans and None.

    Numbers may come as text. Categories may come as whole numbers or booleans. Times come as ISO 8601.

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
        case _:
            return _categories(field, values)


def read_tensor(field: Field, datatype: str, values: NDArray[Any]) -> Column:
    """Read the flat values of an inference tensor: whole numbers are nanoseconds where a time is due.

    Raises
    ------
    Invalid
        If the datatype is not one the field can be read from, or a value cannot be read.
    """
    whole, text = values.dtype.kind in "iu", values.dtype == object
    match field.kind:
        case FieldKind.NUMBER if whole or values.dtype.kind == "f":
            return values.astype(np.float64, copy=False)
        case FieldKind.TIME if datatype == "INT64":
            return values / 1e9
        case FieldKind.TIME if text:
            return read_values(field, values.tolist())
        case FieldKind.CATEGORY if text or datatype == "BOOL" or (whole and field.datatype != "bool"):
            return read_values(field, values.tolist())
    raise Invalid(f"input {field.name!r}: expected {expected_datatype(field)}, got {datatype}", code="INVALID_PARAMETER_VALUE")


def expected_datatype(field: Field) -> str:
    """Return the datatype of the inference protocol a field is declared with."""
    match field.kind:
        case FieldKind.TIME:
            return "INT64"
        case FieldKind.NUMBER:
            return "INT64" if field.datatype == "int64" else "FP64"
        case _:
            return {"bool": "BOOL", "int64": "INT64"}.get(field.datatype, "BYTES")


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
