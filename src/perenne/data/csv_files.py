"""CSV: fast with Arrow, and read a second time slowly, line by line, only to say where it is broken.

The first line names the columns; the separator is whichever of `, ; tab |` the header holds most. Quotes are `"`, doubled inside.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv

from perenne.core.errors import Invalid
from perenne.data.sniffing import Misfit, read_texts
from perenne.data.tables import check_names

_SEPARATORS = ",;\t|"
_QUOTE_OR_LINE = re.compile(rb'"|\r?\n|\r')
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_csv(data: bytes, name: str, kinds: Mapping[str, str] | None = None) -> pa.Table:
    r"""Read the bytes of a CSV file.

    Parameters
    ----------
    data : bytes
        The whole file, in UTF-8 (or UTF-16 with its mark).
    name : str
        How error messages call it.
    kinds : mapping, optional
        What columns must be, instead of what they look like: text, number, time or boolean.

    Raises
    ------
    Invalid
        If it cannot be read; the message names the line and the column.

    >>> read_csv(b"id,x\n007,1.5\n008,\n", "x.csv").to_pylist()
    [{'id': '007', 'x': 1.5}, {'id': '008', 'x': None}]
    """
    file = _File(data, name)
    texts = file.read()
    columns = []
    for position, column in enumerate(file.columns):
        read = read_texts(texts.column(position), decimal_comma=file.separator != ",", kind=(kinds or {}).get(column))
        if isinstance(read, Misfit):
            raise _misfit(read, file.name, column, file.line_of(read.row))
        columns.append(read)
    return pa.table(columns, names=file.columns)


class Header(NamedTuple):
    """What the first line of a CSV file says: names of columns, what separates them, and the byte where the rows begin."""

    columns: list[str]
    separator: str
    body: int


def read_header(start: bytes, name: str) -> Header:
    r"""Read the header from the first bytes of a file in UTF-8.

    Raises
    ------
    Invalid
        As `read_csv` does, for what is wrong with the header.

    >>> read_header(b"id;x\n007;1,5\n", "x.csv")
    Header(columns=['id', 'x'], separator=';', body=5)
    """
    file = _File(start, name)
    mark = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    return Header(file.columns, file.separator, file.body + mark)


class _File:
    """A CSV file in memory: its name, bytes, separator and the names of its columns."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.data = self._utf_8(data)
        if not self.data.strip():
            raise Invalid(f"{name} is empty", code="data.empty", hint="is it the right file?")
        self.body = _end_of_header(self.data)
        header = self._text(self.data[: self.body])
        self.separator = max(_SEPARATORS, key=lambda separator: _outside_quotes(header).count(separator))
        fields = next(csv.reader(io.StringIO(header, newline=""), delimiter=self.separator), [])
        self.columns = [field.strip() or f"column_{position}" for position, field in enumerate(fields, 1)]
        check_names(self.columns, name)
        if all(_is_number(field) for field in fields):
            raise Invalid(
                f"{name} line 1: the header is {', '.join(fields[:3])}…, which looks like data",
                code="data.no_header",
                hint="write the names of the columns on the first line",
            )

    def read(self) -> pa.Table:
        """Read every field as text; an empty one is null."""
        rows = memoryview(self.data)[self.body :]
        if not self.data[self.body :].strip(b"\r\n"):
            raise Invalid(f"{self.name} has a header and no rows", code="data.no_rows", hint="was it cut off?")
        if self.data.count(b'"') % 2:
            self.explain()
        try:
            return self._parse(rows, 1 << 20)
        except pa.ArrowInvalid as error:
            if "straddl" not in str(error):
                self.explain()
        try:
            return self._parse(rows, len(rows) + 1)
        except pa.ArrowInvalid as error:
            self.explain()
            raise Invalid(
                f"{self.name} cannot be read: {error}",
                code="data.csv",
                hint="is it a CSV file in UTF-8, every row with as many fields as the first?",
            ) from None

    def _parse(self, rows: memoryview, block: int) -> pa.Table:
        # Columns go by number in here, so that no name can trouble the parser.
        stream: Any = pa.BufferReader(pa.py_buffer(rows))
        numbers = [str(position) for position in range(len(self.columns))]
        return pyarrow.csv.read_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(column_names=numbers, block_size=block),
            parse_options=pyarrow.csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )

    def explain(self) -> None:
        """Raise what is wrong with the file, and where, if anything is."""
        following = 1
        try:
            for start, end, fields in self._records():
                following = end + 1
                if fields and len(fields) != len(self.columns):
                    raise Invalid(
                        f"{self.name} line {start}: {len(fields)} fields where the header has {len(self.columns)}",
                        code="data.ragged",
                        hint=f"is a separator ({self.separator!r}) inside a value? put the value in double quotes",
                    )
        except csv.Error as error:
            raise Invalid(
                f"{self.name} line {following}: {error}",
                code="data.csv",
                hint="is a double quote missing? a quote inside a quoted value is written twice",
            ) from None

    def line_of(self, row: int) -> int:
        """Return the line on which a row starts; rows count from 0, lines from 1."""
        seen = -2
        for start, _, fields in self._records():
            seen += bool(fields)
            if seen == row:
                return start
        return 0

    def _records(self) -> Iterator[tuple[int, int, list[str]]]:
        """Go through the records, the header first, with the first and last line of each, counted from 1."""
        text = self._text(self.data)
        limit = csv.field_size_limit(len(text) + 1)
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
            start = 1
            for fields in reader:
                yield start, reader.line_num, fields
                start = reader.line_num + 1
        finally:
            csv.field_size_limit(limit)

    def _utf_8(self, data: bytes) -> bytes:
        if data.startswith(_UTF_16):
            try:
                return data.decode("utf-16").encode()
            except UnicodeDecodeError:
                raise Invalid(f"{self.name} is no text in UTF-16", code="data.encoding", hint="save it as UTF-8") from None
        return data.removeprefix(codecs.BOM_UTF8)

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise Invalid(
                f"{self.name} line {line}: byte 0x{data[error.start]:02x} is not UTF-8",
                code="data.encoding",
                hint="save the file as UTF-8; from Windows: iconv -f WINDOWS-1252 -t UTF-8",
            ) from None


def _end_of_header(data: bytes) -> int:
    """Return where the first record ends: after the first end of line that is not inside quotes."""
    quoted = False
    for found in _QUOTE_OR_LINE.finditer(data):
        if found[0] == b'"':
            quoted = not quoted
        elif not quoted:
            return found.end()
    return len(data)


def _outside_quotes(header: str) -> str:
    return "".join(header.split('"')[::2])


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _misfit(found: Misfit, name: str, column: str, line: int) -> Invalid:
    others = f"; {found.fitting:,} other values are {found.wanted}s" if found.fitting else ""
    count = f" and {found.misfits - 1:,} more like it" if found.misfits > 1 else ""
    return Invalid(
        f"{name} line {line}, column {column!r}: {found.value[:80]!r}{count} is no {found.wanted}{others}",
        code="data.value",
        hint=f"correct it, leave it empty if it is missing, or read it as text: read_source(…, kinds={{{column!r}: 'text'}})",
    )
