"""Large files of CSV: read a block at a time by the types that a schema names, into Parquet beside, which is then streamed.

What cannot be read as its column's type is kept as the text it is, to be reported with its row: a small file, which is read as a
whole, is refused for it.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from perenne.core.errors import Invalid
from perenne.data.csv_files import Header, read_header
from perenne.data.sniffing import read_as
from perenne.data.tables import TIMESTAMP
from perenne.data.validation.rows import FileRows, parquet_rows
from perenne.data.validation.rules import Schema

_HEAD = 1 << 20
_BLOCK = 4 << 20
_ARROW: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp": TIMESTAMP,
}


def csv_rows(path: Path, schema: Schema) -> FileRows:
    """Read a file of CSV in UTF-8 by a schema, without holding it; a column the schema does not know is read as texts.

    Raises
    ------
    Invalid
        If the header cannot be used, or a row has another number of fields.
    """
    with path.open("rb") as stream:
        header = read_header(stream.read(_HEAD), path.name)
    types = [schema.columns[name].type if name in schema.columns else "string" for name in header.columns]
    folder = Path(tempfile.mkdtemp(prefix="perenne-csv-"))
    try:
        fields = [(name, _ARROW[kind]) for name, kind in zip(header.columns, types, strict=True)]
        apart = [place for place, kind in enumerate(types) if kind != "string"]
        fields += [(f"\0{place}", pa.string()) for place in apart]
        target = folder / "rows.parquet"
        with pq.ParquetWriter(target, pa.schema(fields), compression="lz4") as writer:
            for table in _typed(path, header, types, apart, pa.schema(fields)):
                writer.write_table(table)
        texts = {header.columns[place]: len(header.columns) + index for index, place in enumerate(apart)}
        return parquet_rows(target, name=path.name, folder=folder, texts=texts)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _typed(path: Path, header: Header, types: list[str], apart: list[int], schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in _texts(path, header):
        read = [
            read_as(pa.chunked_array([column]), kind, decimal_comma=header.separator != ",")
            for column, kind in zip(batch.columns, types, strict=True)
        ]
        yield pa.table([*(values for values, _ in read), *(read[place][1] for place in apart)], schema=schema)


def _texts(path: Path, header: Header) -> Iterator[pa.RecordBatch]:
    """Read every field as text, a block at a time; an empty one is null."""
    numbers = [str(place) for place in range(len(header.columns))]
    types: Any = dict.fromkeys(numbers, pa.string())
    with path.open("rb") as stream:
        stream.seek(header.body)
        try:
            reader = pyarrow.csv.open_csv(
                stream,
                read_options=pyarrow.csv.ReadOptions(column_names=numbers, block_size=_BLOCK, use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(delimiter=header.separator, newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""]),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            raise Invalid(
                f"{path.name} cannot be read: {error}",
                code="data.csv",
                hint="is it a CSV file in UTF-8, every row with as many fields as the first?",
            ) from None
