"""Holding rows against their schema: one pass counts what breaks every rule, then the first rows of the broken ones are read."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.model import Anomaly, DataProfile, Sample, Severity
from perenne.data.validation.conditions import column_conditions, future, missing
from perenne.data.validation.drifting import distance_anomalies
from perenne.data.validation.inferring import infer_schema
from perenne.data.validation.project_checks import check_anomalies
from perenne.data.validation.repeating import repeats
from perenne.data.validation.rows import TIME_LIMIT, Rows, Rule, TableRows, anomaly
from perenne.data.validation.rules import Schema
from perenne.data.validation.tables import column_anomalies, disordered, row_anomalies, stale

if TYPE_CHECKING:
    from perenne.projects import Expectation


def validate(
    source: pa.Table | Rows,
    against: Schema | DataProfile,
    *,
    key: str | Sequence[str] | None = None,
    expectations: "Iterable[Expectation]" = (),
    until: int | None = None,
    now: int | None = None,
    baseline: DataProfile | None = None,
    environment: str = "",
    root: Path | None = None,
    seconds: float = TIME_LIMIT,
) -> list[Anomaly]:
    """Tell which rules some rows break, errors first.

    Parameters
    ----------
    source : pyarrow.Table or Rows
        A table as from `read_source` or `read_snapshot`; or rows of a file that is streamed, from `sources.open_rows`.
    against : Schema or DataProfile
        A schema as inferred or edited; or the profile of a baseline, whose schema is inferred.
    key : str or sequence of str, optional
        The columns that name a row, if the schema does not say.
    expectations : iterable of perenne.projects.expect.Expectation
        What the project states beside the schema; a broken one is an error.
    until : int, optional
        No row of the schema's time column may be later, in microseconds since 1970.
    now : int, optional
        What `freshness` is held against; without it, nobody looks at it.
    baseline : DataProfile, optional
        What `drift`, `skew` and `rows_change` are held against.
    environment : str
        One of the schema's: its absent columns may be missing, and `skew` counts in place of `drift`.
    root : Path, optional
        The folder from which the schema's checks are imported; without it a schema with checks is refused.
    seconds : float
        How long each condition of a person may take.

    Raises
    ------
    Invalid
        If a condition is no SQL on the columns or takes too long, a check cannot be called, or an environment is unknown.
    """
    schema = infer_schema(against) if isinstance(against, DataProfile) else against
    absent: tuple[str, ...] = ()
    if environment:
        schema, absent = _within(schema, environment)
    keys = ((key,) if isinstance(key, str) else tuple(key or ())) or schema.table.key
    with source if isinstance(source, Rows) else TableRows(source) as rows:
        found = [
            *_by_the_engine(rows, schema, keys, until),
            *column_anomalies(rows, schema, absent),
            *row_anomalies(rows, schema, baseline),
            *stale(rows, schema, now),
            *distance_anomalies(rows, schema, baseline, check="skew" if environment else "drift"),
            *_row_rules(rows, schema, seconds),
            *check_anomalies(rows, schema, root),
            *_expectation_anomalies(rows, expectations, seconds),
        ]
        return _in_order(found, rows)


def _by_the_engine(rows: Rows, schema: Schema, keys: Sequence[str], until: int | None) -> Iterator[Anomaly]:
    """Check the values: each row by itself, then what hangs on others."""
    yield from rows.broken([*column_conditions(rows, schema), *_more_conditions(rows, schema, keys, until)])
    yield from _repeated(rows, schema, keys)
    yield from disordered(rows, schema)


def _in_order(found: Sequence[Anomaly], rows: Rows) -> list[Anomaly]:
    """Put anomalies in order, errors first; one that was found twice counts as what it was found as last."""
    once = {item.id: item for item in found}
    place = rows.positions
    return sorted(
        once.values(), key=lambda item: (item.severity is Severity.WARNING, place.get(item.column, -1), item.check, item.id)
    )


def _within(schema: Schema, environment: str) -> tuple[Schema, tuple[str, ...]]:
    try:
        return schema.within(environment), schema.environments[environment].absent
    except KeyError:
        known = ", ".join(schema.environments) or "none"
        raise Invalid(
            f"environment: the schema has none called {environment[:80]!r}", code="data.environment", hint=f"it has {known}"
        ) from None


def _more_conditions(rows: Rows, schema: Schema, keys: Sequence[str], until: int | None) -> Iterator[Rule]:
    """Return the conditions on the columns that name a row and its time."""
    time = schema.table.time
    yield from _not_null(rows, keys)
    if until is not None and time is not None and time in rows.positions and rows.type_of(time) == "timestamp":
        yield future(rows, time, until)


def _not_null(rows: Rows, columns: Iterable[str]) -> Iterator[Rule]:
    for name in columns:
        if name in rows.positions:
            yield Rule(name, "nullable", "no missing value", missing(rows, name), (), Severity.ERROR)


def _repeated(rows: Rows, schema: Schema, keys: Sequence[str]) -> Iterator[Anomaly]:
    yield from _lacking(rows, keys)
    yield from repeats(rows, keys, Severity.ERROR)
    for name, rules in schema.columns.items():
        if rules.unique and tuple(keys) != (name,):
            yield from repeats(rows, [name], rules.severity_of("unique"))


def _lacking(rows: Rows, columns: Iterable[str]) -> Iterator[Anomaly]:
    for name in columns:
        if name not in rows.positions:
            yield anomaly(name, "missing_column", "a column of this name", rows.total, rows.total, Severity.ERROR)


def _row_rules(rows: Rows, schema: Schema, seconds: float) -> Iterator[Anomaly]:
    for name, rule in schema.rules.items():
        yield from _predicate(rows, f"rule.{name}", f"rule {name!r}", name, rule.sql, rule.severity, seconds)


def _expectation_anomalies(rows: Rows, expectations: "Iterable[Expectation]", seconds: float) -> Iterator[Anomaly]:
    for expectation in expectations:
        if expectation.kind == "unique":
            yield from _lacking(rows, expectation.columns)
            yield from repeats(rows, expectation.columns, Severity.ERROR)
        elif expectation.kind == "not_null":
            yield from _lacking(rows, expectation.columns)
            yield from rows.broken(_not_null(rows, expectation.columns))
        else:
            where = f"expectation {expectation.name!r}"
            yield from _predicate(
                rows, f"holds.{expectation.name}", where, expectation.name, expectation.predicate, Severity.ERROR, seconds
            )


def _predicate(
    rows: Rows, identity: str, where: str, name: str, predicate: str, severity: Severity, seconds: float
) -> Iterator[Anomaly]:
    """Check a person's condition; where it is neither true nor false, because a value is missing, it counts as kept."""
    try:
        count, first = rows.where_not(predicate, seconds)
    except duckdb.InterruptException:
        hint = "write it so that it looks at one row, or give it more time"
        raise Invalid(f"{where} took longer than {seconds:g} seconds", code="data.expectation", hint=hint) from None
    except duckdb.Error as error:
        raise Invalid(
            f"{where}: {str(error).splitlines()[0]}",
            code="data.expectation",
            hint="write an SQL condition on the columns, such as: distance > 0",
        ) from None
    if count:
        check, samples = identity.partition(".")[0], tuple(Sample(row, None) for row in first)
        yield Anomaly(identity, "", check, f"{name}: {predicate}", count, count / rows.total, samples, severity)
