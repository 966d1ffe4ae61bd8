"""A Parquet body as the columns of a signature, by the rules of MLflow's schemas: what has a type is not guessed at.

Run as a program it is the process in which a worker has such bodies read (`reader`): a file made for that can end Arrow's code,
and the process with it. What the footer announces is checked before any column is read; columns that the model does not take are
not read at all.
"""

import resource
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid, PerenneError
from perenne.inference import Signature
from perenne.net.inbound import MAX_VALUES, TooLarge
from perenne.protocols.columns import read_values
from perenne.protocols.mlflow.reader import ADDRESS_SPACE, FRAME, Answered, Asked, pack
from perenne.protocols.rows import refuse_missing
from perenne.serving import Rows
from perenne.stats.columns import Column, Field, FieldKind

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_ROW_GROUPS = 10_000
_FOOTER_BYTES = 8 << 20
_FOOTER_ITEMS = 1_000_000


def read_rows(body: bytes, signature: Signature, limit: int) -> Rows:
    """Read a file's columns.

    Parameters
    ----------
    limit : int
        How many bytes the columns may be, decompressed.

    Raises
    ------
    Invalid
        If it is no Parquet, lacks a column, or a column is of a type that is not taken for it.
    TooLarge
        If it holds more than the limit once it is decompressed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(pa.BufferReader(body))
        texts = _check_footer(footer, signature, limit)
        file = pq.ParquetFile(
            pa.BufferReader(body),
            metadata=footer,
            read_dictionary=texts,
            thrift_string_size_limit=_FOOTER_BYTES,
            thrift_container_size_limit=_FOOTER_ITEMS,
        )
        table = file.read(columns=list(signature.names), use_threads=False)
    except (pa.ArrowException, OSError, ValueError, MemoryError, NotImplementedError) as error:
        raise Invalid(f"the body is not Parquet that can be read ({type(error).__name__})", code="BAD_REQUEST") from None
    columns = {field.name: _column(field, table.column(field.name)) for field in signature.fields}
    return Rows(columns, table.num_rows)


def _check_footer(footer: "pq.FileMetaData", signature: Signature, limit: int) -> list[str]:
    """Refuse a file that lacks columns or holds too much; return those of its columns that hold texts."""
    names = footer.schema.to_arrow_schema().names
    if len(set(names)) < len(names):
        raise Invalid("two columns have the same name", code="BAD_REQUEST")
    refuse_missing(signature, dict.fromkeys(names))
    if footer.num_row_groups > MAX_ROW_GROUPS:
        raise Invalid(f"there are more than {MAX_ROW_GROUPS:,} row groups", code="BAD_REQUEST")
    wanted, size, values, texts = set(signature.names), 0, 0, set()
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema.partition(".")[0] in wanted:
                size += max(0, chunk.total_uncompressed_size)
                values += max(0, chunk.num_values)
                if chunk.physical_type == "BYTE_ARRAY":
                    texts.add(chunk.path_in_schema)
    if values > MAX_VALUES or footer.num_rows * len(wanted) > MAX_VALUES:
        raise Invalid(f"there are more than {MAX_VALUES:,} values", code="BAD_REQUEST")
    if size > limit:
        raise TooLarge(limit)
    return sorted(texts)


def _column(field: Field, column: "pa.ChunkedArray[Any]") -> Column:
    match field.kind:
        case FieldKind.NUMBER:
            return _numbers(field, column)
        case FieldKind.TIME:
            return _times(field, column)
        case FieldKind.TENSOR:
            return read_values(field, column.to_pylist())
        case _:
            return _categories(field, column)


def _numbers(field: Field, column: "pa.ChunkedArray[Any]") -> Column:
    import pyarrow.types as kinds

    kind = column.type
    if not (kinds.is_integer(kind) or kinds.is_floating(kind)):
        raise _wrong(field, column, "numbers")
    values: NDArray[Any] = column.to_numpy()
    numbers = values.astype(np.float64)
    if kinds.is_integer(kind) and field.datatype != "int64" and kind.bit_width == 64:
        known = numbers[~np.isnan(numbers)]
        if not np.isin(known, (0.0, 1.0)).all():
            raise _wrong(field, column, "float64; 64-bit integers may lose digits, cast them first")
    if kinds.is_floating(kind) and field.datatype == "int64":
        known = numbers[np.isfinite(numbers)]
        if (known != np.floor(known)).any():
            raise _wrong(field, column, "whole numbers")
    return numbers


def _times(field: Field, column: "pa.ChunkedArray[Any]") -> Column:
    import pyarrow as pa
    import pyarrow.types as kinds

    if not (kinds.is_timestamp(column.type) or kinds.is_date(column.type)):
        raise _wrong(field, column, "timestamps")
    unit = column.type.unit if kinds.is_timestamp(column.type) else ""
    if not unit:
        column, unit = column.cast(pa.timestamp("ms")), "ms"
    per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.float64) / per_second


def _categories(field: Field, column: "pa.ChunkedArray[Any]") -> Column:
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
    text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    taken = {"bool": kinds.is_boolean(kind), "int64": kinds.is_integer(kind) or text}.get(field.datatype, text)
    if not (taken or kinds.is_null(kind)):
        raise _wrong(field, column, {"bool": "booleans", "int64": "whole numbers"}.get(field.datatype, "texts"))
    parts = []
    for chunk in column.chunks:
        if kinds.is_null(kind):
            parts.append(np.full(len(chunk), None, object))
            continue
        packed: Any = chunk if kinds.is_dictionary(chunk.type) else chunk.dictionary_encode()
        levels = np.append(read_values(field, packed.dictionary.to_pylist()), np.array([None], object))
        parts.append(levels[packed.indices.cast(pa.int64()).fill_null(len(levels) - 1).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts) if parts else np.empty(0, object)


def _wrong(field: Field, column: "pa.ChunkedArray[Any]", expected: str) -> Invalid:
    got = getattr(column.type, "value_type", column.type)  # texts are read packed, which is nobody's business
    return Invalid(f"column {field.name!r}: expected {expected}, got {got}"[:300], code="INVALID_PARAMETER_VALUE")


def main() -> None:
    """Read one body after the other from the standard input, until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(FRAME.size):
        size, length = FRAME.unpack(head)
        asked = msgspec.msgpack.decode(source.read(size), type=Asked)
        answer = msgspec.msgpack.encode(answer_to(asked, source.read(length)))
        sink.write(FRAME.pack(len(answer), 0))
        sink.write(answer)
        sink.flush()


def answer_to(asked: Asked, body: bytes) -> Answered:
    """Read a body, and write down what came of it."""
    try:
        rows = read_rows(body, asked.signature, asked.limit)
    except PerenneError as error:
        return Answered(refusal=error.message, code=error.code, status=error.status)
    return Answered(rows=rows.size, columns=[pack(rows.columns[name]) for name in asked.signature.names])


if __name__ == "__main__":
    main()
