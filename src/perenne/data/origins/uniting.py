"""One table of several: columns are joined by name, a column that a part lacks is missing there, and types must agree."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.tables import canonical, datatype_of


class Part(NamedTuple):
    """A table and what error messages call it."""

    name: str
    table: pa.Table


def unite(parts: Sequence[Part]) -> pa.Table:
    """Put tables below one another.

    A column stands where it first came. Whole numbers and others make numbers; a column without any value takes the others' type.

    Raises
    ------
    Invalid
        If a column is of two types that do not go together; the message names it and both parts.
    """
    plain = [Part(part.name, canonical(part.table, part.name)) for part in parts]
    types: dict[str, tuple[pa.DataType, str]] = {}
    for part in plain:
        for field in part.table.schema:
            if part.table.column(field.name).null_count < part.table.num_rows or field.name not in types:
                types[field.name] = _agreed(field, part.name, types.get(field.name), plain)
    schema = pa.schema([pa.field(name, kind) for name, (kind, _) in types.items()])
    return pa.concat_tables([_filled(part.table, schema) for part in plain])


def _agreed(
    field: "pa.Field[Any]", part: str, known: tuple[pa.DataType, str] | None, parts: Sequence[Part]
) -> tuple[pa.DataType, str]:
    if known is None or known[0] == field.type or _is_empty(field.name, known[1], parts):
        return field.type, part
    both = {datatype_of(known[0]), datatype_of(field.type)}
    if both == {"int64", "float64"}:
        return pa.float64(), part
    raise Invalid(
        f"column {field.name!r} is {datatype_of(known[0])} in {known[1]}, {datatype_of(field.type)} in {part}",
        code="ingest.types",
        hint="make them alike, or read the files as datasets of their own",
    )


def _is_empty(name: str, part: str, parts: Sequence[Part]) -> bool:
    column = next(each.table for each in parts if each.name == part).column(name)
    return column.null_count == len(column)


def _filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        if field.name not in table.column_names or table.column(field.name).null_count == table.num_rows:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
        else:
            columns.append(table.column(field.name).cast(field.type))
    return pa.table(columns, schema=schema)
