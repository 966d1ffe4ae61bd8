"""The file of rules: a small YAML file that people read, edit and review.

::

    table: {rows_min: 1000, key: [id], time: ts, freshness: 26h}
    columns:
      age: {type: int64, null_max: 0.05, min: 0, max: 132, drift: {metric: js, threshold: 0.1}}
      state: {type: string, null_max: 0.05, domain: [MA, NY], severity: error}
    rules:
      works when grown up: age >= 16 or hours = 0
    checks:
      zip fits state: {function: checks:zip_fits_state, severity: warning}
    environments: {serving: {absent: [label]}}

A broken rule on values is a warning, or what its column's `severity` says; a missing or retyped column, a column that is empty
now, a missing or repeated key, a broken rule between columns and a row from the future are errors.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.clock import parse_duration, parse_time
from perenne.core.errors import Invalid, NotFound
from perenne.data.validation.rules import (
    ColumnRules,
    Distance,
    Environment,
    Metric,
    RowCheck,
    RowRule,
    Schema,
    TableRules,
)

TYPES = ("int64", "float64", "bool", "string", "timestamp")
NUMBERS = ("int64", "float64")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_LARGEST_FILE = 4 << 20


def read_schema_file(path: Path) -> Schema:
    """Read a schema from its file. Raises NotFound if there is none, or Invalid."""
    return read_schema(schema_text(path), path.name)


def schema_text(path: Path) -> str:
    """Return the text of a schema's file."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise Invalid(f"{path.name} has more than {_LARGEST_FILE >> 20} MiB", code="data.schema", hint="is it a schema?")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = "`perenne data schema SOURCE` writes one to start from"
        raise NotFound(f"there is no schema {str(path)!r}", code="data.schema_not_found", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path.name} cannot be read: {error}", code="data.schema", hint="it is a YAML file in UTF-8") from None


def read_schema(text: str, name: str = "schema") -> Schema:
    r"""Read a schema from YAML.

    Raises
    ------
    Invalid
        If it is no YAML, has an unknown key or a rule that makes no sense; the message names the place.

    >>> read_schema("table: {rows_min: 3}\ncolumns: {x: {type: int64, min: 0}}").columns["x"].min
    0.0
    """
    import yaml

    try:
        plain = _loader()(text).get_single_data()
        for problem in _unknown_keys(plain):
            raise msgspec.ValidationError(problem)
        schema = msgspec.convert(_in_full(plain), Schema)
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise Invalid(f"{name}: {error}", code="data.schema", hint="`perenne data schema` writes one to start from") from None
    for column, rules in schema.columns.items():
        problem = _problem_of(rules)
        if problem:
            raise Invalid(
                f"{name}: column {column!r}: {problem}",
                code="data.schema",
                hint="`perenne data schema SOURCE` writes one that fits",
            )
    for problem in _table_problems(schema):
        raise Invalid(f"{name}: {problem}", code="data.schema", hint="correct it, or take the rule away")
    return schema


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads dates as the texts they are, for a level may look like one; and nothing that is named twice."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            names = [key.value for key, _ in node.value]
            twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
            if twice is not None:
                line = next(key.start_mark.line for key, _ in node.value[::-1] if key.value == twice) + 1
                raise yaml.YAMLError(f"{twice!r} stands there twice, the second time on line {line}")
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        letter: [item for item in found if item[0] != "tag:yaml.org,2002:timestamp"]
        for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _in_full(plain: Any) -> Any:
    """Write a rule or check that is given as a text alone as the mapping it stands for."""
    if not isinstance(plain, dict):
        return plain
    full = dict(plain)
    for part, field in (("rules", "sql"), ("checks", "function")):
        if isinstance(plain.get(part), dict):
            full[part] = {name: {field: item} if isinstance(item, str) else item for name, item in plain[part].items()}
    return full


_PARTS: dict[str, type[msgspec.Struct]] = {
    "columns": ColumnRules,
    "rules": RowRule,
    "checks": RowCheck,
    "environments": Environment,
}


def _unknown_keys(plain: Any) -> Iterator[str]:
    """Tell which keys mean nothing, and what was meant, perhaps."""
    if not isinstance(plain, dict):
        return
    yield from _strangers("", plain, Schema.__struct_fields__)
    yield from _strangers("table: ", plain.get("table"), TableRules.__struct_fields__)
    for part, struct in _PARTS.items():
        named = plain.get(part)
        for name, fields in named.items() if isinstance(named, dict) else ():
            yield from _strangers(f"{part}: {name}: ", fields, struct.__struct_fields__)
            for field in ("drift", "skew"):
                inner = fields.get(field) if isinstance(fields, dict) else None
                yield from _strangers(f"{part}: {name}: {field}: ", inner, Distance.__struct_fields__)


def _strangers(where: str, found: Any, known: tuple[str, ...]) -> Iterator[str]:
    for key in found if isinstance(found, Mapping) else ():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.5)
            meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            yield f"{where}unknown key {str(key)[:80]!r}; {meant}"


