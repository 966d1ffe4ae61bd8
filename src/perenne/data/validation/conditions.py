"""Rules on the values of a column as conditions on one row, in SQL."""

from collections.abc import Iterator

from perenne.core.clock import format_time
from perenne.data.model import Severity
from perenne.data.validation.rows import Rows, Rule
from perenne.data.validation.rules import ColumnRules, Schema
from perenne.data.validation.schema import NUMBERS, bound_value

_SHOWN = 8


def column_conditions(rows: Rows, schema: Schema) -> Iterator[Rule]:
    """Return the rules that can be put as a condition on one row, for the columns that have the right type."""
    for name, present in zip(rows.names, rows.types, strict=True):
        rules = schema.columns.get(name)
        if rules is None:
            continue
        if name in rows.misfits:
            expected = f"{'a number' if present in NUMBERS else present} in each row"
            yield Rule(name, "unreadable", expected, f"{rows.misfit(name)} is not null", (), Severity.ERROR)
        yield from _null_rules(rows, name, rules)
        column = rows.column(name)
        if present in NUMBERS and rules.type in NUMBERS:
            yield from _number_rules(rows, name, rules)
            if present == rules.type == "int64":
                yield from _level_rules(name, column, rules)
        elif present == rules.type == "timestamp":
            yield from _time_rules(name, column, rules)
        elif present == rules.type == "string":
            yield from _level_rules(name, column, rules)
            yield from _text_rules(name, column, rules)


def missing(rows: Rows, name: str) -> str:
    """Return the condition that a value is missing: one that could not be read is not."""
    absent = f"{rows.column(name)} is null"
    return f"({absent} and {rows.misfit(name)} is null)" if name in rows.misfits else absent


def _null_rules(rows: Rows, name: str, rules: ColumnRules) -> Iterator[Rule]:
    if not rules.nullable:
        yield Rule(name, "nullable", "no missing value", missing(rows, name), (), Severity.ERROR)
    elif rules.null_max is not None and rules.null_max < 1:
        # A feed that broke off is an error, whatever the rule's own severity.
        severity, expected = rules.severity_of("null_max"), f"at most {rules.null_max:.3g} of the values missing"
        yield Rule(name, "null_max", expected, missing(rows, name), (), severity, rules.null_max, Severity.ERROR)


def _number_rules(rows: Rows, name: str, rules: ColumnRules) -> Iterator[Rule]:
    column, unknown = rows.column(name), "" if rules.nan or name not in rows.nans else f" or {rows.not_a_number(name)}"
    number = column if rows.type_of(name) == "float64" else f"cast({column} as double)"
    for check, bound, sign, words in (("min", rules.min, "<", "at least"), ("max", rules.max, ">", "at most")):
        if bound is not None:
            # A range of infinite ends is one still, which a value that is no number does not lie in.
            yield Rule(
                name, check, f"{words} {bound:.6g}", f"({number} {sign} ?{unknown})", (float(bound),), rules.severity_of(check)
            )


def _time_rules(name: str, column: str, rules: ColumnRules) -> Iterator[Rule]:
    for check, bound, sign, words in (("min", rules.min, "<", "not before"), ("max", rules.max, ">", "not after")):
        if bound is not None:
            instant = int(bound_value(bound))
            expected, severity = f"{words} {format_time(instant)}", rules.severity_of(check)
            yield Rule(name, check, expected, f"epoch_us({column}) {sign} ?", (instant,), severity)


def _level_rules(name: str, column: str, rules: ColumnRules) -> Iterator[Rule]:
    if rules.domain is not None:
        more = f" and {len(rules.domain) - _SHOWN} more" if len(rules.domain) > _SHOWN else ""
        expected = f"one of {', '.join(map(str, rules.domain[:_SHOWN]))}{more}"
        kind = "varchar" if rules.type == "string" else "bigint"
        condition = f"not list_contains(cast(? as {kind}[]), {column})"
        yield Rule(name, "domain", expected, condition, (list(rules.domain),), rules.severity_of("domain"))


def _text_rules(name: str, column: str, rules: ColumnRules) -> Iterator[Rule]:
    if rules.regex is not None:
        condition = f"not regexp_full_match({column}, ?)"
        yield Rule(name, "regex", f"a text like {rules.regex}", condition, (rules.regex,), rules.severity_of("regex"))
    for check, limit, sign, words in (
        ("min_length", rules.min_length, "<", "at least"),
        ("max_length", rules.max_length, ">", "at most"),
    ):
        if limit is not None:
            expected = f"{words} {limit} characters"
            yield Rule(name, check, expected, f"length({column}) {sign} ?", (limit,), rules.severity_of(check))


def future(rows: Rows, time: str, until: int) -> Rule:
    """Return the rule that nothing is later than an instant."""
    condition = f"epoch_us({rows.column(time)}) > ?"
    return Rule(time, "future", f"nothing later than {format_time(until)}", condition, (until,), Severity.ERROR)
