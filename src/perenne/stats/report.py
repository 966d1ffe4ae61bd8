"""Drift between two tables in memory, of any size: both are counted in cells that a sample of the first one fixes.

Nothing is sorted but the sample, and nothing is looked at twice: a million rows of fifty columns take a fraction of a second.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perenne.stats import bits
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.drift import DriftVerdict, judge
from perenne.stats.layout import FeatureCells
from perenne.stats.levels import CategoryCells
from perenne.stats.numeric import CELLS, NULL, NumberCells
from perenne.stats.phases import standard_from
from perenne.stats.profile import Profile

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE = 10_000
_RUNS = 100
_PARTS = 12


def compare_tables(reference: "pa.Table", window: "pa.Table", *, minimum_rows: int = 200) -> DriftVerdict:
    """Judge a table against another by the drift rule.

    Parameters
    ----------
    reference, window : pyarrow.Table
        Numbers, and texts or booleans as levels; columns of another type are left out. The reference is in order of time, or in
        any: a dozen parts of it tell how far it varies by itself.
    minimum_rows : int
        Below it the state is `too_few`.

    Returns
    -------
    DriftVerdict
        As of a window in production; impacts are 0, for there are no answers.
    """
    fields = fields_of(reference)
    some = _sample(reference)
    sample = {field.name: _column(some[field.name], field) for field in fields}
    cells = Reference.fit(sample, fields, chunks=1, task=Task.REGRESSION)
    step = -(-len(reference) // _PARTS) or 1
    parts = [count(cells, reference.slice(start, step)) for start in range(0, len(reference), step)]
    return judge(cells, count(cells, window), minimum_rows=minimum_rows, against=standard_from(cells, parts))


def _sample(table: "pa.Table") -> "pa.Table":
    """Return short runs of rows from all over a table, or all rows of a small one."""
    import pyarrow as pa

    if len(table) <= _SAMPLE:
        return table
    starts = np.linspace(0, len(table) - _SAMPLE // _RUNS, _RUNS).astype(int).tolist()
    return pa.concat_tables([table.slice(start, _SAMPLE // _RUNS) for start in starts])


def fields_of(table: "pa.Table") -> list[Field]:
    """Return the columns that can be compared, and their kinds."""
    import pyarrow as pa

    fields = []
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_integer(plain) or pa.types.is_floating(plain):
            fields.append(Field(name, FieldKind.NUMBER))
        elif pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_boolean(plain):
            fields.append(Field(name, FieldKind.CATEGORY))
    return fields


def count(cells: Reference, table: "pa.Table") -> Profile:
    """Count a table's rows in a reference's cells, and nothing beside the counts; a column that is missing is null throughout."""
    profile = Profile.empty(cells)
    profile.rows = len(table)
    for place, (feature, field) in enumerate(zip(cells.layout.features, cells.fields, strict=True)):
        if feature.name in table.column_names:
            for chunk in table[feature.name].chunks:
                profile.counts[place] += _counts(feature, chunk, field)
        else:
            profile.counts[place, NULL] = len(table)
    return profile


def _counts(feature: FeatureCells, chunk: "pa.Array[Any]", field: Field) -> NDArray[np.int64]:
    if isinstance(feature, CategoryCells):
        return _level_counts(feature, chunk)
    return _number_counts(feature, _column(chunk, field))


def _number_counts(feature: NumberCells, values: Column) -> NDArray[np.int64]:
    """Count by bit code, and look at the values only of codes that hold an atom or several edges."""
    if feature.narrow:
        values = values.astype(np.float32).astype(np.float64)
    found = np.zeros(CELLS, np.int64)
    for start in range(0, len(values), bits.BLOCK):
        block = values[start : start + bits.BLOCK]
        cells = feature.table.take(bits.codes(bits.standardise(block, feature.center, feature.scale)))
        counts = np.bincount(cells, minlength=256)
        if counts[CELLS:].any():
            counts[:CELLS] += np.bincount(feature.encode(block[cells >= CELLS])[0], minlength=CELLS)
        found += counts[:CELLS]
    return found


def _level_counts(feature: CategoryCells, chunk: "pa.Array[Any]") -> NDArray[np.int64]:
    import pyarrow as pa

    coded: Any = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
    levels = np.array([*coded.dictionary.to_pylist(), None], object)[:-1]
    rows = np.bincount(coded.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(levels))
    found = np.bincount(feature.encode(levels), weights=rows, minlength=CELLS).astype(np.int64)
    found[NULL] += coded.null_count
    return found


def _column(array: "pa.Array[Any] | pa.ChunkedArray[Any]", field: Field) -> Column:
    if field.kind is FieldKind.NUMBER:
        values = np.asarray(array.to_numpy() if hasattr(array, "chunks") else array.to_numpy(zero_copy_only=False))
        return values.astype(np.float64, copy=False)
    import pyarrow as pa

    coded: Any = array
    coded = (coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()).combine_chunks()
    levels = np.array([*coded.dictionary.to_pylist(), None], object)
    return np.asarray(levels[coded.indices.fill_null(len(levels) - 1).to_numpy(zero_copy_only=False)])
