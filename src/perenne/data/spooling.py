"""Rows that arrive in parts and make one table: beyond what is held at once, on disk, mapped into memory as they are read.

Columns are joined by name, and stand where they first came. A column that a part lacks is missing there; whole numbers and others
make numbers; a column without any value takes the others' type.
"""

import tempfile
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.tables import canonical, datatype_of

HELD = 256 << 20
"""Bytes of rows that are held; more go to disk."""


class Spool:
    """Takes parts, and gives the table of them; to be used as a context.

    Parameters
    ----------
    held : int
        Bytes above which parts go to disk.
    """

    def __init__(self, held: int = HELD) -> None:
        self._limit = held
        self._size = 0
        self._parts: list[pa.Table] = []
        self._types: dict[str, tuple[pa.DataType, str, bool]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="perenne-rows-")

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._folder.cleanup()

    def add(self, name: str, table: pa.Table) -> None:
        """Add rows; `name` is what error messages call them.

        Raises
        ------
        Invalid
            If a column is of another type than before; the message names it and both parts.
        """
        plain = canonical(table, name)
        for field in plain.schema:
            empty = plain.column(field.name).null_count == plain.num_rows
            self._types[field.name] = _agreed(field, name, empty, self._types.get(field.name))
        self._parts.append(plain)
        self._size += plain.nbytes
        if self._size > self._limit:
            self._parts = [self._spilled(number, part) for number, part in enumerate(self._parts)]

    def table(self) -> pa.Table:
        """Return all rows as one table. What it needs of the disk is let go of with it, and not before."""
        schema = pa.schema([pa.field(name, kind) for name, (kind, _, _) in self._types.items()])
        return pa.concat_tables([_filled(part, schema) for part in self._parts])

    def _spilled(self, number: int, part: pa.Table) -> pa.Table:
        """Write a part to disk, and return it as it lies there; the file has no name any more once it is mapped."""
        path = Path(self._folder.name) / f"{number}.arrow"
        if part.nbytes == 0 or (part.schema.metadata or {}).get(b"spilled"):
            return part
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, part.schema.with_metadata({"spilled": "1"})) as writer:
            writer.write_table(part)
        with pa.memory_map(str(path)) as source:
            mapped = pa.ipc.open_file(source).read_all()
        path.unlink()
        return mapped


def _agreed(
    field: "pa.Field[pa.DataType]", part: str, empty: bool, known: tuple[pa.DataType, str, bool] | None
) -> tuple[pa.DataType, str, bool]:
    """Return the type of a column, who said so, and whether that was one without any value."""
    if known is None or (known[2] and not empty):
        return field.type, part, empty
    if empty or known[0] == field.type:
        return known
    both = {datatype_of(known[0]), datatype_of(field.type)}
    if both == {"int64", "float64"}:
        return pa.float64(), part, False
    raise Invalid(
        f"column {field.name!r} is {datatype_of(known[0])} in {known[1]}, {datatype_of(field.type)} in {part}",
        code="ingest.types",
        hint="make them alike, or read the files as datasets of their own",
    )


def _filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        if field.name not in table.column_names or table.column(field.name).null_count == table.num_rows:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
        else:
            columns.append(table.column(field.name).cast(field.type))
    return pa.table(columns, schema=schema)
