"""How a schema would have to change so that data keeps it, if the change of the data was meant."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from perenne.core.clock import format_time
from perenne.data.model import Anomaly
from perenne.data.profiles import profile_table
from perenne.data.validation.checking import validate
from perenne.data.validation.editing import extend_at, remove_at, reorder, set_at, written
from perenne.data.validation.inferring import column_rules, null_allowance, widened
from perenne.data.validation.rows import Rows
from perenne.data.validation.rules import Schema
from perenne.data.validation.schema import plain_rules, read_schema

_MOST_LEVELS = 50
_ROW_SLACK = 0.1


class Suggestion(msgspec.Struct, frozen=True):
    """A change of the schema: of which column, which change, and what the data broke."""

    column: str
    change: str
    because: Anomaly


class Proposal(msgspec.Struct, frozen=True):
    """The text of the schema with every change in it, the changes, and what the data would break still."""

    text: str
    suggestions: tuple[Suggestion, ...]
    left: tuple[Anomaly, ...]


class _Edit(msgspec.Struct, frozen=True):
    """One change: `path` to its place, and the values that are set, added, or the order of names; none to remove it."""

    kind: str
    path: tuple[str, ...]
    value: Any = None

    @property
    def words(self) -> str:
        """The change as it is told."""
        name = ".".join(self.path[2:] or self.path[-1:])
        if self.kind == "reorder":
            return f"order: {', '.join(self.value)[:200]}"
        if self.kind == "remove":
            return f"remove {name}"
        return f"{name}: {'add ' if self.kind == 'extend' else ''}{written(self.value)}"

    def applied(self, text: str) -> str:
        """Return the text of the file with the change."""
        if self.kind == "set":
            return set_at(text, self.path, self.value)
        if self.kind == "extend":
            return extend_at(text, self.path, self.value)
        return remove_at(text, self.path) if self.kind == "remove" else reorder(text, self.path, self.value)


def propose(
    rows: Callable[[], Rows], text: str, schema: Schema, *, only: Sequence[str] = (), name: str = "schema", **how: Any
) -> Proposal:
    """Say how a schema would have to change so that some rows keep it.

    Parameters
    ----------
    rows : callable
        Opens the rows; they are read more than once.
    text : str
        The schema's file.
    only : sequence of str
        Columns or checks to look at; all if empty.
    how : object
        What `validate` takes beside.
    """
    found = [item for item in validate(rows(), schema, **how) if not only or item.column in only or item.check in only]
    suggestions, changed = [], text
    with rows() as opened:
        for item in found:
            for edit in _edits(opened, schema, item):
                changed = edit.applied(changed)
                suggestions.append(Suggestion(item.column, edit.words, item))
    if not suggestions:
        return Proposal(text, (), tuple(found))
    left = validate(rows(), read_schema(changed, name), **how)
    return Proposal(changed, tuple(suggestions), tuple(left))


def _edits(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    edits = _EDITS.get(item.check)
    if edits is not None:
        yield from edits(rows, schema, item)


def _is_named(schema: Schema, column: str) -> bool:
    """Tell whether a column names rows or times, or is spoken of elsewhere in the schema: then no rule of it can just follow."""
    absent = [name for environment in schema.environments.values() for name in environment.absent]
    return column in schema.table.key or column == schema.table.time or column in absent


def _fewer_rows(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    if rows.total:
        yield _Edit("set", ("table", "rows_min"), max(1, int(rows.total * (1 - _ROW_SLACK))))


def _more_rows(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    yield _Edit("set", ("table", "rows_max"), int(rows.total * (1 + _ROW_SLACK)) + 1)


def _column_gone(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    if item.column in schema.columns and not _is_named(schema, item.column):
        yield _Edit("remove", ("columns", item.column))


def _inferred(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    """State the rules of a column that is new, or of another type, from its values."""
    import pyarrow as pa

    parts = list(rows.batches([item.column]))
    table = pa.concat_tables(parts)
    profile = profile_table(table)
    rules = column_rules(profile.columns[0], profile.rows, item.column in schema.table.key)
    yield _Edit("set", ("columns", item.column), plain_rules(rules))


def _new_order(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    names = [name for name in rows.names if name in schema.columns]
    yield _Edit("reorder", ("columns",), [*names, *(name for name in schema.columns if name not in names)])


def _wider(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    name, column = item.column, rows.column(item.column)
    if rows.type_of(name) == "timestamp":
        instant = rows.fetch([name], f"select epoch_us({item.check}({column})) from t")[0][0]
        yield _Edit("set", ("columns", name, item.check), format_time(instant))
        return
    first = item.check == "min" or schema.columns[name].min is None
    if first and name in rows.nans and rows.fetch([name], f"select count(*) from t where {rows.not_a_number(name)}")[0][0]:
        yield _Edit("set", ("columns", name, "nan"), True)
    query = f"select min(cast({column} as double)), max(cast({column} as double)) from t"
    low, high = rows.fetch([name], query)[0]
    bound: Any = getattr(schema.columns[name], item.check)
    if low is not None and (low < bound if item.check == "min" else high > bound):
        side = widened(low, high)[item.check == "max"] if abs(low) < float("inf") > abs(high) else None
        yield _Edit("remove", ("columns", name, item.check)) if side is None else _set_number(name, item.check, side)


def _set_number(name: str, check: str, value: float) -> _Edit:
    return _Edit("set", ("columns", name, check), int(value) if value.is_integer() else value)


def _more_levels(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    column, domain = rows.column(item.column), list(schema.columns[item.column].domain or ())
    kind = "varchar" if rows.type_of(item.column) == "string" else "bigint"
    query = f"select distinct {column} from t where not list_contains(cast(? as {kind}[]), {column}) limit {_MOST_LEVELS + 1}"
    found = sorted(level for (level,) in rows.fetch([item.column], query, [domain]))
    if len(found) <= _MOST_LEVELS:
        yield _Edit("extend", ("columns", item.column, "domain"), found)


def _other_length(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    side, column = item.check.removesuffix("_length"), rows.column(item.column)
    length = rows.fetch([item.column], f"select {side}(length({column})) from t")[0][0]
    yield _Edit("set", ("columns", item.column, item.check), length)


def _more_missing(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    yield _Edit("set", ("columns", item.column, "null_max"), null_allowance(item.fraction))


def _may_be_missing(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    if not _is_named(schema, item.column):
        yield _Edit("remove", ("columns", item.column, "nullable"))
        yield _Edit("set", ("columns", item.column, "null_max"), null_allowance(item.fraction))


def _rule_gone(rows: Rows, schema: Schema, item: Anomaly) -> Iterator[_Edit]:
    if item.column in schema.columns and item.column not in schema.table.key:
        yield _Edit("remove", ("columns", item.column, item.check))


_EDITS: dict[str, Callable[[Rows, Schema, Anomaly], Iterator[_Edit]]] = {
    "rows_min": _fewer_rows,
    "rows_max": _more_rows,
    "missing_column": _column_gone,
    "new_column": _inferred,
    "retyped": _inferred,
    "reordered": _new_order,
    "min": _wider,
    "max": _wider,
    "domain": _more_levels,
    "min_length": _other_length,
    "max_length": _other_length,
    "null_max": _more_missing,
    "nullable": _may_be_missing,
    "unique": _rule_gone,
    "ascending": _rule_gone,
}
