"""A schema as other tools write theirs: JSON Schema of a row, and pandera as the source of a Python module."""

from collections.abc import Iterator
from typing import Any

from perenne.core import json
from perenne.data.validation.rules import ColumnRules, Schema

_JSON_TYPES = {"int64": "integer", "float64": "number", "bool": "boolean", "string": "string", "timestamp": "string"}
_PANDAS_TYPES = {
    "int64": '"Int64"',
    "float64": '"float64"',
    "bool": '"boolean"',
    "string": '"string"',
    "timestamp": '"datetime64[us]"',
}


def to_json_schema(schema: Schema, name: str = "rows") -> str:
    """Return a schema of JSON Schema, draft 2020-12, for one row as a JSON object.

    What is said of a column as a whole or between columns has no place there; `$comment` names what was left out.
    """
    properties = {column: _property(rules) for column, rules in schema.columns.items()}
    left = list(_beyond_a_row(schema))
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "type": "object",
        "properties": properties,
        "required": list(schema.columns),
    }
    if left:
        document["$comment"] = f"left out, for it is not of one row: {'; '.join(left)}"
    return json.pretty(document)


def _property(rules: ColumnRules) -> dict[str, Any]:
    kind = _JSON_TYPES[rules.type]
    nullable = rules.nullable and rules.null_max != 0
    found: dict[str, Any] = {"type": [kind, "null"] if nullable else kind}
    if rules.type == "timestamp":
        found["format"] = "date-time"
    elif rules.min is not None or rules.max is not None:
        bounds = (("minimum", rules.min), ("maximum", rules.max))
        found |= {word: bound for word, bound in bounds if isinstance(bound, float) and abs(bound) < float("inf")}
    if rules.domain is not None:
        found["enum"] = [*rules.domain, *([None] if nullable else [])]
    if rules.regex is not None:
        found["pattern"] = f"^(?:{rules.regex})$"
    found |= {} if rules.min_length is None else {"minLength": rules.min_length}
    return found | ({} if rules.max_length is None else {"maxLength": rules.max_length})


def _beyond_a_row(schema: Schema) -> Iterator[str]:
    """Name the rules that are not of one row."""
    table = schema.table
    for rule in ("rows_min", "rows_max", "rows_change", "freshness"):
        if getattr(table, rule) not in (None, 1):
            yield f"{rule} {getattr(table, rule)}"
    if table.key:
        yield f"key {', '.join(table.key)}"
    for column, rules in schema.columns.items():
        told = {
            "null_max": rules.null_max is not None and 0 < rules.null_max < 1,
            "unique": rules.unique,
            "ascending": rules.ascending,
            "drift": rules.drift is not None,
            "skew": rules.skew is not None,
            "range": rules.type == "timestamp" and (rules.min, rules.max) != (None, None),
        }
        yield from (f"{rule} of {column}" for rule, is_stated in told.items() if is_stated)
    yield from (f"rule {name}" for name in schema.rules)
    yield from (f"check {name}" for name in schema.checks)


def to_pandera(schema: Schema, name: str = "rows") -> str:
    """Return the source of a module that holds the schema as a `pandera.pandas.DataFrameSchema`, called `schema`.

    Rules in SQL, checks of the project, drift and freshness have no place there; comments name what was left out.
    """
    lines = [f'"""What {_plain(name)} must keep; written by `perenne data schema {_plain(name)}.yaml --to pandera`."""', ""]
    lines += ["import pandas as pd", "import pandera.pandas as pa", "", "schema = pa.DataFrameSchema(", "    {"]
    for column, rules in schema.columns.items():
        lines += [f"        {column!r}: pa.Column("]
        lines += [f"            {part}," for part in _column_arguments(rules)]
        lines += ["        ),"]
    lines += ["    },", *(f"    {part}," for part in _table_arguments(schema)), ")"]
    left = list(_beyond_pandera(schema))
    lines += ["", *(f"# left out: {_plain(item)}" for item in left)] if left else []
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Write a text so that it stays within a comment or a docstring."""
    return text.encode("unicode_escape").decode().replace('"', "'")


def _column_arguments(rules: ColumnRules) -> Iterator[str]:
    yield _PANDAS_TYPES[rules.type]
    checks = list(_checks(rules))
    if checks:
        yield f"[{', '.join(checks)}]"
    yield f"nullable={rules.nullable and rules.null_max != 0}"
    yield f"unique={rules.unique}"
    yield "coerce=True"


def _checks(rules: ColumnRules) -> Iterator[str]:
    for word, bound in (("ge", rules.min), ("le", rules.max)):
        if bound is not None:
            value = f"pd.Timestamp({bound!r})" if isinstance(bound, str) else _number(bound)
            yield f"pa.Check.{word}({value})"
    if rules.domain is not None:
        yield f"pa.Check.isin({list(rules.domain)!r})"
    if rules.regex is not None:
        yield f"pa.Check.str_matches({f'(?:{rules.regex})' + chr(92) + 'Z'!r})"
    if rules.min_length is not None or rules.max_length is not None:
        yield f"pa.Check.str_length({rules.min_length!r}, {rules.max_length!r})"
    if rules.null_max is not None and 0 < rules.null_max < 1:
        yield f"pa.Check(lambda column: column.isna().mean() <= {rules.null_max!r}, ignore_na=False, name='null_max')"
    if rules.ascending:
        yield "pa.Check(lambda column: column.dropna().is_monotonic_increasing, name='ascending')"


def _number(bound: float) -> str:
    if abs(bound) == float("inf"):
        return f"float({str(bound)!r})"
    return repr(int(bound) if bound.is_integer() else bound)


def _table_arguments(schema: Schema) -> Iterator[str]:
    table = schema.table
    checks = [f"pa.Check(lambda rows: len(rows) >= {table.rows_min}, name='rows_min')"]
    if table.rows_max is not None:
        checks.append(f"pa.Check(lambda rows: len(rows) <= {table.rows_max}, name='rows_max')")
    yield f"checks=[{', '.join(checks)}]"
    if table.key:
        yield f"unique={list(table.key)!r}"


def _beyond_pandera(schema: Schema) -> Iterator[str]:
    table = schema.table
    if table.freshness:
        yield f"freshness {table.freshness}"
    if table.rows_change is not None:
        yield f"rows_change {table.rows_change}"
    for column, rules in schema.columns.items():
        yield from (f"{rule} of {column}" for rule in ("drift", "skew") if getattr(rules, rule) is not None)
    yield from (f"rule {name}: {rule.sql}" for name, rule in schema.rules.items())
    yield from (f"check {name}: {check.function}" for name, check in schema.checks.items())
    yield from (f"environment {name}: without {', '.join(item.absent)}" for name, item in schema.environments.items())
