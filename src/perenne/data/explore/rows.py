"""Which rows came and went between two tables: by a key if there is one, as whole rows otherwise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.model import ColumnProfile, DataProfile
from perenne.data.tables import Chunked, datatype_of

if TYPE_CHECKING:
    import duckdb

_COLUMNS = 20
_NUMBERS = ("int64", "float64")


class ColumnChanges(msgspec.Struct, frozen=True):
    """A column, and in how many rows with the same key its value is another one."""

    name: str
    rows: int


class RowChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the rows of a table.

    Attributes
    ----------
    key : tuple of str
        The columns that name a row; none if rows were compared as wholes.
    added, removed, same : int
        Rows that are new, that are gone, and that are as they were.
    changed : int
        Rows with a key of before and other values; 0 without a key, where such a row counts as removed and added.
    columns : tuple of ColumnChanges
        Those that changed most often.
    left_out : tuple of str
        Columns that only one of the tables has, or that changed their type; they are not compared.
    """

    key: tuple[str, ...]
    added: int
    removed: int
    same: int
    changed: int
    columns: tuple[ColumnChanges, ...]
    left_out: tuple[str, ...]


def key_of(before: DataProfile, after: DataProfile) -> tuple[str, ...]:
    """Find a column that names a row in both tables: different in every row, missing in none; the first one there is."""
    unique = [{column.name: column.type for column in side.columns if _names_rows(column, side.rows)} for side in (before, after)]
    return next(((name,) for name, kind in unique[1].items() if unique[0].get(name) == kind), ())


def _names_rows(column: ColumnProfile, rows: int) -> bool:
    return "id" in column.flags and column.distinct == rows and not column.nulls and not column.approximate


def compare_rows(before: pa.Table, after: pa.Table, key: Sequence[str] = ()) -> RowChanges:
    """Compare the rows of two tables.

    Parameters
    ----------
    key : sequence of str
        The columns that name a row.

    Raises
    ------
    Invalid
        If one of them is not in both tables, or does not name one row each.

    >>> one, two = pa.table({"id": [1, 2, 3], "x": [1, 1, 1]}), pa.table({"id": [2, 3, 4], "x": [1, 5, 1]})
    >>> found = compare_rows(one, two, ["id"])
    >>> found.added, found.removed, found.changed, found.same
    (1, 1, 1, 1)
    """
    common = [name for name in after.column_names if name in before.column_names and _alike(before, after, name)]
    if not common:
        raise Invalid("the two have no column in common", code="data.key", hint="is it another table?")
    for name in key:
        if name not in common:
            raise Invalid(f"column {name!r} is not in both, with one type", code="data.key", hint="name another key, or none")
    left_out = tuple(name for name in dict.fromkeys((*before.column_names, *after.column_names)) if name not in common)
    import duckdb

    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        for name, side, other in (("a", before, after), ("b", after, before)):
            columns = [_column(side, column, other) for column in common]
            connection.register(name, pa.table(columns, [f"c{place}" for place in range(len(common))]))
        if key:
            return _by_key(connection, common, tuple(key), left_out)
        return _as_wholes(connection, len(common), left_out)


def _alike(before: pa.Table, after: pa.Table, name: str) -> bool:
    kinds = {datatype_of(side.schema.field(name).type) for side in (before, after)}
    return len(kinds) == 1 or kinds <= set(_NUMBERS)


def _column(table: pa.Table, name: str, other: pa.Table) -> Chunked:
    """Return a column, whole numbers as floats if they are so in the other table: equal values have equal hashes then."""
    column, kind = table.column(name), other.schema.field(name).type
    return column if datatype_of(column.type) == datatype_of(kind) else column.cast(pa.float64(), safe=False)


def _by_key(
    connection: "duckdb.DuckDBPyConnection", common: list[str], key: tuple[str, ...], left_out: tuple[str, ...]
) -> RowChanges:
    keys = [f"c{common.index(name)}" for name in key]
    listed, joined = ", ".join(keys), " and ".join(f"a.{name} = b.{name}" for name in keys)
    for side in "ab":
        query = f"select count(*) - count(distinct struct_pack({', '.join(f'{k} := {k}' for k in keys)})) from {side}"
        missing = " or ".join(f"{name} is null" for name in keys)
        repeated, lacking = connection.execute(f"select ({query}), (select count(*) from {side} where {missing})").fetchall()[0]
        if repeated or lacking:
            raise Invalid(
                f"{', '.join(key)} names no row: {repeated:,} rows repeat it, {lacking:,} lack it",
                code="data.key", hint="name columns that are different in every row",
            )  # fmt: skip
    others = [f"c{place}" for place, name in enumerate(common) if name not in key]
    differs = [f"a.{name} is distinct from b.{name}" for name in others] or ["false"]
    counts = ", ".join(f"count(*) filter (where {one})" for one in differs)
    both = connection.execute(
        f"select count(*), count(*) filter (where {' or '.join(differs)}), {counts} from a join b on {joined}"
    )
    met, changed, *by_column = both.fetchall()[0]
    added, removed = (
        connection.execute(f"select count(*) from {one} anti join {other} using ({listed})").fetchall()[0][0]
        for one, other in (("b", "a"), ("a", "b"))
    )
    named = [ColumnChanges(common[int(name[1:])], rows) for name, rows in zip(others, by_column, strict=False) if rows]
    columns = tuple(sorted(named, key=lambda item: -item.rows)[:_COLUMNS])
    return RowChanges(
        key=key, added=added, removed=removed, same=met - changed, changed=changed, columns=columns, left_out=left_out
    )


def _as_wholes(connection: "duckdb.DuckDBPyConnection", count: int, left_out: tuple[str, ...]) -> RowChanges:
    """Compare rows by a 64-bit hash of each; one that stands there several times counts several times."""
    row = f"hash({', '.join(f'c{place}' for place in range(count))})"
    query = f"""select coalesce(sum(greatest(n - m, 0)), 0), coalesce(sum(greatest(m - n, 0)), 0), coalesce(sum(least(n, m)), 0)
        from (select h, sum(one) as m, sum(two) as n
              from (select {row} as h, 1 as one, 0 as two from a union all select {row}, 0, 1 from b) group by h)"""
    added, removed, same = map(int, connection.execute(query).fetchall()[0])
    return RowChanges(key=(), added=added, removed=removed, same=same, changed=0, columns=(), left_out=left_out)
