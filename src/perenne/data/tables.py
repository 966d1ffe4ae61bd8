"""The five types a table has inside perenne, and the way any Arrow table gets them.

============== ======================================= =================================
type           made of                                 missing
============== ======================================= =================================
int64          every integer type                      null
float64        floats, decimals; durations in seconds  null; a NaN becomes null here
bool           bool                                    null
string         strings, categories, times of day       null; an empty text is a value
timestamp[us]  dates and instants; UTC, without a zone null; without a zone taken as UTC
============== ======================================= =================================
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from perenne.core.errors import Invalid

# Arrow's stubs know the type of every array at every step; ours are known when they run.
Chunked: TypeAlias = Any
Values: TypeAlias = Any
pc: Any = pyarrow.compute

MAX_COLUMNS = 5_000
TIMESTAMP = pa.timestamp("us")


def datatype_of(kind: pa.DataType) -> str:
    """Return the name of a canonical type: int64, float64, bool, string or timestamp.

    >>> datatype_of(TIMESTAMP), datatype_of(pa.float64())
    ('timestamp', 'float64')
    """
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return "float64" if pa.types.is_float64(kind) else str(kind)


def canonical(table: pa.Table, name: str = "table") -> pa.Table:
    """Bring every column of a table to one of the five types, in whole columns and without metadata.

    Parameters
    ----------
    table : pyarrow.Table
        Any table with plain columns.
    name : str
        How error messages call it.

    Raises
    ------
    Invalid
        If names repeat, there are more than 5,000 columns, or a column holds lists, structs or bytes.
    """
    check_names(table.column_names, name)
    columns = [_plain(table.column(index), f"{name}: column {text!r}") for index, text in enumerate(table.column_names)]
    return pa.table(
        columns, schema=pa.schema([pa.field(text, c.type) for text, c in zip(table.column_names, columns, strict=True)])
    )


def check_names(names: list[str], name: str) -> None:
    """Refuse a table without columns, with too many, or with two of the same name."""
    if not names:
        raise Invalid(f"{name}: there are no columns", code="data.empty", hint="is it the right file?")
    if len(names) > MAX_COLUMNS:
        raise Invalid(
            f"{name}: {len(names):,} columns, at most {MAX_COLUMNS:,} are taken",
            code="data.too_many_columns",
            hint="keep the columns the model needs, or store long vectors elsewhere",
        )
    seen: dict[str, int] = {}
    for position, text in enumerate(names, 1):
        if text in seen:
            raise Invalid(
                f"{name}: columns {seen[text]} and {position} are both called {text!r}",
                code="data.duplicate_column",
                hint="give every column a name of its own",
            )
        seen[text] = position


def whole(column: Chunked) -> Values:
    """Return a column in one piece."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def floats(values: Values) -> NDArray[np.float64]:
    """Return numbers, or times in microseconds, as an array of one's own with NaN where one is missing."""
    plain = values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values
    return np.array(plain.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def scale_of(values: NDArray[np.float64]) -> float:
    """Return what to divide numbers by so that their squares and differences stay finite: 1, except for enormous ones."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    return largest if largest > 1e100 else 1.0


def _plain(column: Chunked, where: str) -> Chunked:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(column.cast(kind.storage_type), where)
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type), where)
    if pa.types.is_duration(kind):
        return pc.divide(column.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    target = _target(kind)
    if target is None:
        raise Invalid(
            f"{where} holds {kind}",
            code="data.nested_type",
            hint="columns hold numbers, texts, booleans or times; unpack it into several columns",
        )
    try:
        plain = (
            column if kind == target else column.cast(target, safe=not (pa.types.is_temporal(kind) or pa.types.is_decimal(kind)))
        )
    except pa.ArrowInvalid as error:
        raise Invalid(f"{where}: {error}", code="data.value", hint="correct the value, or give the column another type") from None
    return _null_for_nan(plain) if pa.types.is_float64(target) else plain


def _target(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_boolean(kind):
        return pa.bool_()
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return TIMESTAMP
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if is_text or pa.types.is_time(kind) or pa.types.is_null(kind):
        return pa.string()
    return None


def _null_for_nan(column: Chunked) -> Chunked:
    nan = pc.is_nan(column)
    return pc.if_else(nan, pa.scalar(None, pa.float64()), column) if pc.any(nan).as_py() else column
