"""Scalars of YAML 1.2 as ruamel.yaml, and so DVC, understands and writes them."""

import re
from functools import cache
from typing import Any

_BOOLEANS = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_NULLS = {"", "~", "null", "Null", "NULL"}
_TYPED_FIRST = frozenset("-+.0123456789tTfFnN~<=")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_INTEGER = re.compile(r"[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{2}?-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?"
)
_PRINTABLE = re.compile(r"[ -~]*")
_NOT_PLAIN = re.compile(r"""[#,\[\]{}&*!|>'"%@` ]|[?:-](?: |$)|---|\.\.\.|.*(?:: | #|:$| $)""")
_WORD = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.+=@~-]*")


@cache
def _unprintable() -> re.Pattern[str]:
    """Return what YAML cannot show as it is; compiled when a text beyond ASCII is written, since that takes milliseconds."""
    return re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class Odd(Exception):
    """A shape that only a whole YAML library reads or writes as DVC does."""


def resolved(text: str) -> Any:
    """Tell what a plain scalar means: text, integer, float, boolean, nothing.

    Raises
    ------
    Odd
        A time, or one of YAML's special words, which a library must judge.

    Examples
    --------
    >>> [resolved(text) for text in ("yes", "true", "1e-3", "0x1F", "~", "12:30", "017")]
    ['yes', True, 0.001, 31, None, '12:30', 17]
    """
    if text and text[0] not in _TYPED_FIRST:
        return text
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULLS:
        return None
    if _FLOAT.fullmatch(text):
        return _float(text.replace("_", "").lower())
    if text[0] not in ".tTfFnN~<=" and _INTEGER.fullmatch(text):
        return _integer(text.replace("_", ""))
    if text in ("<<", "=") or (text[0].isdigit() and _TIME.fullmatch(text)):
        raise Odd
    return text


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _integer(text: str) -> int:
    sign, digits = (-1 if text[0] == "-" else 1), text.lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
    try:
        return sign * int(digits if base == 10 else digits[2:], base)
    except ValueError:
        raise Odd from None


def written(value: Any) -> str:
    """Write a scalar as it stands behind a key on one line.

    Raises
    ------
    Odd
        The text needs double quotes, or the value is of a kind that a library must write.

    Examples
    --------
    >>> [written(value) for value in ("data", "x y.csv", "[br]*.txt", "file name #1.txt", "1", "yes", "", 3, True, 1e-10)]
    ['data', 'x y.csv', "'[br]*.txt'", "'file name #1.txt'", "'1'", 'yes', "''", '3', 'true', '1e-10']
    """
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return _number(value)
    raise Odd


def _text(text: str) -> str:
    if not _WORD.fullmatch(text) or text.startswith("..."):
        if not _PRINTABLE.fullmatch(text) and _unprintable().search(text):
            raise Odd
        if _NOT_PLAIN.match(text):
            return _quoted(text)
    return text if _is_text(text) else _quoted(text)


def _quoted(text: str) -> str:
    if "'" in text:
        raise Odd
    return f"'{text}'"


def _is_text(text: str) -> bool:
    try:
        return type(resolved(text)) is str
    except Odd:
        return False


def _number(value: float) -> str:
    if value != value:
        return ".nan"
    return repr(value).replace("inf", ".inf")
