"""How far columns are from those of a baseline, in the cells of the baseline's profile: no row of it is read again.

Numbers are counted in the baseline's histogram, with a cell for what lies below, above, is infinite or missing; a column of few
levels by these levels, with a cell for others. The distances are those of `perenne.stats.distances`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.data.column_profiles import MAX_SHOWN
from perenne.data.drawing import is_discrete, points_of
from perenne.data.model import Anomaly, ColumnProfile, DataProfile
from perenne.data.tables import pc
from perenne.data.validation.rows import Rows, anomaly
from perenne.data.validation.rules import Distance, Metric, Schema
from perenne.data.validation.schema import NUMBERS
from perenne.stats.distances import js_distance, linf

Counts = NDArray[np.float64]
_WORDS = {Metric.LINF: "the largest difference of a share", Metric.JS: "the Jensen-Shannon distance"}


def distance_anomalies(rows: Rows, schema: Schema, baseline: DataProfile | None, *, check: str) -> Iterator[Anomaly]:
    """Tell which columns are further from the baseline than they may be; `check` is drift or skew."""
    before = {column.name: column for column in baseline.columns} if baseline is not None else {}
    for name, rules in schema.columns.items():
        limit: Distance | None = getattr(rules, check)
        known = before.get(name)
        if limit is None or known is None or name not in rows.positions or not _alike(known.type, rows.type_of(name)):
            continue
        found = distance(rows, known, limit.metric)
        if found > limit.threshold:
            expected = f"{_WORDS[limit.metric]} from the baseline at most {limit.threshold:g}, it is {found:.3g}"
            yield anomaly(name, check, expected, rows.total, rows.total, rules.severity_of(check))


def _alike(one: str, other: str) -> bool:
    return one == other or {one, other} <= set(NUMBERS)


def distance(rows: Rows, before: ColumnProfile, metric: Metric) -> float:
    """Return how far a column is from its baseline; 0 if either has no row."""
    reference, current = (
        _histogram(rows, before) if before.numbers is not None and not _has_levels(before) else _levels(rows, before)
    )
    measure = linf if metric is Metric.LINF else js_distance
    return float(measure(reference, current))


def _has_levels(column: ColumnProfile) -> bool:
    return is_discrete(column) and column.distinct <= len(column.top)


def _levels(rows: Rows, before: ColumnProfile) -> tuple[Counts, Counts]:
    """Count by the baseline's levels, then others, then missing ones."""
    name = before.name
    levels: list[Any] = [item.value for item in before.top]
    counts = [item.count for item in before.top]
    column = rows.column(name)
    # As the profile writes them: texts are cut, and 0 and -0 are one number.
    value, kind = f"left(cast({column} as varchar), {MAX_SHOWN})", "varchar"
    if before.type in NUMBERS:
        points = points_of(before)
        levels, counts = [*points], [*points.values()]
        value, kind = f"cast({column} as double) + 0", "double"
    query = f"select {value}, count(*) from t where list_contains(cast(? as {kind}[]), {value}) group by 1"
    found = dict(rows.fetch([name], query, [levels]))
    known = int(rows.fetch([name], f"select count({column}) from t")[0][0])
    current = [found.get(level, 0) for level in levels]
    reference = [*counts, before.count - sum(counts), before.nulls]
    return np.array(reference, np.float64), np.array([*current, known - sum(current), rows.total - known], np.float64)


def _histogram(rows: Rows, before: ColumnProfile) -> tuple[Counts, Counts]:
    """Count in the cells of the baseline's histogram: a part of the rows at a time."""
    assert before.numbers is not None
    edges = np.array(before.numbers.edges)
    current = np.zeros(len(edges) + 1)
    known = infinite = 0
    for batch in rows.batches([before.name]):
        values = np.asarray(pc.cast(batch.column(0).drop_null(), "float64"))
        finite = values[np.isfinite(values)]
        known, infinite = known + values.size, infinite + values.size - finite.size
        within = np.histogram(finite, edges)[0]
        current += np.concatenate(([np.sum(finite < edges[0])], within, [np.sum(finite > edges[-1])]))
    reference = [0, *before.numbers.counts, 0, before.numbers.infinite, before.nulls]
    return np.array(reference, np.float64), np.array([*current, infinite, rows.total - known], np.float64)
