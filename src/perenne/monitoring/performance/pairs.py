"""Where a model does worst in pairs of columns: every pair of groups of cells with enough labelled rows, counted by DuckDB."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.stats.layout import FeatureCells
from perenne.stats.slices import MINIMUM_ROWS, Slice, group_in_words, tail, worst_of

MOST_COLUMNS = 16

Floats = NDArray[np.float64]


def worst_pairs(
    features: Sequence[FeatureCells], cells: Sequence[NDArray[np.uint8]], loss: Floats, *, top: int = 10
) -> list[Slice]:
    """Return the pairs of groups of two columns that cost the most, among those worse than the rest beyond chance.

    Parameters
    ----------
    features, cells : sequences of equal length
        Inputs, and the cell of each row; the first 16 are combined, each by its 16 groups of neighbouring cells.
    loss : float64 (rows,)
        0 and 1 for an error, or any loss.
    """
    known = np.isfinite(loss)
    values = np.asarray(loss, np.float64)[known]
    features = features[:MOST_COLUMNS]
    cells = [feature.groups[row[known]] for feature, row in zip(features, cells, strict=False)]
    if len(values) < MINIMUM_ROWS or len(features) < 2:
        return []
    overall, found, looked = float(values.mean()), [], 0
    for (one, first), (other, second), rows, total, squares in _counted(cells, values):
        if rows == len(values):
            continue
        looked += 1
        mean = total / rows
        if mean > overall:
            names = f"{features[one].name} × {features[other].name}"
            where = f"{group_in_words(features[one], first)} × {group_in_words(features[other], second)}"
            p = tail(rows, total, squares, values)
            found.append(Slice(names, where, rows, mean, overall, (mean - overall) * rows, p))
    return worst_of(found, looked, top)


def _counted(
    cells: Sequence[NDArray[np.uint8]], values: Floats
) -> "list[tuple[tuple[int, int], tuple[int, int], int, float, float]]":
    """Sum rows, losses and their squares for all pairs of cells, in one pass over the rows."""
    import duckdb
    import pyarrow as pa

    names = [f"c{place}" for place in range(len(cells))]
    table: Any = pa.table({name: pa.array(row) for name, row in zip(names, cells, strict=True)} | {"loss": pa.array(values)})
    pairs = list(combinations(range(len(cells)), 2))
    sets = ", ".join(f"(c{one}, c{other})" for one, other in pairs)
    query = f"""
        select {", ".join(names)}, count(*), sum(loss), sum(loss * loss)
        from labelled group by grouping sets ({sets}) having count(*) >= {MINIMUM_ROWS}
    """
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        connection.register("labelled", table)
        rows = connection.execute(query).fetchall()
    found = []
    for *places, count, total, squares in rows:
        (one, first), (other, second) = ((place, cell) for place, cell in enumerate(places) if cell is not None)
        found.append(((one, first), (other, second), int(count), float(total), float(squares)))
    return found
