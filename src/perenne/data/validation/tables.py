"""What is wrong with a table as a whole: how many rows, which columns, of which type, in which order, and how old it is."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from perenne.core.clock import format_duration, parse_duration
from perenne.data.model import Anomaly, DataProfile, Sample, Severity
from perenne.data.tables import Chunked, pc
from perenne.data.validation.rows import SAMPLES, Rows, anomaly
from perenne.data.validation.rules import Schema
from perenne.data.validation.schema import NUMBERS


def row_anomalies(rows: Rows, schema: Schema, baseline: DataProfile | None) -> Iterator[Anomaly]:
    """Hold the number of rows against what it may be, also by that of the baseline."""
    table, total = schema.table, rows.total
    if total < table.rows_min:
        yield _of_table(schema, "rows_min", f"at least {table.rows_min:,} rows, there are {total:,}", total)
    if table.rows_max is not None and total > table.rows_max:
        yield _of_table(schema, "rows_max", f"at most {table.rows_max:,} rows, there are {total:,}", total)
    if table.rows_change is not None and baseline is not None:
        before = baseline.rows
        if abs(total - before) > table.rows_change * before:
            expected = f"within {table.rows_change:.0%} of the baseline's {before:,} rows, there are {total:,}"
            yield _of_table(schema, "rows_change", expected, total)


def _of_table(schema: Schema, check: str, expected: str, total: int, default: Severity = Severity.ERROR) -> Anomaly:
    return anomaly("", check, expected, total, total, schema.table.severity.get(check, default))


def column_anomalies(rows: Rows, schema: Schema, absent: tuple[str, ...] = ()) -> Iterator[Anomaly]:
    """Tell which columns are new, gone, of another type, or in another order."""
    total, chosen = rows.total, schema.table.severity
    for name, rules in schema.columns.items():
        if name not in rows.positions:
            severity = chosen.get("missing_column", Severity.ERROR)
            yield anomaly(name, "missing_column", f"a column of {rules.type}", total, total, severity)
    for name, present in zip(rows.names, rows.types, strict=True):
        rules_of = schema.columns.get(name)
        if rules_of is None:
            expected = "no such column here" if name in absent else "no such column"
            yield anomaly(name, "new_column", expected, total, total, chosen.get("new_column", Severity.WARNING))
        elif present != rules_of.type and not rows.is_empty(name):
            numbers = present in NUMBERS and rules_of.type in NUMBERS
            severity = chosen.get("retyped", Severity.WARNING if numbers else Severity.ERROR)
            yield anomaly(name, "retyped", f"{rules_of.type}, it is {present} now", total, total, severity)
    yield from _reordered(rows, schema)


def _reordered(rows: Rows, schema: Schema) -> Iterator[Anomaly]:
    wanted = [name for name in schema.columns if name in rows.positions]
    found = [name for name in rows.names if name in schema.columns]
    if wanted != found:
        place = next(place for place, (one, other) in enumerate(zip(wanted, found, strict=True)) if one != other)
        expected = f"{wanted[place]!r} before {found[place]!r}"
        yield _of_table(schema, "reordered", expected, rows.total, Severity.WARNING)


def stale(rows: Rows, schema: Schema, now: int | None) -> Iterator[Anomaly]:
    """Tell whether the newest row is older than it may be."""
    time, limit = schema.table.time, schema.table.freshness
    if limit is None or time is None or now is None or time not in rows.positions or rows.type_of(time) != "timestamp":
        return
    newest = rows.fetch([time], f"select epoch_us(max({rows.column(time)})) from t")[0][0]
    if newest is None or now - newest > parse_duration(limit):
        age = "there is none" if newest is None else f"it is {format_duration(now - newest)} old"
        severity = schema.table.severity.get("freshness", Severity.ERROR)
        yield anomaly(time, "freshness", f"the newest row at most {limit} old, {age}", rows.total, rows.total, severity)


def disordered(rows: Rows, schema: Schema) -> Iterator[Anomaly]:
    """Find the values that are less than the one in the row before, a part of the rows at a time."""
    for name, rules in schema.columns.items():
        if not rules.ascending or name not in rows.positions or rows.type_of(name) != rules.type:
            continue
        count, samples = _falls(rows, name)
        if count:
            expected, severity = "no value less than the one before", rules.severity_of("ascending")
            yield anomaly(name, "ascending", expected, count, rows.total, severity, samples)


def _falls(rows: Rows, name: str) -> tuple[int, list[Sample]]:
    count, done = 0, 0
    samples: list[Sample] = []
    chunks: list[Any] = []  # the last value so far
    places = np.zeros(0, np.int64)  # and where it stood
    for batch in rows.batches([name]):
        column: Chunked = batch.column(0)
        values: Chunked = pa.chunked_array([*chunks, *column.drop_null().chunks], column.type)
        places = np.concatenate([places, np.flatnonzero(np.asarray(pc.is_valid(column))) + done])
        falls = np.flatnonzero(np.asarray(pc.less(values.slice(1), values.slice(0, max(len(values) - 1, 0)))))
        for index in falls[: SAMPLES - len(samples)].tolist():
            samples.append(Sample(int(places[index + 1]) + 1, str(values.slice(index + 1, 1).cast(pa.string())[0])))
        count, done = count + int(falls.size), done + len(column)
        chunks, places = values.slice(max(len(values) - 1, 0)).chunks, places[-1:]
    return count, samples
