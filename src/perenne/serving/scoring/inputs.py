"""Rows as they come, in parts of a fixed number of rows: the same parts each time, so that work can go on where it stopped."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa

from perenne.core.errors import Invalid, NotFound

_BLOCK = 4 << 20
_SUFFIXES = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
_EXCERPT = 100


class Aside(NamedTuple):
    """A row that is set aside: the file, its place in it, counted from 1, and why."""

    file: str
    row: int
    reason: str


class Part(NamedTuple):
    """Some rows as they came: which part, of which file, and the place of each row in it, counted from 1."""

    number: int
    file: str
    places: Sequence[int]
    table: pa.Table


class Source:
    """The files whose rows are scored.

    Parameters
    ----------
    path : Path
        A file, or a folder of files.
    columns : sequence of str
        The columns that are needed; others are not read where that saves something.
    part_rows : int
        Rows of a part.

    Raises
    ------
    NotFound, Invalid
        If there is nothing to read there.
    """

    def __init__(self, path: Path, columns: Sequence[str], part_rows: int) -> None:
        self.files = _files(path)
        self._columns = list(columns)
        self._part_rows = part_rows
        self.aside: list[Aside] = []
        self.read_bytes = 0

    @property
    def bytes(self) -> int:
        """How large all files are together."""
        return sum(file.stat().st_size for file in self.files)

    def digest(self) -> str:
        """Return what tells whether the rows are still the same: the SHA-256 of names and contents."""
        found = hashlib.sha256()
        for file in self.files:
            found.update(file.name.encode() + b"\0")
            with file.open("rb") as stream:
                while data := stream.read(_BLOCK):
                    found.update(data)
        return found.hexdigest()

    def parts(self) -> Iterator[Part]:
        """Read all rows, a part at a time; a part never has rows of two files."""
        number = 0
        for file in self.files:
            reader: Callable[[Path], Iterator[tuple[Sequence[int], pa.Table]]] = {
                "parquet": self._parquet,
                "csv": self._csv,
                "jsonl": self._json_lines,
            }[_SUFFIXES[file.suffix.lower()]]
            for places, table in reader(file):
                self._require(file, table)
                yield Part(number, file.name, places, table)
                number += 1
            self.read_bytes += file.stat().st_size

    def _require(self, file: Path, table: pa.Table) -> None:
        lacking = [name for name in self._columns if name not in table.column_names]
        if lacking:
            raise Invalid(
                f"{file.name} has no column {', '.join(map(repr, lacking[:5]))}",
                code="score.column",
                hint=f"it has {', '.join(table.column_names[:20])}",
            )

    def _parquet(self, file: Path) -> Iterator[tuple[Sequence[int], pa.Table]]:
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(file) as opened:
                known = opened.schema_arrow.names
                chosen = [name for name in self._columns if name in known]
                batches = opened.iter_batches(self._part_rows, columns=chosen)
                yield from self._numbered(pa.Table.from_batches([batch]) for batch in batches)
        except (pa.ArrowInvalid, OSError) as error:
            raise Invalid(f"{file.name} is broken: {str(error)[:_EXCERPT]}", code="score.parquet", hint="cut off?") from None

    def _csv(self, file: Path) -> Iterator[tuple[Sequence[int], pa.Table]]:
        """Read texts; what they mean is seen when they become columns, row by row if need be."""
        from pyarrow import csv

        skipped: list[int] = []

        def set_aside(row: Any) -> Literal["skip"]:
            place = row.number - 1  # the first line has the names
            skipped.append(place)
            self.aside.append(Aside(file.name, place, f"it has {row.actual_columns} values, not {row.expected_columns}"))
            return "skip"

        delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
        options = csv.ParseOptions(delimiter=delimiter, newlines_in_values=False, invalid_row_handler=set_aside)
        try:
            names = _header(file, delimiter)
            texts = csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=["", "NA", "NaN", "nan", "null", "NULL"],
                strings_can_be_null=True, include_columns=[name for name in self._columns if name in names] or None,
            )  # fmt: skip
            reading = csv.ReadOptions(use_threads=False, block_size=_BLOCK)
            with csv.open_csv(file, reading, options, texts) as stream:
                tables = (pa.Table.from_batches([batch]) for batch in stream)
                yield from self._numbered(tables, skipped)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise Invalid(
                f"{file.name} cannot be read: {str(error)[:_EXCERPT]}", code="score.csv", hint="is it CSV in UTF-8?"
            ) from None

    def _numbered(self, tables: Iterator[pa.Table], skipped: Sequence[int] = ()) -> Iterator[tuple[Sequence[int], pa.Table]]:
        """Cut tables into parts, and give each row its place, past those that were skipped."""
        place, gone = 1, 0
        for table in _cut(tables, self._part_rows):
            places: list[int] = []
            for _ in range(table.num_rows):
                while gone < len(skipped) and skipped[gone] == place:
                    place, gone = place + 1, gone + 1
                places.append(place)
                place += 1
            yield (range(places[0], places[-1] + 1) if places and places[-1] - places[0] < len(places) else places), table

    def _json_lines(self, file: Path) -> Iterator[tuple[Sequence[int], pa.Table]]:
        rows: list[dict[str, Any]] = []
        places: list[int] = []
        with file.open("rb") as stream:
            for place, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    rows.append(msgspec.json.decode(line, type=dict[str, Any]))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    self.aside.append(Aside(file.name, place, "it is no JSON object"))
                    continue
                places.append(place)
                if len(rows) == self._part_rows:
                    yield places, self._of_rows(rows)
                    rows, places = [], []
        if rows:
            yield places, self._of_rows(rows)

    def _of_rows(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        """Make a table of rows; a column of several types is one of texts."""
        return pa.table({name: _column([row.get(name) for row in rows]) for name in self._columns})


def _column(values: list[Any]) -> Any:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        texts = (value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode() for value in values)
        return pa.array(list(texts), pa.string())


def _cut(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Make tables of a fixed number of rows out of those of any; the last one may have fewer."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.num_rows
        while size >= rows:
            whole = pa.concat_tables(held)
            yield whole.slice(0, rows)
            held, size = [whole.slice(rows)], size - rows
    if size:
        yield pa.concat_tables(held)


def _header(file: Path, delimiter: str) -> list[str]:
    import csv

    with file.open(newline="", encoding="utf-8-sig") as stream:
        names = next(csv.reader(stream, delimiter=delimiter), [])
    if len(set(names)) < len(names):
        raise Invalid(f"{file.name} has two columns of one name", code="score.csv", hint="rename one")
    return names


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."))
        if not found:
            raise Invalid(f"{path.name} holds nothing to score", code="score.input", hint="Parquet, CSV or JSON lines")
        return found
    if not path.exists():
        raise NotFound(f"there is no {str(path)[:200]!r}", code="score.input", hint="a file, a folder, or snapshot:DIGEST")
    if path.suffix.lower() not in _SUFFIXES:
        raise Invalid(f"{path.name} is of no kind that can be scored", code="score.input", hint="Parquet, CSV or JSON lines")
    return [path]
