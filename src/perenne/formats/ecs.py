"""Log records as Elastic Common Schema JSON: one line each, as Filebeat's `ndjson` parser reads them.

Field names stay dotted and flat, the four that ECS logging asks for come first. What is not of ECS lies under `labels`.
Source: https://github.com/elastic/ecs-logging (spec/spec.json) and the field reference of ECS 9.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from perenne.core.clock import format_time
from perenne.core.redaction import redact, redact_text

VERSION = "9.0.0"
MAX_MESSAGE = 8 * 1024
MAX_STACK = 64 * 1024
MAX_LINE = 256 * 1024
MAX_FIELDS = 64
_NOBODY: Mapping[str, Any] = {}
_CUT = " …"
_encoder = msgspec.json.Encoder(enc_hook=str)
# JSON escapes what lies below the space; these would still move a cursor, end a line or turn a text round in a terminal.
_INVISIBLE = {
    code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f]")
_LABEL = re.compile(r"[.*\\\s]")


class Failure(NamedTuple):
    """What went wrong: the error's class, its message, its stack trace, and its dotted code if it has one."""

    kind: str
    message: str
    stack: str = ""
    code: str = ""


def record(
    time: int,
    level: str,
    logger: str,
    message: str,
    fields: Mapping[str, Any],
    failure: Failure | None = None,
    source: Mapping[str, Any] = _NOBODY,
) -> dict[str, Any]:
    """Return the fields of a log record; secrets are blackened, long texts cut.

    Parameters
    ----------
    time : int
        Microseconds since 1970.
    level, logger, message : str
        How bad it is, who says it, what happened.
    fields : mapping
        Further ECS fields by their dotted names; None means that a field is not known, and it is left out.
    failure : Failure, optional
        The error it is about.
    source : mapping
        Fields that say which process this is, the same in every record; taken as they are.
    """
    head = {"@timestamp": format_time(time), "log.level": level}
    tail = {"ecs.version": VERSION, "log.logger": logger, **source}
    found = {name: value for name, value in fields.items() if value is not None and value != ""}
    if failure is not None:
        found |= {"error.type": failure.kind, "error.message": cut(failure.message, MAX_MESSAGE)}
        found |= {"error.stack_trace": cut(failure.stack, MAX_STACK)} if failure.stack else {}
        found |= {"error.code": failure.code} if failure.code else {}
    shown = {name: redact(value) for name, value in found.items()}
    return {**head, "message": redact_text(cut(message, MAX_MESSAGE)), **tail, **shown}


def encode(fields: Mapping[str, Any]) -> bytes:
    r"""Write a record as one line, its line break included; it never contains another, nor any control character.

    >>> encode({"message": "a\nb\x9bc"})
    b'{"message":"a\\nb\\u009bc"}\n'
    """
    line = _line(fields)
    for length in (1024, 64):
        if len(line) <= MAX_LINE:
            break
        line = _line({**_shortened(fields, length), "tags": ["truncated"]})
    return line


def plain_text(text: str) -> str:
    r"""Make a text safe for a terminal: what would move the cursor is written out.

    >>> plain_text("a\x1b[2Jb\nc")
    'a\\u001b[2Jb\\u000ac'
    """
    shown = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return _encodable(shown.translate(_INVISIBLE))


def labels(values: Mapping[str, object]) -> dict[str, str]:
    """Return values of our own as the dotted fields below `labels`, which holds words only.

    >>> labels({"route": "/api/status", "a.b": 3})
    {'labels.route': '/api/status', 'labels.a_b': '3'}
    """
    return {f"labels.{_LABEL.sub('_', name)}": str(value) for name, value in values.items()}


def cut(text: str, length: int) -> str:
    """Shorten a text, and show that it was."""
    return text if len(text) <= length else text[: length - len(_CUT)] + _CUT


def _line(fields: Mapping[str, Any]) -> bytes:
    try:
        data = _encoder.encode(fields)
        if data.isascii() and b"\x7f" not in data:
            return data + b"\n"
        text = data.decode()
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):  # a lone surrogate, or a value JSON has no words for
        text = _encoder.encode({name: _encodable(str(value)) for name, value in fields.items()}).decode()
    return text.translate(_INVISIBLE).encode() + b"\n"


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _shortened(fields: Mapping[str, Any], length: int) -> dict[str, Any]:
    """Return the first plain fields, their texts cut."""
    plain = [(name, value) for name, value in fields.items() if isinstance(value, str | int | float | bool)]
    return {name: cut(value, length) if isinstance(value, str) else value for name, value in plain[:MAX_FIELDS]}
