"""What commands return, on the screen: a table on a terminal, tab-separated text in a pipe, JSON with `--json`."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.core.results import Result


def render(answer: Any, as_json: bool = False) -> int:
    """Print an answer on stdout, its note on stderr, and return its exit code."""
    result = answer if isinstance(answer, Result) else Result(answer)
    if as_json:
        print(json.pretty(json.plain(result.value)))  # noqa: T201
    else:
        shown = result.value if result.shown is None else result.shown
        _print(shown if isinstance(shown, str) else json.plain(shown))
    if result.note and not as_json:
        print(result.note, file=sys.stderr)  # noqa: T201
    return result.exit_code


def render_error(error: PerenneError, as_json: bool) -> None:
    """Print an error on stderr: its code, its sentence, and what to do."""
    if as_json:
        body = {"error_code": error.code, "message": error.message, "hint": error.hint}
        print(json.encode(body).decode(), file=sys.stderr)  # noqa: T201
        return
    red, grey, plain = ("\x1b[31;1m", "\x1b[2m", "\x1b[0m") if _colours() else ("", "", "")
    print(f"{red}error[{error.code}]{plain}: {error.message}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"{grey}hint:{plain} {error.hint}", file=sys.stderr)  # noqa: T201


def _colours() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _print(value: Any) -> None:
    match value:
        case None:
            return
        case str():
            print(value)  # noqa: T201
        case Mapping():
            _print_mapping(value)
        case Sequence() if value and all(isinstance(item, Mapping) for item in value):
            _print_table(value)
        case Sequence():
            for item in value:
                print(_cell(item))  # noqa: T201
        case _:
            print(_cell(value))  # noqa: T201


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(rows[0])
    if not sys.stdout.isatty():
        print("\t".join(names))  # noqa: T201
        for row in rows:
            print("\t".join(_cell(row.get(name)).replace("\t", " ").replace("\n", " ") for name in names))  # noqa: T201
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    Console(markup=False, highlight=False).print(table)


def _print_mapping(value: Mapping[str, Any]) -> None:
    width = max((len(name) for name in value), default=0)
    for name, item in value.items():
        if isinstance(item, list) and item and all(isinstance(row, Mapping) for row in item):
            print(f"{name}:")  # noqa: T201
            _print_rows_below(item)
        else:
            print(f"{name:<{width}}  {_cell(item)}")  # noqa: T201


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
