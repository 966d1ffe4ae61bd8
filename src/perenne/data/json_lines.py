"""JSON lines: one object on each line. Read with Arrow; read again line by line only to say where it is broken."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.json

from perenne.core.errors import Invalid


def read_json_lines(data: bytes, name: str) -> pa.Table:
    r"""Read the bytes of a file of JSON lines, or of one JSON array of objects.

    Raises
    ------
    Invalid
        If a line is no object, or a column holds values of different types; the message names the line.

    >>> read_json_lines(b'{"a": 1}\n{"a": 2.5, "b": "x"}\n', "x.jsonl").to_pylist()
    [{'a': 1.0, 'b': None}, {'a': 2.5, 'b': 'x'}]
    """
    if not data.strip():
        raise Invalid(f"{name} is empty", code="data.empty", hint="is it the right file?")
    if data.lstrip()[:1] == b"[":
        data = b"\n".join(msgspec.json.encode(row) for row in _array(data, name))
    if not data:
        raise Invalid(f"{name} has no rows", code="data.no_rows", hint="was it cut off?")
    try:
        # A block as large as the file: columns get their types from all of it, and no line is cut in two.
        options = pyarrow.json.ReadOptions(block_size=max(len(data) + 1, 1 << 16))
        stream: Any = pa.BufferReader(data)
        table = pyarrow.json.read_json(stream, read_options=options)
    except pa.ArrowInvalid as error:
        _explain(data, name)
        raise Invalid(
            f"{name} cannot be read: {error}", code="data.json", hint="is it one JSON object a line, in UTF-8?"
        ) from None
    if table.num_columns == 0:
        raise Invalid(f"{name} has no fields", code="data.empty", hint="write one object with the columns' values on each line")
    return table


def _array(data: bytes, name: str) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(data, type=list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"{name}: {error}", code="data.json", hint="write JSON lines, or one array of objects") from None


def _explain(data: bytes, name: str) -> None:
    """Raise what is wrong with the file, and on which line, if anything is."""
    first: dict[str, tuple[str, int]] = {}
    for line, row in _rows(data, name):
        for column, value in row.items():
            kind = _KINDS.get(type(value), "list or object")
            known, where = first.setdefault(column, (kind, line)) if value is not None else (kind, line)
            if known != kind:
                raise Invalid(
                    f"{name} line {line}, column {column!r}: a {kind}, and a {known} on line {where}",
                    code="data.value",
                    hint="write all values of a column as the same type",
                )


_KINDS = {bool: "boolean", int: "number", float: "number", str: "text"}


def _rows(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(data.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            yield line, msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Invalid(f"{name} line {line}: {error}", code="data.json", hint="every line is one whole JSON object") from None
