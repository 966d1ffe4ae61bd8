"""Holding a table against its schema: one pass counts what breaks every rule, then the first rows of the broken ones are read."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from perenne.core.clock import format_time
from perenne.core.errors import Invalid
from perenne.data.model import Anomaly, DataProfile, Sample, Severity
from perenne.data.tables import canonical, datatype_of, pc
from perenne.data.validation.schema import ColumnRules, Schema, infer_schema

if TYPE_CHECKING:
    from perenne.projects import Expectation

_RULES_AT_ONCE = 32
_SAMPLES = 5
_NUMBERS = ("int64", "float64")


def validate(
    table: pa.Table,
    against: Schema | DataProfile,
    *,
    key: str | Sequence[str] | None = None,
    expectations: "Iterable[Expectation]" = (),
    until: int | None = None,
) -> list[Anomaly]:
    """Tell which rules a table breaks, errors first.

    Parameters
    ----------
    table : pyarrow.Table
        As from `read_source` or `read_snapshot`.
    against : Schema or DataProfile
        A schema as inferred or edited; or the profile of a baseline, whose schema is inferred.
    key : str or sequence of str, optional
        The columns that name a row, if the schema does not say.
    expectations : iterable of perenne.projects.expect.Expectation
        What the project states beside the schema; a broken one is an error.
    until : int, optional
        No row of the schema's time column may be later, in microseconds since 1970.

    Raises
    ------
    Invalid
        If a condition is no SQL, or names a column that is not there.
    """
    table = canonical(table)
    schema = infer_schema(against) if isinstance(against, DataProfile) else against
    keys = ((key,) if isinstance(key, str) else tuple(key or ())) or schema.table.key
    with _Rows(table) as rows:
        found = [
            *_table_anomalies(table, schema),
            *rows.broken(_column_rules(table, schema)),
            *(item for name, rules in schema.columns.items() if rules.unique for item in rows.repeated([name], rules.severity)),
            *_disordered(table, schema),
            *_key_anomalies(rows, keys),
            *(_future(rows, schema.table.time, until) if until is not None and schema.table.time else ()),
            *_expectation_anomalies(rows, expectations),
        ]
    position = {name: index for index, name in enumerate(table.column_names)}
    once = {anomaly.id: anomaly for anomaly in found}
    return sorted(
        once.values(), key=lambda item: (item.severity is Severity.WARNING, position.get(item.column, -1), item.check, item.id)
    )


def _anomaly(column: str, check: str, expected: str, count: int, total: int, severity: Severity, samples: Any = ()) -> Anomaly:
    identity = f"{column}.{check}" if column else check
    return Anomaly(identity, column, check, expected, count, count / total if total else 0.0, tuple(samples), severity)


class _Rule(NamedTuple):
    """A condition, in SQL over the columns `c0`, `c1`…, that is true for the rows that break a rule."""

    column: str
    check: str
    expected: str
    condition: str
    parameters: tuple[Any, ...]
    severity: Severity
    allowed: float = 0.0


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """Return the one engine of this process; every table gets a cursor of its own, and none reaches a file or the network."""
    return duckdb.connect(config={"enable_external_access": "false"})


class _Rows:
    """The table as DuckDB sees it: its columns as `c0`, `c1`… so that no name can trouble the SQL, and the row number as `r`."""

    def __init__(self, table: pa.Table) -> None:
        self.positions = {name: position for position, name in enumerate(table.column_names)}
        self.total = table.num_rows
        self._columns = table.columns
        self._numbers = pa.array(np.arange(1, table.num_rows + 1))
        self._connection = _engine().cursor()

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def column(self, name: str) -> str:
        """Return how SQL calls a column."""
        return f"c{self.positions[name]}"

    def fetch(self, columns: Iterable[str], query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query over some columns of the table `t`, for planning one over thousands takes long; return all its rows."""
        needed = {self.column(name): self._columns[self.positions[name]] for name in columns}
        self._connection.register("t", pa.table({**needed, "r": self._numbers}))
        return list(self._connection.execute(query, list(parameters)).fetchall())

    def broken(self, rules: Iterable[_Rule]) -> Iterator[Anomaly]:
        """Count the rows that break each rule, and read the first ones.

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

    def _of(self, rule: _Rule, count: int) -> Anomaly:
        value = self.column(rule.column)
        query = f"select r, cast({value} as varchar) from t where {rule.condition} order by r limit {_SAMPLES}"
        samples = [Sample(row, text) for row, text in self.fetch([rule.column], query, rule.parameters)]
        return _anomaly(rule.column, rule.check, rule.expected, count, self.total, rule.severity, samples)

    def repeated(self, columns: Sequence[str], severity: Severity) -> Iterator[Anomaly]:
        """Find the rows that have the key of an earlier row; a key with a missing part repeats nothing."""
        if not columns or not set(columns) <= set(self.positions):
            return
        names = [self.column(column) for column in columns]
        known, group = " and ".join(f"{name} is not null" for name in names), ", ".join(names)
        query = f"select coalesce(sum(n - 1), 0) from (select count(*) as n from t where {known} group by {group})"
        count = int(self.fetch(columns, query)[0][0])
        if count:
            query = (
                f"select r, concat_ws(', ', {group}) from t where {known} "
                f"qualify row_number() over (partition by {group} order by r) > 1 order by r limit {_SAMPLES}"
            )
            samples = [Sample(row, text) for row, text in self.fetch(columns, query)]
            yield _anomaly(", ".join(columns), "unique", "no value twice", count, self.total, severity, samples)


def _table_anomalies(table: pa.Table, schema: Schema) -> Iterator[Anomaly]:
    total = table.num_rows
    if total < schema.table.rows_min:
        expected = f"at least {schema.table.rows_min:,} rows, there are {total:,}"
        yield _anomaly("", "rows_min", expected, total, total, Severity.ERROR)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    for name, rules in schema.columns.items():
        if name not in columns:
            yield _anomaly(name, "missing_column", f"a column of {rules.type}", total, total, Severity.ERROR)
    for name, column in columns.items():
        if name not in schema.columns:
            yield _anomaly(name, "new_column", "no such column", total, total, Severity.WARNING)
            continue
        present, wanted = datatype_of(column.type), schema.columns[name].type
        if present != wanted and column.null_count < total:
            numbers = present in _NUMBERS and wanted in _NUMBERS
            severity = Severity.WARNING if numbers else Severity.ERROR
            yield _anomaly(name, "retyped", f"{wanted}, it is {present} now", total, total, severity)


def _column_rules(table: pa.Table, schema: Schema) -> Iterator[_Rule]:
    """Return the rules that can be put as a condition on one row, for the columns that have the right type."""
    for position, name in enumerate(table.column_names):
        rules, column = schema.columns.get(name), table.column(position)
        if rules is None:
            continue
        yield from _null_rules(name, f"c{position}", rules, empty=column.null_count == table.num_rows)
        present = datatype_of(column.type)
        if present in _NUMBERS and rules.type in _NUMBERS:
            yield from _number_rules(name, f"c{position}", rules)
        elif present == rules.type == "string":
            yield from _text_rules(name, f"c{position}", rules)


def _null_rules(name: str, column: str, rules: ColumnRules, *, empty: bool) -> Iterator[_Rule]:
    if not rules.nullable:
        yield _Rule(name, "nullable", "no missing value", f"{column} is null", (), Severity.ERROR)
    elif rules.null_max is not None and rules.null_max < 1:
        # A feed that broke off is an error, whatever the rule's own severity.
        severity = Severity.ERROR if empty else rules.severity
        expected = f"at most {rules.null_max:.3g} of the values missing"
        yield _Rule(name, "null_max", expected, f"{column} is null", (), severity, allowed=rules.null_max)


def _number_rules(name: str, column: str, rules: ColumnRules) -> Iterator[_Rule]:
    if rules.min is not None:
        yield _Rule(name, "min", f"at least {rules.min:.6g}", f"cast({column} as double) < ?", (rules.min,), rules.severity)
    if rules.max is not None:
        yield _Rule(name, "max", f"at most {rules.max:.6g}", f"cast({column} as double) > ?", (rules.max,), rules.severity)


def _text_rules(name: str, column: str, rules: ColumnRules) -> Iterator[_Rule]:
    if rules.domain is not None:
        shown = ", ".join(rules.domain[:8]) + (f" and {len(rules.domain) - 8} more" if len(rules.domain) > 8 else "")
        condition = f"not list_contains(cast(? as varchar[]), {column})"
        yield _Rule(name, "domain", f"one of {shown}", condition, (list(rules.domain),), rules.severity)
    if rules.regex is not None:
        condition = f"not regexp_full_match({column}, ?)"
        yield _Rule(name, "regex", f"a text like {rules.regex}", condition, (rules.regex,), rules.severity)
    if rules.max_length is not None:
        expected = f"at most {rules.max_length} characters"
        yield _Rule(name, "max_length", expected, f"length({column}) > ?", (rules.max_length,), rules.severity)


def _disordered(table: pa.Table, schema: Schema) -> Iterator[Anomaly]:
    for name, column in zip(table.column_names, table.columns, strict=True):
        rules = schema.columns.get(name)
        if rules is None or not rules.ascending or datatype_of(column.type) != rules.type:
            continue
        rows = np.flatnonzero(np.asarray(pc.is_valid(column)))
        values = column.drop_null()
        falls = np.flatnonzero(np.asarray(pc.less(values.slice(1), values.slice(0, max(len(values) - 1, 0)))))
        if falls.size:
            samples = [Sample(int(rows[index + 1]) + 1, str(values[int(index) + 1].as_py())) for index in falls[:_SAMPLES]]
            yield _anomaly(
                name, "ascending", "no value less than the one before", falls.size, table.num_rows, rules.severity, samples
            )


def _key_anomalies(rows: _Rows, keys: Sequence[str]) -> Iterator[Anomaly]:
    if not keys:
        return
    yield from _not_null(rows, keys)
    yield from rows.repeated(keys, Severity.ERROR)


def _not_null(rows: _Rows, columns: Sequence[str]) -> Iterator[Anomaly]:
    present = [name for name in columns if name in rows.positions]
    for name in columns:
        if name not in present:
            yield _anomaly(name, "missing_column", "a column of this name", rows.total, rows.total, Severity.ERROR)
    conditions = ((name, f"{rows.column(name)} is null") for name in present)
    yield from rows.broken(
        _Rule(name, "nullable", "no missing value", condition, (), Severity.ERROR) for name, condition in conditions
    )


def _future(rows: _Rows, time: str, until: int) -> Iterator[Anomaly]:
    if time in rows.positions:
        condition = f"epoch_us(cast({rows.column(time)} as timestamp)) > ?"
        expected = f"nothing later than {format_time(until)}"
        yield from rows.broken([_Rule(time, "future", expected, condition, (until,), Severity.ERROR)])


def _expectation_anomalies(rows: _Rows, expectations: "Iterable[Expectation]") -> Iterator[Anomaly]:
    for expectation in expectations:
        if expectation.kind == "unique":
            yield from _not_null(rows, [name for name in expectation.columns if name not in rows.positions])
            yield from rows.repeated(expectation.columns, Severity.ERROR)
        elif expectation.kind == "not_null":
            yield from _not_null(rows, expectation.columns)
        else:
            yield from _predicate(rows, expectation.name, expectation.predicate)


def _predicate(rows: _Rows, name: str, predicate: str) -> Iterator[Anomaly]:
    """Check a person's condition; where it is neither true nor false, because a value is missing, it counts as kept."""
    named, seen = [], set()
    for column, position in rows.positions.items():
        # SQL does not tell names apart by case, nor knows an empty one: the first column of a name is the one that is meant.
        if column and column.lower() not in seen:
            seen.add(column.lower())
            named.append(f"c{position} as {quoted(column)}")
    source = f"(select {', '.join(named)}, r as {quoted(_ROW)} from t)"
    broken = f"from {source} where not ({predicate}\n)"
    try:
        count = rows.fetch(rows.positions, f"select count(*) {broken}")[0][0]
        samples = rows.fetch(rows.positions, f"select {quoted(_ROW)} {broken} order by 1 limit {_SAMPLES}") if count else []
    except duckdb.Error as error:
        raise Invalid(
            f"expectation {name!r}: {str(error).splitlines()[0]}",
            code="data.expectation",
            hint="write an SQL condition on the columns, such as: distance > 0",
        ) from None
    if count:
        yield Anomaly(
            f"holds.{name}", "", "holds", f"{name}: {predicate}", count, count / rows.total,
            tuple(Sample(row, None) for (row,) in samples), Severity.ERROR,
        )  # fmt: skip


_ROW = "perenne.row"


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'
