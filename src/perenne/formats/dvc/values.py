"""Reading parameters and metrics: YAML, JSON, TOML, and the constants of a Python file."""

import ast
import json
import tomllib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from perenne.core.errors import Invalid
from perenne.formats.dvc.documents import load


def unreadable(name: str, what: str, hint: str = "") -> Invalid:
    """Return the error of a file that cannot be read."""
    return Invalid(f"{name}: {what}", code="dvc.unreadable", hint=hint or "correct the file")


def text_of(data: bytes, name: str) -> str:
    """Return a file's text. Raises Invalid if it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise unreadable(name, f"is not UTF-8 at byte {error.start}") from None


def _read_json(data: bytes, name: str) -> Any:
    try:
        return json.loads(text_of(data, name))
    except ValueError as error:
        raise unreadable(name, str(error)) from None


def _read_toml(data: bytes, name: str) -> Any:
    try:
        return tomllib.loads(text_of(data, name))
    except tomllib.TOMLDecodeError as error:
        raise unreadable(name, str(error)) from None


def _read_python(data: bytes, name: str) -> dict[str, Any]:
    """Read constants of a module, and those of its classes and their `__init__`; nothing is executed."""
    try:
        module = ast.parse(data)
    except (SyntaxError, ValueError) as error:
        raise unreadable(name, str(error)) from None
    return _assignments(module.body)


def _assignments(body: list[ast.stmt], of_self: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            found.update(_assigned(statement, of_self))
        elif isinstance(statement, ast.ClassDef):
            found[statement.name] = _assignments(statement.body)
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            found.update(_assignments(statement.body, of_self=True))
    return found


def _assigned(statement: ast.Assign | ast.AnnAssign, of_self: bool) -> dict[str, Any]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if len(targets) != 1 or statement.value is None:
        return {}
    name = _target_name(targets[0], of_self)
    try:
        return {name: ast.literal_eval(statement.value)} if name else {}
    except (ValueError, TypeError):
        return {}  # what is computed is no parameter


def _target_name(target: ast.expr, of_self: bool) -> str:
    if isinstance(target, ast.Name):
        return "" if of_self else target.id
    mine = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
    return target.attr if mine and isinstance(target, ast.Attribute) else ""


_READERS: dict[str, Callable[[bytes, str], Any]] = {
    ".yaml": load,
    ".yml": load,
    ".json": _read_json,
    ".toml": _read_toml,
    ".py": _read_python,
}


def read_values(data: bytes, name: str) -> Any:
    """Return the value of a file of parameters or metrics, read by its ending; as YAML if that is another.

    >>> read_values(b"LR = 0.1\\nclass Train:\\n    depth = 2", "params.py")
    {'LR': 0.1, 'Train': {'depth': 2}}
    """
    return _READERS.get(PurePosixPath(name).suffix.lower(), load)(data, name)