def _problem_of(rules: ColumnRules) -> str:
    """Return what makes no sense in the rules of a column; an empty text if all does."""
    is_number, is_text = rules.type in NUMBERS, rules.type == "string"
    texts = (rules.regex, rules.min_length, rules.max_length)
    if rules.type not in TYPES:
        near = difflib.get_close_matches(rules.type, TYPES, 1, 0.3)
        return f"type {rules.type!r} is none of {', '.join(TYPES)}" + (f"; did you mean {near[0]!r}?" if near else "")
    if (rules.min, rules.max) != (None, None) and not is_number and rules.type != "timestamp":
        return f"min and max are for numbers and times, and it is {rules.type}"
    if not is_text and texts != (None, None, None):
        return f"regex, min_length and max_length are for strings, and it is {rules.type}"
    if rules.domain is not None and rules.type not in ("string", "int64"):
        return f"domain is for strings and whole numbers, and it is {rules.type}"
    if rules.null_max is not None and not 0 <= rules.null_max <= 1:
        return f"null_max {rules.null_max:g} is no share between 0 and 1"
    return _bound_problem(rules) or _level_problem(rules) or _regex_problem(rules.regex) or _distance_problem(rules)


def _bound_problem(rules: ColumnRules) -> str:
    for side, bound in (("min", rules.min), ("max", rules.max)):
        if bound is None:
            continue
        if (rules.type == "timestamp") != isinstance(bound, str):
            wanted = "a time such as 2013-01-01" if rules.type == "timestamp" else "a number"
            return f"{side} {bound!r} is not {wanted}"
        if isinstance(bound, str):
            try:
                parse_time(bound)
            except Invalid as error:
                return f"{side}: {error.message}"
        elif math.isnan(bound):
            return f"{side} is not a number"
    if rules.min is not None and rules.max is not None and bound_value(rules.min) > bound_value(rules.max):
        return f"min {rules.min} is greater than max {rules.max}"
    return ""


def bound_value(bound: float | str) -> float:
    """Return a bound as a number: a time in microseconds since 1970."""
    return parse_time(bound) if isinstance(bound, str) else bound


def _level_problem(rules: ColumnRules) -> str:
    wanted = str if rules.type == "string" else int
    wrong = [level for level in rules.domain or () if not isinstance(level, wanted)]
    if wrong and wanted is str:
        return f"domain: {wrong[0]!r} is no text; write it in quotes: '{wrong[0]}'"
    return f"domain: {wrong[0]!r} is no whole number" if wrong else ""


def _regex_problem(regex: str | None) -> str:
    if regex is None:
        return ""
    from perenne.data.validation.rows import regex_problem

    problem = regex_problem(regex)
    return f"regex {regex!r}: {problem}" if problem else ""


def _distance_problem(rules: ColumnRules) -> str:
    for field, distance in (("drift", rules.drift), ("skew", rules.skew)):
        if distance is None:
            continue
        if rules.type == "timestamp":
            return f"{field} is for numbers, texts and booleans, and it is {rules.type}"
        if not 0 < distance.threshold <= 1:
            return f"{field}: threshold {distance.threshold:g} is not between 0 and 1"
        if distance.metric is Metric.LINF and rules.type == "float64":
            return f"{field}: linf is for texts, booleans and whole numbers of few levels; take js"
    return ""


def _table_problems(schema: Schema) -> Iterator[str]:
    table = schema.table
    for column in (*table.key, *([table.time] if table.time else ())):
        if column not in schema.columns:
            yield f"table names column {column!r}, which is not among the columns"
    if table.rows_max is not None and table.rows_max < table.rows_min:
        yield f"table: rows_max {table.rows_max} is less than rows_min {table.rows_min}"
    if table.freshness is not None:
        try:
            parse_duration(table.freshness)
        except Invalid as error:
            yield f"table: freshness: {error.message}"
        if table.time is None:
            yield "table: freshness needs to know the column of times: write time: COLUMN"
    for name, check in schema.checks.items():
        if not _FUNCTION.fullmatch(check.function):
            yield f"checks: {name}: {check.function!r} is not written as module:function"
    for name, environment in schema.environments.items():
        for column in environment.absent:
            if column not in schema.columns:
                yield f"environments: {name}: absent column {column!r} is not among the columns"


class _Line(dict[str, Any]):
    """A mapping that stands on one line of a YAML file."""


def write_schema(schema: Schema) -> str:
    """Write a schema as YAML, one line for each column."""
    plain: dict[str, Any] = {"table": _line(schema.table)}
    plain["columns"] = {name: _line(rules) for name, rules in schema.columns.items()}
    for part, field in (("rules", "sql"), ("checks", "function"), ("environments", "")):
        named = getattr(schema, part)
        if named:
            lines = {name: _line(item) for name, item in named.items()}
            plain[part] = {name: line[field] if [*line] == [field] else line for name, line in lines.items()}
    return dump(plain)


def dump(plain: Any, *, flow: bool = False) -> str:
    """Write plain values as YAML that is read as it was; `flow` on one line, as within a line of a file."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(_Line, lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", line, flow_style=True))
    style: dict[str, Any] = {"sort_keys": False, "width": math.inf, "default_flow_style": flow}
    text: str = yaml.dump(plain, Dumper=Dumper, allow_unicode=True, **style)
    if text.replace("\n", "").isprintable():
        return text
    # The library writes line ends of other alphabets as they are, and does not read them so.
    escaped: str = yaml.dump(plain, Dumper=Dumper, **style)
    return escaped


def _line(rules: msgspec.Struct) -> _Line:
    return _Line({name: _short(value) for name, value in msgspec.to_builtins(rules).items()})


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain_rules(rules: ColumnRules) -> dict[str, Any]:
    """Return the rules of a column as they stand in a file."""
    return dict(_line(rules))


__all__ = [
    "NUMBERS",
    "TYPES",
    "ColumnRules",
    "Schema",
    "TableRules",
    "bound_value",
    "dump",
    "plain_rules",
    "read_schema",
    "read_schema_file",
    "schema_text",
    "write_schema",
]
