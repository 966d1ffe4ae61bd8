"""A part of the rows as the columns a model takes. What cannot be read is set aside, row by row, and the others are answered."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perenne import data
from perenne.core.errors import Invalid
from perenne.stats.columns import Columns, Field, FieldKind

_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")


class Readable(NamedTuple):
    """The rows that can be read, as columns, by their positions in the part; and why the others cannot, by theirs."""

    positions: np.ndarray[tuple[int], np.dtype[np.int64]]
    columns: Columns
    reasons: dict[int, str]


def readable(table: pa.Table, fields: Sequence[Field]) -> Readable:
    """Read a part; a row of which one value cannot be read is left out."""
    reasons: dict[int, str] = {}
    columns: dict[str, Any] = {}
    for field in fields:
        columns[field.name] = _read(_plain(table.column(field.name), field), field, reasons)
    kept = np.array([position for position in range(table.num_rows) if position not in reasons], np.int64)
    if reasons:
        columns = {name: column[kept] for name, column in columns.items()}
    return Readable(kept, columns, reasons)


def _plain(column: Any, field: Field) -> Any:
    """Give texts the type that the field's levels are written by, as far as they can be read so."""
    if field.kind is not FieldKind.CATEGORY or not pa.types.is_string(column.type):
        return column
    if field.datatype == "bool":
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        yes, no = pc.is_in(lower, pa.array(_TRUE)), pc.is_in(lower, pa.array(_FALSE))
        return pc.if_else(yes, "true", pc.if_else(no, "false", column))
    return column


def _read(column: Any, field: Field, reasons: dict[int, str]) -> Any:
    """Read a column whole, or, if that cannot be, in halves until the values that cannot be read stand alone."""
    made: list[Any] = []
    waiting = [(0, len(column))]
    while waiting:
        start, end = waiting.pop()
        try:
            made.append((start, _values(column.slice(start, end - start), field)))
        except Invalid as error:
            if end - start == 1:
                reasons.setdefault(start, _reason(error, field))
                made.append((start, _nothing(field)))
            else:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
    made.sort(key=lambda piece: piece[0])
    pieces = [piece for _, piece in made]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _values(column: Any, field: Field) -> Any:
    if field.kind is FieldKind.NUMBER and pa.types.is_string(column.type):
        try:  # what is plainly a number is read at once; the others by all the forms that numbers may have
            return column.cast(pa.float64()).to_numpy().astype(np.float64, copy=False)
        except pa.ArrowInvalid:
            pass
    if field.kind is FieldKind.CATEGORY and field.datatype in ("int64", "float64") and pa.types.is_string(column.type):
        numbers = data.fields.to_columns(pa.table({field.name: column}), [Field(field.name, FieldKind.NUMBER)])[field.name]
        column = pa.chunked_array([pa.array(numbers, from_pandas=True)])
    return data.fields.to_columns(pa.table({field.name: column}), [field])[field.name]


def _nothing(field: Field) -> Any:
    """Return one row of a column that says nothing; it is left out later."""
    if field.kind is FieldKind.CATEGORY:
        return np.array([None], object)
    if field.kind is FieldKind.TENSOR:
        shape = tuple(max(size, 0) for size in field.shape)
        return np.zeros((1, *shape), np.dtype(field.datatype) if field.datatype != "string" else object)
    return np.array([np.nan])


def _reason(error: Invalid, field: Field) -> str:
    wanted = {FieldKind.NUMBER: "a number", FieldKind.TIME: "a time", FieldKind.TENSOR: "a tensor of its shape"}
    return f"column {field.name!r}: expected {wanted.get(field.kind, field.datatype)}"
