"""Reading rows, wherever they are: files and tables in memory, all become one Arrow table of plain columns."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from perenne.core.errors import Invalid, NotFound
from perenne.data.sniffing import KINDS
from perenne.data.spooling import HELD, Spool
from perenne.data.tables import MAX_COLUMNS, canonical, check_names

MAX_BYTES = 8 << 30
"""A file larger than this, or one that unpacks to more, is refused: it is read as a whole."""

_JSON = (".json", ".jsonl", ".ndjson")


def read_source(source: Any, *, kinds: Mapping[str, str] | None = None) -> pa.Table:
    """Read rows from a file or a table.

    Parameters
    ----------
    source : path or table
        CSV, TSV, Parquet or JSON lines, also as `.gz` or a `.zip` of one file; or a table of Arrow, DuckDB, pandas or Polars,
        or a mapping of columns.
    kinds : mapping, optional
        For CSV: what columns must be (text, number, time or boolean) in place of what they look like.

    Returns
    -------
    pyarrow.Table
        At least one row; columns of the five types of `perenne.data.tables`.

    Raises
    ------
    NotFound
        If there is no such file.
    Invalid
        If it cannot be read; the message names file, column and line.
    """
    for column, kind in (kinds or {}).items():
        if kind not in KINDS:
            raise Invalid(f"column {column!r} cannot be read as {kind!r}", code="data.kind", hint=f"one of {', '.join(KINDS)}")
    if isinstance(source, str | Path):
        name, table = Path(source).name, _read_file(source, kinds)
    else:
        name, table = "table", _from_memory(source)
    for column in kinds or {}:
        if column not in table.column_names:
            raise Invalid(
                f"{name} has no column {column!r}", code="data.column", hint=f"it has {', '.join(table.column_names[:20])}"
            )
    plain = canonical(table, name)
    if plain.num_rows == 0:
        raise Invalid(f"{name} has no rows", code="data.no_rows", hint="was it cut off, or is the window empty?")
    return plain


def _read_file(source: str | Path, kinds: Mapping[str, str] | None) -> pa.Table:
    path = Path(source)
    if "://" in str(source):
        raise Invalid("a URL is no file", code="data.source", hint="download it first, and pass the path of the file")
    if not path.exists():
        raise NotFound(
            f"there is no file {str(source)!r}", code="data.not_found", hint="paths are relative to the present folder"
        )
    if not path.is_file():
        raise Invalid(f"{path.name} is no file", code="data.source", hint="pass one file")
    if path.stat().st_size > MAX_BYTES:
        raise _too_large(path.name)
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == b"PAR1":
        return _read_parquet(path)
    return _read_bytes(path.read_bytes(), path.name, kinds)


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if len(file.schema_arrow) > MAX_COLUMNS:
                return file.schema_arrow.empty_table()
            if sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)) <= HELD:
                return file.read()
            with Spool() as spool:
                for batch in file.iter_batches():
                    spool.add(path.name, pa.Table.from_batches([batch]))
                return spool.table()
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(f"{path.name} is broken: {error}", code="data.parquet", hint="was it cut off?") from None


def _read_bytes(data: bytes, name: str, kinds: Mapping[str, str] | None) -> pa.Table:
    """Read by what the bytes are, then by what the name says."""
    from perenne.data.csv_files import read_csv
    from perenne.data.json_lines import read_json_lines

    if data.startswith(b"\x1f\x8b"):
        return _read_bytes(_gunzip(data, name), name.removesuffix(".gz"), kinds)
    if data.startswith(b"PK\x03\x04"):
        return _read_bytes(*_unzip(data, name), kinds)
    if data.startswith(b"PAR1"):
        raise Invalid(
            f"{name} is Parquet inside an archive", code="data.format", hint="unpack it first; Parquet is packed already"
        )
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid(f"{name} is no text", code="data.format", hint="CSV, Parquet and JSON lines can be read")
    if Path(name).suffix.lower() in _JSON:
        return read_json_lines(data, name)
    return read_csv(data, name, kinds)


def _gunzip(data: bytes, name: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            plain = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{name} cannot be unpacked: {error}", code="data.archive", hint="was it cut off?") from None
    if len(plain) > MAX_BYTES:
        raise _too_large(name)
    return plain


def _unzip(data: bytes, name: str) -> tuple[bytes, str]:
    """Return the one file of an archive and its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if any(member.filename == "[Content_Types].xml" for member in members):
                raise Invalid(f"{name} is an Office document", code="data.format", hint="save the sheet as CSV")
            if len(members) != 1:
                raise Invalid(
                    f"{name} holds {len(members)} files", code="data.archive", hint="an archive of one file can be read"
                )
            if members[0].file_size > MAX_BYTES:
                raise _too_large(name)
            return archive.read(members[0]), Path(members[0].filename).name
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise Invalid(f"{name} cannot be unpacked: {error}", code="data.archive", hint="was it cut off?") from None


def _too_large(name: str) -> Invalid:
    return Invalid(f"{name} has more than {MAX_BYTES >> 30} GiB", code="data.too_large", hint="split it, or store it as Parquet")


def _from_memory(source: Any) -> pa.Table:
    try:
        if isinstance(source, pa.Table):
            return source
        if isinstance(source, Mapping):
            check_names([str(name) for name in source], "table")
            return pa.table({str(name): values for name, values in source.items()})
        if hasattr(source, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(source).read_all()
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise Invalid(
            f"the table cannot be read: {error}",
            code="data.value",
            hint="give a table of plain columns: numbers, texts, times, yes or no",
        ) from None
    return _through_narwhals(source)


def _through_narwhals(source: Any) -> pa.Table:
    import narwhals

    try:
        frame = narwhals.from_native(source)
    except TypeError:
        raise Invalid(
            f"a {type(source).__name__} is no table",
            code="data.source",
            hint="return a path, or a table of Arrow, DuckDB, pandas or Polars",
        ) from None
    eager = frame.collect("pyarrow") if isinstance(frame, narwhals.LazyFrame) else frame
    return eager.to_arrow()
