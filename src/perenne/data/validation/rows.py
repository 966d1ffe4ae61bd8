"""Rows as DuckDB sees them, wherever they are: a table in memory, or a file that is streamed and never held whole.

Columns are called `c0`, `c1`… in here, so that no name can trouble the SQL, and the number of a row, from 1, is `r`. They have
the five types of `perenne.data.tables`; of a column of floats `n0`, `n1`… tells where a value was not-a-number, which counts as
missing; `x0`, `x1`… is what stood where a value could not be read as its column's type.

Nothing that runs in here reaches another file or the network: of the engine's files only the one that is read is open to it.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.model import Anomaly, Sample, Severity
from perenne.data.tables import canonical, datatype_of, pc

SAMPLES = 5
MEMORY_LIMIT = "512MiB"
TIME_LIMIT = 300.0
_RULES_AT_ONCE = 32
_BATCH = 131_072
_SQL_TYPES = {"int64": "bigint", "float64": "double", "bool": "boolean", "string": "varchar", "timestamp": "timestamp"}


class Rule(NamedTuple):
    """A condition, in SQL over the columns, that is true for the rows that break a rule.

    Attributes
    ----------
    allowed : float
        The share of rows that may break it.
    if_all : Severity, optional
        What it is if every row breaks it, whatever `severity` says.
    """

    column: str
    check: str
    expected: str
    condition: str
    parameters: tuple[Any, ...]
    severity: Severity
    allowed: float = 0.0
    if_all: Severity | None = None


class SourceColumn(NamedTuple):
    """A column of a file: its canonical type, and how SQL reads it; `nan` tells where it is not-a-number, if it can be.

    `text` is what stood there, where that could not be read as the type.
    """

    name: str
    type: str
    sql: str
    nan: str = ""
    text: str = ""


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text for SQL where none can be bound: in the definition of a view."""
    return "'" + text.replace("'", "''") + "'"


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """Return the engine of this process for tables in memory; every table gets a cursor of its own."""
    return duckdb.connect(config={"enable_external_access": "false"})


def regex_problem(regex: str) -> str:
    """Tell why the engine cannot take a regular expression; an empty text if it can."""
    try:
        with _engine().cursor() as cursor:
            cursor.execute("select regexp_full_match('', ?)", [regex]).fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return ""


def anomaly(column: str, check: str, expected: str, count: int, total: int, severity: Severity, samples: Any = ()) -> Anomaly:
    """Put an anomaly together; its id comes from column and check."""
    identity = f"{column}.{check}" if column else check
    return Anomaly(identity, column, check, expected, count, count / total if total else 0.0, tuple(samples), severity)


