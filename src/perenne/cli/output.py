"""What commands return, on the screen: a table on a terminal, tab-separated text in a pipe, JSON with `--json`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from perenne.cli.terminal import WISHES, is_terminal, paint, width
from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.core.results import Result


def render(answer: Any) -> int:
    """Print an answer on stdout, its note on stderr, and return its exit code."""
    result = answer if isinstance(answer, Result) else Result(answer)
    if WISHES.as_json:
        print(json.pretty(json.plain(result.value)))  # noqa: T201
        return result.exit_code
    shown = result.value if result.shown is None else result.shown
    left_out = _print(shown if isinstance(shown, str) else json.plain(shown))
    if left_out:
        _say(paint(f"too wide to show: {', '.join(left_out)}; --json has it", "dim", sys.stderr))
    if result.note and not WISHES.quiet:
        _say(result.note)
    return result.exit_code


def render_error(error: PerenneError) -> None:
    """Print an error on stderr: its code, its sentence, and what to do."""
    if WISHES.as_json:
        body = {"error_code": error.code, "message": error.message, "hint": error.hint}
        _say(json.encode(body).decode())
        return
    _say(f"{paint(f'error[{error.code}]', 'error', sys.stderr)}: {error.message}")
    if error.hint:
        _say(f"{paint('hint:', 'dim', sys.stderr)} {error.hint}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _print(value: Any) -> Sequence[str]:
    """Print a value; return what of it did not fit."""
    match value:
        case None:
            pass
        case str():
            if value:
                print(value)  # noqa: T201
        case Mapping() if is_terminal(sys.stdout):
            from perenne.cli.tables import record

            print("\n".join(record(value, width())))  # noqa: T201
        case Mapping():
            _print_mapping(value)
        case Sequence() if value and all(isinstance(item, Mapping) for item in value):
            return _print_table(value)
        case Sequence():
            for item in value:
                print(_cell(item))  # noqa: T201
        case _:
            print(_cell(value))  # noqa: T201
    return ()


def _print_table(rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    if is_terminal(sys.stdout):
        from perenne.cli.tables import table

        lines, left_out = table(rows, width())
        print("\n".join(lines))  # noqa: T201
        return left_out
    names = list(rows[0])
    print("\t".join(names))  # noqa: T201
    for row in rows:
        print("\t".join(_cell(row.get(name)).replace("\t", " ").replace("\n", " ") for name in names))  # noqa: T201
    return ()


def _print_mapping(value: Mapping[str, Any]) -> None:
    across = max((len(name) for name in value), default=0)
    for name, item in value.items():
        if isinstance(item, list) and item and all(isinstance(row, Mapping) for row in item):
            print(f"{name}:")  # noqa: T201
            _print_rows_below(item)
        else:
            print(f"{name:<{across}}  {_cell(item)}")  # noqa: T201


def _print_rows_below(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows of a list inside another answer: one a line, in columns, without what is empty everywhere."""
    names = [name for name in rows[0] if any(row.get(name) not in (None, "", []) for row in rows)]
    widths = {name: max(len(_cell(row.get(name))) for row in rows) for name in names}
    for row in rows:
        print("  " + "  ".join(_cell(row.get(name)).ljust(widths[name]) for name in names).rstrip())  # noqa: T201


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case str() | int():
            return str(value)
        case list() if all(isinstance(item, str | int | float) for item in value):
            return ", ".join(_cell(item) for item in value)
        case _:
            return json.encode(value).decode()
