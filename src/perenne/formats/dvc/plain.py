"""The block style that DVC writes, read and written without a YAML library: mappings, lists, scalars of one line.

Whatever is not certain (comments, anchors, double quotes, folded lines, flow style) raises `Odd`, and `documents` asks a library.
"""

import re
from typing import Any

from perenne.formats.dvc.scalars import Odd, resolved, written

WIDTH = 80
DEEPEST = 50
_KEY = re.compile(r"([A-Za-z0-9_./@-][A-Za-z0-9_./@-]*):(?: (.*))?", re.DOTALL)
_SINGLE = re.compile(r"'((?:[^']|'')*)'")
_NOT_SIMPLE = re.compile(r"""[#,\[\]{}&*!|>"%@`?: ]|-(?: |$)|.*(?:: | #|:$| $|\t|\r|[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff])""")

Line = tuple[int, str]


def read(text: str) -> Any:
    r"""Read a document in plain block style.

    >>> read("outs:\n- md5: 1d0a\n  size: 40\n  path: 'a #1'\n")
    {'outs': [{'md5': '1d0a', 'size': 40, 'path': 'a #1'}]}
    """
    lines = [_line(line) for line in text.removesuffix("\n").split("\n")]
    value, at = _block(lines, 0, lines[0][0], 0)
    if at < len(lines) or lines[0][0]:
        raise Odd
    return value


def _line(line: str) -> Line:
    content = line.lstrip(" ")
    if not content:
        raise Odd
    return len(line) - len(content), content


def _block(lines: list[Line], at: int, indent: int, depth: int) -> tuple[Any, int]:
    if depth > DEEPEST:
        raise Odd
    if lines[at][1].startswith("- "):
        return _sequence(lines, at, indent, depth)
    return _mapping(lines, at, indent, depth)


def _mapping(lines: list[Line], at: int, indent: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while at < len(lines) and lines[at][0] == indent and not lines[at][1].startswith("- "):
        matched = _KEY.fullmatch(lines[at][1])
        if matched is None:
            raise Odd
        key, value = resolved(matched[1]), matched[2]
        if type(key) is not str or key in found:
            raise Odd
        at += 1
        if value is not None:
            found[key] = _scalar(value)
        elif at < len(lines) and (lines[at][0] > indent or (lines[at][0] == indent and lines[at][1].startswith("- "))):
            found[key], at = _block(lines, at, lines[at][0], depth + 1)
        else:
            found[key] = None
    if at < len(lines) and lines[at][0] > indent:
        raise Odd
    return found, at


def _sequence(lines: list[Line], at: int, indent: int, depth: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("- "):
        content = lines[at][1][2:]
        if content.startswith("- ") or _KEY.fullmatch(content):
            lines[at] = (indent + 2, content)
            value, at = _block(lines, at, indent + 2, depth + 1)
        else:
            value, at = _scalar(content), at + 1
        found.append(value)
    if at < len(lines) and lines[at][0] > indent:
        raise Odd
    return found, at


def _scalar(text: str) -> Any:
    if text[:1] == "'":
        matched = _SINGLE.fullmatch(text)
        if matched is None:
            raise Odd
        return matched[1].replace("''", "'")
    if text in ("[]", "{}"):
        return [] if text == "[]" else {}
    if not text or _NOT_SIMPLE.match(text):
        raise Odd
    return resolved(text)


def write(value: dict[Any, Any]) -> str:
    r"""Write a mapping in block style, as ruamel.yaml does with DVC's settings.

    >>> print(write({"outs": [{"md5": "1d0a", "size": 40, "path": "a #1"}], "meta": {"a": [1, [2]]}}), end="")
    outs:
    - md5: 1d0a
      size: 40
      path: 'a #1'
    meta:
      a:
      - 1
      - - 2
    """
    if type(value) is not dict or not value:
        raise Odd
    lines: list[str] = []
    _write_mapping(value, "", "", lines, set())
    if max(map(len, lines)) > WIDTH:
        raise Odd
    return "\n".join(lines) + "\n"


def _write_mapping(value: dict[Any, Any], first: str, indent: str, lines: list[str], seen: set[int]) -> None:
    _once(value, seen)
    for key, inner in value.items():
        if type(key) is not str or not key:
            raise Odd
        _write(f"{first}{written(key)}:", inner, indent, "  ", lines, seen)
        first = indent


def _write(start: str, value: Any, indent: str, deeper: str, lines: list[str], seen: set[int]) -> None:
    kind = type(value)
    if value is None:
        lines.append(start)
    elif kind is dict or kind is list:
        if not value:
            _once(value, seen)
            lines.append(f"{start} {'{}' if kind is dict else '[]'}")
            return
        lines.append(start)
        if kind is dict:
            _write_mapping(value, indent + deeper, indent + deeper, lines, seen)
        else:
            _write_sequence(value, indent, indent, lines, seen)
    else:
        lines.append(f"{start} {written(value)}")


def _write_sequence(value: list[Any], first: str, indent: str, lines: list[str], seen: set[int]) -> None:
    _once(value, seen)
    for inner in value:
        if type(inner) is dict and inner:
            _write_mapping(inner, f"{first}- ", f"{indent}  ", lines, seen)
        elif type(inner) is list and inner:
            _write_sequence(inner, f"{first}- ", f"{indent}  ", lines, seen)
        elif inner is None:
            raise Odd
        else:
            _write(f"{first}-", inner, indent, "  ", lines, seen)
        first = indent


def _once(value: dict[Any, Any] | list[Any], seen: set[int]) -> None:
    """Refuse what is met a second time: a library writes it as an anchor. Deep nesting is left to it too."""
    if id(value) in seen:
        raise Odd
    seen.add(id(value))