class Rows:
    """Some rows, and what can be asked of them. Close it, or use it in a `with`.

    Attributes
    ----------
    names, types : list of str
        Columns and their canonical types, in their order.
    total : int
        How many rows there are.
    nans, misfits : set of str
        The columns that may hold not-a-number, and those that may hold what could not be read as their type.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> None:
        self.names = [name for name, _ in columns]
        self.types = [kind for _, kind in columns]
        self.positions = {name: position for position, name in enumerate(self.names)}
        self.total = 0
        self.nans: set[str] = set()
        self.misfits: set[str] = set()
        self._connection = connection
        # Else the engine draws on the screen, between what we print, as soon as a query takes a moment.
        connection.execute("set enable_progress_bar = false")

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the engine go."""
        self._connection.close()

    def column(self, name: str) -> str:
        """Return how SQL calls a column."""
        return f"c{self.positions[name]}"

    def not_a_number(self, name: str) -> str:
        """Return the condition that a value was not-a-number."""
        return f"n{self.positions[name]}" if name in self.nans else "false"

    def misfit(self, name: str) -> str:
        """Return what stood where a value could not be read as the column's type, in SQL."""
        return f"x{self.positions[name]}"

    def is_empty(self, name: str) -> bool:
        """Tell whether every value of a column is missing."""
        return bool(self.fetch([name], f"select count({self.column(name)}) from t")[0][0] == 0)

    def type_of(self, name: str) -> str:
        """Return the canonical type of a column."""
        return self.types[self.positions[name]]

    def fetch(self, columns: Iterable[str], query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query over some columns of the view `t` and return all its rows."""
        self._prepare(columns)
        return list(self._connection.execute(query, list(parameters)).fetchall())

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Go through some columns in the order of the rows, a part at a time; they have their own names."""
        self._prepare(columns)
        chosen = ", ".join(self.column(name) for name in columns)
        reader = self._connection.sql(f"select {chosen} from t").to_arrow_reader(_BATCH)
        for batch in reader:
            yield pa.table(batch.columns, names=list(columns))

    def head(self, columns: Sequence[str], count: int) -> pa.Table:
        """Return the first rows of some columns."""
        self._prepare(columns)
        chosen = ", ".join(self.column(name) for name in columns)
        table = self._connection.sql(f"select {chosen} from t limit {count}").to_arrow_table()
        return pa.table(table.columns, names=list(columns))

    def broken(self, rules: Iterable[Rule]) -> Iterator[Anomaly]:
        """Count the rows that break each rule, all in one pass, and read the first ones of those that are broken.

        A few dozen rules go in one pass: planning hundreds takes longer than another pass.
        """
        rules = list(rules)
        for start in range(0, len(rules), _RULES_AT_ONCE):
            part = rules[start : start + _RULES_AT_ONCE]
            counts = ", ".join(f"count(*) filter (where {rule.condition})" for rule in part)
            parameters = [value for rule in part for value in rule.parameters]
            found = self.fetch([rule.column for rule in part], f"select {counts} from t", parameters)
            for rule, count in zip(part, found[0], strict=True):
                if count > rule.allowed * self.total:
                    yield self._of(rule, count)

    def _of(self, rule: Rule, count: int) -> Anomaly:
        name = rule.column
        shown = f"case when {self.not_a_number(name)} then 'NaN' else cast({self.column(name)} as varchar) end"
        if name in self.misfits:
            shown = f"coalesce({self.misfit(name)}, {shown})"
        # The engine keeps the order of the rows, so that these are the first ones, and looks no further.
        query = f"select r, {shown} from t where {rule.condition} limit {SAMPLES}"
        samples = [Sample(row, text) for row, text in sorted(self.fetch([name], query, rule.parameters))]
        severity = rule.if_all if rule.if_all is not None and count == self.total else rule.severity
        return anomaly(name, rule.check, rule.expected, count, self.total, severity, samples)

    def where_not(self, predicate: str, seconds: float) -> tuple[int, list[int]]:
        """Count the rows of which a person's condition is not true, and return the first ones.

        Raises
        ------
        duckdb.Error
            If it is no single condition in SQL on the columns, or takes longer than so many seconds.
        """
        self._prepare(self.names)
        source = f"(select {', '.join(self._named())}, r as {quoted(_ROW)} from t)"
        broken = f"from {source} where not ({predicate}\n)"
        queries = f"select count(*) {broken}", f"select {quoted(_ROW)} {broken} order by 1 limit {SAMPLES}"
        for query in queries:
            if len(self._connection.extract_statements(query)) != 1:
                raise duckdb.ParserException("Parser Error: more than one statement")
        with self._at_most(seconds):
            count = self._connection.execute(queries[0]).fetchall()[0][0]
            rows = self._connection.execute(queries[1]).fetchall() if count else []
        return count, [row for (row,) in rows]

    def _named(self) -> Iterator[str]:
        """SQL does not tell names apart by case, nor knows an empty one: the first column of a name is the one that is meant."""
        seen = set()
        for name, position in self.positions.items():
            if name and name.lower() not in seen:
                seen.add(name.lower())
                yield f"c{position} as {quoted(name)}"

    @contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        """Interrupt what the engine does after some time."""
        timer = threading.Timer(seconds, self._connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _prepare(self, columns: Iterable[str]) -> None:
        """Make the view `t`, of some columns at least."""


_ROW = "perenne.row"


class TableRows(Rows):
    """The rows of a table in memory."""

    def __init__(self, table: pa.Table) -> None:
        plain = canonical(table)
        columns = [(name, datatype_of(kind)) for name, kind in zip(plain.column_names, plain.schema.types, strict=True)]
        super().__init__(_engine().cursor(), columns)
        self.table = plain
        self.total = plain.num_rows
        self._numbers = pa.array(np.arange(1, plain.num_rows + 1))
        self._nan = {}
        for position, name in enumerate(self.names):
            column = table.column(position)
            if pa.types.is_floating(column.type) and column.null_count < plain.column(position).null_count:
                self._nan[name] = pc.fill_null(pc.is_nan(column), False)
        self.nans = set(self._nan)

    def _prepare(self, columns: Iterable[str]) -> None:
        """Show the engine only the columns that are asked for: planning a query over thousands takes long."""
        needed = {}
        for name in columns:
            needed[self.column(name)] = self.table.column(self.positions[name])
            if name in self._nan:
                needed[f"n{self.positions[name]}"] = self._nan[name]
        self._connection.register("t", pa.table({**needed, "r": self._numbers}))


class FileRows(Rows):
    """The rows of a file that the engine streams, within `MEMORY_LIMIT`; what does not fit goes to a folder of its own.

    Parameters
    ----------
    path : Path
        The file: the only one the engine may open.
    columns : sequence of SourceColumn
        How each column is read.
    relation : str
        What SQL reads them from, with the number of a row as `r`.
    total : int
        How many rows there are.
    folder : Path, optional
        What is removed when the rows are closed.
    """

    def __init__(
        self, path: Path, columns: Sequence[SourceColumn], relation: str, total: int, folder: Path | None = None
    ) -> None:
        self._spill = Path(tempfile.mkdtemp(prefix="perenne-rows-"))
        self._folders = [self._spill, *([folder] if folder else [])]
        connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(self._spill)})
        super().__init__(connection, [(column.name, column.type) for column in columns])
        self.total = total
        self.nans = {column.name for column in columns if column.nan}
        self.misfits = {column.name for column in columns if column.text}
        try:
            connection.execute(f"set allowed_paths = [{literal(str(path))}]")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            parts = [f"{column.sql} as c{position}" for position, column in enumerate(columns)]
            parts += [f"{column.nan} as n{position}" for position, column in enumerate(columns) if column.nan]
            parts += [f"{column.text} as x{position}" for position, column in enumerate(columns) if column.text]
            connection.execute(f"create view t as select {', '.join(parts)}, r from {relation}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the engine go, and what it put aside."""
        super().close()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def parquet_rows(path: Path, *, name: str = "", folder: Path | None = None, texts: Mapping[str, int] | None = None) -> FileRows:
    """Read a file of Parquet without holding it.

    Parameters
    ----------
    name : str
        How messages call it.
    folder : Path, optional
        What is removed when the rows are closed.
    texts : mapping, optional
        Where a column's texts that could not be read stand; such places are no columns themselves.

    Raises
    ------
    Invalid
        If it is broken, or holds lists or structs.
    """
    import pyarrow.parquet as pq

    path, name, apart = path.absolute(), name or path.name, dict(texts or {})
    try:
        with pq.ParquetFile(path) as file:
            schema, total = file.schema_arrow, file.metadata.num_rows
        places = [place for place in range(len(schema)) if place not in apart.values()]
        plain = canonical(schema.empty_table().select(places), name).schema
        columns = [
            _parquet_column(schema.field(place), kind, f"a{place}", f"a{apart[field]}" if field in apart else "")
            for place, field, kind in zip(places, plain.names, plain.types, strict=True)
        ]
        return FileRows(path, columns, _relation(path, schema.names), total, folder)
    except (pa.ArrowInvalid, OSError, duckdb.Error) as error:
        problem = str(error).splitlines()[0]
        raise Invalid(f"{name} is broken: {problem}", code="data.parquet", hint="was it cut off?") from None


def _relation(path: Path, names: Sequence[str]) -> str:
    """Return what SQL reads a file of Parquet from: columns by place, so that names that it takes for the same are told apart."""
    named = [f"a{place}" for place in range(len(names))]
    if _NUMBER in map(str.lower, names):
        return f"(select *, row_number() over () as r from read_parquet({literal(str(path))}) as f({', '.join(named)}))"
    numbered = ", ".join([*named, "p"])
    return f"(select *, p + 1 as r from read_parquet({literal(str(path))}, {_NUMBER} = true) as f({numbered}))"


_NUMBER = "file_row_number"


def _parquet_column(field: "pa.Field[Any]", kind: pa.DataType, sql: str, text: str) -> SourceColumn:
    """Say how a column is read; for a literal of its own type it is read as it is, so that parts of the file can be left out."""
    wanted, found = datatype_of(kind), field.type
    if pa.types.is_floating(found):
        return SourceColumn(
            field.name, wanted, f"case when not isnan({sql}) then cast({sql} as double) end", f"isnan({sql})", text
        )
    if pa.types.is_duration(found):
        return SourceColumn(field.name, wanted, f"cast({sql} as double) / {_PER_SECOND[found.unit]}", "", text)
    if pa.types.is_timestamp(found) and found.tz is not None:
        return SourceColumn(field.name, wanted, f"make_timestamp(epoch_us(cast({sql} as timestamptz)))", "", text)
    return SourceColumn(field.name, wanted, sql if found == kind else f"cast({sql} as {_SQL_TYPES[wanted]})", "", text)


_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
