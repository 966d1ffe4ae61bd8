"""Rows of a model served elsewhere, in one form whatever they came as, and the keys by which a row is known again.

======================= ============ ===========================================================
column                  type         what it is
======================= ============ ===========================================================
`time`                  int64        when it was answered, microseconds since 1970
`id`                    string       what names the row; null if nothing does
`prediction`, `label`   string       as text; null if not known
`score_<n>`             float64      of each class, or of the positive one alone
`f_<name>`              as it came   an input
======================= ============ ===========================================================
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne import data
from perenne.core.clock import SECOND
from perenne.core.errors import Invalid
from perenne.monitoring.elsewhere.model import Foreign, Roles
from perenne.stats.columns import Column, Columns, Field, FieldKind
from perenne.stats.levels import level_text

FEATURE, SCORE = "f_", "score_"
_EPOCH_UNITS = ((1e17, 1_000), (1e14, 1), (1e11, 1_000))
"""Whole numbers above these are nanoseconds, microseconds and milliseconds since 1970; the others are seconds."""

Keys = NDArray[np.uint64]

Rows: TypeAlias = Any
"""An Arrow table; its stubs ask for the type of each column, which is known when it runs."""


def plain_rows(table: Rows, roles: Roles) -> Rows:
    """Bring a table to the one form.

    Raises
    ------
    Invalid
        If a column that is named is not there, the times are none, or there are no rows.
    """
    for part, name in (("time", roles.time), ("prediction", roles.prediction), ("label", roles.label), ("id", roles.identity)):
        if name and name not in table.column_names:
            raise data.fields.missing_column(part, name, table.column_names)
    for name in (*roles.score, *roles.features):
        if name not in table.column_names:
            raise data.fields.missing_column("score" if name in roles.score else "feature", name, table.column_names)
    table = data.read_source(table)
    columns: dict[str, Any] = {"time": pa.array(_instants(table[roles.time], roles.time), pa.int64())}
    columns["id"] = _texts(table[roles.identity]) if roles.identity else pa.nulls(table.num_rows, pa.string())
    columns["prediction"] = _texts(table[roles.prediction])
    columns["label"] = _texts(table[roles.label]) if roles.label else pa.nulls(table.num_rows, pa.string())
    for place, name in enumerate(roles.score):
        columns[f"{SCORE}{place}"] = _numbers(table[name], name)
    inputs = roles.features or [name for name in table.column_names if name not in roles.named]
    return pa.table(columns | {FEATURE + name: table[name] for name in inputs})


def _instants(column: Any, name: str) -> list[int | None]:
    """Read times: texts, timestamps, or whole numbers since 1970 in seconds, milli-, micro- or nanoseconds."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return [None if value is None else _epoch(value) for value in column.to_pylist()]
    seconds = data.fields.to_columns(pa.table({name: column}), [Field(name, FieldKind.TIME, "timestamp")])[name]
    return [None if np.isnan(value) else round(value * SECOND) for value in seconds.tolist()]


def _epoch(value: float) -> int | None:
    if value != value or abs(value) >= 1e20:
        return None
    if abs(value) >= _EPOCH_UNITS[0][0]:
        return int(value) // 1_000
    if abs(value) >= _EPOCH_UNITS[1][0]:
        return int(value)
    return round(value * (1_000 if abs(value) >= _EPOCH_UNITS[2][0] else SECOND))


def _texts(column: Any) -> Any:
    encoded = column.combine_chunks().dictionary_encode() if column.num_chunks else pa.array([], pa.string()).dictionary_encode()
    levels = pa.array([level_text(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return levels.take(encoded.indices)


def _numbers(column: Any, name: str) -> Any:
    read = data.fields.to_columns(pa.table({name: column}), [Field(name, FieldKind.NUMBER)])[name]
    return pa.array(read, pa.float64(), from_pandas=True)


def inputs_of(rows: Rows) -> list[str]:
    """Name the inputs."""
    return [name.removeprefix(FEATURE) for name in rows.column_names if name.startswith(FEATURE)]


def scores_of(rows: Rows) -> NDArray[np.float64] | None:
    """Return the scores, (rows, classes) or one column; None if there are none."""
    names = sorted(name for name in rows.column_names if name.startswith(SCORE))
    if not names or not rows.num_rows:
        return None
    return np.column_stack([rows[name].to_numpy() for name in names])


def columns_of(rows: Rows, fields: Sequence[Field]) -> Columns:
    """Return the inputs as profiles take them; a value that is none of its kind stays as it is, and is counted as never seen."""
    return {
        field.name: _column(rows[FEATURE + field.name], field) for field in fields if FEATURE + field.name in rows.column_names
    }


def _column(column: Any, field: Field) -> Column:
    try:
        return data.fields.to_columns(pa.table({field.name: column}), [field])[field.name]
    except Invalid:
        values = np.empty(len(column), object)
        values[:] = [_loosely(value) for value in column.to_pylist()]
        return values


def _loosely(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value


def keys_of(rows: Rows) -> Keys:
    """Return a key for each row: of what names it, else of all that is in it and how many like it come before.

    Equal rows have equal keys wherever and whenever they are read.
    """
    whole = np.full(rows.num_rows, 0x9E3779B97F4A7C15, np.uint64)
    for name in rows.column_names:
        if name not in ("id", "label"):
            whole = _mix(whole ^ _mix(_hashes(rows[name]) + np.uint64(_hash(name.encode()))))
    named = rows["id"].combine_chunks()
    ids = np.asarray(named.is_valid())
    return np.where(ids, _mix(_hashes(rows["id"]) + np.uint64(1)), _numbered(whole))


def _numbered(keys: Keys) -> Keys:
    """Tell equal keys apart by how many came before."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(keys) else np.empty(0, np.bool_)
    places = np.arange(len(keys))
    nth = np.empty(len(keys), np.uint64)
    nth[order] = (places - np.maximum.accumulate(np.where(starts, places, 0))).astype(np.uint64)
    return _mix(keys + nth * np.uint64(0xD6E8FEB86659FD93))


def _hashes(column: Any) -> Keys:
    encoded = column.combine_chunks()
    if pa.types.is_floating(encoded.type) or pa.types.is_integer(encoded.type):
        values = np.asarray(encoded.cast(pa.float64(), safe=False).fill_null(np.nan)) + 0.0
        bits: Any = np.where(np.isnan(values), np.nan, values)
        return np.asarray(bits).view(np.uint64)
    coded = encoded.dictionary_encode()
    texts = [_hash(str(value).encode("utf-8", "surrogatepass")) for value in coded.dictionary.to_pylist()]
    levels = np.array([*texts, 0], np.uint64)
    coded_levels: Keys = levels[np.asarray(coded.indices.fill_null(len(levels) - 1))]
    return coded_levels


def _hash(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _mix(keys: Keys) -> Keys:
    """Spread bits (the finish of MurmurHash3)."""
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return keys ^ (keys >> np.uint64(33))


def sorted_by_time(rows: Rows) -> Rows:
    """Return rows in the order of their time."""
    return rows.sort_by("time")


def of_records(columns: Mapping[str, Any], foreign: Foreign) -> Rows:
    """Return columns of plain values as a table; mixed values become texts. Raises Invalid if columns differ in length."""
    arrays = {name: _array(list(values)) for name, values in columns.items()}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise Invalid(f"columns of {foreign.name} differ in length", code="monitor.rows", hint="one value per row in each column")
    return pa.table(arrays)


def _array(values: list[Any]) -> Any:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else level_text(value) or "" for value in values], pa.string())
