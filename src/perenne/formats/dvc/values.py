"""Reading the YAML, JSON, TOML and Python files that pipelines and their parameters are written in.

YAML is read by the rules of YAML 1.2, as DVC does: `yes` is a text, `0o17` a number, `1e-3` a number. A name that stands twice in
one mapping is refused.
"""

import ast
import json
import re
import tomllib
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from perenne.core.errors import Invalid

_INT = re.compile(r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_RESOLVED: tuple[tuple[str, "re.Pattern[str]", str], ...] = (
    ("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:float", re.compile(f"(?:{_FLOAT.pattern})$"), "-+0123456789."),
    ("tag:yaml.org,2002:int", re.compile(f"(?:{_INT.pattern})$"), "-+0123456789"),
    ("tag:yaml.org,2002:merge", re.compile(r"<<$"), "<"),
    ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)$"), "~nN"),
    (
        "tag:yaml.org,2002:timestamp",
        re.compile(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}$"
            r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
            r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?$"
        ),
        "0123456789",
    ),
)


def unreadable(name: str, what: str, hint: str = "") -> Invalid:
    """Return the error of a file that cannot be read."""
    return Invalid(f"{name}: {what}", code="dvc.unreadable", hint=hint or "correct the file")


def text_of(data: bytes, name: str) -> str:
    """Return a file's text. Raises Invalid if it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise unreadable(name, f"is not UTF-8 at byte {error.start}") from None


def read_yaml(data: bytes, name: str) -> Any:
    """Return the value of a YAML document, an empty one as an empty mapping.

    Raises
    ------
    Invalid
        If it cannot be parsed, or a name stands twice in a mapping; file, line and column are named.

    >>> read_yaml(b"a: yes\\nb: 1e-3\\nc: 010", "params.yaml")
    {'a': 'yes', 'b': 0.001, 'c': 10}
    """
    import yaml

    text = text_of(data, name)
    try:
        value = yaml.load(text, _loader())  # noqa: S506  (a safe loader, with the rules of YAML 1.2)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise unreadable(name, f"{where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise unreadable(name, str(error).splitlines()[0]) from None
    return {} if value is None else value


@cache
def _loader() -> Any:
    """Make the loader class; PyYAML is imported only when something is read."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    constructors = {
        **base.yaml_constructors,
        "tag:yaml.org,2002:int": _construct_int,
        "tag:yaml.org,2002:map": _construct_map,
    }
    members = {
        "yaml_implicit_resolvers": _by_first_character(),
        "yaml_constructors": constructors,
        "construct_mapping": _construct_mapping,
    }
    return type("Yaml12Loader", (base,), members)


def _by_first_character() -> dict[str, list[tuple[str, "re.Pattern[str]"]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in _RESOLVED:
        for first in firsts:
            found.setdefault(first, []).append((tag, pattern))
    found.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"$")))
    return found


def _construct_int(loader: Any, node: Any) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    for prefix, base in (("0b", 2), ("0x", 16), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits)


def _construct_map(loader: Any, node: Any) -> Any:
    value: dict[Any, Any] = {}
    yield value
    value.update(loader.construct_mapping(node))


def _construct_mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
    from yaml.constructor import ConstructorError

    own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    loader.flatten_mapping(node)
    mapping: dict[Any, Any] = {}
    seen: set[Any] = set()
    mine = {id(key) for key in own}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise ConstructorError("while constructing a mapping", node.start_mark, "found unhashable key", key_node.start_mark)
        if id(key_node) in mine:
            if key in seen:
                raise ConstructorError("in a mapping", node.start_mark, f"{key!r} stands twice", key_node.start_mark)
            seen.add(key)
        mapping[key] = loader.construct_object(value_node, deep=deep)
    return mapping


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
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
    ".py": _read_python,
}


def read_values(data: bytes, name: str) -> Any:
    """Return the value of a file of parameters or metrics, read by its ending; as YAML if that is another.

    >>> read_values(b"LR = 0.1\\nclass Train:\\n    depth = 2", "params.py")
    {'LR': 0.1, 'Train': {'depth': 2}}
    """
    return _READERS.get(PurePosixPath(name).suffix.lower(), read_yaml)(data, name)
