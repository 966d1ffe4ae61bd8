"""Rows of a query: SQLite, PostgreSQL and DuckDB, read only, from one snapshot of the database, in batches."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from perenne.core import json
from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.origins.places import Kind, Place, place_of
from perenne.data.spooling import Spool
from perenne.data.tables import Values

BATCH = 50_000
Batches: TypeAlias = "Iterator[tuple[list[str], list[tuple[Any, ...]]]]"
WATERMARK = "watermark"


class Asked(NamedTuple):
    """The rows of a query, what tells where they end, and how many rows up to the last watermark there are by now."""

    table: pa.Table
    state: dict[str, str]
    earlier: int | None


def ask(place: Place, query: str, *, watermark: str = "", state: Mapping[str, str] = {}) -> Asked:
    """Ask a database; with a watermark, only for the rows above the last one.

    Raises
    ------
    NotFound, Invalid, Unavailable
        If there is no such database, the query is wrong or would change something, or the server cannot be reached.
    """
    query = query.strip().rstrip(";")
    last = json.decode(state[WATERMARK].encode(), Any, what="watermark") if watermark and state.get(WATERMARK) else None
    with _opened(place) as connection:
        if not watermark:
            return Asked(_table(connection.batches(query, ()), place.kind), {}, None)
        column = '"' + watermark.replace('"', '""') + '"'
        inner = f"select * from ({query}) as perenne_rows where {column}"
        earlier = None
        if last is None:
            batches = connection.batches(f"{inner} is not null order by {column}", ())
        else:
            counted = f"select count(*) from ({query}) as perenne_rows where {column} <= {connection.mark}"
            earlier = connection.one(counted, (last,))
            batches = connection.batches(f"{inner} > {connection.mark} order by {column}", (last,))
        highest = _Highest(watermark, last)
        table = _table(highest.watch(batches), place.kind)
        return Asked(table, {WATERMARK: json.encode(highest.value).decode()} if highest.value is not None else {}, earlier)


def fetch_query(uri: str, query: str, target: Path) -> int:
    """Write the rows of a query to a file of Parquet, and return how many there are; what is held in memory has a bound.

    Raises
    ------
    NotFound, Invalid, Unavailable
        As `ask`; Invalid also if the address is that of no database.
    """
    import pyarrow.parquet as pq

    place = place_of(uri, query)
    if place.kind not in (Kind.SQLITE, Kind.POSTGRESQL, Kind.DUCKDB):
        raise Invalid(
            "a query needs the address of a database", code="ingest.query", hint="sqlite:PATH, duckdb:PATH or postgresql://…"
        )
    rows = ask(place, query).table
    with pq.ParquetWriter(target, rows.schema, compression="zstd") as writer:
        for start in range(0, rows.num_rows, BATCH) or [0]:
            writer.write_table(rows.slice(start, BATCH))
    return int(rows.num_rows)


class _Highest:
    """Sees the highest value of a column go by, as the database gave it."""

    def __init__(self, column: str, value: Any) -> None:
        self._column = column
        self.value = value

    def watch(self, batches: Batches) -> Batches:
        for names, rows in batches:
            if rows:
                value = rows[-1][names.index(self._column)]
                self.value = value.isoformat() if hasattr(value, "isoformat") else value
            yield names, rows


def _table(batches: Batches, kind: Kind) -> pa.Table:
    """Make a table of batches of rows. Raises Invalid for a column of several types."""
    with Spool() as spool:
        for number, (names, rows) in enumerate(batches, 1):
            columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
            table = pa.table([_column(name, values) for name, values in zip(names, columns, strict=True)], names=names)
            try:
                spool.add(f"batch {number} of {kind}", table)
            except Invalid as error:
                raise _several(error.message) if error.code == "ingest.types" else error from None
        return spool.table()


def _column(name: str, values: tuple[Any, ...]) -> Values:
    try:
        if {type(value) for value in values} <= {int, float, type(None)} and any(type(value) is float for value in values):
            return pa.array(values, pa.float64())
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        raise _several(f"column {name!r}") from None


def _several(what: str) -> Invalid:
    return Invalid(f"{what} holds values of several types", code="ingest.types", hint="cast it in the query: cast(… as text)")


class _Connection(NamedTuple):
    """A connection in a transaction that only reads; `mark` stands for a parameter."""

    cursor: Any
    mark: str
    named: Any = None

    def one(self, query: str, parameters: tuple[Any, ...]) -> int:
        return int(self.cursor().execute(query, parameters).fetchone()[0])

    def batches(self, query: str, parameters: tuple[Any, ...]) -> Batches:
        cursor = (self.named or self.cursor)()
        cursor.execute(query, parameters)
        rows = cursor.fetchmany(BATCH)
        if cursor.description is None:
            raise Invalid("the query returns no rows", code="ingest.query", hint="it must be a select")
        names = [column[0] for column in cursor.description]
        yield names, rows
        while len(rows) == BATCH:
            rows = cursor.fetchmany(BATCH)
            if rows:
                yield names, rows


@contextmanager
def _opened(place: Place) -> Iterator[_Connection]:
    opener = {Kind.SQLITE: _sqlite, Kind.POSTGRESQL: _postgresql, Kind.DUCKDB: _duckdb}[place.kind]
    with opener(place.rest) as connection:
        yield connection


@contextmanager
def _sqlite(path: str) -> Iterator[_Connection]:
    _must_exist(path)
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
            connection.execute("begin")
            yield _Connection(connection.cursor, "?")
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _refused("SQLite", error) from error


@contextmanager
def _duckdb(path: str) -> Iterator[_Connection]:
    import duckdb

    _must_exist(path)
    try:
        with closing(duckdb.connect(path, read_only=True, config={"enable_external_access": "false"})) as connection:
            connection.execute("begin transaction read only")
            yield _Connection(connection.cursor, "?", lambda: connection)
    except duckdb.Error as error:
        raise _refused("DuckDB", error) from error


@contextmanager
def _postgresql(url: str) -> Iterator[_Connection]:
    try:
        import psycopg
    except ImportError:
        raise Invalid("PostgreSQL needs its driver", code="database.driver", hint="pip install 'perenne[postgres]'") from None
    try:
        with psycopg.connect(url, connect_timeout=10, options="-c default_transaction_read_only=on") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with ExitStack() as cursors:
                yield _Connection(connection.cursor, "%s", lambda: _closing(cursors, connection.cursor("perenne_ingest")))
    except psycopg.OperationalError as error:
        raise Unavailable(
            "PostgreSQL cannot be asked", code="ingest.database", hint=str(error).splitlines()[-1][:200] if str(error) else ""
        ) from error
    except psycopg.Error as error:
        raise _refused("PostgreSQL", error) from error


def _closing(cursors: ExitStack, cursor: Any) -> Any:
    """Have a cursor of the server closed at the end, also where the query failed."""
    cursors.callback(cursor.close)
    return cursor


def _must_exist(path: str) -> None:
    if not Path(path).is_file():
        raise NotFound(f"there is no database {path!r}", code="data.not_found", hint="paths are relative to the present folder")


def _refused(kind: str, error: Exception) -> Invalid:
    said = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return Invalid(f"{kind} refused the query: {said}", code="ingest.query", hint="it may only read: one select")
